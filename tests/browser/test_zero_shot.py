"""Zero-shot classification as a person does it: pictures, labels, the ranking on the page."""

from __future__ import annotations

import csv
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pillow_heif
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from mmdemo import Classification, classify, load_encoder
from mmdemo.examples import FOLDER
from mmdemo.tasks.prompts import LABEL_SETS
from mmdemo.ui.tabs.zero_shot.ready_made import EXAMPLES
from tests.apps import App, serving
from tests.browser.conftest import Visit, both_sizes, visiting
from tests.tiny_models import tiny_blip, tiny_siglip

pytestmark = pytest.mark.browser

PATHS = [FOLDER / name for name in EXAMPLES]


def open_tab(page: Page) -> None:
    page.get_by_role("tab", name="Zero-shot").click()
    expect(page.locator("#zs-ranked-1 .mm-rank-card")).to_have_count(len(EXAMPLES))


def type_labels(page: Page, text: str) -> None:
    page.locator("#zs-labels textarea").fill(text)


def type_templates(page: Page, text: str) -> None:
    page.locator("#zs-templates textarea").fill(text)


def rows_of(page: Page, picture: int, column: int = 1) -> list[tuple[str, float, float]]:
    """Read label, probability and cosine of a picture's rows off the page, best first."""
    rows = page.locator(f'#zs-ranked-{column} [data-picture="{picture}"] tr[data-label]')
    return [
        (
            row.get_attribute("data-label") or "",
            float(row.get_attribute("data-probability") or "nan"),
            float(row.get_attribute("data-cosine") or "nan"),
        )
        for row in rows.all()
    ]


def expect_rows(page: Page, result: Classification, picture: int, column: int = 1) -> None:
    best = result.ranking(picture - 1)
    first = page.locator(f'#zs-ranked-{column} [data-picture="{picture}"] tr[data-label]').first
    expect(first).to_have_attribute("data-label", result.labels[best[0]])
    rows = rows_of(page, picture, column)
    assert [label for label, _, _ in rows] == [result.labels[label] for label in best[: len(rows)]]
    for (_, probability, cosine), label in zip(rows, best, strict=False):
        assert probability == pytest.approx(result.probabilities[picture - 1, label], abs=1e-4)
        assert cosine == pytest.approx(result.cosines[picture - 1, label], abs=1e-5)


def settled(page: Page, text: str) -> None:
    """Wait until a picture's card names a label of the latest input."""
    expect(page.locator("#zs-ranked-1")).to_contain_text(text)


@both_sizes
def test_the_examples_then_labels_of_ones_own(visit: Visit) -> None:
    page = visit.page
    open_tab(page)
    mini = load_encoder("mini")
    expected = classify(mini, PATHS, LABEL_SETS["everyday"].labels("en"), reject=True)
    for picture in range(1, len(EXAMPLES) + 1):
        expect_rows(page, expected, picture)
    cells = page.locator("#zs-matrix-1 td")
    expect(cells).to_have_count(len(EXAMPLES) * len(LABEL_SETS["everyday"].labels("en")))
    expect(page.locator("#zs-prompts-1 .js-plotly-plot")).to_be_visible()
    type_labels(page, "a bee on a flower\na suspension bridge\ntwo dogs")
    settled(page, "a suspension bridge")
    mine = classify(
        mini, PATHS, ["a bee on a flower", "a suspension bridge", "two dogs"], reject=True
    )
    for picture in (1, 2, 3):
        expect_rows(page, mine, picture)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert not visit.errors
    assert all(url.startswith(("http://127.0.0.1", "data:", "blob:")) for url in visit.requests)


def test_heic_photos_icons_and_scans_stand_among_the_pictures(visit: Visit, tmp_path: Path) -> None:
    page = visit.page
    open_tab(page)
    with Image.open(FOLDER / "bridge.jpg") as photo:
        photo.save(tmp_path / "bridge.ico", sizes=[(128, 128)])
        pillow_heif.from_pillow(photo).save(tmp_path / "bridge.heic")
        photo.convert("I").point(lambda value: value * 9 - 1000).save(tmp_path / "scan.tiff")
    chosen = page.locator("#zs-pictures input[type=file]").first
    chosen.set_input_files([tmp_path / f"{name}" for name in ("bridge.ico", "bridge.heic")])
    expect(page.locator("#zs-ranked-1 .mm-rank-card")).to_have_count(len(EXAMPLES) + 2)
    chosen.set_input_files(tmp_path / "scan.tiff")
    expect(page.locator("#zs-ranked-1 .mm-rank-card")).to_have_count(len(EXAMPLES) + 3)
    said = re.compile(
        f"Picture {len(EXAMPLES) + 3}: Grey values .* were spread over black to white"
    )
    expect(page.get_by_text(said)).to_be_visible()


def test_one_picture_of_ones_own_and_none_of_these(visit: Visit, tmp_path: Path) -> None:
    page = visit.page
    open_tab(page)
    picture = tmp_path / "my bridge.png"
    Image.open(FOLDER / "bridge.jpg").rotate(3).save(picture)
    page.locator("#zs-pictures input[type=file]").first.set_input_files(picture)
    expect(page.locator("#zs-ranked-1 .mm-rank-card")).to_have_count(len(EXAMPLES) + 1)
    page.get_by_role("button", name="One picture").click()
    expect(page.locator("#zs-ranked-1 .mm-rank-card")).to_have_count(1)
    expect(page.locator("#zs-matrix-1 table")).to_have_count(0)
    allow = page.get_by_label("Allow “none of these”")
    expect(allow).to_be_checked()
    none = page.locator("#zs-ranked-1 tr.none")
    expect(none).to_have_count(1)
    type_labels(page, "goldfish, owl, pizza")
    settled(page, "goldfish")
    expected = classify(load_encoder("mini"), PATHS[0], ["goldfish", "owl", "pizza"], reject=True)
    assert expected.rejection is not None
    expect(none).to_have_attribute("data-probability", re.compile(f"^{expected.rejection[0]:.3f}"))
    expect_rows(page, expected, 1)
    # Without it the best label is no winner either, and the page says so. The choice stays.
    allow.uncheck()
    expect(none).to_have_count(0)
    expect(page.locator("#zs-ranked-1")).to_contain_text("No label stands out")
    expect(page.locator("#zs-ranked-1 tr.top")).to_have_count(0)
    expect_rows(page, classify(load_encoder("mini"), PATHS[0], ["goldfish", "owl", "pizza"]), 1)
    page.get_by_role("button", name="animals", exact=True).click()
    expect(page.locator("#zs-ranked-1 tr.top")).to_have_attribute("data-label", "bee")
    expect(allow).not_to_be_checked()
    expect(none).to_have_count(0)


def test_the_templates_are_live(visit: Visit) -> None:
    page = visit.page
    open_tab(page)
    type_labels(page, "bee, bridge, dog")
    settled(page, "bee")
    expect(page.locator("#zs-template-set input")).to_have_value("OpenAI's 7")
    type_templates(page, "{}\na drawing of a {}.")
    expect(page.locator("#zs-template-set input")).to_have_value("my own lines")
    expected = classify(
        load_encoder("mini"),
        PATHS,
        ["bee", "bridge", "dog"],
        ["{}", "a drawing of a {}."],
        reject=True,
    )
    first = page.locator('#zs-ranked-1 [data-picture="1"] tr[data-label]').first
    expect(first).to_have_attribute("data-cosine", f"{expected.cosines[0].max():.6f}")
    expect_rows(page, expected, 2)
    type_templates(page, "a drawing")
    expect(page.locator(".mm-message.stale")).to_contain_text("'a drawing' has no {}")
    expect_rows(page, expected, 2)  # what was there stays
    page.locator("#zs-template-set input").click()
    page.get_by_role("option", name="one plain prompt", exact=True).click()
    expect(page.locator("#zs-templates textarea")).to_have_value("a photo of a {}.")
    expect(page.locator(".mm-message.stale")).to_have_count(0)


def test_hostile_labels_are_text(visit: Visit) -> None:
    page = visit.page
    open_tab(page)
    type_labels(page, "<img src=x onerror=alert(1)>\n{0.__class__}\nbee\nbee\n\n" + "b" * 150)
    settled(page, "<img src=x onerror=alert(1)>")
    settled(page, "{0.__class__}")
    expect(page.locator("#zs-ranked-1 img[src='x'], #zs-prompts-1 img[src='x']")).to_have_count(0)
    expect(page.get_by_text("given twice count once")).to_be_visible()
    type_labels(page, "bee\n" + "x" * 10_000)
    expect(page.locator(".mm-message.stale")).to_contain_text("Label 2 has 10,000 characters")
    type_labels(page, " , ")
    expect(page.locator(".mm-message.stale")).to_contain_text("no labels")
    type_labels(page, "bee, bridge")
    expect(page.locator(".mm-message.stale")).to_have_count(0)
    assert not visit.errors


def test_json_csv_and_python_give_what_is_on_the_screen(
    visit: Visit, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = visit.page
    open_tab(page)
    page.get_by_role("button", name="One picture").click()
    type_labels(page, 'bee\n"quoted", with comma\n<b>bold</b>')
    settled(page, "with comma")
    page.get_by_text("Take it away").click()
    with page.expect_download() as download:
        page.locator("#zs-csv").click()
    told = download.value.path().read_text(encoding="utf-8-sig").splitlines()
    *rows, none = csv.DictReader(told)
    assert none["label"] == "none of these"
    shown = rows_of(page, 1)
    assert [row["label"] for row in rows] == [label for label, _, _ in shown]
    for row, (_, probability, cosine) in zip(rows, shown, strict=True):
        assert float(row["probability"]) == pytest.approx(probability, abs=1e-6)
        assert float(row["cosine"]) == pytest.approx(cosine, abs=1e-6)
    with page.expect_download() as download:
        page.locator("#zs-json").click()
    whole = json.loads(download.value.path().read_text(encoding="utf-8"))
    assert whole["pictures"] == [EXAMPLES[0]]
    assert whole["results"][0]["model"] == "mini"
    code = "\n".join(page.locator("#zs-python .cm-line").all_inner_texts())
    here = Path.cwd()
    try:
        os.chdir(FOLDER)
        exec(compile(code, "shown", "exec"), {})
    finally:
        os.chdir(here)
    printed = capsys.readouterr().out
    numbers = [float(one) for one in re.findall(r"-?\d\.\d{4,}(?:e-\d+)?", printed)]
    wanted = {label: cosine for label, _, cosine in shown}
    assert numbers[0] == pytest.approx(wanted["bee"], abs=1e-5)


def test_a_long_encode_shows_progress_and_can_be_stopped(visit: Visit) -> None:
    page = visit.page
    open_tab(page)
    labels = [f"thing {n}" for n in range(20)]
    type_labels(page, "\n".join(labels))
    settled(page, labels[0][:8])
    page.locator("#zs-template-set input").click()
    page.get_by_role("option", name="OpenAI's 80", exact=True).click()
    bar = page.locator("#zs-progress [role=progressbar]")
    expect(bar).to_be_visible()
    expect(page.locator("#zs-progress")).to_contain_text("of 1,600 prompts")
    page.locator("#zs-stop").click()
    expect(page.locator(".mm-message.stale")).to_contain_text("Stopped")
    expect(bar).to_be_hidden()
    page.locator("#zs-template-set input").click()
    page.get_by_role("option", name="the 80 in Chinese").click()
    expect(bar).to_be_visible()
    # Another input takes the place of what runs.
    type_labels(page, "bee, bridge")
    settled(page, "bridge")
    expect(page.locator(".mm-message.stale")).to_have_count(0)


def test_in_chinese(visit: Visit) -> None:
    page = visit.page
    open_tab(page)
    page.get_by_label("中文").check()
    chinese = "\n".join(LABEL_SETS["everyday"].labels("zh"))
    expect(page.locator("#zs-labels textarea")).to_have_value(chinese)
    settled(page, "昆虫")
    expect(page.get_by_role("tab", name="零样本分类")).to_be_visible()
    expect(page.locator("#zs-template-set input")).to_have_value("7 个的中文版")
    expected = classify(
        load_encoder("mini"), PATHS, LABEL_SETS["everyday"].labels("zh"), "openai-7-zh", reject=True
    )
    first = page.locator('#zs-ranked-1 [data-picture="1"] tr[data-label]').first
    expect(first).to_have_attribute("data-cosine", f"{expected.cosines[0].max():.6f}")
    for picture in (1, 2, 5):
        expect_rows(page, expected, picture)


@pytest.fixture(scope="module")
def tiny_paths(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("models")
    return [tiny_siglip(folder / "tiny-siglip"), tiny_blip(folder / "tiny-blip")]


@pytest.fixture(scope="module")
def app_of_this_machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    """Serve the page where visitors may name directories, and the hub cannot be reached."""
    folder = tmp_path_factory.mktemp("beside")
    with serving(folder, HF_ENDPOINT="http://127.0.0.1:9") as app:
        yield app


@both_sizes
def test_models_side_by_side_each_on_its_own_scale(
    chromium: Browser, app_of_this_machine: App, size: str, tiny_paths: list[Path]
) -> None:
    with visiting(chromium, app_of_this_machine, size) as visit:
        page = visit.page
        open_tab(page)
        type_labels(page, "bee, bridge, dog")
        page.locator("#zs-beside").get_by_text("Compare models side by side").click()
        for number, path in enumerate(tiny_paths, start=2):
            box = page.locator(f"#zs-{number}-model input")
            box.fill(str(path))
            box.press("Enter")
            expect(page.locator(f"#zs-ranked-{number} .mm-rank-card")).to_have_count(len(EXAMPLES))
        labels = ["bee", "bridge", "dog"]
        for column, model in enumerate(("mini", *tiny_paths), start=1):
            encoder = load_encoder(model)
            expected = classify(encoder, PATHS, labels, reject=True)
            for picture in (1, 4):
                expect_rows(page, expected, picture, column)
            stated = page.locator(f"#zs-heading-{column}")
            expect(stated).to_contain_text(f"{encoder.logit_scale:.4g} × cosine")
        expect(page.locator("#zs-heading-2")).to_contain_text("need not sum to 100")
        expect(page.locator("#zs-ranked-3 th", has_text="match")).to_have_count(len(EXAMPLES))
        # Measured here, at first use.
        expect(page.locator("#zs-ranked-3 th", has_text="percentile")).to_have_count(len(EXAMPLES))
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        box = page.locator("#zs-3-model input")
        box.fill("nobody/nothing")
        box.press("Enter")
        expect(page.locator("#zs-3-download")).to_contain_text("cannot be reached")
        expect(page.locator("#zs-ranked-1 .mm-rank-card")).to_have_count(len(EXAMPLES))
        expect(page.locator("#zs-heading-3")).to_contain_text("nobody/nothing")
        box.fill("/etc")
        box.press("Enter")
        expect(page.locator("#zs-3-download")).to_contain_text("config.json")
        assert not visit.errors


def test_labels_that_a_model_does_not_know_or_tell_apart_are_named(visit: Visit) -> None:
    open_tab(visit.page)
    type_labels(visit.page, '["🐝", "Bee", "bee"]')
    message = visit.page.locator(".mm-message").filter(has_text="Bee = bee")
    expect(message).to_contain_text("mini knows nothing of 1 of 3 (🐝)")
    expect(message).to_contain_text("one and the same: Bee = bee.")
    visit.page.get_by_label("中文").check()
    expect(message).to_contain_text("Bee = bee")
