"""Text retrieval as a person does it: four rankings, other weights, and the reasons for them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect

from mmdemo import load_encoder
from mmdemo.background.sets import Background, cache_path, write
from mmdemo.encoders.spec import ModelSpec
from mmdemo.examples import ranking_examples
from mmdemo.models.files import fingerprint
from mmdemo.models.find import find_model
from mmdemo.similarity import order
from mmdemo.tasks.passages import split_document
from mmdemo.tasks.rank import Ranking, explain, rank_passages
from tests.apps import App, environment, serving
from tests.bge_m3 import save
from tests.browser.conftest import Visit, both_sizes, visiting

pytestmark = pytest.mark.browser

HOSTILE = "<img src=x onerror=alert(1)> {{y}} & whale"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(tmp_path_factory.mktemp("bge") / "tiny-m3")


@pytest.fixture(scope="module")
def text_app(tmp_path_factory: pytest.TempPathFactory, folder: Path) -> Iterator[App]:
    """Serve the page with a small BGE-M3, and one that takes its time over a long document."""
    # Many small layers: long as a whole on any machine, but soon at an end when it is stopped.
    slow = save(
        folder.parent / "slow-m3",
        hidden_size=64,
        num_hidden_layers=128,
        intermediate_size=64,
        max_position_embeddings=8194,
    )
    place = tmp_path_factory.mktemp("text")
    with serving(place, MMDEMO_MODELS=f"mini,{folder},{slow}") as app:
        with environment(app.settings):
            _keep_a_set(find_model(slow))
        yield app


def _keep_a_set(spec: ModelSpec) -> None:
    """Put a background set into the cache: this one would take a minute, and nobody looks at it."""
    path = cache_path(spec)
    assert path is not None
    write(
        Background({"t2t": np.linspace(0, 1, 201)}, {"t2t": 200}, fingerprint(spec)),
        spec.name,
        path,
    )


@pytest.fixture
def open_tab(chromium: Browser, text_app: App, size: str) -> Iterator[Visit]:
    """Open the tab and wait for the ranking that it opens with."""
    with visiting(chromium, text_app, size) as visit:
        open_text(visit.page)
        visit.page.locator("#text-columns [data-passage]").first.wait_for()
        yield visit


def open_text(page: Page) -> None:
    """Go to the tab, which on a phone is in the menu of those that do not fit."""
    tab = page.get_by_role("tab", name="Text (BGE-M3)")
    if not tab.is_visible():
        page.get_by_label("More tabs").click()
        tab = page.locator(".overflow-dropdown button", has_text="Text (BGE-M3)")
    tab.click()


def pick(page: Page, title: str) -> None:
    page.locator("#text-model input").click()
    page.get_by_role("option", name=title).click()


def column(page: Page, name: str) -> list[tuple[int, float]]:
    """Read a column off the page: positions and scores, from top to bottom."""
    rows = page.locator(f'[data-function="{name}"] [data-passage]')
    return [
        (int(passage), float(score))
        for passage, score in rows.evaluate_all(
            "(rows) => rows.map((row) => [row.dataset.passage, row.dataset.score])"
        )
    ]


def wait_for(page: Page, ranking: Ranking) -> None:
    """Wait until the page shows a ranking, and compare every column with it."""
    first = order(ranking.hybrid())[0]
    top = page.locator('[data-function="hybrid"] [data-passage]').first
    expect(top).to_have_attribute("data-passage", str(first))
    # To a thousandth: two machines may differ by a millionth.
    near = re.escape(f"{ranking.hybrid()[first]:.3f}")
    expect(top.locator("b")).to_have_text(re.compile(near))
    scores = {**ranking.scores, "hybrid": ranking.hybrid()}
    for name, values in scores.items():
        if values is None:
            expect(page.locator(f'[data-function="{name}"] .lacking')).to_be_visible()
            continue
        shown = column(page, name)
        assert sorted(passage for passage, _ in shown) == list(range(len(values)))
        np.testing.assert_allclose(
            [score for _, score in shown], [values[passage] for passage, _ in shown], atol=2e-5
        )
        assert [score for _, score in shown] == sorted((s for _, s in shown), reverse=True)


def rank(page: Page, query: str, passages: str) -> None:
    page.locator("#text-query textarea").fill(query)
    page.locator("#text-passages textarea").fill(passages)
    page.get_by_role("button", name="Rank", exact=True).click()


def weigh(page: Page, name: str, value: str) -> None:
    field = page.locator(f"#text-weight-{name} input[type=number]")
    field.fill(value)
    field.press("Tab")


@both_sizes
def test_it_opens_with_an_example_that_is_ranked(open_tab: Visit) -> None:
    page, example = open_tab.page, ranking_examples()[0]
    mini = load_encoder("mini")
    ranking = rank_passages(mini, example.query, example.passages)
    wait_for(page, ranking)
    expect(page.locator('[data-function="sparse"] .lacking')).to_contain_text(
        "mmdemo download bge-m3"
    )
    percentile = page.locator("#text-why-dense [data-percentile]")
    best = order(ranking.hybrid())[0]
    assert float(percentile.get_attribute("data-percentile") or "") == pytest.approx(
        ranking.percentiles[best], abs=0.02
    )
    # The picture of tokens: one mark a token of the query.
    expect(page.locator("#text-heatmap .points path")).to_have_count(6)
    expect(page.locator("#text-heatmap .ytick")).to_have_count(6)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert open_tab.errors == []


def test_other_weights_rank_again_at_once(open_tab: Visit) -> None:
    page, example = open_tab.page, ranking_examples()[0]
    ranking = rank_passages(load_encoder("mini"), example.query, example.passages)
    wait_for(page, ranking)
    # The page puts its parts in place one after the other.
    expect(page.locator("#text-reading")).to_contain_text("passages")
    reading = page.locator("#text-reading").inner_text()
    weigh(page, "multi_vector", "0")
    only: dict = {"dense": 1.0, "sparse": 1.0, "multi_vector": 0.0}
    expected = order(ranking.hybrid(only))
    second = page.locator('[data-function="hybrid"] [data-passage]').nth(1)
    expect(second).to_have_attribute("data-passage", str(expected[1]))
    assert [passage for passage, _ in column(page, "hybrid")] == expected
    # Tokens and time are those of the one encoding.
    assert page.locator("#text-reading").inner_text() == reading
    weigh(page, "dense", "0")
    expect(page.locator("#text-reading")).to_contain_text("All weights are 0")


@both_sizes
def test_sparse_and_the_reasons_with_bge_m3(open_tab: Visit, folder: Path) -> None:
    page = open_tab.page
    pick(page, folder.name)
    rank(page, "a red dog", "a red car\nthe dog near the river\na house\nred red dog")
    encoder = load_encoder(folder)
    passages = ["a red car", "the dog near the river", "a house", "red red dog"]
    ranking = rank_passages(encoder, "a red dog", passages)
    wait_for(page, ranking)
    target = order(ranking.hybrid())[-1]
    page.locator(f'[data-function="dense"] [data-passage="{target}"]').click()
    sparse = page.locator("#text-why-sparse")
    expect(sparse.locator(".mm-number")).to_have_text(str(target + 1))
    why = explain(encoder, "a red dog", passages[target])
    expect(sparse.locator("tr[data-token]")).to_have_count(len(why.shared))
    expect(sparse.locator("dd").nth(1)).to_contain_text(passages[target].split()[0])
    expect(page.locator("#text-pick input")).to_have_value(re.compile(f"^{target + 1} · "))
    assert why.cosines is not None
    expect(page.locator("#text-heatmap .points path")).to_have_count(len(why.cosines))
    page.get_by_label("中文").check()
    expect(page.locator('[data-function="sparse"] h3')).to_have_text("稀疏")
    expect(page.get_by_role("heading", name="同一批段落，四种排序")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert open_tab.errors == []


def test_a_dropped_file_becomes_passages(open_tab: Visit, tmp_path: Path) -> None:
    page = open_tab.page
    file = tmp_path / "notes.md"
    text = "# Whales\n\nBlue whales eat krill. " + "They eat a lot. " * 5
    text += "\n\nOrcas eat seals. " + "They hunt together. " * 5
    file.write_bytes(text.encode("utf-16"))
    page.locator("#text-document input[type=file]").set_input_files(file)
    passages = split_document(text)
    assert len(passages) == 2
    field = page.locator("#text-passages textarea")
    expect(field).to_have_value(re.compile(r"^# Whales\nBlue whales"))
    page.get_by_role("button", name="Rank", exact=True).click()
    query = ranking_examples()[0].query
    wait_for(page, rank_passages(load_encoder("mini"), query, passages))
    broken = tmp_path / "broken.txt"
    broken.write_bytes(b"\0\1\2\3")
    page.locator("#text-document").get_by_role(
        "button", name=re.compile("clear|remove", re.I)
    ).first.click()
    page.locator("#text-document input[type=file]").set_input_files(broken)
    expect(page.locator(".mm-message", has_text="is not a text file in one of")).to_be_visible()
    expect(field).to_have_value(re.compile(r"^# Whales"))


def test_hostile_text_is_shown_as_text(open_tab: Visit) -> None:
    page = open_tab.page
    page.on("dialog", lambda dialog: open_tab.errors.append(dialog.message))
    rank(page, HOSTILE, f"{HOSTILE}\na whale")
    first = page.locator('[data-function="dense"] [data-passage="0"]')
    expect(first).to_contain_text(HOSTILE)
    expect(page.locator("#text-columns img, [id^=text-why] img")).to_have_count(0)
    expect(page.locator("#text-heatmap .xtick").first).to_be_visible()
    assert open_tab.errors == []


def test_bad_input_is_a_sentence_and_nothing_is_lost(open_tab: Visit) -> None:
    page = open_tab.page
    before = column(page, "dense")
    rank(page, "a whale", "\n".join(f"passage {n}" for n in range(51)))
    refusal = page.locator(".mm-message.stale", has_text="51 passages; at most 50")
    expect(refusal).to_be_visible()
    assert column(page, "dense") == before
    assert "passage 50" in page.locator("#text-passages textarea").input_value()


def test_a_long_document_shows_progress_and_can_be_stopped(open_tab: Visit) -> None:
    page = open_tab.page
    before = column(page, "dense")
    pick(page, "slow-m3")
    expect(page.locator("#text-facts")).to_contain_text("64 dimensions")
    # The choice of a model ranks by itself; the bar below is to be that of the document.
    expect(page.locator('[data-function="sparse"] [data-passage]').first).to_be_visible()
    expect(page.locator("#text-progress")).to_be_hidden()
    page.get_by_label("Read all of it as one passage").check()
    rank(page, "a dog", "the dog near the river " * 3000)
    expect(page.locator("#text-progress [role=progressbar]")).to_be_visible()
    page.locator("#text-stop button, button#text-stop").first.click()
    expect(page.locator(".mm-message.stale", has_text="Stopped")).to_be_visible()
    expect(page.locator("#text-progress")).to_be_hidden()
    # Whoever waits gets their turn: the model is free again.
    page.get_by_label("Read all of it as one passage").uncheck()
    rank(page, "a dog", "a red car\nthe dog")
    expect(page.locator('[data-function="dense"] [data-passage]')).to_have_count(2)
    assert column(page, "dense") != before
    assert open_tab.errors == []
