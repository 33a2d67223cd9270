"""What a visitor meets at the door: a password, and that there is no room."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from mmdemo.ui.strings import TEXT
from tests.apps import App, serving
from tests.browser.conftest import visiting
from tests.held import MARK, MOST, HeldModel, call

pytestmark = pytest.mark.browser


def test_whoever_logs_in_has_the_page_and_its_languages(chromium: Browser, tmp_path: Path) -> None:
    with serving(tmp_path, MMDEMO_PASSWORD="ann:a secret") as app, app.visited():
        context = chromium.new_context(locale="en-GB")
        page = context.new_page()
        page.goto(app.address)
        page.get_by_label("username").fill("ann")
        page.get_by_label("password").fill("a secret")
        page.get_by_role("button", name="Login").click()
        page.locator(".mm-card [data-score]").first.wait_for()
        page.get_by_label("中文").check()
        expect(page.locator("#brand p")).to_have_text(TEXT["tagline"]["zh"])
        page.reload()  # it remembers who that is
        page.locator(".mm-card [data-score]").first.wait_for()
        context.close()


def test_a_full_line_is_said_on_the_page(
    chromium: Browser, held: HeldModel, served: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    with visiting(chromium, served.address, "desktop") as visit:
        page = visit.page
        page.get_by_label("中文").check()
        expect(page.locator("#brand p")).to_have_text(TEXT["tagline"]["zh"])
        call(served.address, "rank", ["a query", f"{MARK} text", "held", 1, 1, 1], "127.0.0.2")
        assert held.entered.acquire(timeout=MOST)
        monkeypatch.setenv("MMDEMO_LIMITS_LINE", "1")
        score = page.locator(".mm-card [data-score]").first
        before = score.text_content() or ""
        page.get_by_label(TEXT["text_label"]["zh"], exact=True).fill("synthetic")
        expect(page.get_by_text("排队中已有 1 个请求").first).to_be_visible()
        expect(score).to_have_text(before)  # nothing is lost
        held.gate.release(100)
        monkeypatch.delenv("MMDEMO_LIMITS_LINE")
        page.get_by_label(TEXT["text_label"]["zh"], exact=True).fill("a stone bridge")
        expect(score).not_to_have_text(before)
