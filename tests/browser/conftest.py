"""A real Chromium, and a page that remembers what it asked the network for."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

import pytest
from playwright.sync_api import Browser, Page, ViewportSize, expect, sync_playwright

from tests.apps import App

# A machine with other work is slow to answer; what does not come at all still fails.
PATIENCE = 180_000  # milliseconds
expect.set_options(timeout=PATIENCE)

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
SIZES: dict[str, ViewportSize] = {
    "desktop": {"width": 1440, "height": 900},
    "phone": {"width": 390, "height": 844},
}


@dataclass
class Visit:
    """An open page, the addresses it asked for, and what went wrong in it."""

    page: Page
    requests: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


@pytest.fixture(scope="package")
def chromium() -> Iterator[Browser]:
    system = next(
        filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
    )
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=system, args=FLAGS)
        yield browser
        browser.close()


both_sizes = pytest.mark.parametrize("size", SIZES)
"""For tests that assert layout: they run on a desktop and on a phone."""


@pytest.fixture
def size() -> str:
    """Return a desktop, for what the width of the page plays no part in; see `both_sizes`."""
    return "desktop"


@pytest.fixture
def visit(chromium: Browser, app: App, size: str) -> Iterator[Visit]:
    """Open the app and wait for its first comparison."""
    with visiting(chromium, app, size) as visit:
        yield visit


@contextmanager
def visiting(chromium: Browser, app: App | str, size: str) -> Iterator[Visit]:
    """Open an app as somebody of their own, and wait for the first comparison.

    Args:
        chromium: the browser.
        app: from `serving`, whose settings hold meanwhile, or the address of one in a process of
            its own.
        size: a key of `SIZES`.
    """
    with ExitStack() as stack:
        if isinstance(app, App):
            stack.enter_context(app.visited())
        context = chromium.new_context(viewport=SIZES[size], locale="en-GB")
        stack.callback(context.close)
        context.set_default_timeout(PATIENCE)
        visit = Visit(context.new_page())
        visit.page.on("request", lambda request: visit.requests.append(request.url))
        visit.page.on("pageerror", lambda error: visit.errors.append(str(error)))
        visit.page.goto(app if isinstance(app, str) else app.address)
        visit.page.locator(".mm-card [data-score]").first.wait_for()
        yield visit
