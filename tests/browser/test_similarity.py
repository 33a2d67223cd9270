"""The main job as a person does it: two pictures, a text, four numbers read off the page."""

from __future__ import annotations

import re
import signal
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pillow_heif
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from mmdemo import compare, load_encoder
from mmdemo.examples import examples
from mmdemo.plots import bars, matrix
from mmdemo.tasks.compare import PAIRS, PairKind
from tests.apps import running_app
from tests.browser.conftest import Visit, both_sizes, visiting

pytestmark = pytest.mark.browser


def read_scores(page: Page, which: int = 0) -> dict[str, float]:
    """Read the printed values off the cards, three decimals each."""
    return {
        kind: float(page.locator(f'[data-kind="{kind}"] .value').nth(which).inner_text())
        for kind in PAIRS
    }


def type_text(page: Page, text: str, label: str = "Text") -> None:
    page.get_by_label(label, exact=True).fill(text)


def upload(page: Page, index: int, path: Path) -> None:
    """Replace the picture in a slot: remove the old one, choose a file."""
    slot = page.locator("#inputs [data-testid='image']").nth(index)
    slot.get_by_role("button", name=re.compile("Clear|Remove", re.I)).click()
    slot.locator("input[type=file]").set_input_files(path)


def wait_for(page: Page, scores: Mapping[PairKind, float]) -> None:
    for kind, score in scores.items():
        value = page.locator(f'[data-kind="{kind}"] .value').first
        expect(value).to_have_text(f"{score:.3f}")


@pytest.fixture
def drawn(tmp_path: Path) -> tuple[Path, Path]:
    """Return two pictures that nobody has seen before: one transparent, one turned by EXIF."""
    random = np.random.default_rng(7)
    layer = Image.new("RGBA", (200, 160), (0, 0, 0, 0))
    layer.paste((200, 40, 30, 255), (40, 30, 150, 120))
    layer.save(tmp_path / "transparent.png")
    noise = random.integers(0, 255, (120, 180, 3), dtype=np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(noise).save(tmp_path / "turned.jpg", exif=exif, quality=95)
    return tmp_path / "transparent.png", tmp_path / "turned.jpg"


def test_upload_type_and_read_the_values(visit: Visit, drawn: tuple[Path, Path]) -> None:
    page = visit.page
    upload(page, 0, drawn[0])
    upload(page, 1, drawn[1])
    type_text(page, "a red square")
    expected = compare(load_encoder("mini"), *drawn, "a red square")
    wait_for(page, expected.scores)
    assert read_scores(page) == pytest.approx(expected.scores, abs=5.1e-4)
    scores = [*expected.text_image.values(), *expected.scores.values()]
    # The figure is drawn a moment after the values have come.
    expect(page.locator("#bars .bartext")).to_have_text([f"{score:.3f}" for score in scores])
    for label, score in expected.text_image.items():
        value = page.locator(f'[data-kind="t2i"][data-picture="{label}"] .value')
        expect(value).to_have_text(f"{score:.3f}")
    for kind, percentile in expected.percentiles.items():
        shown = page.locator(f'[data-kind="{kind}"] [data-percentile]')
        assert float(shown.get_attribute("data-percentile") or "") == pytest.approx(
            percentile, abs=0.02
        )
    cells = page.locator("#matrix-1 .textpoint").all_text_contents()
    assert [float(cell) for cell in cells] == pytest.approx(expected.matrix.ravel(), abs=5.1e-3)


def test_an_icon_a_heic_photo_and_a_scan_are_shown_and_compared(
    visit: Visit, drawn: tuple[Path, Path], tmp_path: Path
) -> None:
    page = visit.page
    upload(page, 1, drawn[1])
    with Image.open(drawn[0]) as layer:
        layer.save(tmp_path / "favicon.ico", sizes=[(16, 16), (128, 128)])
        pillow_heif.from_pillow(layer.convert("RGB")).save(tmp_path / "photo.heic")
    heights = np.linspace(-1024, 1016, 12_000).reshape(100, 120).astype(np.int32)
    Image.fromarray(heights).save(tmp_path / "scan.tiff")
    # The scan is replaced by a rendition, in which all its values are shades: it is said still.
    said = "Picture 1: Grey values -1,024 to 1,016 were spread over black to white"
    for name in ("favicon.ico", "photo.heic", "scan.tiff"):
        upload(page, 0, tmp_path / name)
        expected = compare(
            load_encoder("mini"), tmp_path / name, drawn[1], examples()[0].text("en")
        )
        wait_for(page, expected.scores)
        picture = page.locator("#inputs [data-testid='image'] img").first
        expect(picture).to_have_js_property("complete", True)
        assert picture.evaluate("image => image.decode().then(() => image.naturalWidth)") > 0
    expect(page.get_by_text(said)).to_be_visible()
    shown = page.locator("#inputs [data-testid='image'] img").first
    expect(shown).to_have_attribute("src", re.compile(r"\.png$"))
    expect(page.get_by_text(said)).to_be_visible()


def test_no_request_leaves_the_app(chromium: Browser, tmp_path: Path) -> None:
    """As a user starts it: from a shell, without a network, until Ctrl+C."""
    with running_app(tmp_path, HF_HUB_OFFLINE="1") as started:
        with visiting(chromium, started.address, "desktop") as visit:
            page = visit.page
            type_text(page, "somewhere else")
            page.get_by_role("button", name="Vectors and timings").click()
            expect(page.locator("#details td")).to_have_count(50)
            own = (started.address, "data:", "blob:")
            assert [url for url in visit.requests if not url.startswith(own)] == []
            assert len(visit.requests) > 10
            assert visit.errors == []
        started.server.send_signal(signal.SIGINT)
        assert started.server.wait() == 0


def test_a_second_text_shows_what_moved(visit: Visit, opening: tuple[Path, Path, str]) -> None:
    page = visit.page
    first, second, text = opening
    page.locator("#inputs").get_by_role("button", name="blue whale").last.click()
    encoder = load_encoder("mini")
    one = compare(encoder, first, second, text)
    two = compare(encoder, first, second, "blue whale")
    expect(page.locator(".mm-moved")).to_contain_text("blue whale")
    assert read_scores(page) == pytest.approx(one.scores, abs=5.1e-4)
    assert read_scores(page, 1) == pytest.approx(two.scores, abs=5.1e-4)
    expect(page.locator("#bars .bartext")).to_have_count(12)
    expect(page.locator("#matrix-2 .textpoint")).to_have_count(25)
    page.get_by_role("button", name="Clear", exact=True).click()
    expect(page.locator(".mm-moved")).to_have_count(0)
    expect(page.locator("#matrix-2")).to_be_hidden()


def test_bad_input_is_explained_and_nothing_is_lost(visit: Visit, tmp_path: Path) -> None:
    page = visit.page
    before = read_scores(page)
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"\x89PNG\r\n\x1a\n and then nothing that makes sense")
    upload(page, 1, broken)
    message = page.locator(".mm-message.stale")
    expect(message).to_contain_text(re.compile("Image 2: This (picture is damaged|file is not)"))
    assert read_scores(page) == before
    type_text(page, "")
    expect(message).to_be_visible()
    page.get_by_role("button", name="Swap images").click()
    page.locator("#examples").get_by_role("row").nth(1).click()
    expect(message).to_have_count(0)
    expect(page.get_by_label("Text", exact=True)).not_to_have_value("")


def test_a_picture_that_browsers_cannot_show_is_shown(visit: Visit, tmp_path: Path) -> None:
    page = visit.page
    deep = np.linspace(0, 65535, 120 * 90).reshape(90, 120).astype(np.uint16)
    Image.fromarray(deep).save(tmp_path / "deep.tif")
    upload(page, 0, tmp_path / "deep.tif")
    picture = page.locator("#inputs [data-testid='image']").nth(0).locator("img")
    expect(picture).to_have_js_property("naturalWidth", 120)
    example = examples()[0]
    expected = compare(
        load_encoder("mini"), tmp_path / "deep.tif", example.paths[1], example.text("en")
    )
    wait_for(page, expected.scores)


def test_two_visitors_do_not_meet(visit: Visit, chromium: Browser, app_url: str) -> None:
    type_text(visit.page, "a text of the first visitor")
    expect(visit.page.locator(".mm-card .value").first).to_be_visible()
    context = chromium.new_context(locale="en-GB")
    other = context.new_page()
    other.goto(app_url)
    other.locator(".mm-card .value").first.wait_for()
    assert other.get_by_label("Text", exact=True).input_value() == examples()[0].text("en")
    type_text(other, "blue whale")
    first, second = examples()[0].paths
    wait_for(other, compare(load_encoder("mini"), first, second, "blue whale").scores)
    theirs = compare(load_encoder("mini"), first, second, "a text of the first visitor")
    wait_for(visit.page, theirs.scores)
    context.close()


def test_hostile_text_stays_text(visit: Visit) -> None:
    page = visit.page
    hostile = "<img src=x onerror=\"document.title='owned'\"> {0.__class__}"
    type_text(page, hostile)
    type_text(page, hostile + "!", "Compare with")
    expect(page.locator(".mm-moved")).to_contain_text("<img src=x")
    assert page.title() == "mmdemo"
    assert page.locator("img[src='x']").count() == 0


def test_every_example_works(visit: Visit) -> None:
    page = visit.page
    rows = page.locator("#examples tbody tr")
    assert rows.count() == len(examples())
    for index, example in enumerate(examples()):
        rows.nth(index).click()
        wait_for(page, compare(load_encoder("mini"), *example.paths, example.text("en")).scores)


def test_chinese(visit: Visit) -> None:
    page = visit.page
    page.get_by_label("中文").check()
    expect(page.get_by_label("文本", exact=True)).to_be_visible()
    expect(page.get_by_role("tab", name="相似度")).to_be_visible()
    expect(page.locator("#readings")).to_contain_text("无关配对")
    expect(page.locator("#bars")).to_contain_text("融合 1")
    page.get_by_label("文本", exact=True).fill("синий кит")
    expect(page.locator(".mm-message")).to_contain_text("只读英语和中文")
    # Chinese itself is read, and the readings say whether the pictures show it.
    page.get_by_label("文本", exact=True).fill("蓝鲸")
    expect(page.locator(".mm-shows")).to_contain_text("图中是“蓝鲸”吗？")
    expect(page.locator(".mm-message")).to_have_count(0)


@both_sizes
def test_layout_holds_still_and_fits(visit: Visit, opening: tuple[Path, Path, str]) -> None:
    page = visit.page
    width = page.evaluate("document.documentElement.clientWidth")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    expect(page.locator("#matrix-1 .textpoint")).to_have_count(25)
    heights = [page.locator(name).bounding_box() for name in ("#bars", "#matrix-1")]
    assert [round(box["height"]) for box in heights if box] == [
        bars.HEIGHT + 18,
        matrix.HEIGHT + 18,
    ]
    below = page.get_by_role("heading", name="Everything with everything")
    places = []
    for text in ("a ship", "two dogs looking out of a window"):
        expected = compare(load_encoder("mini"), *opening[:2], text)
        type_text(page, text)
        wait_for(page, expected.scores)
        box = below.bounding_box()
        assert box is not None
        places.append(box["y"])
    # A line of a caption may wrap; a figure that arrives late or an empty card would move more.
    assert abs(places[0] - places[1]) < 30


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_figures_can_be_read_in_both_modes(visit: Visit, mode: str) -> None:
    """The text of the figures keeps a contrast of at least 4.5:1 (WCAG 2.2, 1.4.3)."""
    page = visit.page
    is_dark = page.evaluate("document.body.classList.contains('dark')")
    if is_dark != (mode == "dark"):
        page.get_by_role("button", name="Light / dark").click()
    expect(page.locator("#bars .bartext").first).to_be_visible()
    ground = page.evaluate("getComputedStyle(document.querySelector('#bars')).backgroundColor")
    for name in (".bartext", ".annotation-text", ".xtick text"):
        ink = page.evaluate(
            "name => getComputedStyle(document.querySelector('#bars ' + name)).fill", name
        )
        assert contrast(ink, ground) >= 4.5, (name, ink, ground)


def contrast(first: str, second: str) -> float:
    """Return the contrast ratio of two `rgb(…)` colours, after WCAG 2.2."""
    light, dark = sorted((luminance(first), luminance(second)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def luminance(colour: str) -> float:
    channels = [int(value) / 255 for value in re.findall(r"\d+", colour)[:3]]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
