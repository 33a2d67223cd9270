"""What one action costs: how often the page asks the server; and what it shows meanwhile."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Request, expect

from mmdemo import compare, load_encoder
from mmdemo.examples import examples
from mmdemo.tasks.compare import CompareRequest, Comparison
from mmdemo.ui.strings import LANGUAGES, TEXT, Language, say
from mmdemo.ui.tabs.similarity import handlers as similarity_handlers
from mmdemo.ui.tabs.text import handlers as text_handlers
from mmdemo.ui.tabs.zero_shot import handlers as zero_shot_handlers
from mmdemo.ui.tabs.zero_shot.ready_made import EXAMPLES
from tests.apps import App
from tests.browser.conftest import PATIENCE, SIZES, Visit, both_sizes
from tests.browser.test_similarity import upload, wait_for
from tests.waiting import MOST

pytestmark = pytest.mark.browser

COMPARISON, CLASSIFICATION, RANKING = "comparison", "classification", "ranking"
COMPUTES = {
    similarity_handlers.run: COMPARISON,
    similarity_handlers.beside: "comparison beside",
    zero_shot_handlers.run: CLASSIFICATION,
    text_handlers.run: RANKING,
}
"""What takes a model."""

LOCALES = {"en": "en-GB", "zh": "zh-CN"}
NAMES = {code: name for name, code in LANGUAGES}

# Each shift of what stood still, as the browser reports it: a score by area and distance.
WATCH_SHIFTS = """
window.shifts = [];
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.shifts.push(entry.value);
}).observe({type: "layout-shift", buffered: true});
"""


@dataclass
class Counted:
    """A page, and what it has asked the server to do.

    Attributes:
        page: the page.
        app: what serves it.
        asked: of each join of the queue, the function and the data it was given.
    """

    page: Page
    app: App
    asked: list[tuple[Callable[..., object] | None, list[object]]] = field(default_factory=list)

    def note(self, request: Request) -> None:
        if "/queue/join?" in request.url:  # what follows is the page's own query
            body = json.loads(request.post_data or "{}")
            asked = self.app.page.fns[body["fn_index"]].fn
            self.asked.append((asked and getattr(asked, "handler", asked), body["data"]))

    def counts(self) -> Counter[str]:
        """Return how often what was computed since it was asked last; to be called once it is seen.

        What takes no model counts as `other`. A page that asks once more does so as soon as an
        answer arrives, so what it asks is known once the server has nothing left to do and the page
        has stood still for some frames.
        """
        still = 0
        while still < 3:
            before = len(self.asked)
            self.page.evaluate(_SOME_FRAMES)
            queue = self.app.page._queue
            idle = not any(queue.active_jobs) and not len(queue)
            still = still + 1 if idle and len(self.asked) == before else 0
        found = Counter(COMPUTES.get(function, "other") for function, _ in self.asked)
        self.asked.clear()
        return found


_SOME_FRAMES = """() => new Promise((done) =>
  requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done, 50))))"""


@contextmanager
def counted(chromium: Browser, app: App, language: str, size: str = "desktop") -> Iterator[Counted]:
    """Open the page in a language and wait for what it opens with."""
    with (
        app.visited(),
        closing(chromium.new_context(viewport=SIZES[size], locale=LOCALES[language])) as context,
    ):
        context.set_default_timeout(PATIENCE)
        visit = Counted(context.new_page(), app)
        visit.page.add_init_script(WATCH_SHIFTS)
        visit.page.on("request", visit.note)
        visit.page.goto(app.address)
        visit.page.locator(".mm-card [data-score]").first.wait_for()
        yield visit


@pytest.fixture(params=LOCALES)
def language(request: pytest.FixtureRequest) -> Language:
    return request.param


@both_sizes
def test_opening_computes_one_comparison_in_the_page_s_language_and_nothing_jumps(
    chromium: Browser, app: App, language: Language, size: str
) -> None:
    with counted(chromium, app, language, size) as visit:
        page, first = visit.page, examples()[0]
        expect(page.locator(".mm-shows")).to_contain_text(first.text(language))
        asked = [data for function, data in visit.asked if function is similarity_handlers.run]
        assert visit.counts() == {COMPARISON: 1, "other": 1}
        assert [data[2] for data in asked] == [first.text(language)]
        assert [data[7] for data in asked] == [language]
        assert page.evaluate("document.documentElement.lang") == language
        assert page.evaluate("window.shifts.reduce((sum, one) => sum + one, 0)") < 0.25


def test_one_action_one_comparison(chromium: Browser, app: App, language: Language) -> None:
    mini = load_encoder("mini")
    other: Language = "zh" if language == "en" else "en"
    with counted(chromium, app, language) as visit:
        page, chosen = visit.page, examples()[4]
        visit.counts()
        page.locator("#examples tbody tr").nth(4).click()
        wait_for(page, compare(mini, *chosen.paths, chosen.text(language)).scores)
        assert visit.counts() == {COMPARISON: 1, "other": 1}
        field = page.get_by_label(say(language, "text_label"), exact=True)
        field.fill("")
        expect(page.locator(".mm-message.stale")).to_be_visible()
        visit.counts()
        typed = "a lighthouse at night"
        field.press_sequentially(typed)
        wait_for(page, compare(mini, *chosen.paths, typed).scores)
        counts = visit.counts()
        assert set(counts) == {COMPARISON}
        assert counts[COMPARISON] <= len(typed)
        page.get_by_role("button", name="blue whale", exact=True).first.click()
        wait_for(page, compare(mini, *chosen.paths, "blue whale").scores)
        assert visit.counts() == {COMPARISON: 1}
        page.get_by_role("button", name=say(language, "swap_button")).click()
        one, two = chosen.paths
        wait_for(page, compare(mini, two, one, "blue whale").scores)
        assert visit.counts() == {COMPARISON: 1}
        page.get_by_label(NAMES[other], exact=True).check()
        expect(page.locator(".mm-shows")).to_contain_text(say(other, "shows_note"))
        assert visit.counts() == {COMPARISON: 1, "other": 1}


def test_a_tab_computes_once_when_it_is_opened(chromium: Browser, app: App) -> None:
    with counted(chromium, app, "en") as visit:
        page = visit.page
        visit.counts()
        page.get_by_role("tab", name="Zero-shot").click()
        expect(page.locator("#zs-ranked-1 .mm-rank-card")).to_have_count(len(EXAMPLES))
        assert visit.counts() == {CLASSIFICATION: 1, "other": 1}
        page.get_by_role("tab", name="Text").click()
        page.locator("[data-passage]").first.wait_for()
        assert visit.counts() == {RANKING: 1, "other": 1}
        for name in ("Similarity", "Zero-shot", "Text"):
            page.get_by_role("tab", name=name).click()
        assert visit.counts() == {}
        page.get_by_role("tab", name="Zero-shot").click()
        page.locator("#zs-pictures").get_by_label("Delete image").first.click()
        expect(page.locator("#zs-ranked-1 .mm-rank-card")).to_have_count(len(EXAMPLES) - 1)
        assert visit.counts() == {CLASSIFICATION: 1, "other": 1}


def test_after_a_switch_no_word_of_the_page_is_in_the_other_language(
    chromium: Browser, app: App
) -> None:
    titles = ("tab_similarity", "tab_zero_shot", "tab_text")
    english = {
        text["en"] for text in TEXT.values() if "{" not in text["en"] and len(text["en"]) > 12
    }
    with counted(chromium, app, "en") as visit:
        page = visit.page
        page.locator(
            "#inputs [data-testid='image'] button[aria-label='Remove Image']"
        ).first.click()
        expect(page.locator(".mm-message.stale")).to_contain_text("Add Image 1")
        for title in titles[1:]:
            page.get_by_role("tab", name=say("en", title)).click()
        page.locator("[data-passage]").first.wait_for()
        page.get_by_label(NAMES["zh"], exact=True).check()
        expect(page.get_by_role("tab", name=say("zh", "tab_text"))).to_be_visible()
        visit.counts()
        expect(page.locator("#bars")).to_contain_text(say("zh", "kind_i2i"))
        assert page.evaluate("document.documentElement.lang") == "zh"
        for title in titles:
            page.get_by_role("tab", name=say("zh", title)).click()
            words = page.locator("[role=tabpanel]:visible").inner_text()
            assert not [text for text in english if text in words]
            for empty in page.locator('[data-testid="upload-text"]:visible').all():
                style = "(element) => getComputedStyle(element, '::after').content"
                assert empty.evaluate(style) == f'"{say("zh", "drop_files")}"'
        page.get_by_role("tab", name=say("zh", titles[0])).click()
        # What was said of an input is said in the other language too.
        expect(page.locator(".mm-message.stale:visible")).to_contain_text("请添加图片 1")


def test_results_of_something_else_are_marked(visit: Visit) -> None:
    page = visit.page
    stale = page.locator(".mm-message.stale:visible")
    page.get_by_role("tab", name="Zero-shot").click()
    expect(page.locator("#zs-ranked-1 .mm-rank-card")).to_have_count(len(EXAMPLES))
    chips = page.locator(".mm-chips:visible")
    chips.get_by_role("button", name="Clear", exact=True).click()
    expect(stale).to_contain_text("Add a picture")
    expect(page.locator("#zs-ranked-1")).to_have_css("opacity", "0.4")
    chips.get_by_role("button", name="One picture").click()
    expect(page.locator("#zs-ranked-1 .mm-rank-card")).to_have_count(1)
    expect(stale).to_have_count(0)
    page.get_by_role("tab", name="Text").click()
    page.locator("[data-passage]").first.wait_for()
    query = page.locator("#text-query textarea")
    asked = query.input_value()
    query.fill("how do whales breathe")
    expect(stale).to_contain_text("Press Rank")
    expect(page.locator("#text-columns")).to_have_css("opacity", "0.4")
    query.fill(asked)
    expect(stale).to_have_count(0)
    query.fill("how do whales breathe")
    page.locator("#text-rank").click()
    expect(stale).to_have_count(0)
    expect(page.locator("#text-columns")).to_have_css("opacity", "1")


def test_what_is_wrong_with_a_picture_is_said_beside_it_on_the_first_screen(
    visit: Visit, tmp_path: Path
) -> None:
    page = visit.page
    page.set_viewport_size({"width": 1280, "height": 720})
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    upload(page, 0, broken)
    said = page.locator("#at-pictures .mm-message.stale")
    expect(said).to_contain_text("Image 1: This picture is damaged")
    expect(page.locator("#readings")).to_have_css("opacity", "0.4")
    box = said.bounding_box()
    assert page.evaluate("window.scrollY") == 0
    assert box is not None
    assert box["y"] + box["height"] <= 720


@both_sizes
def test_what_a_comparison_awaits_is_said_and_moves_nothing(
    visit: Visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    page, gate = visit.page, threading.Event()

    run = CompareRequest.run

    def held(*given: Any) -> tuple[Comparison, ...]:
        assert gate.wait(MOST)
        return run(*given)

    monkeypatch.setattr(CompareRequest, "run", held)
    awaited = page.locator(".mm-message.late")
    field = page.get_by_label("Text", exact=True)
    below = page.locator("#examples")
    field.fill("a lighthouse")
    place = below.bounding_box()
    expect(awaited).to_have_text(say("en", "awaits_result"))
    expect(page.locator("#readings")).to_have_css("opacity", "0.4")
    expect(awaited).to_have_css("animation-name", "mm-late")
    page.wait_for_function("document.querySelector('.mm-message.late').offsetHeight > 30")
    assert below.bounding_box() == place
    gate.set()
    expect(awaited).to_have_count(0)
    expect(page.locator("#readings")).to_have_css("opacity", "1")
    assert below.bounding_box() == place
    expect(page.locator(".mm-shows h3")).to_contain_text("a lighthouse")
