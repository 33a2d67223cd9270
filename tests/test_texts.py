"""What models read of texts: unknown words are told, and what nobody sees is no text."""

from __future__ import annotations

import base64
import json
import re
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gradio_client import Client, handle_file
from tokenizers import Tokenizer

from mmdemo import classify, compare, load_encoder, rank_passages
from mmdemo.assets import ASSETS
from mmdemo.encoders.mini.reading import TRADITIONAL, MiniTokenizer, read_table
from mmdemo.encoders.parts.tokens import FastTokenizer
from mmdemo.errors import TextError
from mmdemo.examples import FOLDER
from mmdemo.models.encoder import Encoder
from mmdemo.signs import as_seen, has_visible
from mmdemo.tasks.embed import EmbedRequest
from mmdemo.tasks.prompts import LABEL_SETS, TEMPLATE_SETS
from mmdemo.tasks.rank import RankRequest
from mmdemo.types import Note
from mmdemo.ui.parts.markup import note_sentence
from mmdemo.ui.strings import CODES
from tests.conftest import TINY
from tests.tiny_models import TINY_MODELS
from training.traditional import helpful

BEE, BRIDGE = FOLDER / "bee.jpg", FOLDER / "bridge.jpg"
MINI = ASSETS / "mini"

INVISIBLE = (
    *("", " ", "\t\r\n", "\x00", "\x07\x1b", "\u200b", "\ufeff", "\u2060", "\u00ad"),
    *("\u200e\u200f", "\u202a\u202c", "\u200d", "\ufe0f", "\U000e0041\U000e007f", "\u0301"),
    *("\u3164", "\u2800", "\u115f\u1160", "\uffa0", "\u00a0\u3000", "\u180e", "\u034f"),
)


@pytest.fixture(scope="module")
def plain() -> Tokenizer:
    """Return mini's tokenizer without what is read otherwise."""
    tokenizer = Tokenizer.from_file(str(MINI / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(256)
    return tokenizer


@pytest.fixture(scope="module")
def reading() -> MiniTokenizer:
    return MiniTokenizer(Tokenizer.from_file(str(MINI / "tokenizer.json")), 256, MINI)


# What mini reads.


def shipped_texts() -> Iterator[str]:
    for labels in LABEL_SETS.values():
        for some in labels.by_language.values():
            yield from some
    for templates in TEMPLATE_SETS.values():
        yield from templates.templates
    for path in (*FOLDER.glob("*.json"), *(ASSETS / "background").glob("*.json")):
        yield from _strings(json.loads(path.read_text(encoding="utf-8")))


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for one in value.values() if isinstance(value, dict) else value:
            yield from _strings(one)


def test_a_text_without_unknown_words_is_read_as_it_always_was(
    plain: Tokenizer, reading: MiniTokenizer
) -> None:
    texts = [*shipped_texts(), "(蜜蜂)，。！", "m² ½ ™ “quoted” – naïve café", "x" * 300, "м²"]
    assert len(texts) > 500
    for text in texts:
        assert reading.ids([text]) == [plain.encode(text).ids], text


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("藍鯨", "蓝鲸"),
        ("麵包", "面包"),
        ("燈塔在海邊", "灯塔在海边"),
        ("汽車和飛機", "汽车和飞机"),
        ("一隻烏龜與一條龍", "一只乌龟与一条龙"),
        ("ＢＥＥ　１２", "BEE 12"),
        ("ﬁsh", "fish"),
        ("ﾊﾁ", "ハチ"),
        ("①", "1"),
        ("𝔹𝕖𝕖", "Bee"),
        ("㎏", "kg"),
        ("a bee\u2800or a dog", "a bee or a dog"),
    ],
)
def test_what_is_meant_is_read(typed: str, meant: str, reading: MiniTokenizer) -> None:
    assert reading.ids([typed]) == reading.ids([meant])
    assert reading.usage(typed).unknown == 0


@pytest.mark.parametrize(
    ("typed", "pieces"),
    [
        ("a bee🐝", ["a", "bee", "🐝"]),
        ("🐝bee🐶dog", ["🐝", "bee", "🐶", "dog"]),
        ("蓝㐂鲸", ["蓝", "㐂", "鲸"]),
        ("藍鯨🐝", ["藍鯨", "🐝"]),
        ("  ＢＥＥ, 麵包", ["ＢＥＥ", ",", "麵包"]),
        ("naïve 🐝", ["naïve", "🐝"]),
    ],
)
def test_an_unknown_character_stands_alone_and_tokens_know_where_they_were_typed(
    typed: str, pieces: list[str], reading: MiniTokenizer
) -> None:
    found = [typed[start:end] for _, start, end, _ in reading.pieces(typed)[1:-1]]
    assert found == pieces


def test_a_long_run_of_known_characters_is_known(reading: MiniTokenizer) -> None:
    usage = reading.usage("蓝鲸" * 1000)
    assert (usage.unknown, usage.used, usage.known) == (0, 256, True)
    assert usage.total > 1000


def test_traditional_labels_have_the_numbers_of_simplified_ones(mini: Encoder) -> None:
    traditional = classify(mini, BEE, "蜜蜂,麵包,藍鯨,燈塔", "plain-zh")
    simplified = classify(mini, BEE, "蜜蜂,面包,蓝鲸,灯塔", "plain-zh")
    np.testing.assert_array_equal(traditional.cosines, simplified.cosines)
    assert traditional.notes == ()
    assert traditional.labels == ("蜜蜂", "麵包", "藍鯨", "燈塔")


def test_the_table_holds_what_helps() -> None:
    table = read_table(MINI / TRADITIONAL)
    vocabulary = json.loads((MINI / "tokenizer.json").read_text(encoding="utf-8"))["model"]["vocab"]
    known = {chr(one): other for one, other in table.items()}
    assert helpful(known, vocabulary) == known
    assert len(known) > 2000
    assert "乾" not in known  # of 乾坤, which has a token
    assert helpful({"麵": "面", "乾": "干", "㑮": "𫝈", "面": "面"}, vocabulary) == {"麵": "面"}
    assert read_table(MINI / "no such file") == {}


# What is unknown is told.


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Encoder]:
    place = tmp_path_factory.mktemp("tiny")
    made: dict[str, Encoder] = {}

    def encoder(kind: str) -> Encoder:
        if kind not in made:
            folders = {"bert": TINY, "xlmr": TINY.with_name("xlmr-bge-m3")}
            folder = folders.get(kind) or TINY_MODELS[kind](place / f"tiny-{kind}")
            made[kind] = load_encoder(str(folder))
        return made[kind]

    return encoder


@pytest.mark.parametrize("kind", ["bert", "xlmr", "siglip", "align", "blip"])
def test_unknown_tokens_are_counted_by_the_tokenizer(
    kind: str, tiny: Callable[[str], Encoder]
) -> None:
    encoder = tiny(kind)
    alone = encoder.token_usage("🐝")
    assert (alone.unknown, alone.unknown_words, alone.known) == (1, ("🐝",), False)
    beside = encoder.token_usage("a red 🐝 car")
    assert (beside.unknown, beside.unknown_words, beside.known) == (1, ("🐝",), True)
    known = encoder.token_usage("a red car")
    assert (known.unknown, known.unknown_words, known.known) == (0, (), True)
    # What is cut off is told as that, and not as unknown.
    assert encoder.token_usage("red " * 200 + "🐝").unknown == 0
    assert ("🐝", "🐶") in [group[:2] for group in encoder.alike(["🐝", "red", "🐶"])]


def test_the_end_of_a_text_is_no_unknown_word_of_clip(tiny: Callable[[str], Encoder]) -> None:
    usage = tiny("clip").token_usage("a red car")
    assert (usage.unknown, usage.known) == (0, True)


def test_a_slow_tokenizer_tells_unknown_words_too(tiny: Callable[[str], Encoder]) -> None:
    with tiny("align")._source.lease() as model:
        reader = model._texts  # pyright: ignore[reportAttributeAccessIssue]
    pieces = reader._by_word("a red 🐝 car")
    assert [piece.start for piece in pieces if piece.id == reader._unknown] == [6]


def test_a_tokenizer_without_an_unknown_token_knows_all(plain: Tokenizer) -> None:
    whole = FastTokenizer(Tokenizer.from_file(str(MINI / "tokenizer.json")), 256)
    assert (whole.usage("🐝").unknown, whole.usage("🐝").known) == (0, True)


def codes(notes: tuple[Note, ...]) -> list[str]:
    return [note.code for note in notes]


def test_a_comparison_says_which_words_are_unknown(mini: Encoder) -> None:
    [note] = compare(mini, BEE, BRIDGE, "a bee🐝").notes
    assert note.code == "unknown"
    assert "mini does not know these words of the text: 🐝." in note.message
    [note] = compare(mini, BEE, BRIDGE, "🐝!").notes
    assert note.message == "mini knows nothing of this text (🐝), so numbers with it mean nothing."
    assert compare(mini, BEE, BRIDGE, "藍鯨, a ＢＥＥ").notes == ()


def test_labels_say_which_are_unknown_and_which_are_one(mini: Encoder) -> None:
    dark, alike = classify(mini, BEE, ["🐝", "🐶", "🍕"], "plain").notes
    assert dark.message == (
        "Labels: mini knows nothing of 3 of 3 (🐝, 🐶, 🍕), so numbers with them mean nothing."
    )
    assert "🐝 = 🐶 = 🍕" in alike.message
    partly = classify(mini, BEE, ["a 🐝", "a dog"], "plain").notes
    assert codes(partly) == ["unknown_among"]
    [alike] = classify(mini, BEE, "Bee, bee, BEE, dog", "plain").notes
    assert (alike.code, alike.values["groups"]) == ("labels_alike", "Bee = bee = BEE")
    [template] = classify(mini, BEE, "bee", ["🐝 {}", "{}"]).notes
    assert template.message.startswith("Templates: 1 of 1 hold what mini does not know (🐝)")


def test_many_unknown_labels_are_told_in_a_sentence_that_is_read(mini: Encoder) -> None:
    labels = [chr(0x1F400 + n) for n in range(60)]
    notes = classify(mini, BEE, labels, "plain").notes
    assert all(len(note.message) < 300 for note in notes)
    assert notes[0].values["count"] == 60
    assert "…" in notes[0].message


def test_queries_and_passages_say_what_is_unknown(mini: Encoder) -> None:
    ranking = rank_passages(mini, "bee 🐝", ["a 🐶 🍕", "🐝", "a dog", "\u200b"])
    assert codes(ranking.notes) == ["unknown", "empty_among", "unknown_all_among", "unknown_among"]
    assert "🐶, 🍕" in ranking.notes[-1].message
    rows = {row["position"]: row["tokens_unknown"] for row in ranking.to_dict()["passages"]}
    assert rows == {0: 2, 1: 1, 2: 0, 3: 0}


def test_vectors_say_what_is_unknown_once_for_all_texts(mini: Encoder) -> None:
    notes = EmbedRequest.of((), ["a 🐝", "🐶", "a dog"]).run(mini).notes
    assert codes(notes) == ["unknown_all_among", "unknown_among"]
    assert codes(EmbedRequest.of((), ["🐝"]).run(mini).notes) == ["unknown_all"]


@pytest.mark.parametrize("language", CODES)
def test_notes_are_said_in_each_language(language: str, mini: Encoder) -> None:
    notes = [
        *classify(mini, BEE, ["🐝", "🐶", "a 🍕"], ["🐝 {}"]).notes,
        *compare(mini, BEE, BRIDGE, "🐝").notes,
        *rank_passages(mini, "bee 🐝", ["", "bee"]).notes,
    ]
    for note in notes:
        said = note_sentence(note, language)
        assert "{" not in said.replace("{}", "")
        assert all(str(value) in said for value in note.values.values())


# What nobody sees.


@pytest.mark.parametrize("text", INVISIBLE)
def test_what_nobody_sees_is_no_text(text: str, mini: Encoder) -> None:
    assert not has_visible(text)
    assert as_seen(text).strip("\u0301") == ""
    for ask in (
        lambda: compare(mini, BEE, BRIDGE, text),
        lambda: mini.encode(text),
        lambda: rank_passages(mini, text, ["a bee"]),
        lambda: EmbedRequest.of((), [text]).run(mini),
    ):
        with pytest.raises(TextError, match="The text is empty"):
            ask()
    with pytest.raises(TextError, match="There are no labels"):
        classify(mini, BEE, [text])
    with pytest.raises(TextError, match="There are no templates"):
        classify(mini, BEE, "bee", [text])


def test_a_picture_with_a_text_that_nobody_sees_is_the_picture_alone(mini: Encoder) -> None:
    hidden = mini.encode([{"image": BEE, "text": "\u200b"}])
    np.testing.assert_array_equal(hidden, mini.encode([BEE]))
    assert EmbedRequest.of([BEE], ["\ufeff"], fused=True).run(mini).modalities == ("image",)


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("\ufeffbe\u200be\u00ad", "bee"),
        ("e\u0301", "\u00e9"),
        ("a\u3164b  c", "a b c"),
        ("x\x00", "x"),
        ("👩\u200d👩\u200d👧", "👩\u200d👩\u200d👧"),
        ("❤\ufe0f", "❤\ufe0f"),
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("🏴\U000e0067\U000e0062\U000e007f", "🏴\U000e0067\U000e0062\U000e007f"),
        ("bee\U000e0067", "bee"),
        ("\u200dbee\u200d", "bee"),
    ],
)
def test_a_text_as_it_is_seen(text: str, seen: str) -> None:
    assert as_seen(text) == seen
    assert as_seen(seen) == seen


# What is no text at all.


HALF = "a bee \ud83d"


def test_half_a_sign_is_refused_at_every_door(
    mini: Encoder, command: Callable[..., Any], tmp_path: Path
) -> None:
    doors = (
        lambda: compare(mini, BEE, BRIDGE, HALF),
        lambda: mini.encode(HALF),
        lambda: mini.encode({"image": BEE, "text": HALF}),
        lambda: classify(mini, BEE, [HALF]),
        lambda: classify(mini, BEE, f"dog, {HALF}"),
        lambda: classify(mini, BEE, "dog", [f"{HALF} {{}}"]),
        lambda: rank_passages(mini, HALF, ["bee"]),
        lambda: rank_passages(mini, "bee", [HALF]),
        lambda: RankRequest.of("bee", HALF).run(mini),
        lambda: EmbedRequest.of((), [HALF]).run(mini),
        lambda: mini.encode_multi_vector(HALF),
    )
    for door in doors:
        with pytest.raises(TextError, match="half of a sign"):
            door()
    path = tmp_path / "passages.txt"
    path.write_text("bees make honey", encoding="utf-8")
    given = (
        ["compare", str(BEE), str(BRIDGE), "bee \udce9"],
        ["classify", str(BEE), "--labels", "bee,\udce9"],
        ["classify", str(BEE), "--labels", "bee", "--templates", "\udce9 {}"],
        ["rank", "\udce9", str(path)],
        ["embed", "--text", "\udce9", "--json"],
    )
    for arguments in given:
        done = command(*arguments)
        assert done.status == 1
        assert "half of a sign" in done.err
        assert "Traceback" not in done.err


# The endpoints.


def test_endpoints_say_what_is_unknown_and_take_lists(app_url: str) -> None:
    client = Client(app_url, verbose=False)
    picture = [handle_file(BEE)]
    told = client.predict(picture, '["🐝", "Bee", "bee"]', "plain", api_name="/classify")
    assert told["labels"] == ["🐝", "Bee", "bee"]
    dark, alike = told["notes"]
    assert "mini knows nothing of 1 of 3 (🐝)" in dark
    assert "Bee = bee" in alike
    told = client.predict(picture, ["a bee", "a dog"], ["openai-7", "a {}"], api_name="/classify")
    assert len(told["templates"]) == 8
    told = client.predict("bee 🐝", ["a 🐶", "a dog"], api_name="/rank")
    assert ["🐝" in note or "🐶" in note for note in told["notes"]] == [True, True]
    told = client.predict(texts=["🐝"], api_name="/embed")
    assert "mini knows nothing of this text (🐝)" in told["notes"][0]
    told = client.predict(handle_file(BEE), handle_file(BRIDGE), "a 🐝", api_name="/compare")
    assert "does not know these words of the text: 🐝" in told["notes"][0]


@pytest.mark.parametrize("text", ["\u200b", "\ud83d bee", "\x00"])
def test_endpoints_refuse_what_is_no_text(text: str, app_url: str) -> None:
    answers = {
        "compare": [_uri(BEE), _uri(BRIDGE), text],
        "classify": [[_uri(BEE)], [text]],
        "rank": [text, ["a bee"]],
        "embed": [[], [text]],
    }
    for name, data in answers.items():
        told = _answer(app_url, name, data)
        assert re.search("half of a sign|is empty|no labels", told), (name, told)


def _uri(path: Path) -> str:
    return "data:image/jpeg;base64," + base64.b64encode(path.read_bytes()).decode()


def _answer(address: str, name: str, data: list[Any]) -> str:
    """Return all that an endpoint says; gradio's client cannot send half a sign."""
    call = urllib.request.Request(
        f"{address}/gradio_api/call/{name}",
        json.dumps({"data": data}).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(call) as begun:
        event = json.load(begun)["event_id"]
    with urllib.request.urlopen(f"{address}/gradio_api/call/{name}/{event}") as answer:
        return answer.read().decode()
