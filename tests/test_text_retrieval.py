"""Passages and their ranking: the library, the command line, and what the page makes of both."""

from __future__ import annotations

import json
import threading
from collections.abc import Generator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
import pytest

from mmdemo import load_encoder
from mmdemo.background.sets import background
from mmdemo.cli import main
from mmdemo.encoders.bge_m3.model import BGEM3
from mmdemo.errors import StoppedError, TextError
from mmdemo.examples import ranking_examples
from mmdemo.models.encoder import Encoder, encoder_of
from mmdemo.plots.tokens import token_heatmap
from mmdemo.similarity import cosine, lexical, maxsim, order
from mmdemo.tasks.passages import open_document, read_document, split_document, typed_passages
from mmdemo.tasks.rank import Ranking, RankRequest, Weights, explain, rank_passages, ranks
from mmdemo.types import REPRESENTATIONS, Representation
from mmdemo.ui.parts import long_work
from mmdemo.ui.parts.models import handlers as model_handlers
from mmdemo.ui.parts.models import views as model_views
from mmdemo.ui.strings import LANGUAGES
from mmdemo.ui.tabs.similarity import layout as similarity_tab
from mmdemo.ui.tabs.text import handlers as text_handlers
from mmdemo.ui.tabs.text import layout as text_tab
from mmdemo.ui.tabs.text import views
from mmdemo.ui.tabs.text.handlers import Dropped, Given, Results, Shown
from mmdemo.work import Current, Follow, Work
from tests.bge_m3 import save
from tests.conftest import TINY
from tests.waiting import MOST

PASSAGES = ["a red car", "the dog near the river", "", "</s>", "蓝鲸 whale", "a car a car a dog"]
EVEN: dict[Representation, float] = dict.fromkeys(REPRESENTATIONS, 1.0)
HOSTILE = "<img src=x onerror=alert(1)> & %{y}"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(tmp_path_factory.mktemp("bge") / "tiny-m3")


@pytest.fixture(scope="module")
def encoder(folder: Path) -> Encoder:
    return encoder_of(BGEM3("tiny", folder))


@pytest.fixture(scope="module")
def ranking(encoder: Encoder) -> Ranking:
    return rank_passages(encoder, "a red dog", PASSAGES)


# Passages.


@pytest.mark.parametrize(
    ("text", "passages"),
    [
        ("one\ntwo\r\n three ", ["one", "two", "three"]),
        ("one\nmore\n\n  \ntwo", ["one\nmore", "two"]),
        ("one\n \t\ntwo", ["one", "two"]),
        ("", []),
        (" \n\n ", []),
    ],
)
def test_typed_passages(text: str, passages: list[str]) -> None:
    assert typed_passages(text) == passages


def test_a_document_is_cut_between_paragraphs_and_sentences() -> None:
    long = " ".join(f"Sentence number {n} says something about whales." for n in range(60))
    chinese = "蓝鲸以磷虾为食。" * 200
    text = f"# Whales\n\nIntroduction\n\n{'A paragraph of its own. ' * 5}\n\n{long}\n\n{chinese}"
    passages = split_document(text)
    assert passages[0].startswith("# Whales\nIntroduction\nA paragraph of its own.")
    assert all(len(passage) <= 1300 for passage in passages)
    assert all(passage.endswith((".", "。")) for passage in passages)
    assert "".join("".join(passages).split()) == "".join(text.split())
    unbroken = "x" * 3000
    assert "".join(split_document(unbroken)) == unbroken
    assert split_document("one\ntwo\nthree") == ["one", "two", "three"]


def test_not_more_passages_than_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    paragraphs = [f"{'word ' * 20}number {n}." for n in range(200)]
    assert len(split_document("\n\n".join(paragraphs))) == 50
    assert len(split_document("\n".join(paragraphs))) == 50
    monkeypatch.setenv("MMDEMO_LIMITS_PASSAGES", "7")
    joined = split_document("\n\n".join(paragraphs))
    assert len(joined) == 7
    assert "".join("".join(joined).split()) == "".join("".join(paragraphs).split())
    assert max(map(len, joined)) < 2.5 * min(map(len, joined))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "gb18030"])
def test_usual_encodings_are_read(encoding: str, tmp_path: Path) -> None:
    path = tmp_path / "text.txt"
    path.write_bytes("蓝鲸以磷虾为食。\r\nnaïve".encode(encoding))
    assert open_document(path).text == "蓝鲸以磷虾为食。\nnaïve"


def test_a_file_that_is_no_text_is_explained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cases = {
        b"\x89PNG\r\n\x1a\n\0\0": "'x.txt' is a PNG picture, not a plain text",
        b"\0\0": "'x.txt' is not a text file in one of: UTF-8, UTF-16",
        b"\xff\xff\xff": "is not a text file",
        b"\xff\xfe\x00\xd8": "is not a text file",  # half a character of UTF-16
        b" \n": "has no text in it",
        b"x" * 100_001: "100,001 characters together; at most 100,000",
        b"x" * 400_001: "more than 0.4 MB",
    }
    for data, says in cases.items():
        with pytest.raises(TextError, match=says):
            read_document(data, "x.txt")
    with pytest.raises(TextError, match=r"no readable text file 'gone\.txt'"):
        open_document(tmp_path / "gone.txt")
    with pytest.raises(TextError, match="no readable text file"):
        open_document(tmp_path / "a\0b")
    for folder in (tmp_path, tmp_path / "..", Path(), Path("/")):
        with pytest.raises(TextError, match=r"'[^'.]+' is a folder\. Give a text file"):
            open_document(folder)
    monkeypatch.setenv("MMDEMO_LIMITS_DOCUMENT", "10")
    with pytest.raises(TextError, match="at most 10"):
        read_document(b"eleven chars", "x.txt")


# Ranking.


def test_scores_are_those_of_the_functions(encoder: Encoder, ranking: Ranking) -> None:
    read = dict(encoder.read_texts(["a red dog", *PASSAGES]))
    query = read[0]
    assert query.sparse is not None
    assert query.multi_vector is not None
    for position in range(len(PASSAGES)):
        passage = read[position + 1]
        assert passage.sparse is not None
        assert passage.multi_vector is not None
        expected = {
            "dense": cosine(query.dense[None], passage.dense[None])[0, 0],
            "sparse": lexical(query.sparse, passage.sparse),
            "multi_vector": maxsim(query.multi_vector, passage.multi_vector),
        }
        for name, scores in ranking.scores.items():
            assert scores is not None
            assert scores[position] == pytest.approx(expected[name], abs=1e-5)
    sparse = ranking.scores["sparse"]
    assert sparse is not None
    assert (sparse[[2, 3]] == 0).all()  # nothing but special tokens
    assert (sparse > 0).any()


def test_the_weighted_sum_needs_no_model(ranking: Ranking) -> None:
    columns = [scores for scores in ranking.scores.values() if scores is not None]
    np.testing.assert_allclose(ranking.hybrid(), np.mean(columns, axis=0), atol=1e-6)
    alone: dict[Representation, float] = {"dense": 0, "sparse": 0.5, "multi_vector": 0}
    np.testing.assert_allclose(ranking.hybrid(alone), columns[1], atol=1e-6)
    told = ranking.to_dict(alone)
    assert json.loads(json.dumps(told)) == told
    assert [row["position"] for row in told["passages"]] == order(columns[1])
    assert told["passages"][0]["text"] == PASSAGES[int(columns[1].argmax())]
    assert told["weights"] == alone
    assert ranks(np.array([0.1, 0.5, 0.5], np.float32)) == [3, 1, 2]


def test_a_request_takes_a_typed_text_or_a_list() -> None:
    assert RankRequest.of("q", "one\ntwo").passages == ("one", "two")
    whole = ["one\n\nmore", " two "]
    assert RankRequest.of("q", whole).passages == tuple(whole)
    weights: Weights = {"dense": 2, "sparse": -1, "multi_vector": 0.5}
    request = RankRequest.of("q", whole, weights, model="mini")
    assert request == RankRequest("q", tuple(whole), (2.0, 0.0, 0.5), "mini")
    assert request.by_name == {"dense": 2.0, "sparse": 0.0, "multi_vector": 0.5}
    with pytest.raises(TextError, match="at most 100,000 are accepted"):
        RankRequest.of("q", "x" * 100_001)


def test_mini_ranks_without_sparse(mini: Encoder) -> None:
    example = ranking_examples()[0]
    ranking = rank_passages(mini, example.query, [*example.passages, ""])
    assert ranking.scores["sparse"] is None
    assert ranking.to_dict()["passages"][0]["scores"]["sparse"] is None
    dense, multi = ranking.scores["dense"], ranking.scores["multi_vector"]
    assert dense is not None
    assert multi is not None
    np.testing.assert_allclose(ranking.hybrid(), (dense + multi) / 2, atol=1e-6)
    assert multi[-1] == 0
    # What the example is for: the functions disagree.
    assert ranks(dense) != ranks(multi)
    known = background(mini)
    assert known is not None
    assert ranking.percentiles[0] == pytest.approx(known.percentile("t2t", float(dense[0])))
    assert len(ranking.percentiles) == len(example.passages) + 1


def test_a_model_with_one_vector_ranks_by_it() -> None:
    ranking = rank_passages(load_encoder(TINY), "a red car", ["a dog", "a red car"])
    assert ranking.scores["sparse"] is ranking.scores["multi_vector"] is None
    assert order(ranking.hybrid())[0] == 1


def test_what_was_not_read_is_said(encoder: Encoder) -> None:
    ranking = rank_passages(encoder, "the dog " * 50, ["a car", "the dog " * 100])
    assert ranking.truncated == (1,)
    assert ranking.usage[1].used == 64
    assert [note.code for note in ranking.notes] == ["truncated"]
    told = ranking.to_dict()["passages"]
    assert {row["position"]: row["tokens_read"] for row in told} == {0: 4, 1: 64}


def test_bad_input_is_refused(encoder: Encoder, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(TextError, match="empty"):
        rank_passages(encoder, " ", ["a"])
    with pytest.raises(TextError, match="no passages"):
        rank_passages(encoder, "a", [])
    with pytest.raises(TextError, match="51 passages; at most 50"):
        rank_passages(encoder, "a", ["x"] * 51)
    with pytest.raises(TextError, match="Text 2: A text was expected"):
        rank_passages(encoder, "a", ["x", None])  # pyright: ignore[reportArgumentType]
    monkeypatch.setenv("MMDEMO_LIMITS_DOCUMENT", "10")
    with pytest.raises(TextError, match="12 characters together; at most 10"):
        rank_passages(encoder, "a", ["six  x", "six  y"])


def test_progress_can_end_a_ranking(encoder: Encoder) -> None:
    told: list[float] = []

    def stop(share: float) -> None:
        told.append(share)
        if share > 0.4:
            raise StoppedError("enough")

    with pytest.raises(StoppedError):
        rank_passages(encoder, "a", ["one more dog", "two more dogs"], progress=stop)
    assert told[0] == 0.0
    assert max(told) < 1.0


# Why.


def test_an_explanation_adds_up(encoder: Encoder, ranking: Ranking) -> None:
    why = explain(encoder, ranking.query, PASSAGES[5])
    sparse, multi = ranking.scores["sparse"], ranking.scores["multi_vector"]
    assert sparse is not None
    assert multi is not None
    assert sum(word.product for word in why.shared) == pytest.approx(float(sparse[5]), abs=1e-5)
    assert why.cosines is not None
    assert why.cosines.max(axis=1).mean() == pytest.approx(float(multi[5]), abs=1e-5)
    assert why.cosines.shape == (4, 7)  # three words and </s>; six words and </s>
    assert (why.cosines[range(4), why.best] == why.cosines.max(axis=1)).all()
    assert why.query_weights is not None
    assert why.passage_weights is not None
    assert [len(why.query_tokens), len(why.passage_tokens)] == [5, 8]
    # A word that occurs twice has one weight, the larger.
    assert why.passage_weights[1] == why.passage_weights[3]
    nothing = explain(encoder, ranking.query, "")
    assert nothing.shared == ()


def test_the_picture_of_tokens(encoder: Encoder, mini: Encoder) -> None:
    why = explain(encoder, "a red dog", "the dog near the river")
    figure = views.heatmap(why)
    assert figure is not None
    assert why.cosines is not None
    traces: Any = figure.data
    heatmap, marks = traces
    assert np.array(heatmap.z).shape == why.cosines.shape
    assert list(marks.y) == [0, 1, 2, 3]
    for row, column in zip(marks.y, marks.x, strict=True):
        assert heatmap.z[row][column] == max(heatmap.z[row])
    long = explain(mini, "blue whale", "word " * 150 + "a blue whale")
    drawn = views.heatmap(long)
    assert drawn is not None
    assert "whale" in drawn.layout.xaxis.ticktext
    traces = drawn.data
    assert np.array(traces[0].z).shape == (2, 48)
    assert "of 153" in views.multi_vector(long, 0, "en")
    assert views.heatmap(explain(mini, "blue whale", "")) is None
    assert "no tokens to match" in views.multi_vector(explain(mini, "a", ""), 0, "en")


def test_a_hostile_text_is_shown_as_text(encoder: Encoder) -> None:
    ranking = rank_passages(encoder, HOSTILE, [HOSTILE, "a"])
    why = explain(encoder, HOSTILE, HOSTILE)
    for _, language in LANGUAGES:
        markup = "".join(
            [
                views.columns(ranking, EVEN, language),
                views.reading(ranking, EVEN, language),
                views.sparse(why, 0, "<b>", language),
                views.multi_vector(why, 0, language),
            ]
        )
        assert "<img" not in markup
        assert "&lt;img" in markup
    figure = token_heatmap(np.zeros((1, 1), np.float32), ["<b>%{y}"], ["<i>"], [0])
    assert list(figure.layout.yaxis.ticktext) == ["&lt;b&gt;% {y}"]
    assert list(figure.layout.xaxis.ticktext) == ["&lt;i&gt;"]


def test_coloured_words_are_the_text(encoder: Encoder) -> None:
    text = "a red  car,\n蓝鲸 & whale"
    why = explain(encoder, "a car", text)
    assert why.passage_weights is not None
    markup = views._words(text, why.passage_tokens, why.passage_weights, 1.0, {})
    plain = "".join(part.partition(">")[2] for part in f">{markup}".split("<"))
    assert plain.replace("&amp;", "&") == text


def test_columns_show_where_the_functions_disagree(ranking: Ranking) -> None:
    markup = views.columns(ranking, EVEN, "en")
    sections = markup.split("<section")[1:]
    assert len(sections) == 4
    for section, scores in zip(sections, [*ranking.scores.values(), ranking.hybrid()], strict=True):
        assert scores is not None
        shown = [int(part.partition('"')[0]) for part in section.split('data-passage="')[1:]]
        assert shown == order(scores)
    assert "▲" in markup
    assert "▲" not in sections[3]
    long = rank_passages(load_encoder(TINY), "a", [f"dog {n}" for n in range(14)])
    assert "<summary>4 more</summary>" in views.columns(long, EVEN, "en")


# The page.


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch, folder: Path) -> str:
    """Offer the small model, which is looked after often and measures nothing; return its name."""
    monkeypatch.setenv("MMDEMO_MODELS", f"mini,{folder}")
    monkeypatch.setattr(long_work, "LOOK_EVERY", 0.001)
    monkeypatch.setattr(text_handlers, "start", lambda encoder: None)
    return f"local:{folder.name}"


def hold(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Keep every ranking from its next step until the event is set."""
    going = threading.Event()
    monkeypatch.setattr(
        RankRequest, "run", lambda self, encoder, follow: going.wait(MOST) or follow(1, 2)
    )
    return going


def run(model: str, passages: str = "a red car\nthe dog", **changes: Any) -> list[Results]:
    return list(started(model, passages, **changes))


def given(model: str, passages: str = "a red car\nthe dog", **changes: Any) -> Given:
    named: dict[str, Any] = {
        "query": "a red dog",
        "passages": passages,
        "whole": False,
        "model": model,
        "weights": (1.0, 1.0, 1.0),
        "picked": None,
        "language": "en",
        "document": Dropped(),
        "shown": Shown(),
        "current": Current(),
    }
    return Given(**(named | changes))


def started(model: str, passages: str = "a red car\nthe dog", **changes: Any) -> Iterator[Results]:
    return text_handlers.run(given(model, passages, **changes))


def test_a_ranking_on_the_page(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MMDEMO_MODELS", f"mini,{folder}")
    monkeypatch.setattr(text_handlers, "start", lambda encoder: None)
    last = run(f"local:{folder.name}")[-1]
    shown = last.shown
    assert last.message == ""
    assert shown.ranking.passages == ("a red car", "the dog")
    assert 'data-function="hybrid"' in last.columns
    assert "data-percentile" not in last.dense
    weighed = given(shown.model, weights=(0.0, 1.0, 0.0), shown=shown)
    assert text_handlers.reweigh(weighed).columns == views.columns(
        shown.ranking, {"dense": 0, "sparse": 1, "multi_vector": 0}, "en"
    )
    other = text_handlers.pick(given(shown.model, picked=1 - shown.picked, shown=shown))
    assert other.shown.picked == 1 - shown.picked
    assert other.shown.ranking is shown.ranking
    translated = text_handlers.show_again(given("mini", shown=other.shown, language="zh"))
    assert "稠密" in translated.columns
    whole = run(f"local:{folder.name}", whole=True)[-1]
    assert whole.shown.ranking.passages == ("a red car\nthe dog",)
    lacking = run("mini")[-1]
    assert "mmdemo download bge-m3" in lacking.columns
    assert "MMDEMO_MODELS" in lacking.sparse
    text_views_zh = text_handlers.show_again(
        given("mini", weights=(0.0, 0.0, None), shown=lacking.shown, language="zh")
    )
    assert "所有权重都是 0" in text_views_zh.reading


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"query": " "}, "Type a query"),
        ({"passages": ""}, "Add passages"),
        ({"passages": "\n".join("x" * 60)}, "60 passages; at most 50"),
        ({"passages": "x" * 100_001}, "at most 100,000"),
        ({"model": "nonesuch"}, "There is no model"),
        ({"model": "bge-m3"}, "BGE-M3 is not on this machine yet"),
    ],
)
def test_bad_input_on_the_page_is_a_sentence(
    changes: dict[str, object], says: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    last = run(**({"model": "mini"} | changes))[-1]  # pyright: ignore[reportArgumentType]
    assert says in last.message
    assert last.columns == last.shown == gr.skip()


def test_a_dropped_file(tmp_path: Path) -> None:
    path = tmp_path / "notes.md"
    path.write_text(f"# Title\n\n{'The only paragraph. ' * 6}")
    loaded = text_handlers.load_document([str(path)], "en")
    assert loaded.message == ""
    # Its passages are those of the document, as on the command line: the field could not tell.
    passages = tuple(split_document(path.read_text()))
    dropped = given("mini", loaded.passages, document=loaded.document)
    assert dropped.request().passages == passages
    assert tuple(typed_passages(loaded.passages)) != passages
    # What is changed by hand is read as typed, and so is one whole.
    assert len(replace(dropped, passages=loaded.passages + " more").request().passages) == 2
    assert replace(dropped, whole=True).request().passages == (loaded.passages.strip(),)
    path.write_bytes(b"\0\1\2")
    refused = text_handlers.load_document([str(path)], "zh")
    assert refused.passages == refused.document == gr.skip()
    assert "不是以下编码之一的文本文件：UTF-8" in refused.message
    assert str(tmp_path) not in refused.message


def test_only_suitable_models_are_offered(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MMDEMO_MODELS", f"mini,{TINY},{folder},bge-m3")
    of_texts = [spec.name for spec in model_handlers.suitable(text_tab.NEEDS)]
    assert of_texts == ["mini", f"local:{folder.name}", "bge-m3"]
    of_pictures = [spec.name for spec in model_handlers.suitable(similarity_tab.NEEDS)]
    assert of_pictures == ["mini", f"local:{TINY.name}"]
    (spec,) = [spec for spec in model_handlers.suitable(text_tab.NEEDS) if spec.name == "bge-m3"]
    facts = model_views.facts(spec, "en")
    assert "✓ text (dense, sparse, multi-vector)" in facts
    assert "✗ image + text</li>" in facts


# Long work.


def test_whoever_leaves_stops_the_work(monkeypatch: pytest.MonkeyPatch, tiny: str) -> None:
    """The page closes the generator; the encoding ends at its next step."""
    held = threading.Event()

    def slow(request: RankRequest, encoder: Encoder, follow: Follow) -> Ranking:
        while not held.wait(0.001):
            follow(1, 2)
        raise AssertionError(request)

    monkeypatch.setattr(RankRequest, "run", slow)
    current: Current = Current()
    generator = started(tiny, current=current)
    assert isinstance(generator, Generator)
    next(generator)
    assert current.work is not None
    assert current.work.wait(0) is False
    generator.close()
    assert current.work.wait(30)
    with pytest.raises(StoppedError):
        current.work.result()


def test_the_stop_button_is_answered_at_once(monkeypatch: pytest.MonkeyPatch, tiny: str) -> None:
    going = hold(monkeypatch)
    current: Current = Current()
    following = started(tiny, current=current)
    assert "progressbar" in next(following).bar
    long_work.stopped(current)
    (last,) = following  # though the model has not come to its next step
    assert "Stopped" in last.message
    assert last.bar == ""
    going.set()
    long_work.stopped(Current())  # nothing runs


def test_another_start_takes_the_place_of_the_one_that_runs(
    monkeypatch: pytest.MonkeyPatch, tiny: str
) -> None:
    monkeypatch.setattr(Work, "wait", lambda work, seconds: False)  # it never ends by itself
    going = hold(monkeypatch)
    current: Current = Current()
    older = started(tiny, current=current)
    assert 'role="progressbar"' in next(older).bar
    job = current.work
    again = text_handlers.supersede(given(tiny, current=current))
    assert again.due == gr.skip()  # the same: it goes on
    assert current.work is job
    newer = started(tiny, query="another", current=current)
    next(newer)
    assert current.work is not job
    assert list(older) == []  # not a word of it, and nothing of its results
    long_work.stopped(current)
    assert "Stopped" in list(newer)[-1].message
    going.set()


def test_the_results_of_an_older_job_do_not_take_the_stop_button_away(
    monkeypatch: pytest.MonkeyPatch, tiny: str
) -> None:
    """They may reach the page when the next one has begun; the button must stop the next one."""
    current: Current = Current()
    older = started(tiny, current=current)
    results = next(result for result in older if result.shown != gr.skip())
    going = hold(monkeypatch)
    newer = started(tiny, query="another", shown=results.shown, current=current)
    next(newer)
    list(older)  # it ends only now
    long_work.stopped(current)
    assert "Stopped" in list(newer)[-1].message
    going.set()


# The command line.


def test_rank_on_the_command_line(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "passages.txt"
    file.write_text("a red car\nthe dog near the river\n" + "the dog " * 90)
    command = ["rank", "a red dog", str(file), "--model", str(folder)]
    assert main([*command, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    expected = rank_passages(load_encoder(folder), "a red dog", file.read_text().splitlines())
    assert [row["hybrid"] for row in told["passages"]] == pytest.approx(
        sorted(expected.hybrid().tolist(), reverse=True), abs=1e-5
    )
    assert main(command) == 0
    table = capsys.readouterr().out
    assert "multi_vector" in table
    assert "only the first 64 of" in table
    assert main(["rank", "a", str(tmp_path / "gone.txt")]) == 1
    assert "no readable text file 'gone.txt'" in capsys.readouterr().err
