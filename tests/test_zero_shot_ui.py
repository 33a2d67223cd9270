"""The handlers and views of the tab "Zero-shot", without a browser."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Generator, Iterator
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
import pytest
from PIL import Image

from mmdemo import Classification, classify
from mmdemo.background.sets import background
from mmdemo.examples import FOLDER
from mmdemo.images import files
from mmdemo.models.encoder import Encoder
from mmdemo.progress import Progress
from mmdemo.tasks import prompts
from mmdemo.tasks.classify import prompt_effect
from mmdemo.tasks.prompts import LABEL_SETS, TEMPLATE_SETS
from mmdemo.ui.parts import long_work
from mmdemo.ui.parts.inputs import PicturesInput
from mmdemo.ui.strings import CODES, LANGUAGES, TEXT, say
from mmdemo.ui.tabs.zero_shot import handlers, ready_made, views
from mmdemo.ui.tabs.zero_shot.handlers import Column, Given, Results, Shown
from mmdemo.ui.tabs.zero_shot.views import Pictures
from mmdemo.work import Current
from tests.held import MARK, MOST, HeldModel
from tests.waiting import wait_until

BEE, BRIDGE = (FOLDER / name for name in ("bee.jpg", "bridge.jpg"))
HOSTILE = "<img src=x onerror=alert(1)>"
LABELS = ["bee", "bridge", HOSTILE, "{0.__class__}"]
TWO = Pictures(("bee.jpg", f"{HOSTILE}.jpg"), ("data:,1", "data:,2"))


@pytest.fixture(scope="module")
def result(mini: Encoder) -> Classification:
    return classify(mini, [BEE, BRIDGE], LABELS, reject=True)


def run(**changed: Any) -> list[Results]:
    """Run the handler on two pictures and return what it shows."""
    given: dict[str, Any] = {
        "pictures": [str(BEE), str(BRIDGE)],
        "labels": "bee, bridge",
        "templates": "a photo of a {}.",
        "reject": False,
        "picked": 0,
        "language": "en",
        "shown": Shown(),
        "current": Current(),
        "models": ("mini", "", ""),
    } | changed
    # On a slow machine it says in between how far it is.
    return [one for one in handlers.run(Given(**given)) if not is_bar(one)]


def is_bar(shown: Results) -> bool:
    return "progressbar" in shown.bar


def columns_of(shown: Results) -> list[Column]:
    count = len(fields(Column))
    return [Column(*shown.columns[at : at + count]) for at in range(0, 3 * count, count)]


def test_cards_rank_every_picture(result: Classification) -> None:
    for _, language in LANGUAGES:
        markup = views.cards(result, TWO, language)
        found = re.findall(r'data-picture="(\d)".*?</article>', markup, re.S)
        assert found == ["1", "2"]
        labels = re.findall(r'data-label="(.*?)" data-prob', markup)
        assert labels[0] == "bee"
        assert labels[4] == "bridge"
        assert markup.count(say(language, "zs_none")) == 2
        assert say(language, "zs_percentile") in markup


def test_a_visitors_words_and_file_names_are_never_markup(
    mini: Encoder, result: Classification
) -> None:
    effect = prompt_effect(mini, result)
    shown = [
        views.cards(result, TWO, "en"),
        views.matrix(result, TWO, "en"),
        views.heading(HOSTILE, result, background(mini), "en"),
        long_work.bar(Progress(1, 2, stage="prompts"), "en", HOSTILE),
        str(views.prompts(effect, "en").to_dict()),
        views.failed(HOSTILE, HOSTILE),
    ]
    assert not any("<img src=x" in markup for markup in shown)
    assert "&lt;img src=x" in shown[0]
    assert "{0.__class__}" in shown[0]


def test_the_matrix_holds_every_pair(result: Classification) -> None:
    markup = views.matrix(result, TWO, "en")
    scores = [float(one) for one in re.findall(r"<br>(-?\d\.\d{3})</td>", markup)]
    np.testing.assert_allclose(scores, result.cosines.T.ravel(), atol=5.1e-4)
    assert markup.count('<td class="top"') == 2
    assert views.matrix(result, Pictures(("one",), ("data:,",)), "en") == ""


def test_a_long_list_of_labels_is_cut_and_says_so(mini: Encoder) -> None:
    labels = [f"thing {n}" for n in range(60)] + ["bee"]
    result = classify(mini, [BEE, BRIDGE], labels, "{}")
    assert "and 56 more labels" in views.cards(result, TWO, "en")
    matrix = views.matrix(result, TWO, "en")
    assert "and 21 more labels" in matrix
    assert ">bee<" in matrix


def test_what_a_number_means_is_said_for_each_activation(
    mini: Encoder, result: Classification
) -> None:
    softmax = views.heading("A", result, background(mini), "en")
    for said in (
        f"{result.logit_scale:.4g} × cosine",
        "sum to 100",
        "7,896 unrelated",
        "one of ten",
    ):
        assert said in softmax
    sigmoid = replace(result, activation="sigmoid", logit_bias=-12.5, rejection_cosine=None)
    told = views.heading("A", sigmoid, None, "en")
    for said in ("− 12.5", "need not sum to", "every single label fails"):
        assert said in told
    assert "unrelated" not in told
    matched = replace(result, matching=np.full_like(result.cosines, 0.25))
    assert "may disagree" in views.heading("A", matched, None, "en")
    assert "25.0\u00a0%" in views.cards(matched, TWO, "en")


def test_the_figure_of_the_prompts(mini: Encoder, result: Classification) -> None:
    effect = prompt_effect(mini, result, image=1)
    drawn = views.prompts(effect, "zh").to_dict()
    templates, bare, ensemble = drawn["data"]
    np.testing.assert_allclose(templates["x"], effect.by_template.ravel())
    np.testing.assert_allclose(bare["x"], effect.bare)
    np.testing.assert_allclose(ensemble["x"], effect.ensemble)
    assert [one["name"] for one in drawn["data"]] == ["单个模板", "裸标签", "集成"]
    assert drawn["layout"]["height"] > 0


def test_a_run_shows_everything() -> None:
    [shown] = run(reject=True)
    assert shown.message == ""
    assert isinstance(shown.shown, Shown)
    assert shown.shown.pictures.names == ("bee.jpg", "bridge.jpg")
    first, second, _ = columns_of(shown)
    assert 'data-label="bee"' in first.cards
    assert 'tr class="none"' in first.cards
    assert second.ranked["visible"] is False


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"pictures": []}, "Add a picture"),
        ({"pictures": [str(BEE), b"no picture"]}, "Picture 2: This file is not a picture"),
        ({"pictures": [str(BEE)] * 51}, "51 pictures; at most 50"),
        ({"labels": " , "}, "no labels"),
        ({"labels": None}, "no labels"),
        ({"labels": "x" * 10_000}, "Label 1 has 10,000 characters"),
        ({"labels": "\n".join(map(str, range(1001)))}, "1,001 labels"),
        ({"templates": "a photo"}, "has no {}"),
        ({"templates": ""}, "no templates"),
        ({"models": ("mimi", "", "")}, "Did you mean"),
        ({"models": ("", "", "")}, "Choose a model"),
        ({"models": ("clip-vit-b32", "", "")}, "is not on this machine yet"),
        ({"language": "zh", "pictures": [b"%PDF-1.7"]}, "图片 1：这是 PDF"),
        ({"language": "zh", "templates": "照片"}, "没有 {}"),
        ({"language": "zh", "labels": ""}, "还没有标签"),
    ],
)
def test_bad_input_changes_only_the_message(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, changed: dict[str, Any], says: str
) -> None:
    monkeypatch.setattr("mmdemo.models.files.cached", lambda files: None)
    [shown] = run(**changed)
    assert says in shown.message
    assert "stale" in shown.message
    skip = gr.skip()
    assert replace(shown, message=skip, bar=skip) == Results()


def test_what_stays_beside_a_message_follows_the_language() -> None:
    *_, good = run(language="en")
    [bad] = run(language="zh", labels="", shown=good.shown)
    *_, same = run(language="zh", shown=good.shown)
    assert "stale" in bad.message
    first = columns_of(bad)[0]
    assert say("zh", "zs_picture", number=1) in first.cards
    assert first == columns_of(same)[0]
    # The prompts are those of the picture that was picked meanwhile.
    [picked] = run(language="zh", labels="", picked=1, shown=good.shown)
    assert say("zh", "zs_prompts_caption", number=2) in picked.prompts_heading
    [again] = run(language="zh", labels="", shown=bad.shown)
    assert again.columns == gr.skip()


SEVEN = "\n".join(TEMPLATE_SETS["openai-7"].templates)


def long_one(labels: str, current: Current[Any]) -> Given:
    models = ("held", "", "")
    return Given([str(BEE)], labels, SEVEN, False, 0, models, "en", Shown(), current)


def begun(labels: str, current: Current[Any]) -> Iterator[Results]:
    """Begin a classification that takes long."""
    return handlers.run(long_one(labels, current))


def test_many_prompts_show_progress_first(held: HeldModel) -> None:
    steps = begun(", ".join(f"{MARK} {n}" for n in range(30)), Current())
    # While it waits at the first step, the pictures are known.
    assert "1 of 1 pictures" in next(steps).bar
    bars = []
    for step in range(1, 4):
        held.gate.release(63)
        wait_until(lambda step=step: held.batches == 63 * step + 1)  # it has come to the next step
        bars.append(next(steps).bar)
    assert "63 of 210 prompts" in bars[0]
    assert "189 of 210" in bars[-1]
    held.gate.release(1000)
    *_, last = steps
    assert last.bar == ""
    assert last.shown.results


def test_stopping_and_superseding(held: HeldModel) -> None:
    for supersede in (False, True):
        labels = ", ".join(f"{MARK} {n} {supersede}" for n in range(60))
        current: Current[Any] = Current()
        steps = begun(labels, current)
        next(steps)
        # The same input: it goes on.
        same = handlers.supersede(long_one(labels, current))
        assert same.template_set == "openai-7"
        assert same.message == gr.skip()  # nothing is on the screen that could be of another input
        next(steps)
        if supersede:
            handlers.supersede(long_one("other labels", current))
        else:
            long_work.stopped(current)
        last = list(steps)  # though the model has not come to its next step
        if supersede:
            assert last == []  # not a word of it: what takes its place is shown
            continue
        assert last[-1].bar == ""
        assert "Stopped" in last[-1].message
    long_work.stopped(Current())


def test_another_run_takes_the_place_of_the_one_that_goes_on(held: HeldModel) -> None:
    """Also where nothing has superseded it before, as in requests that were written by hand."""
    current: Current[Any] = Current()
    older = begun(f"{MARK} older", current)
    next(older)
    assert held.entered.acquire(timeout=MOST)
    newer = begun("newer", current)
    next(newer)
    held.gate.release()  # what the model has begun it ends, and then the newer one's turn comes
    *_, last = newer
    assert last.shown.results
    assert list(older) == []


def test_whoever_leaves_stops_the_work(held: HeldModel) -> None:
    current: Current[Any] = Current()
    steps = begun(", ".join(f"{MARK} {n}" for n in range(60)), current)
    next(steps)
    assert held.entered.acquire(timeout=MOST)
    assert isinstance(steps, Generator)
    steps.close()
    held.gate.release()
    assert current.work is not None
    assert current.work.wait(MOST)
    assert held.batches == 1


def test_duplicates_and_foreign_scripts_are_said() -> None:
    [shown] = run(labels="bee, bee, bridge")
    assert "count once" in shown.message
    [shown] = run(labels="мост, пчела")
    assert "another script" in shown.message


def test_what_is_taken_away_is_what_is_shown(result: Classification) -> None:
    shown = Shown(("mini",), (result,), TWO)
    told = json.loads(handlers.as_json(shown, "en"))
    assert told["pictures"] == list(TWO.names)
    np.testing.assert_allclose(told["results"][0]["cosines"], result.cosines, atol=1e-7)
    told = handlers.as_csv(shown, "en")
    assert told.startswith("\ufeff")
    rows = list(csv.DictReader(told[1:].splitlines()))
    assert len(rows) == result.cosines.size + 2
    for row in rows:
        image = int(row["picture"]) - 1
        assert row["file"] == TWO.names[image]
        chance = float(row["probability"])
        if row["label"] == "none of these":
            assert result.rejection is not None
            assert chance == pytest.approx(result.rejection[image])
        else:
            assert chance == pytest.approx(result.probabilities[image, LABELS.index(row["label"])])
    for image in ("1", "2"):
        whole = sum(float(row["probability"]) for row in rows if row["picture"] == image)
        assert whole == pytest.approx(1.0, abs=1e-5)


def test_a_spreadsheet_takes_no_label_for_a_formula(mini: Encoder) -> None:
    result = classify(mini, BEE, ["=1+1", "@x", "a-b"], "{}")
    told = handlers.as_csv(Shown(("mini",), (result,), Pictures(("-1.png",), ("data:,",))), "zh")
    rows = list(csv.DictReader(told[1:].splitlines()))
    assert {row["label"] for row in rows} == {"'=1+1", "'@x", "a-b"}
    assert {row["file"] for row in rows} == {"'-1.png"}


def test_one_model_that_is_missing_leaves_the_others() -> None:
    [shown] = run(models=("mini", "clip-vit-b32", "nobody/nothing"))
    first, second, third = columns_of(shown)
    assert 'data-label="bee"' in first.cards
    assert "CLIP ViT-B/32 is not on this machine yet" in second.heading
    assert second.cards == third.cards == ""
    assert "nobody/nothing" in third.heading
    assert shown.shown.models == ("mini",)


def test_another_label_costs_the_pictures_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    [shown] = run()
    kept = shown.shown
    with monkeypatch.context() as closed:
        closed.setattr(files, "opened", None)
        closed.setattr(Image, "open", None)
        [again] = run(labels="bee, bridge, owl", shown=kept)
    assert again.shown.pictures == kept.pictures
    # What is gone from the page is forgotten.
    [fewer] = run(pictures=[str(BRIDGE)], shown=kept)
    assert set(fewer.shown.thumbnails.made) == {str(BRIDGE)}


def test_a_picture_that_browsers_cannot_show_keeps_its_pixels(tmp_path: Path) -> None:
    tiff = tmp_path / "bee.tiff"
    Image.open(BEE).save(tiff)
    with gr.Blocks():
        gallery = PicturesInput(format="png")
    data = gallery.postprocess(handlers.renditions([str(tiff)]))
    [shown] = data.model_dump()
    with Image.open(shown["image"]["path"]) as kept, Image.open(tiff) as given:
        np.testing.assert_array_equal(np.asarray(kept), np.asarray(given))
    assert handlers.renditions([str(BEE)]) == gr.skip()


def test_the_code_names_sets_and_models(result: Classification) -> None:
    code = views.python_text(["mini", "owner/name", "local:x"], [result] * 3, TWO)
    compile(code, "shown", "exec")
    for part in ("'openai-7'", "reject=True", "'owner/name'", "'path/to/x'", repr(HOSTILE)):
        assert part in code
    own = replace(result, templates=("a {}", "the {}"), rejection=None)
    code = views.python_text(["mini"], [own], TWO)
    assert "['a {}', 'the {}']" in code
    assert "reject" not in code


def test_choosing_and_recognising_sets() -> None:
    for name, one in TEMPLATE_SETS.items():
        text = ready_made.template_text(name)
        assert text.splitlines() == list(one.templates)
        assert ready_made.template_choice(text + "\n\n") == name
    assert ready_made.template_choice("{} of mine") == ready_made.OWN
    assert ready_made.template_text(ready_made.OWN) == gr.skip()


def test_ready_texts_follow_the_language_and_own_ones_stay() -> None:
    labels = ready_made.label_text("food", "en")
    templates = ready_made.template_text("openai-80")
    to_zh = ready_made.translated(labels, templates, "zh")
    assert to_zh[0] == "\n".join(LABEL_SETS["food"].labels("zh"))
    assert to_zh[1].splitlines() == list(TEMPLATE_SETS["openai-80-zh"].templates)
    assert to_zh[2]["value"] == "openai-80-zh"
    back = ready_made.translated(to_zh[0], to_zh[1], "en")
    assert (back[0], back[1]) == (labels, templates)
    assert ready_made.translated(labels, templates, "en")[:2] == [gr.skip(), gr.skip()]
    own = ready_made.translated("mine", "{} of mine", "zh")
    assert own[:2] == [gr.skip(), gr.skip()]
    assert own[2]["value"] == ready_made.OWN


def test_a_set_without_a_twin_stays_chosen_in_every_language(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A choice that the list does not have would leave the field empty, and the page with it."""
    alone = replace(TEMPLATE_SETS["openai-7"], name="alone", templates=("one lone {}.",))
    sets = {**TEMPLATE_SETS, "alone": alone}
    monkeypatch.setattr(ready_made, "TEMPLATE_SETS", sets)
    monkeypatch.setattr(prompts, "TEMPLATE_SETS", sets)
    for language in CODES:
        monkeypatch.setitem(TEXT, "templates_alone", {language: "alone"})
        *texts, choice = ready_made.translated("mine", "one lone {}.", language)
        assert texts == [gr.skip(), gr.skip()]
        assert choice["value"] == "alone"
        assert choice["value"] in [value for _, value in choice["choices"]]
