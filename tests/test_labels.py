"""Lists of labels and of texts: as people type and paste them, and as programs hand them over."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mmdemo import classify, rank_passages
from mmdemo.errors import PictureError, TextError
from mmdemo.examples import FOLDER
from mmdemo.models.encoder import Encoder
from mmdemo.tasks.embed import EmbedRequest
from mmdemo.tasks.prompts import (
    TEMPLATE_SETS,
    checked_labels,
    checked_templates,
    split_labels,
    split_templates,
)
from mmdemo.tasks.rank import RankRequest

BEE = FOLDER / "bee.jpg"


@pytest.mark.parametrize(
    "typed",
    [
        '["bee", "dog"]',
        "['bee', 'dog']",
        '("bee","dog")',
        '{"bee", "dog"}',
        "['bee' 'dog']",
        "[np.str_('bee'), np.str_('dog')]",
        "[‘bee’, ‘dog’]",
        "[bee, dog]",
        "(bee, dog)",
        '[\n  "bee",\n  "dog",\n]',
        '["bee", "dog"',
        '["bee", "dog',
        '["bee", "dog",',
        '{"0": "bee", "1": "dog"}',
        '{"bee": 0.3, "dog": 0.7}',
        "{0: 'bee', 1: 'dog'}",
        "{'bee': 0.3, 'dog': None,}",
        '{"names": ["bee", "dog"], "nc": 2}',
        "names: ['bee', 'dog']",
        "names:\n  0: bee\n  1: dog",
        "Labels: bee, dog",
        "标签：bee，dog",
        "animals = ['bee', 'dog'];",
        "array(['bee', 'dog'],\n      dtype='<U3')",
        "Index(['bee', 'dog'], dtype='object', name='x')",
        "dict_keys(['bee', 'dog'])",
        '"bee", "dog"',
        "'bee'; 'dog'",
        "“bee”, “dog”",
        '"bee"\n"dog"',
        '"bee",\n"dog",\n',
        "- bee\n- dog",
        "* bee\n* dog\n",
        "•bee\n•dog",
        "- [ ] bee\n- [x] dog",
        "1. bee\n2. dog",
        "1. bee\n1. dog",
        "7) bee\n8) dog",
        "1、bee\n2、dog",
        "1. bee, 2. dog",
        "bee; dog",
        "bee、dog",
        "bee\tdog",
        "bee\tdog\n",
        "bee | dog",
        "| bee | dog |",
        "| bee |\n|-----|\n| dog |",
        "bee, dog,",
        "\ufeffbee, dog",
        "bee\r\ndog",
        "bee\u200b, bee, dog",
    ],
)
def test_a_list_however_it_is_written(typed: str) -> None:
    assert checked_labels(typed) == ("bee", "dog")


@pytest.mark.parametrize(
    ("typed", "labels"),
    [
        ('["caf\\u00e9", "a \\"big\\" dog"]', ("café", 'a "big" dog')),
        ('["\\ud83d\\udc1d", "x"]', ("🐝", "x")),
        ("['it\\'s', 'x']", ("it's", "x")),
        ("[1, 2.5]", ("1", "2.5")),
        ('"a cat, asleep", a dog', ("a cat, asleep", "a dog")),
        ("a cat, asleep\ta dog", ("a cat, asleep", "a dog")),
        ('the "big" dog, cat', ('the "big" dog', "cat")),
        ("rock 'n' roll, jazz", ("rock 'n' roll", "jazz")),
        ("'tis, 'twas", ("'tis", "'twas")),
        ('12", 15"', ('12"', '15"')),
        ('"Starry Night", a painting', ('"Starry Night"', "a painting")),
        ("(red) apple, (green) apple", ("(red) apple", "(green) apple")),
        ("[1] bee, [2] dog", ("[1] bee", "[2] dog")),
        ("-5, -3", ("-5", "-3")),
        ("1. bee\n3. dog", ("1. bee", "3. dog")),
        ("1.5 litre\n2.5 litre", ("1.5 litre", "2.5 litre")),
        ("a | b, c", ("a | b", "c")),
        ('"a" and "b"', ('"a" and "b"',)),
        ("e\u0301, \u00e9", ("\u00e9",)),
        ("[", ("[",)),
        ("{", ("{",)),
        ("f([x])", ("f([x])",)),
        ("labels:", ("labels:",)),
        ("Note: bee, dog", ("Note: bee", "dog")),
    ],
)
def test_what_belongs_to_a_label_stays(typed: str, labels: tuple[str, ...]) -> None:
    assert checked_labels(typed) == labels
    assert checked_labels(split_labels(typed)) == labels


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        ('["bee", null]', "Label 2 is not a text but NoneType"),
        ('["bee", true]', "Label 2 is not a text but bool"),
        ('["bee", NaN]', "Label 2 is not a text but float"),
        ('[["bee"], ["dog"]]', "Label 1 is not a text but list"),
        ("[]", "There are no labels"),
        ("{}", "There are no labels"),
        ("bee, \ud83d", "half of a sign"),
    ],
)
def test_a_list_of_something_else_is_refused(typed: str, says: str) -> None:
    with pytest.raises(TextError, match=says):
        checked_labels(typed)


@pytest.mark.parametrize(
    "typed",
    [
        *("[" * 90_000, '{"a":' * 30_000, '"' * 100_000, "'" * 100_000, "\\" * 100_000),
        *('"a,' * 60_000, '["' + "\\" * 100_000, " " * 100_000 + '"', '"a"' + " " * 100_000),
        *(",\t" * 50_000, "-\n" * 50_000, "|" * 100_000, "1." * 50_000, "“" * 100_000),
        *("{'a':1," * 20_000, "a" * 100_000, "x" + " " * 100_000 + "[", "[]" + ",a=" * 30_000),
        *("[]" + ",\n" * 50_000, "{0:" + " " * 100_000, "labels" + " " * 100_000),
    ],
    ids=lambda typed: typed[:9].strip(),
)
def test_what_is_made_to_hurt_is_read(typed: str) -> None:
    # Each within the limit of characters; a pattern that goes back over them would take minutes.
    try:
        labels = checked_labels(typed)
    except TextError:
        labels = ()
    assert all(len(label) <= 200 for label in labels)


@pytest.mark.parametrize(
    "given",
    [
        ("bee", "dog"),
        np.array(["bee", "dog"]),
        np.array(["bee", "dog"], dtype=object),
        dict.fromkeys(["bee", "dog"]).keys(),
        {1: "bee", 2: "dog"}.values(),
        iter(["bee", "dog"]),
    ],
    ids=lambda given: type(given).__name__,
)
def test_any_ordered_list_is_taken(given: Any) -> None:
    labels = checked_labels(given)
    assert labels == ("bee", "dog")
    assert {type(label) for label in labels} == {str}


class Table:
    """As a table of pandas goes through Python's loop: by the names of its columns."""

    ndim = 2
    columns = ("bee", "dog")

    def __iter__(self) -> Any:
        return iter(self.columns)


NO_LISTS = (None, 5, b"bee", {"bee": 1}, {"bee", "dog"}, np.array("bee"), np.eye(2), Table())


@pytest.mark.parametrize("given", NO_LISTS, ids=lambda given: type(given).__name__)
def test_what_is_no_list_is_refused_with_a_sentence(given: Any, mini: Encoder) -> None:
    doors: tuple[Callable[[], Any], ...] = (
        lambda: checked_labels(given),
        lambda: checked_templates(given),
        lambda: rank_passages(mini, "bee", given),
        lambda: RankRequest.of("bee", given),
        lambda: EmbedRequest.of((), given),
        lambda: mini.encode_multi_vector(given),
    )
    for door in doors:
        with pytest.raises(TextError, match="A list of texts was expected, not"):
            door()


@pytest.mark.parametrize(
    "given", [None, 5, b"bee", {"bee", "dog"}, Table()], ids=lambda given: type(given).__name__
)
def test_items_that_are_no_list_are_refused(given: Any, mini: Encoder) -> None:
    with pytest.raises(TextError, match="Items are a list, in the order"):
        mini.encode(given)


@pytest.mark.parametrize("wrong", [None, float("nan"), 3, b"dog", ["dog"]], ids=repr)
def test_an_entry_that_is_no_text_is_named_by_its_place(wrong: Any, mini: Encoder) -> None:
    with pytest.raises(TextError, match="Label 2 is not a text but"):
        classify(mini, BEE, ["bee", wrong])
    with pytest.raises(TextError, match="Text 2: A text was expected, not"):
        rank_passages(mini, "bee", ["bee", wrong])
    with pytest.raises(TextError, match="Text 2: A text was expected, not"):
        EmbedRequest.of((), ["bee", wrong])
    with pytest.raises(TextError, match="Item 2: An item is"):
        mini.encode(["bee", wrong])


def test_a_single_text_is_no_list_of_passages(mini: Encoder) -> None:
    with pytest.raises(TextError, match="would be ranked letter by letter") as caught:
        rank_passages(mini, "bee", "Krill. Bread.")
    assert caught.value.code == "passages_one_text"


def test_arrays_and_generators_are_taken_everywhere(mini: Encoder) -> None:
    texts = ["a bee", "a dog"]
    rows = mini.encode(texts)
    np.testing.assert_array_equal(mini.encode(np.array(texts)), rows)
    np.testing.assert_array_equal(mini.encode(text for text in texts), rows)
    ranked = rank_passages(mini, np.array(["bee"])[0], np.array(texts))
    assert json.loads(json.dumps(ranked.to_dict()))["passages"][0]["text"] == "a bee"
    assert rank_passages(mini, "bee", iter(texts)).passages == tuple(texts)
    pictures = (Image.new("RGB", (32, 32), colour) for colour in ("red", "blue"))
    assert len(classify(mini, pictures, iter(texts), iter(["{}"])).cosines) == 2
    assert len(EmbedRequest.of(iter([BEE]), iter(texts)).items) == 3
    assert len(mini.encode_multi_vector(iter(texts))) == 2


@pytest.mark.parametrize("wrong", [float("nan"), float("inf"), 1e7, "1", True, None, 1j, 10**400])
def test_a_weight_that_no_sum_is_made_with_is_refused(wrong: Any) -> None:
    with pytest.raises(TextError, match="The weight of 'dense' is"):
        RankRequest.of("bee", ["dog"], {"dense": wrong, "sparse": 1, "multi_vector": 1})
    assert RankRequest.of("bee", ["dog"], {"dense": 2}).weights == (2.0, 0.0, 0.0)


def test_weights_without_names_are_refused() -> None:
    with pytest.raises(TextError, match="Weights have names") as caught:
        RankRequest.of("bee", ["dog"], [1, 1, 1])  # pyright: ignore[reportArgumentType]
    assert caught.value.code == "weights_unnamed"


@pytest.mark.parametrize(
    "given",
    [None, 5, {"path": "bee.jpg"}, np.eye(2), bytearray(b"x"), memoryview(b"x"), io.BytesIO(b"x")],
    ids=lambda given: type(given).__name__,
)
def test_what_is_no_list_of_pictures_is_refused(given: Any, mini: Encoder) -> None:
    with pytest.raises(PictureError, match="Pictures are PIL pictures, paths, or") as caught:
        classify(mini, given, ["bee"])
    assert caught.value.code == "no_pictures"
    with pytest.raises(PictureError, match=type(given).__name__):
        EmbedRequest.of(given, ["bee"])


@pytest.mark.parametrize("wrong", [None, b"bee", "bee \ud83d"], ids=ascii)
def test_what_is_read_of_no_text_is_not_told(wrong: Any, mini: Encoder) -> None:
    for door in (mini.token_usage, mini.tokens, lambda text: mini.alike([text])):
        with pytest.raises(TextError, match=r"A text was expected|half of a sign"):
            door(wrong)


# Templates.


def test_sets_and_templates_of_ones_own_mix(command: Callable[..., Any]) -> None:
    seven, plain = TEMPLATE_SETS["openai-7"].templates, TEMPLATE_SETS["plain-zh"].templates
    assert checked_templates(["openai-7", "plain-zh"]) == (*seven, *plain)
    assert checked_templates([" openai-7 ", "a {}", seven[0]]) == (*seven, "a {}")
    assert checked_templates("openai-7,plain-zh") == (*seven, *plain)
    assert checked_templates(split_templates("openai-7\na {}")) == (*seven, "a {}")
    assert checked_templates(split_templates('["a {}", "b {}"]')) == ("a {}", "b {}")
    assert checked_templates('["a {}", "b {}"]') == ("a {}", "b {}")
    assert checked_templates("openai-7\na {}") == (*seven, "a {}")
    assert checked_templates(["{\u200b}", "{}"]) == ("{}",)
    given = ["--templates", "openai-7", "--templates", "plain-zh", "--templates", "a {}"]
    done = command("classify", str(BEE), "--labels", '["bee", "dog"]', "--json", *given)
    told = json.loads(done.out)
    assert told["templates"] == [*seven, *plain, "a {}"]
    assert told["labels"] == ["bee", "dog"]


def test_a_slip_in_a_sets_name_is_told_among_others() -> None:
    with pytest.raises(TextError, match="Did you mean 'openai-80'"):
        checked_templates(["openai-8", "a {}"])


def test_only_templates_of_ones_own_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MMDEMO_LIMITS_TEMPLATES", "1")
    assert len(checked_templates(["openai-80", "plain-zh", "my own {}"])) == 82
    with pytest.raises(TextError, match="2 templates; at most 1"):
        checked_templates(["openai-80", "my own {}", "my other {}"])
    with pytest.raises(TextError, match="templates; at most 1"):
        checked_templates(["{}"] * 100_000)


def test_labels_by_the_command_line_say_what_is_unknown(
    command: Callable[..., Any], tmp_path: Path
) -> None:
    done = command("classify", str(BEE), "--labels", '["🐝", "Bee", "bee"]')
    assert "Labels: mini knows nothing of 1 of 3 (🐝)" in done.out
    assert "one and the same: Bee = bee." in done.out
    file = tmp_path / "passages.md"
    file.write_text("Bees 🐝 make honey.\n\nDogs bark.", encoding="utf-8")
    told = json.loads(command("rank", "蓝鲸 🐋", str(file), "--json").out)
    assert any("mini does not know these words of the text: 🐋" in note for note in told["notes"])
    assert any("Passages: 1 of 2 hold what mini does not know (🐝)" in n for n in told["notes"])
