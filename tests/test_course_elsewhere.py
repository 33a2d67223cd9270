"""The course's exercise with another model than the course's."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mmdemo import MODELS
from mmdemo.examples import samples
from mmdemo.models.find import find_model
from mmdemo.tasks.published import COURSE, COURSE_TEXT
from mmdemo.ui.parts.models.views import model_size
from mmdemo.ui.strings import Language, say
from mmdemo.ui.tabs.similarity import course
from mmdemo.ui.tabs.similarity import handlers as similarity_handlers
from mmdemo.ui.tabs.similarity.handlers import Given, Shown
from tests.conftest import TINY
from tests.waiting import last_of

COMMAND = "python -m mmdemo download visualized-bge-base-en"
PUBLISHED = "0.83 / 0.83 / 0.76 / 0.91"


def test_the_published_values_are_those_of_the_page() -> None:
    assert " / ".join(f"{pair.value:.2f}" for pair in COURSE) == PUBLISHED


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize(
    "texts",
    [
        [COURSE_TEXT],
        ["Datawhale开源组织的LOGO"],
        *([sample.text("en")] for sample in samples()),
        ["  Blue Whale\n"],
        [" 蓝鲸 "],
        ["a boat", "blue whale"],
    ],
)
def test_its_texts_name_its_model_and_its_numbers(texts: list[str], language: Language) -> None:
    said = course.with_another_model(texts, MODELS["mini"], language)
    title, size = MODELS["visualized-bge-base-en"].title, model_size(MODELS[COURSE[0].model])
    for part in (PUBLISHED, COURSE_TEXT, title, size.replace(" %", ""), COMMAND):
        assert part in said
    assert said.count('data-stance="none"') == 2


@pytest.mark.parametrize("texts", [["a boat"], ["a blue whale swims"], ["", "鲸"]])
def test_other_texts_have_nothing_to_do_with_it(texts: list[str]) -> None:
    assert course.with_another_model(texts, MODELS["mini"], "en") == ""


def test_its_own_model_needs_no_such_line() -> None:
    for spec in (MODELS["visualized-bge-base-en"], find_model(TINY)):  # base-en, small and random
        assert course.with_another_model([COURSE_TEXT], spec, "en") == ""
    # The same family in many languages is another model with another scale.
    assert PUBLISHED in course.with_another_model([COURSE_TEXT], MODELS["visualized-bge-m3"], "en")


def test_a_page_that_does_not_offer_it_sends_nobody_to_its_list(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MMDEMO_MODELS", "mini")
    said = course.with_another_model(["blue whale"], MODELS["mini"], "en")
    assert COMMAND in said
    assert "list of models" not in said
    assert "does not offer" in said


def test_where_it_is_on_this_machine_nothing_is_to_be_fetched(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MMDEMO_MODELS", f"mini,{TINY}")
    for language in ("en", "zh"):
        said = course.with_another_model(["blue whale"], MODELS["mini"], language)
        assert say(language, "course_choose", choice=find_model(TINY).title) in said
        assert COMMAND not in said


@pytest.mark.parametrize(("text", "other"), [("blue whale", ""), ("a boat", " 蓝鲸")])
def test_the_line_stands_with_the_results(
    opening: tuple[Path, Path, str], text: str, other: str
) -> None:
    first, second = map(str, opening[:2])
    says_by_language: dict[Language, str] = {"en": "The course used", "zh": "课程使用"}
    for language, says in says_by_language.items():
        given = Given(first, second, text, other, "mini", (), language, Shown())
        shown = last_of(similarity_handlers.run(given))
        assert re.search(rf'class="mm-course-other">.*{says}.*{PUBLISHED}', shown.readings)
    boat = similarity_handlers.run(Given(first, second, "a boat", "", "mini", (), "en", Shown()))
    elsewhere = last_of(boat)
    assert "mm-course-other" not in elsewhere.readings
