"""What the page offers ready-made is read by the embedded model, or says beforehand that it is not.

What is expected stands as data in `assets/examples`; a better model may raise it.
"""

from __future__ import annotations

import inspect
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
import pytest
from PIL import Image

from mmdemo import Classification, classify, compare
from mmdemo.background.sets import background
from mmdemo.examples import (
    FOLDER,
    Example,
    Expected,
    LabelExample,
    Winner,
    examples,
    label_examples,
    samples,
    wrong_sets,
)
from mmdemo.models.encoder import Encoder
from mmdemo.tasks.classify import best_by_chance
from mmdemo.tasks.prompts import LABEL_SETS, twin
from mmdemo.tasks.published import COURSE_TEXT
from mmdemo.ui import api
from mmdemo.ui.page import build
from mmdemo.ui.parts.localise import Localiser
from mmdemo.ui.parts.tab import Page
from mmdemo.ui.strings import LANGUAGES, TEXT, Language, say
from mmdemo.ui.tabs.similarity import handlers as similarity_handlers
from mmdemo.ui.tabs.similarity import layout as similarity_tab
from mmdemo.ui.tabs.similarity import ready_made as similarity_ready_made
from mmdemo.ui.tabs.zero_shot import handlers as zero_shot_handlers
from mmdemo.ui.tabs.zero_shot import layout as zero_shot_tab
from mmdemo.ui.tabs.zero_shot import ready_made, views
from mmdemo.ui.tabs.zero_shot.handlers import Given, Results, Shown
from mmdemo.ui.tabs.zero_shot.ready_made import EXAMPLES
from mmdemo.ui.tabs.zero_shot.views import Pictures
from mmdemo.work import Current
from tests.waiting import last_of

CODES: list[Language] = [code for _, code in LANGUAGES]
HEARTS = next(one for one in examples() if one.text("en") == "a green heart")

_LOW = ["goldfish", "owl", "pizza"]  # nothing of it is in the picture of a bridge


# What is ready-made, and what the model says of it.


def named(example: Example) -> str:
    return f"{example.image1}, {example.image2}: {example.text('en')}"


def held(encoder: Encoder, example: Example, language: str) -> None:
    """Compare a ready-made comparison with what is expected of it."""
    expected = example.expected[language]
    shown = compare(encoder, *example.paths, example.text(language)).shown
    assert tuple(one.verdict for one in shown) == expected.shows
    one, two = (each.probability for each in shown)
    if expected.more:
        ahead = one - two if expected.more == 1 else two - one
        assert ahead >= expected.margin > 0


@pytest.mark.parametrize(
    ("example", "language"),
    [(example, language) for example in examples() for language in example.texts],
    ids=lambda value: value if isinstance(value, str) else named(value),
)
def test_the_model_reads_every_ready_made_comparison(
    mini: Encoder, example: Example, language: str
) -> None:
    held(mini, example, language)


@pytest.mark.parametrize("sample", samples(), ids=lambda one: one.text("en"))
def test_the_model_reads_every_sample_text_with_the_first_pictures(
    mini: Encoder, sample: Example
) -> None:
    [language] = sample.expected
    held(mini, sample, language)


def test_every_ready_made_comparison_and_sample_has_an_expectation() -> None:
    for example in examples():
        assert set(example.expected) == set(example.texts)
        assert all(example.lesson(code) for code in CODES)
        # Where one picture alone shows the text, which one wins is part of what is expected.
        one, two = example.right
        for expected in example.expected.values():
            assert (expected.more > 0) == (expected.margin > 0) == (one != two)
            if one != two and not example.wrong:
                assert expected.more == (1 if one else 2)
    for sample in samples():
        assert sample.paths == examples()[0].paths
        assert set(sample.texts) == set(sample.expected)
    assert 0 < sum(sample.other for sample in samples()) < len(samples())


def test_the_examples_are_of_many_kinds() -> None:
    used = {path.name for example in examples() for path in example.paths}
    assert {Path(name).suffix for name in used} == {".jpg", ".png"}
    assert any(name.startswith("logo-") for name in used)
    assert any(all(example.right) for example in examples())
    wrong = [example for example in examples() if example.wrong]
    assert 0 < len(wrong) <= 3
    assert examples()[0] not in wrong


@pytest.mark.parametrize(
    ("name", "language"),
    [(name, language) for name, one in LABEL_SETS.items() for language in one.by_language],
)
def test_the_model_reads_the_opening_pictures_with_every_ready_label_set(
    mini: Encoder, name: str, language: str
) -> None:
    ready = [one for one in label_examples() if one.labels == name]
    pictures = [FOLDER / one.picture for one in ready]
    labels = LABEL_SETS[name].labels(language)
    result = classify(mini, pictures, labels, twin("openai-7", language), reject=True)
    assert result.rejection is not None
    for image, one in enumerate(ready):
        expected = one.expected[language]
        chances: dict[str | None, float] = dict(
            zip(result.labels, result.probabilities[image].tolist(), strict=True)
        )
        chances[None] = float(result.rejection[image])
        best, second = sorted(chances, key=lambda label: -chances[label])[:2]
        assert (one.picture, best) == (one.picture, expected.winner)
        ahead = chances[best] - chances[second]
        assert ahead >= expected.margin > 0, f"{one.picture}: {ahead:.3f} over {second}"
        # What is outlined is the same thing.
        winner = result.winner(image)
        assert (None if winner is None else result.labels[winner]) == expected.winner


def test_every_opening_picture_has_an_expectation_with_every_ready_label_set() -> None:
    told = [(one.labels, one.picture) for one in label_examples()]
    assert told == [(name, picture) for name in LABEL_SETS for picture in EXAMPLES]
    for one in label_examples():
        assert set(one.expected) == set(LABEL_SETS[one.labels].by_language)
        assert set(one.right) <= set(LABEL_SETS[one.labels].labels("en"))
        for language, expected in one.expected.items():
            assert expected.winner in (None, *LABEL_SETS[one.labels].labels(language))
    # Each set fits a picture, and leaves one to "none of these".
    for name in LABEL_SETS:
        winners = {one.expected["en"].winner for one in label_examples() if one.labels == name}
        assert None in winners
        assert len(winners) > 1


# What goes wrong says so beforehand.


def test_wrong_is_a_verdict_against_what_is_right() -> None:
    def wrong(right: tuple[bool, bool], *shows: Any) -> bool:
        return replace(HEARTS, right=right, expected={"en": Expected(shows)}).wrong

    assert wrong((False, True), "yes", "yes")
    assert wrong((True, True), "yes", "no")
    assert not wrong((False, True), "no", "yes")
    assert not wrong((False, True), "unsure", "unsure")
    one = LabelExample("food", "citrus.jpg", ("orange",), {"zh": Winner("橙子", 0.5)})
    assert not one.wrong
    assert replace(one, expected={"zh": Winner("苹果", 0.5)}).wrong
    assert replace(one, expected={"zh": Winner(None, 0.5)}).wrong
    assert not replace(one, right=(), expected={"zh": Winner(None, 0.5)}).wrong


@pytest.mark.parametrize("language", CODES)
def test_the_list_of_examples_says_which_go_wrong(language: Language) -> None:
    rows = similarity_ready_made.example_samples("mini", language)
    mark = say(language, "example_wrong")
    assert [row[3].startswith(mark) for row in rows] == [example.wrong for example in examples()]
    assert all(row[3] for row in rows)


@pytest.mark.parametrize("language", CODES)
def test_a_comparison_that_goes_wrong_says_so_at_its_results(
    language: Language, tmp_path: Path
) -> None:
    uploads = [tmp_path / f"upload-{path.name}" for path in HEARTS.paths]
    for upload, path in zip(uploads, HEARTS.paths, strict=True):
        upload.write_bytes(path.read_bytes())
    red, green = map(str, uploads)

    before = similarity_handlers.Shown()

    def said(one: str, two: str, text: str, other: str = "") -> str:
        given = similarity_handlers.Given(one, two, text, other, "mini", (), language, before)
        return str(last_of(similarity_handlers.run(given)).message)

    lesson = HEARTS.lesson(language)
    for order in ((red, green), (green, red)):
        assert lesson in said(*order, f" {HEARTS.text(language)} ")
    assert lesson in said(red, green, "love", HEARTS.text(language))
    assert lesson not in said(red, green, "love")
    assert lesson not in said(red, red, HEARTS.text(language))
    for example in examples():
        one, two = map(str, example.paths)
        found = say(language, "example_wrong") in said(one, two, example.text(language))
        assert found is example.wrong


def test_a_label_set_that_goes_wrong_says_so_where_it_is_chosen_and_at_its_results() -> None:
    wrong = wrong_sets()
    assert wrong
    assert {key for key in TEXT if key.startswith("labels_wrong_")} == {
        f"labels_wrong_{name}" for name in wrong
    }
    built = built_tab(zero_shot_tab)
    values = [str(getattr(block, "value", "")) for block in built.blocks.values()]
    for name, ready in LABEL_SETS.items():
        chip = say("en", f"labels_{name}")
        assert (f"⚠ {chip}" in values, chip in values) == (name in wrong, name not in wrong)
        for code in CODES:
            sentence = ready_made.wrong_label_sets(code, ready.labels(code))
            assert sentence == ([say(code, f"labels_wrong_{name}")] if name in wrong else [])
            [shown] = run_zero_shot("\n".join(ready.labels(code)), code)
            assert (say(code, "example_wrong") in str(shown.message)) is False
            assert ("⚠" in str(shown.message)) is (name in wrong)
    for name in wrong:
        assert any(say("en", f"labels_wrong_{name}") in value for value in values)


def test_the_chip_of_the_courses_text_says_whose_it_is() -> None:
    built = built_tab(similarity_tab)
    [chip] = [
        block
        for block in built.blocks.values()
        if isinstance(block, gr.Button) and COURSE_TEXT in str(block.value)
    ]
    assert str(chip.value).startswith("the course's text")
    # Not among the first: the pictures that the page opens with are of another logo.
    assert COURSE_TEXT in samples()[-1].texts.values()


CARDS = 2  # of a column


def built_tab(tab: Any) -> gr.Blocks:
    with gr.Blocks() as built:
        language = gr.Radio(["en", "zh"], value="en")
        tab.build(Page(Localiser(), language))
    return built


def run_zero_shot(labels: str, language: Language, *, reject: bool = True) -> list[Results]:
    uploads: list[str | bytes] = [str(FOLDER / name) for name in EXAMPLES]
    templates = ready_made.template_text(twin("openai-7", language))
    given = Given(uploads, labels, templates, reject, 0, ("mini",), language, Shown(), Current())
    *_, last = zero_shot_handlers.run(given)
    return [last]


# "None of these", and a winner that is none.


def test_none_of_these_is_on_at_first_and_off_at_the_endpoint() -> None:
    built = build()
    values = {
        block.elem_id or block.label: block.value
        for block in built.blocks.values()
        if isinstance(block, gr.Checkbox)
    }
    assert values["zs-reject"] is True
    assert inspect.signature(api.classify).parameters["reject"].default is False


def test_a_model_without_a_background_set_goes_on_without_none_of_these(
    mini: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mmdemo.tasks.classify.background", lambda _: None)
    monkeypatch.setattr(zero_shot_handlers, "background", lambda _: None)
    [shown] = run_zero_shot("\n".join(_LOW), "en")
    cards = shown.columns[CARDS]
    assert 'class="none"' not in cards
    # Nothing is known of unrelated labels, so the best one is the winner.
    assert cards.count('<tr class="top"') == len(EXAMPLES)
    assert say("en", "zs_no_winner") not in cards


@pytest.fixture(scope="module")
def low(mini: Encoder) -> Classification:
    """Classify a bridge among what it is not, and a bee among it that is, "none of these" off."""
    pictures = [FOLDER / "bridge.jpg", FOLDER / "bee.jpg"]
    return classify(mini, pictures, [*_LOW, "bee"])


TWO = Pictures(("bridge.jpg", "bee.jpg"), ("data:,1", "data:,2"))


def test_the_cut_is_known_without_asking_for_none_of_these(
    mini: Encoder, low: Classification
) -> None:
    asked = classify(mini, [FOLDER / "bridge.jpg"], low.labels, reject=True)
    assert low.rejection is None
    assert low.rejection_cosine == asked.rejection_cosine
    assert asked.rejection is not None
    np.testing.assert_allclose(low.probabilities.sum(1), 1.0, atol=1e-6)
    assert low.winner(0) is None
    assert low.winner(1) == low.labels.index("bee")
    # The same by probability, where "none of these" is among them.
    assert asked.rejection[0] > asked.probabilities[0].max()


def test_a_winner_at_the_cut_is_one() -> None:
    cosines = np.array([[0.3, 0.1], [0.3, 0.1]], dtype=np.float32)
    softmax = made(cosines, cosines, "softmax", float(cosines[0, 0]))
    assert softmax.winner(0) == 0
    assert replace(softmax, rejection_cosine=0.31).winner(0) is None
    assert replace(softmax, rejection_cosine=None).winner(0) == 0
    sigmoid = made(cosines, np.array([[0.49, 0.1], [0.5, 0.2]], np.float32), "sigmoid", None)
    assert [sigmoid.winner(0), sigmoid.winner(1)] == [None, 0]


def made(cosines: Any, chances: Any, activation: Any, stand: float | None) -> Classification:
    return Classification(
        labels=("a", "b"),
        templates=("{}",),
        cosines=cosines,
        probabilities=chances,
        percentiles=None,
        rejection=None,
        rejection_cosine=stand,
        matching=None,
        logit_scale=10.0,
        logit_bias=0.0,
        activation=activation,
        model="made",
        image_vectors=cosines,
        timings={},
    )


@pytest.mark.parametrize("language", CODES)
def test_a_winner_below_the_cut_is_not_marked_and_words_say_so(
    mini: Encoder, low: Classification, language: Language
) -> None:
    bridge, bee = re.findall(r"<article.*?</article>", views.cards(low, TWO, language), re.S)
    unclear = say(language, "zs_no_winner")
    assert 'class="top"' not in bridge
    assert unclear in bridge
    assert bee.count('<tr class="top" data-label="bee"') == 1
    assert unclear not in bee
    assert views.matrix(low, TWO, language).count('<td class="top"') == 1
    told = views.heading("A", low, background(mini), language)
    assert say(language, "zs_no_winner_softmax", cosine=f"{low.rejection_cosine:.3f}") in told
    clear = views.heading("A", replace(low, rejection_cosine=-1.0), None, language)
    assert "−" not in clear
    assert "-1.000" not in clear
    sigmoid = replace(low, activation="sigmoid", rejection_cosine=None)
    sigmoid = replace(sigmoid, probabilities=np.full_like(low.probabilities, 0.4))
    assert views.cards(sigmoid, TWO, language).count(unclear) == 2
    assert 'class="top"' not in views.matrix(sigmoid, TWO, language)
    assert say(language, "zs_no_winner_sigmoid") in views.heading("A", sigmoid, None, language)


# A percentile beside several labels.


@pytest.mark.parametrize("language", CODES)
def test_a_percentile_says_of_how_many_labels_it_is_the_best(
    mini: Encoder, low: Classification, language: Language
) -> None:
    column = f"{say(language, 'zs_percentile')}<br>{say(language, 'zs_best_of', count=4)}</th>"
    assert views.cards(low, TWO, language).count(column) == 2
    note = say(language, "zs_best_of_note", count=4, expected=80)
    assert note in views.heading("A", low, background(mini), language)
    alone = classify(mini, Image.open(FOLDER / "bee.jpg"), ["bee"])
    one = Pictures(("bee.jpg",), ("data:,1",))
    assert f"<th>{say(language, 'zs_percentile')}</th>" in views.cards(alone, one, language)
    assert "best of 1" not in views.heading("A", alone, background(mini), language)


def test_the_best_of_n_unrelated_labels_as_drawn() -> None:
    random = np.random.default_rng(0)
    for count in (1, 4, 30):
        drawn = 100 * random.random((200_000, count)).max(axis=1).mean()
        assert best_by_chance(count) == pytest.approx(drawn, abs=0.2)
