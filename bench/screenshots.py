"""Take pictures of the running page, to look at and for the README.

    python app.py &
    python -m bench.screenshots [--url URL] [--out DIR]

Desktop and phone, light and dark, each the whole page; and `readme.png`, the first screen.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path

from playwright.sync_api import Browser, ViewportSize, sync_playwright

SIZES: dict[str, ViewportSize] = {
    "desktop": {"width": 1440, "height": 900},
    "phone": {"width": 390, "height": 844},
}
README_SIZE: ViewportSize = {"width": 1440, "height": 1060}


def main() -> None:
    """Write the pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", default="http://127.0.0.1:7860")
    parser.add_argument("--out", type=Path, default=Path("screenshots"))
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        flags = ["--no-sandbox", "--disable-gpu"]
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=flags)
        for name, size in SIZES.items():
            for mode in ("light", "dark"):
                take(browser, given.url, given.out / f"{name}-{mode}.png", size, mode, whole=True)
        take(browser, given.url, given.out / "readme.png", README_SIZE, "light", example=1)
        browser.close()


def take(
    browser: Browser,
    url: str,
    target: Path,
    size: ViewportSize,
    mode: str,
    *,
    whole: bool = False,
    example: int = 0,
) -> None:
    """Open the page, choose an example, and save what is seen once the figures stand still."""
    page = browser.new_page(viewport=size, locale="en-GB")
    page.goto(f"{url}/?__theme={mode}")
    page.locator(".mm-card [data-score]").first.wait_for(timeout=120_000)
    if example:
        page.locator("#examples tbody tr").nth(example).click()
    page.evaluate("window.scrollTo(0, 0)")
    page.wait_for_timeout(2500)
    page.screenshot(path=target, full_page=whole)
    page.close()
    sys.stdout.write(f"{target}\n")


if __name__ == "__main__":
    main()
