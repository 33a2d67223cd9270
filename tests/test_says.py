"""What the tab Similarity says of its numbers: whether a picture shows the text, in one place only.

Every level of every number is rendered in both languages; a sentence is what the page marks as one.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from html.parser import HTMLParser
from pathlib import Path
from typing import get_args

import pytest

from mmdemo import MODELS, compare
from mmdemo.examples import FOLDER
from mmdemo.models.encoder import Encoder
from mmdemo.tasks.compare import PICTURES, Comparison, PairKind, Shown
from mmdemo.types import Verdict
from mmdemo.ui.strings import TEXT, Language, say
from mmdemo.ui.tabs.similarity import course, views
from mmdemo.ui.tabs.similarity.sentences import STANCES, Stance, sentence

STANCE_WORDS: dict[Language, str] = {
    "en": r"\b(supports?|fits?|belongs?|shows?|shown|match(es)?|depicts?|agrees?|suits?)\b",
    "zh": "支持|符合|相符|吻合|匹配|契合|属于|图中|显示|画的是|说明了",
}
"""Words that say of a picture and a text that they go together, or that they do not."""

LANGUAGES: tuple[Language, ...] = ("en", "zh")
LEVELS = (3.0, 50.0, 90.0, 99.0)  # each wording of a percentile
ANGLES = {"text": (58.0, 32.0), "image": (20.0, 60.0), "half": (45.0, 45.0)}
ADDED = (0.3, -0.3, 0.0)


@dataclass(frozen=True)
class Said:
    """A piece of text on the page.

    Attributes:
        text: as a person reads it.
        stance: as its element declares it; empty where it is part of no sentence.
        kind: of the card or section that it is in; empty outside of one.
    """

    text: str
    stance: str
    kind: str


class Reader(HTMLParser):
    """Reads markup as pieces of text, each with the nearest stance and kind around it."""

    def __init__(self) -> None:
        super().__init__()
        self.around: list[tuple[str, str]] = [("", "")]
        self.said: list[Said] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "br":
            return
        given = dict(attrs)
        stance, kind = self.around[-1]
        if given.get("class") == "mm-shows":
            kind = "t2i"
        self.around.append((given.get("data-stance") or stance, given.get("data-kind") or kind))

    def handle_endtag(self, tag: str) -> None:
        if tag != "br":
            self.around.pop()

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.said.append(Said(data.replace("\u00a0", " "), *self.around[-1]))


def read(markup: str) -> list[Said]:
    reader = Reader()
    reader.feed(markup)
    assert len(reader.around) == 1  # every element is closed
    return reader.said


@pytest.fixture(scope="module")
def result(mini: Encoder, opening: tuple[Path, Path, str]) -> Comparison:
    return compare(mini, *opening[:2], "blue whale")


def cosine(angle: float) -> float:
    return math.cos(math.radians(angle))


def variations(result: Comparison) -> Iterator[Comparison]:
    """Yield comparisons that hold every level, leaning, addition and verdict, calibrated or not."""
    verdicts = itertools.cycle(itertools.product(get_args(Verdict), repeat=2))
    for level, (image, text), added in itertools.product(LEVELS, ANGLES.values(), ADDED):
        scores: dict[PairKind, float] = {
            "i2i": 0.4,
            "i2it": cosine(image),
            "t2it": cosine(text),
            "it2it": 0.4 + added,
        }
        ranked = replace(
            result,
            scores=scores,
            percentiles=dict.fromkeys(scores, level),
            text_image=dict.fromkeys(PICTURES, 0.1),
            text_image_percentiles=dict.fromkeys(PICTURES, level),
        )
        for _ in range(3):  # 9 pairs of verdicts over 3 x 36 comparisons
            shown = [
                Shown(label, 0.5, v) for label, v in zip(PICTURES, next(verdicts), strict=True)
            ]
            yield replace(ranked, shown=tuple(shown))
        yield replace(ranked, shown=(), fusion="averaged")
        yield replace(ranked, shown=(), percentiles={}, text_image_percentiles={}, background=None)


def pages(result: Comparison, language: Language) -> Iterator[str]:
    """Yield everything that the tab says of comparisons, as markup."""
    spec = MODELS["mini"]
    course_line = course.with_another_model(["blue whale"], spec, language)
    before = None
    for one in variations(result):
        yield views.readings([one], language, course_line)
        yield views.beside_heading("Another", [one], "", language)
        yield views.beside_ranks([one], language)
        if before:
            yield views.readings([before, replace(one, background=before.background)], language)
        before = one
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(views, "failed", lambda *_: True)
        yield views.readings([replace(result, background=None)], language)
    yield views.readings([result, result], language)
    yield views.matrix_heading(result, language)
    yield views.awaited_readings(result.background, language)


def check(result: Comparison, language: Language) -> set[Said]:
    """Assert that only text and picture take a stance; return everything that was said."""
    seen = {said for markup in pages(result, language) for said in read(markup)}
    words = re.compile(STANCE_WORDS[language], re.IGNORECASE)
    for said in seen:
        if said.stance in ("shows", "does not"):
            assert said.kind == "t2i", said
        elif said.stance == "none" or said.kind != "t2i":
            # Headings and numbers outside of the section are held to it too.
            assert not words.search(said.text), said
        # What ends like a sentence is one, and says what its stance is.
        assert said.stance or not re.search(r"\w[.。]\s*$", said.text), said
    return seen


@pytest.mark.parametrize("language", LANGUAGES)
def test_only_text_and_picture_say_whether_it_shows(result: Comparison, language: Language) -> None:
    seen = check(result, language)
    assert {said.stance for said in seen} == {*get_args(Stance), ""}
    # Nothing that a comparison can say was left out.
    text = "\n".join(said.text for said in seen)
    elsewhere = {"course_choose", "course_elsewhere"}
    missing = [
        key for key in STANCES.keys() - elsewhere if not re.search(skeleton(key, language), text)
    ]
    assert not missing


def skeleton(key: str, language: Language) -> str:
    """Return a pattern for the longest part of a sentence that no value interrupts."""
    parts = re.split(r"\{\w+\}", TEXT[key][language])
    return re.escape(max(parts, key=len).strip())


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_sentence_that_takes_a_stance_uses_its_words(language: Language) -> None:
    """Which keeps the list of words at what the page says."""
    for key, stance in STANCES.items():
        found = re.search(STANCE_WORDS[language], TEXT[key][language], re.IGNORECASE)
        assert bool(found) == (stance != "none"), key


def test_every_sentence_about_a_number_declares_its_stance() -> None:
    prefixes = ("means_", "leans_", "adds_", "shows_", "what_", "percentile", "moved")
    sentences = {key for key in TEXT if key.startswith(prefixes)}
    headings = {"shows_heading", "shows_heading_two", "moved_heading"}
    assert sentences - headings <= STANCES.keys() <= TEXT.keys()
    with pytest.raises(KeyError):
        sentence("en", "tagline")


@pytest.mark.parametrize(
    ("key", "language", "text", "stance"),
    [
        ("means_t2it_ranked", "en", "The picture supports the text ({percent}).", "none"),
        ("means_t2it_ranked", "zh", "这张图片更支持文本（{percent}）。", "none"),
        ("means_i2it_ranked", "en", "The text hardly moves the picture: it fits.", "none"),
        ("adds_more", "zh", "两者相符。", "none"),
        ("means_t2it_ranked", "en", "The picture is for the text ({percent}).", "shows"),
        ("leans_text", "en", "Mostly text.", "does not"),
        ("kind_t2it", "en", "how far the picture supports the text", ""),
    ],
)
def test_what_the_check_is_for_would_not_pass(
    result: Comparison,
    monkeypatch: pytest.MonkeyPatch,
    key: str,
    language: Language,
    text: str,
    stance: str,
) -> None:
    monkeypatch.setitem(TEXT, key, TEXT[key] | {language: text})
    if stance:
        monkeypatch.setitem(STANCES, key, stance)
    with pytest.raises(AssertionError, match=re.escape(text.partition("{")[0].strip(" （("))):
        check(result, language)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(("leaning", "angles"), ANGLES.items())
def test_angles_and_what_the_fused_vector_is_made_of(
    result: Comparison, language: Language, leaning: str, angles: tuple[float, float]
) -> None:
    image, text = angles
    one = replace(result, scores=result.scores | {"i2it": cosine(image), "t2it": cosine(text)})
    assert one.leaning == leaning
    markup = views.readings([one], language)
    rank = f"{result.percentiles['t2it']:.0f} %"
    of_image, of_text = (
        "".join(said.text for said in read(markup) if said.kind == kind)
        for kind in ("i2it", "t2it")
    )
    assert f"{image:.0f}°" in of_image
    assert f"{text:.0f}°" in of_text
    assert f"{image:.0f}°" in of_text
    assert rank in of_text
    assert say(language, f"leans_{leaning}", other=f"{image:.0f}°") in of_text


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(
    ("alone", "together", "key"),
    [(0.18, 0.86, "more"), (0.9, 0.8, "less"), (1.0, 0.9999, "nothing")],
)
def test_what_a_shared_text_adds(
    result: Comparison, language: Language, alone: float, together: float, key: str
) -> None:
    one = replace(result, scores=result.scores | {"i2i": alone, "it2it": together})
    change = f"{'+' if together > alone else '−'}{abs(together - alone):.3f}"
    expected = say(language, f"adds_{key}", alone=f"{alone:.3f}", change=change)
    assert expected in views.readings([one], language)


@pytest.mark.parametrize("language", LANGUAGES)
def test_text_and_picture_have_a_card_for_each_picture(
    result: Comparison, language: Language
) -> None:
    other = replace(result, shown=(), text_image={"image 1": -0.5, "image 2": 0.25})
    for shown in (result, other):
        markup = views.readings([shown], language)
        cards = re.findall(r'<article[^>]*data-kind="t2i".*?</article>', markup, re.S)
        assert len(cards) == 2
        for card, (label, score) in zip(cards, shown.text_image.items(), strict=True):
            assert f'data-picture="{label}"' in card
            assert f">{score:.3f}</span>" in card
            assert f'data-percentile="{result.text_image_percentiles[label]:.2f}"' in card
        # Without a calibration there is a number, and no verdict.
        assert markup.count('class="mm-verdict') == 2 * bool(shown.shown)
        assert (say(language, "shows_uncalibrated") in markup) == (not shown.shown)
        assert (say(language, "shows_note") in markup) == bool(shown.shown)


def test_two_texts_are_answered_each_on_its_own(
    mini: Encoder, opening: tuple[Path, Path, str]
) -> None:
    texts = ("the logo of an open-source organisation", "blue whale")
    first, second = (compare(mini, *opening[:2], text) for text in texts)
    markup = views.readings([first, second], "en")
    assert "Does it show “the logo of an open-source organisation”? And “blue whale”?" in markup
    stances = re.findall(r'mm-verdict \w+" data-stance="([^"]*)"', markup)
    by_verdict = {"yes": "shows", "no": "does not", "unsure": "none"}
    wanted = [by_verdict[r.shown[p].verdict] for p in (0, 1) for r in (first, second)]
    assert stances == wanted
    # The largest change may be that of text and picture, and is then the one that is named.
    assert "text · image 1" in re.findall(r'mm-moved">.*?</div>', markup, re.S)[0]


@pytest.mark.parametrize(
    ("pictures", "text"),
    [
        (("logo-tidemark.png", "logo-tidemark-badge.png"), "blue whale"),
        (("raccoon.jpg", "dogs.jpg"), "a raccoon"),
        (("logo-tidemark.png", "logo-tidemark-badge.png"), "blue whale " * 300),
    ],
)
@pytest.mark.parametrize("language", LANGUAGES)
def test_real_comparisons_take_the_stance_of_their_verdict(
    mini: Encoder, language: Language, pictures: tuple[str, str], text: str
) -> None:
    first, second = (FOLDER / name for name in pictures)
    result = compare(mini, first, second, text)
    said = read(views.readings([result], language))
    stances = [one.stance for one in said if one.stance in ("shows", "does not")]
    verdicts = [one.verdict for one in result.shown]
    assert stances == [{"yes": "shows", "no": "does not"}[v] for v in verdicts if v != "unsure"]
    assert all(one.kind == "t2i" for one in said if one.stance in ("shows", "does not"))


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("text", ["the logo of an open-source organisation", "a boat"])
@pytest.mark.parametrize("calibrated", [True, False])
def test_what_is_awaited_has_the_boxes_of_what_comes(
    mini: Encoder,
    opening: tuple[Path, Path, str],
    language: Language,
    text: str,
    calibrated: bool,
) -> None:
    result = compare(mini, *opening[:2], text)
    result = replace(result, shown=result.shown if calibrated else ())
    line = course.with_another_model([text], MODELS["mini"], language)
    awaited = views.awaited_readings(
        result.background, language, text=text, calibrated=calibrated, course=line
    )
    came = views.readings([result], language, line)
    assert boxes(awaited) == boxes(came)
    assert "data-score" not in awaited


def boxes(markup: str) -> list[tuple[str, str]]:
    """Return the elements that take a place of their own, with their classes, in order."""
    found = re.findall(r"<(section|article|header|div|h3|p)(?: class=\"([^\"]*)\")?", markup)
    return [(tag, name) for tag, name in found]


def test_the_same_fields_in_numbers(mini: Encoder, two_pictures: tuple[Path, Path]) -> None:
    result = compare(mini, *two_pictures, "a bee on a flower")
    known = result.background
    assert known is not None
    expected: Mapping[str, float] = {
        label: float(result.matrix[0, row]) for row, label in enumerate(PICTURES, start=1)
    }
    assert result.text_image == pytest.approx(expected, abs=1e-7)
    assert result.text_image_percentiles == pytest.approx(
        {label: known.percentile("t2i", score) for label, score in expected.items()}, abs=1e-3
    )
    told = result.to_dict()
    assert told["text_image"] == result.text_image
    assert told["text_image_percentiles"] == result.text_image_percentiles
    assert set(told["scores"]) == set(told["percentiles"]) == {"i2i", "i2it", "t2it", "it2it"}
