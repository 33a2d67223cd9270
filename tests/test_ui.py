"""What the page shows, without a browser: figures, markup, both languages."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote
from xml.etree import ElementTree

import gradio as gr
import numpy as np
import pytest
from markupsafe import Markup, escape

from mmdemo import MODELS, compare, load_encoder
from mmdemo.background.sets import background
from mmdemo.examples import examples
from mmdemo.models.encoder import Encoder
from mmdemo.models.find import find_model
from mmdemo.plots.bars import Bar, similarity_bars
from mmdemo.plots.matrix import similarity_heatmap
from mmdemo.progress import Progress
from mmdemo.tasks.compare import PAIRS, PICTURES, Comparison
from mmdemo.tasks.published import COURSE, COURSE_TEXT
from mmdemo.ui.parts import long_work
from mmdemo.ui.parts.localise import preferred_language
from mmdemo.ui.parts.markup import percent_text
from mmdemo.ui.parts.models import views as model_views
from mmdemo.ui.strings import ERRORS, LANGUAGES, TEXT, Language, say
from mmdemo.ui.tabs.similarity import course, ready_made, views
from mmdemo.ui.tabs.similarity import handlers as similarity_handlers
from mmdemo.ui.tabs.similarity.handlers import Given, Results, Shown
from tests.conftest import TINY
from tests.waiting import last_of

THUMBNAILS = ("data:image/webp;base64,AAAA", "data:image/webp;base64,BBBB")

HOSTILE = "<img src=x onerror=alert(1)> {0.__class__} %{x} & “quotes”"


@pytest.fixture(scope="module")
def result(mini: Encoder, opening: tuple[Path, Path, str]) -> Comparison:
    return compare(mini, *opening)


@pytest.fixture(scope="module")
def hostile(mini: Encoder, opening: tuple[Path, Path, str]) -> Comparison:
    return compare(mini, *opening[:2], HOSTILE)


def compared(
    image1: Any, image2: Any, text: Any, other: Any, model: str, language: Language, shown: Shown
) -> Results:
    given = Given(image1, image2, text, other, model, (), language, shown)
    return last_of(similarity_handlers.run(given))


def test_bars_show_every_score(result: Comparison) -> None:
    figure = views.bars(background(MODELS["mini"]), [result], "en")
    (bars,) = figure.to_dict()["data"]
    scores = [*result.text_image.values(), *result.scores.values()]
    assert bars["x"] == scores
    shown = [re.sub("</?b>", "", text) for text in bars["text"]]
    assert shown == [f"{score:.3f}" for score in scores]


def test_bars_of_two_texts(result: Comparison, hostile: Comparison) -> None:
    figure = views.bars(background(MODELS["mini"]), [result, hostile], "zh")
    _, second = figure.to_dict()["data"]
    scores = [*hostile.text_image.values(), *hostile.scores.values()]
    assert [score for _, score in second["customdata"]] == scores
    assert "<img" not in str(figure.to_json())


def test_a_negative_score_has_room() -> None:
    figure = similarity_bars([Bar("i2i", "pair", (-0.2,), None)], ["text"])
    layout = figure.to_dict()["layout"]
    low, high = layout["xaxis"]["range"]
    assert low < -0.2
    assert high >= 1
    assert "shapes" not in layout


def test_heatmap_shows_every_cosine() -> None:
    matrix = np.array([[1, 0.25], [0.25, 1]], dtype=np.float32)
    figure = similarity_heatmap(matrix, ["a", "b"], ["<one/>", "<two/>"], 0.0, "<both/>")
    drawn = figure.to_dict()
    cells, numbers = drawn["data"]
    assert cells["z"] == matrix.tolist()
    assert numbers["text"] == ["1.00", "0.25", "0.25", "1.00"]
    # All icons are one picture over the figure, in which each is drawn once and placed twice.
    (image,) = drawn["layout"]["images"]
    places = drawn["layout"]["xaxis"]["range"]
    assert [image["x"], image["x"] + image["sizex"]] == pytest.approx(places)
    drawing = unquote(image["source"])
    assert [drawing.count(icon) for icon in ("<one/>", "<two/>", "<both/>")] == [1, 1, 1]
    assert re.findall(r'href="(#i\d)"', drawing) == ["#i0", "#i1", "#i0", "#i1"]
    assert ElementTree.fromstring(drawing.partition(",")[2]).tag.endswith("svg")


def test_readings_hold_value_percentile_and_meaning(result: Comparison) -> None:
    for language in ("en", "zh"):
        markup = views.readings([result], language)
        for kind in PAIRS:
            card = re.search(rf'data-kind="{kind}".*?</article>', markup, re.S)
            assert card is not None
            assert f'data-score="{result.scores[kind]:.6f}"' in card[0]
            assert f'data-percentile="{result.percentiles[kind]:.2f}"' in card[0]
            assert say(language, f"what_{kind}") in card[0]


def test_readings_say_whether_the_pictures_show_the_text(
    result: Comparison, hostile: Comparison
) -> None:
    one, two = result.shown
    assert (one.label, two.label) == ("image 1", "image 2")
    for language in ("en", "zh"):
        markup = views.readings([result, hostile], language)
        assert markup.count('class="mm-verdict') == 4
        for shown in result.shown:
            percent = percent_text(100 * shown.probability)
            assert say(language, f"shows_{shown.verdict}", percent=percent) in markup
    unknown = replace(result, shown=())
    assert "mm-verdict" not in views.readings([unknown], "en")


def test_two_texts_say_what_moved(result: Comparison, hostile: Comparison) -> None:
    markup = views.readings([result, hostile], "en")
    changes = {
        pair: pair.score(hostile) - pair.score(result)
        for pair in (*map(views.Pair, PAIRS), *(views.Pair("t2i", label) for label in PICTURES))
    }
    assert changes[views.Pair("i2i")] == 0
    assert "±0" in markup
    most = max(changes, key=lambda pair: abs(changes[pair]))
    sentence = re.search(r'class="mm-moved">(.*?)</div>', markup, re.S)
    assert sentence is not None
    assert most.name("en") in sentence[1]
    assert f"{abs(changes[most]):.3f}" in sentence[1]
    same = views.readings([result, result], "en")
    assert "give the same numbers" in same


def test_a_visitors_text_is_never_markup(hostile: Comparison) -> None:
    shown = [
        views.readings([hostile, hostile], "en"),
        views.matrix_heading(hostile, "en"),
        views.details([hostile], "en"),
        str(views.heatmap(background(MODELS["mini"]), hostile.matrix, THUMBNAILS, "en").to_json()),
        " ".join(views.notes([hostile], "en")),
    ]
    assert not any("<img src=x" in markup for markup in shown)
    assert "&lt;img src=x" in shown[0]
    assert "{0.__class__}" in shown[0]


def test_before_the_first_comparison_everything_has_its_place() -> None:
    markup = views.awaited_readings(background(MODELS["mini"]), "en")
    # Text and each picture in a grid of their own, then the four.
    assert markup.count('class="mm-cards"') == 2
    assert markup.count('class="mm-card"') == 2 + len(PAIRS)
    assert "data-score" not in markup
    empty = views.bars(background(MODELS["mini"]), [], "en").to_dict()
    assert len(empty["layout"]["shapes"]) == 2 * (2 + len(PAIRS))
    frame = views.heatmap(background(MODELS["mini"]), None, THUMBNAILS, "en").to_dict()
    assert set(frame["data"][1]["text"]) == {""}
    (image,) = frame["layout"]["images"]
    assert [unquote(image["source"]).count(thumbnail) for thumbnail in THUMBNAILS] == [1, 1]


def test_what_is_awaited_is_in_the_page_s_language_until_there_are_results(
    opening: tuple[Path, Path, str],
) -> None:
    for _, language in LANGUAGES:
        message, bars, readings, matrix = similarity_handlers.awaited("mini", Shown(), language)
        assert say(language, "loading") in message
        assert say(language, "kind_i2i") in str(bars.to_dict())
        assert say(language, "what_i2i") in readings
        assert examples()[0].text(language) in readings
        assert say(language, "label_image 1") in str(matrix.to_dict())
    first, second, text = map(str, opening)
    shown = compared(first, second, text, "", "mini", "en", Shown()).shown
    assert similarity_handlers.awaited_again("mini", shown, "zh") == [gr.skip()] * 4
    assert similarity_handlers.awaited_again("mimi", Shown(), "zh") == [gr.skip()] * 4


def test_details_hold_ten_values_of_each_vector(result: Comparison) -> None:
    markup = views.details([result], "en")
    rows = re.findall(r"<tr>(.*?)</tr>", markup)
    assert len(rows) == 5
    for row, vector in zip(rows, result.vectors, strict=True):
        values = re.findall(r"<td>(.*?)</td>", row)
        assert [float(value) for value in values] == pytest.approx(vector[:10], abs=6e-5)
    assert "384" in markup
    assert "ms" in markup


def test_facts_tell_what_a_model_can_do() -> None:
    markup = model_views.facts(MODELS["mini"], "en")
    for fact in ("✓ text", "✓ image", "native", "384", "MB", "English, Chinese", "on this machine"):
        assert fact in markup


def test_a_model_without_background_set_says_so_once(opening: tuple[Path, Path, str]) -> None:
    tiny = compare(load_encoder(TINY), *opening)
    for language in ("en", "zh"):
        markup = views.readings([tiny, tiny], language)
        assert markup.count(say(language, "no_background")) == 1
        assert escape(say(language, "note_native")) in markup
        assert say(language, "bars_band") not in markup
        assert "data-percentile" not in markup
    assert "shapes" not in views.bars(None, [tiny], "en").to_dict()["layout"]
    lowest = float(tiny.matrix.min())
    figure = views.heatmap(None, tiny.matrix, THUMBNAILS, "en", lowest).to_dict()
    assert figure["data"][0]["zmin"] == pytest.approx(lowest)


def test_a_download_in_both_languages() -> None:
    spec = MODELS["visualized-bge-base-en"]
    progress = Progress(354_000_000, 788_000_000, 12_300_000, "download")
    bars = {language: long_work.bar(progress, language, spec.title) for _, language in LANGUAGES}
    assert "354 MB of 788 MB · 12.3 MB/s · 0:35 left" in bars["en"]
    assert "354 MB / 788 MB · 12.3 MB/s · 剩余 0:35" in bars["zh"]
    for _, language in LANGUAGES:
        assert 'aria-valuenow="45"' in bars[language]
        cost = model_views.download(spec, None, language)
        assert "788 MB" in cost
        assert "MIT" in cost


def test_the_courses_table() -> None:
    values = [COURSE[0].value + 0.0004, COURSE[1].value - 0.0006, 0.5, COURSE[3].value]
    for language in ("en", "zh"):
        markup = course.table(values, language)
        rows = re.findall(r"<tr data-pair.*?</tr>", markup)
        assert ["✓" in row for row in rows] == [True, False, False, True]
        assert ["✗" in row for row in rows] == [False, True, True, False]
        assert "+0.0004" in rows[0]
        assert "−0.0006" in rows[1]
        assert COURSE_TEXT in markup
    assert course.fits(MODELS["visualized-bge-base-en"])
    assert course.fits(find_model(TINY))
    assert not course.fits(MODELS["visualized-bge-m3"])
    assert not course.fits(MODELS["mini"])


@pytest.mark.parametrize(
    ("images", "says"),
    [((None, b""), "Two pictures are needed"), ((b"no picture", b""), "not a picture")],
)
def test_bad_pictures_for_the_course_are_explained(
    monkeypatch: pytest.MonkeyPatch, images: tuple[bytes | None, bytes], says: str
) -> None:
    monkeypatch.setenv("MMDEMO_MODELS", str(TINY))
    assert says in course.run(*images, f"local:{TINY.name}", "en")


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"image1": None}, "Add Image 1"),
        ({"image2": None}, "Add Image 2"),
        ({"text": "  "}, "Type a text"),
        ({"image2": b"no picture"}, "Image 2: This file is not a picture"),
        ({"model": "mimi"}, "Did you mean"),
        ({"text": "x" * 20_000}, "Text: The text has 20,000 characters"),
        ({"other": "x" * 20_000}, "Compare with: The text has 20,000 characters"),
        ({"language": "zh", "image1": b""}, "图片 1：该文件是空的"),
        ({"language": "zh", "image2": b"%PDF-1.7"}, "图片 2：这是 PDF"),
        ({"language": "zh", "text": "x" * 20_000}, "文本有 20,000 个字符"),
    ],
)
def test_bad_input_changes_only_the_message(
    opening: tuple[Path, Path, str], changed: dict[str, Any], says: str
) -> None:
    first, second, text = opening
    given: dict[str, Any] = {"image1": str(first), "image2": str(second), "text": text, "other": ""}
    given |= {"model": "mini", "language": "en", "shown": Shown()} | changed
    shown = compared(**given)
    # Where its cause is: at the pictures, or at the text.
    places = [shown.at_pictures, shown.message]
    said, other = places if {"image1", "image2"} & set(changed) else reversed(places)
    assert says in said
    assert "stale" in said
    assert other == ""
    skip = gr.skip()
    assert replace(shown, message=skip, at_pictures=skip) == Results()


def test_what_stays_beside_a_message_follows_the_language(opening: tuple[Path, Path, str]) -> None:
    first, second, text = map(str, opening)
    good = compared(first, second, text, "a bird", "mini", "en", Shown())
    bad = compared(None, second, text, "a bird", "mini", "zh", good.shown)
    needed = ERRORS["need_image"]["zh"].format(which=say("zh", "image1_label"))
    assert needed in bad.at_pictures
    assert say("zh", "what_i2i") in bad.readings
    same = compared(first, second, text, "a bird", "mini", "zh", bad.shown)
    assert bad.readings == same.readings
    assert bad.matrix1 == same.matrix1
    again = compared(None, second, text, "a bird", "mini", "zh", bad.shown)
    assert again.readings == gr.skip()


def test_example_texts_are_in_a_language_that_the_model_reads() -> None:
    rows = ready_made.example_samples("mini", "zh")
    assert [row[2] for row in rows] == [example.text("zh") for example in examples()]
    assert ready_made.show_example(1, "mini", "zh") == rows[1][:3]


def test_language_follows_the_browser() -> None:
    def asking(value: str) -> str:
        return preferred_language({"accept-language": value})

    assert [asking("zh-CN,zh;q=0.9"), asking("de"), asking("")] == ["zh", "en", "en"]
    assert asking("de-CH, de;q=0.9, zh;q=0.4, en;q=0.3") == "zh"
    assert asking("zh;q=0.2, en-GB") == "en"
    # Not wanted at all, words that only begin alike, and what no browser says.
    assert [asking(odd) for odd in ("zh;q=0", "zho", "zh;q=x", "zh;level=1", "*")] == ["en"] * 5


def test_the_page_is_built_in_english_and_switches_to_chinese() -> None:
    from mmdemo.ui.parts.localise import Localiser

    localiser = Localiser()
    with gr.Blocks():
        box = gr.Textbox()
        markup = gr.HTML()
    localiser.add(box, label="text_label")
    localiser.add_html(markup, Markup("<h1>{tagline}</h1>"))
    assert box.label == "Text"
    updates = localiser.switch("zh")
    assert updates[0]["label"] == "文本"
    assert TEXT["tagline"]["zh"] in updates[1]["value"]


def test_a_page_that_opens_in_its_first_language_is_sent_nothing_that_it_shows() -> None:
    from mmdemo.ui.parts.localise import Localiser

    localiser = Localiser()
    with gr.Blocks():
        box, other = gr.Textbox(), gr.Textbox()
    localiser.add(box, label="text_label")
    localiser.add_handler(lambda text, language: [f"{text} {language}"], [box], [other])
    localiser.add_handler(lambda language: [language], [], [box], as_built=True)
    assert localiser.open("a", "en") == [gr.skip(), "a en", gr.skip()]
    assert localiser.open("a", "zh")[1:] == ["a zh", "zh"]
    assert localiser.switch("a", "en")[1:] == ["a en", "en"]
