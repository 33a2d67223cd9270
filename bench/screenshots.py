"""Take pictures of the running page, to look at and for the README.

    python app.py &
    python -m bench.screenshots [--url URL] [--out DIR] [--tab NAME]

Every tab, desktop and phone, light and dark, each the whole page; and the first screen of some for
the README.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path
from typing import NamedTuple

from playwright.sync_api import Browser, ViewportSize, sync_playwright

SIZES: dict[str, ViewportSize] = {
    "desktop": {"width": 1440, "height": 900},
    "phone": {"width": 390, "height": 844},
}
README_SIZE: ViewportSize = {"width": 1440, "height": 1060}


class Tab(NamedTuple):
    """A tab of the page.

    Attributes:
        title: what to click; empty for the one that is open.
        ready: what is there once it has results.
        example: what to click before the README's picture; empty for nothing.
    """

    title: str
    ready: str
    example: str = ""


TABS = {
    "similarity": Tab("", ".mm-card [data-score]", "#examples tbody tr:nth-child(2)"),
    "zero-shot": Tab("Zero-shot", "#zs-prompts-1 .js-plotly-plot"),
    "text": Tab("Text", "[data-passage]"),
}


def main() -> None:
    """Write the pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", default="http://127.0.0.1:7860")
    parser.add_argument("--out", type=Path, default=Path("screenshots"))
    parser.add_argument("--tab", choices=TABS, help="only this one")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        flags = ["--no-sandbox", "--disable-gpu"]
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=flags)
        for tab in [given.tab] if given.tab else TABS:
            for name, size in SIZES.items():
                for mode in ("light", "dark"):
                    target = given.out / f"{tab}-{name}-{mode}.png"
                    take(browser, given.url, target, TABS[tab], size, mode)
            target = given.out / f"{tab}-readme.png"
            take(browser, given.url, target, TABS[tab], README_SIZE, "light", readme=True)
        browser.close()


def take(
    browser: Browser,
    url: str,
    target: Path,
    tab: Tab,
    size: ViewportSize,
    mode: str,
    *,
    readme: bool = False,
) -> None:
    """Open a tab, choose an example, and save what is seen once the figures stand still."""
    page = browser.new_page(viewport=size, locale="en-GB")
    page.goto(f"{url}/?__theme={mode}")
    page.locator(TABS["similarity"].ready).first.wait_for(timeout=120_000)
    if tab.title:
        page.get_by_role("tab", name=tab.title).click()
        page.locator(tab.ready).first.wait_for(timeout=120_000)
    if readme and tab.example:
        page.locator(tab.example).click()
    page.evaluate("window.scrollTo(0, 0)")
    page.wait_for_timeout(2500)
    page.screenshot(path=target, full_page=not readme)
    page.close()
    sys.stdout.write(f"{target}\n")


if __name__ == "__main__":
    main()
