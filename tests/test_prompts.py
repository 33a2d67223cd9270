"""Template sets, ready labels, and what people type instead of them."""

from __future__ import annotations

import pytest

from mmdemo.errors import TextError
from mmdemo.tasks.prompts import (
    LABEL_SETS,
    LONGEST_LABEL,
    SLOT,
    TEMPLATE_SETS,
    checked_labels,
    checked_templates,
    fill,
    split_labels,
    twin,
)
from mmdemo.ui.strings import CODES, FIRST


def test_every_template_has_one_place_for_the_label() -> None:
    for one in TEMPLATE_SETS.values():
        assert len(set(one.templates)) == len(one.templates)
        assert all(template.count(SLOT) == 1 for template in one.templates)


def test_the_published_sets() -> None:
    seven, eighty = TEMPLATE_SETS["openai-7"].templates, TEMPLATE_SETS["openai-80"].templates
    assert (len(seven), len(eighty)) == (7, 80)
    assert set(seven) < set(eighty)
    assert TEMPLATE_SETS["plain"].templates[0] in eighty
    chinese = TEMPLATE_SETS["openai-80-zh"].templates
    assert set(TEMPLATE_SETS["openai-7-zh"].templates) < set(chinese)
    assert TEMPLATE_SETS["plain-zh"].templates[0] in chinese


def test_ready_labels_are_the_same_things_in_every_language() -> None:
    for one in LABEL_SETS.values():
        assert set(one.by_language) <= set(CODES)
        for labels in one.by_language.values():
            assert len(labels) == len(one.first)
            assert checked_labels("\n".join(labels)) == checked_labels(labels) == labels
        assert one.labels("a language without labels") == one.first == one.labels(FIRST)


def test_a_template_set_knows_itself_in_another_language() -> None:
    for name in ("openai-7", "openai-7-zh"):
        assert twin(name, "en") == "openai-7"
        assert twin(name, "zh") == "openai-7-zh"
        assert twin(name, "a language without sets") == "openai-7"


def test_every_template_set_says_whose_it_is() -> None:
    for one in TEMPLATE_SETS.values():
        assert one.language in CODES
        assert one.source
        assert one.licence
        assert not one.renders or not TEMPLATE_SETS[one.renders].renders


def test_only_the_slot_is_replaced() -> None:
    assert (
        fill("{0.__class__} {} %s {label} {}", "{0} {}") == "{0.__class__} {0} {} %s {label} {0} {}"
    )


@pytest.mark.parametrize(
    ("typed", "labels"),
    [
        ("cat, dog", ("cat", "dog")),
        ("猫，狗、鸟；鱼", ("猫", "狗", "鸟", "鱼")),
        ("a cat, asleep\na dog\n\n", ("a cat, asleep", "a dog")),
        ("  cat ,, \tdog ,cat", ("cat", "dog")),
        ("cat,\ndog，\n", ("cat", "dog")),
        ("one  label with   gaps", ("one label with gaps",)),
        (
            "<img src=x onerror=alert(1)>, {0.__class__}",
            ("<img src=x onerror=alert(1)>", "{0.__class__}"),
        ),
    ],
)
def test_typed_labels(typed: str, labels: tuple[str, ...]) -> None:
    assert checked_labels(typed) == labels
    assert checked_labels(split_labels(typed)) == labels


@pytest.mark.parametrize(
    ("given", "says", "code"),
    [
        ("", "no labels", "labels_none"),
        (" ,\n, ", "no labels", "labels_none"),
        ([], "no labels", "labels_none"),
        (["cat", "x" * 10_000], "Label 2 has 10,000 characters", "label_long"),
        ([f"label {n}" for n in range(1001)], "1,001 labels; at most 1,000", "labels_many"),
        (["cat", 3], "Label 2 is not a text but int", "label_no_text"),
    ],
)
def test_labels_that_cannot_be_used(given: object, says: str, code: str) -> None:
    with pytest.raises(TextError, match=says) as caught:
        checked_labels(given)  # pyright: ignore[reportArgumentType]
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("given", "says", "code"),
    [
        ("openai-8", "Did you mean 'openai-80'", "no_template_set"),
        ([], "no templates", "templates_none"),
        (["a photo of a {}.", "a drawing"], "'a drawing' has no {}", "template_slot"),
        (["{0.__class__}"], "has no {}", "template_slot"),
        ("a photo of a {label}", "has no {}", "template_slot"),
        ("photo", "no template set 'photo'", "no_template_set"),
        (["{}" + "x" * LONGEST_LABEL], "has 202 characters", "template_long"),
        ([f"{{}} {n}" for n in range(101)], "101 templates; at most 100", "templates_many"),
        (["{}", None], "Template 2 is not a text", "template_no_text"),
    ],
)
def test_templates_that_cannot_be_used(given: object, says: str, code: str) -> None:
    with pytest.raises(TextError, match=says) as caught:
        checked_templates(given)  # pyright: ignore[reportArgumentType]
    assert caught.value.code == code


def test_templates_by_name_alone_or_in_a_list() -> None:
    assert checked_templates("openai-7") == TEMPLATE_SETS["openai-7"].templates
    assert checked_templates("a {}.") == ("a {}.",)
    assert checked_templates([" a {}. ", "", "a {}.", "the {}"]) == ("a {}.", "the {}")


def test_limits_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MMDEMO_LIMITS_LABELS", "2")
    monkeypatch.setenv("MMDEMO_LIMITS_TEMPLATES", "1")
    with pytest.raises(TextError, match="at most 2"):
        checked_labels("a,b,c")
    with pytest.raises(TextError, match="at most 1"):
        checked_templates(["{}", "a {}"])
    # One's own are meant, however the others are given.
    eighty = TEMPLATE_SETS["openai-80"].templates
    assert checked_templates("openai-80") == checked_templates(list(eighty)) == eighty
