"""Choosing a model: one on this machine, one that cannot be reached, one that has to come first."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from mmdemo import compare, load_encoder
from mmdemo.encoders.spec import HubFiles, ModelSpec
from mmdemo.images import Picture
from mmdemo.models import find
from mmdemo.tasks.compare import PAIRS
from mmdemo.tasks.published import COURSE, COURSE_PICTURES, reproduce
from tests.apps import App, serving
from tests.browser.conftest import Visit, both_sizes, visiting
from tests.browser.test_similarity import read_scores, type_text, upload, wait_for
from tests.conftest import TINY
from tests.hub_server import Hub, serve
from tests.tiny_models import tiny_clip

pytestmark = pytest.mark.browser

PICTURES = (
    TINY.parent / "images/portrait_rgba.png",
    TINY.parent / "images/palette.png",
)
"""Two that the reference reads otherwise than a person sees them."""

TINY_OF_THE_HUB = ModelSpec(
    name="tiny",
    title="Tiny",
    architecture="visualized_bge.model:VisualizedBGE",
    source="hub:t",
    modalities=("text", "image", "fused"),
    fusion="native",
    dim=64,
    languages=("en",),
    size_mb=1,
    licence="MIT",
    hub=(
        HubFiles(
            "t/text", ("config.json", "tokenizer_config.json", "vocab.txt", "vision_config.json")
        ),
        HubFiles("t/all", ("Visualized_tiny.pth",)),
    ),
)
"""The tiny model, as if it lay on the hub."""


@pytest.fixture(scope="module")
def offline_app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    """Serve the page with the tiny model in a directory, and a hub that nobody answers for."""
    models = f"mini,{TINY},visualized-bge-base-en"
    folder = tmp_path_factory.mktemp("offline")
    with serving(folder, MMDEMO_MODELS=models, HF_ENDPOINT="http://127.0.0.1:9") as app:
        yield app


@pytest.fixture
def offline(chromium: Browser, offline_app: App, size: str) -> Iterator[Visit]:
    with visiting(chromium, offline_app, size) as visit:
        yield visit


@pytest.fixture
def hub() -> Iterator[Hub]:
    files = {f"t/text/{path.name}": path.read_bytes() for path in TINY.iterdir()}
    checkpoint = (TINY / "Visualized_tiny_bert.pth").read_bytes()
    with serve(files | {"t/all/Visualized_tiny.pth": checkpoint}) as hub:
        yield hub


def pick(page: Page, title: str, label: str = "Model") -> None:
    page.get_by_label(label, exact=True).click()
    page.get_by_role("option", name=re.compile(re.escape(title))).click()


def test_a_local_directory_gives_the_librarys_numbers(
    offline: Visit, opening: tuple[Path, Path, str]
) -> None:
    page = offline.page
    pick(page, TINY.name)
    type_text(page, "a red car")
    expected = compare(load_encoder(TINY), *opening[:2], "a red car")
    wait_for(page, expected.scores)
    assert read_scores(page) == pytest.approx(expected.scores, abs=5.1e-4)
    # Its background set is measured meanwhile, and shown without anybody asking again.
    expect(page.locator("[data-percentile]")).to_have_count(2 + len(PAIRS))
    expect(page.locator("#readings")).to_contain_text("Fused here is the model's own")
    expect(page.locator("#facts")).to_contain_text("(native)")
    expect(page.locator("#facts")).to_contain_text("64 dimensions")
    type_text(page, "a red car " * 60)
    expect(page.locator(".mm-message")).to_contain_text(re.compile(r"Only the first 32 of the"))
    assert str(TINY.parent) not in page.content()
    assert offline.errors == []


@both_sizes
def test_the_courses_numbers_beside_ours(offline: Visit) -> None:
    page = offline.page
    expect(page.locator("#course-table")).to_have_count(0)
    pick(page, TINY.name)
    for index, path in enumerate(PICTURES):
        upload(page, index, path)
    encoder = load_encoder(TINY)
    type_text(page, "a logo")
    wait_for(page, compare(encoder, *PICTURES, "a logo").scores)
    page.get_by_role("button", name="Compute the four similarities").click()
    rows = page.locator("#course-table tr[data-pair]")
    expect(rows).to_have_count(len(COURSE))
    unchanged = (Picture(path, unchanged=True) for path in PICTURES)
    opened = dict(zip(COURSE_PICTURES, unchanged, strict=True))
    values = reproduce(encoder, COURSE, opened)
    for index, (pair, value) in enumerate(zip(COURSE, values, strict=True)):
        row = rows.nth(index)
        assert float(row.get_attribute("data-value") or "") == pytest.approx(value, abs=1e-5)
        tick = "✓" if abs(value - pair.value) <= 0.0005 else "✗"
        for text in (pair.name, f"{pair.value:.4f}", f"{value:.4f}", tick):
            expect(row).to_contain_text(text)
    page.get_by_role("button", name="Swap images").click()
    expect(rows).to_have_count(0)
    page.get_by_label("中文").check()
    expect(page.get_by_role("heading", name="重现课程中的数值")).to_be_visible()
    page.get_by_role("button", name="计算四种相似度").click()
    expect(page.locator("#course-table")).to_contain_text("公布值")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_without_a_network_one_sentence_and_nothing_is_lost(offline: Visit) -> None:
    page = offline.page
    before = read_scores(page)
    page.get_by_label("Model", exact=True).click()
    option = page.get_by_role("option", name="Visualized-BGE base-en")
    expect(option).to_have_text(re.compile("788 MB download · MIT"))
    option.click()
    why = page.locator("#download")
    expect(why).to_contain_text("a download of 788 MB, once. Licence: MIT")
    page.get_by_role("button", name="Download 788 MB").click()
    for part in (
        "127.0.0.1:9 cannot be reached",
        "mmdemo download",
        "HF_ENDPOINT",
        "MMDEMO_MODELS",
    ):
        expect(why).to_contain_text(part)
    expect(page.locator(".mm-message.stale")).to_contain_text("is not on this machine yet")
    assert read_scores(page) == before
    page.get_by_label("中文").check()
    expect(why).to_contain_text("也无法连接 127.0.0.1:9")
    pick(page, "mini", "模型")
    expect(page.locator(".mm-message.stale")).to_have_count(0)
    expect(why).to_be_hidden()
    page.get_by_label("文本", exact=True).fill("blue whale")
    expect(page.locator('[data-kind="t2it"] .value').first).not_to_have_text(
        f"{before['t2it']:.3f}"
    )


def test_a_model_comes_while_others_work(
    chromium: Browser,
    hub: Hub,
    tmp_path: Path,
    size: str,
    opening: tuple[Path, Path, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(find, "MODELS", {**find.MODELS, "tiny": TINY_OF_THE_HUB})
    settings = {"MMDEMO_MODELS": "mini,tiny", "HF_ENDPOINT": hub.address}
    hub.piece, hub.pause = 512, 0.05  # minutes: it is stopped before
    with (
        serving(tmp_path, **settings) as app,
        visiting(chromium, app, size) as one,
        visiting(chromium, app, size) as two,
    ):
        pick(one.page, "Tiny")
        state, press = one.page.locator("#download"), one.page.locator("#download-button")
        expect(state).to_contain_text("a download of 1.0 MB, once")
        assert hub.fetched == []
        press.click()
        expect(state.get_by_role("progressbar")).to_be_visible()
        expect(state).to_contain_text(re.compile(r"B of 1\.\d MB · .+/s · \d+:\d\d left"))
        type_text(two.page, "blue whale")
        wait_for(two.page, compare(load_encoder("mini"), *opening[:2], "blue whale").scores)
        expect(press).to_have_text("Stop the download")
        press.click()
        expect(state).to_contain_text("what has arrived is kept")
        hub.piece, hub.pause = 65536, 0.0
        expect(press).to_have_text(re.compile("Download"))
        press.click()
        expected = compare(load_encoder(TINY), *opening)
        wait_for(one.page, expected.scores)
        expect(state).to_be_hidden()
        expect(one.page.locator("#facts")).to_contain_text("on this machine")
        assert list(expected.scores) == list(PAIRS)
        assert one.errors == two.errors == []
    starts = [start for name, start in hub.fetched if name.endswith(".pth")]
    assert len(starts) == 2
    assert starts[1] > 0


def type_model(page: Page, element: str, model: str) -> None:
    box = page.locator(f"#{element} input")
    box.fill(model)
    box.press("Enter")


@both_sizes
def test_a_model_of_the_hub_by_its_id(
    chromium: Browser, tmp_path: Path, size: str, opening: tuple[Path, Path, str]
) -> None:
    folder = tiny_clip(tmp_path / "clip")
    files = {f"t/clip/{path.name}": path.read_bytes() for path in folder.iterdir()}
    with (
        serve(files) as hub,
        serving(tmp_path / "app", HF_ENDPOINT=hub.address) as app,
        visiting(chromium, app, size) as visit,
    ):
        page = visit.page
        type_model(page, "model", "t/clip")
        expect(page.locator("#download")).to_contain_text("a download of")
        page.locator("#download-button").click()
        expected = compare(load_encoder(folder), *opening)
        wait_for(page, expected.scores)
        expect(page.locator("#facts")).to_contain_text("(averaged)")
        expect(page.locator("#readings")).to_contain_text("Fused here is the average")
        expect(page.locator("[data-percentile]")).to_have_count(2 + len(PAIRS))
        type_model(page, "model", "t/nothing")
        expect(page.locator("#download")).to_contain_text("has no public model t/nothing")
        assert read_scores(page) == pytest.approx(expected.scores, abs=5.1e-4)
        # Beside the first, in the same comparison.
        type_model(page, "model", "mini")
        page.locator("#sim-beside").get_by_text("Compare models side by side").click()
        type_model(page, "sim-2-model", "t/clip")
        type_model(page, "sim-3-model", str(folder))
        for number in (2, 3):
            bars = page.locator(f"#beside-{number}-bars .bartext")
            scores = [*expected.text_image.values(), *expected.scores.values()]
            expect(bars).to_have_text([f"{score:.3f}" for score in scores])
            expect(page.locator(f"#beside-{number}-ranks li")).to_have_count(2 + len(PAIRS))
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert visit.errors == []
