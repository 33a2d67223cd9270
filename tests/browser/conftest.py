"""A real Chromium, and a page that remembers what it asked the network for."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest
from playwright.sync_api import Browser, Page, ViewportSize, expect, sync_playwright

# A machine with other work is slow to answer; what does not come at all still fails.
expect.set_options(timeout=60_000)

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


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    system = next(
        filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
    )
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=system, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(params=SIZES)
def size(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def visit(chromium: Browser, app_url: str, size: str) -> Iterator[Visit]:
    """Open the app and wait for its first comparison."""
    with visiting(chromium, app_url, size) as visit:
        yield visit


@pytest.fixture
def desktop(chromium: Browser, app_url: str) -> Iterator[Visit]:
    """Likewise, on a desktop alone: for what the width of the page plays no part in."""
    with visiting(chromium, app_url, "desktop") as visit:
        yield visit


@contextmanager
def visiting(chromium: Browser, address: str, size: str) -> Iterator[Visit]:
    """Open an address as somebody of their own, and wait for the first comparison."""
    context = chromium.new_context(viewport=SIZES[size], locale="en-GB")
    visit = Visit(context.new_page())
    visit.page.on("request", lambda request: visit.requests.append(request.url))
    visit.page.on("pageerror", lambda error: visit.errors.append(str(error)))
    visit.page.goto(address)
    visit.page.locator(".mm-card [data-score]").first.wait_for(timeout=120_000)
    yield visit
    context.close()
