"""From a request to an address and back, without a browser."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest
from PIL import Image

from mmdemo import ClassifyRequest, CompareRequest, RankRequest
from mmdemo.examples import FOLDER, examples, ranking_examples
from mmdemo.tasks.prompts import LABEL_SETS, TEMPLATE_SETS
from mmdemo.ui import link
from mmdemo.ui.serving import uploads
from mmdemo.ui.strings import CODES, Language
from mmdemo.ui.tabs.similarity import address as of_similarity
from mmdemo.ui.tabs.text import address as of_text
from mmdemo.ui.tabs.zero_shot import address as of_zero_shot
from mmdemo.ui.tabs.zero_shot.ready_made import EXAMPLES

FIRST = examples()[0]


def opened(query: str) -> link.Opened:
    return link.read(dict(parse_qsl(query, keep_blank_values=True)))


@pytest.mark.parametrize("language", CODES)
def test_what_is_as_the_tab_opens_is_not_in_it(language: Language) -> None:
    request = CompareRequest(*FIRST.paths, (FIRST.text(language),), "mini")
    assert of_similarity.query(request, ["", ""], language) == "tab=similarity"
    fields = of_similarity.read(opened("tab=similarity"), language)
    assert fields["text"] == FIRST.text(language)
    assert [fields["image1"], fields["image2"]] == [str(path) for path in FIRST.paths]


@pytest.mark.parametrize("language", CODES)
def test_a_comparison_comes_back(language: Language) -> None:
    texts = ("蓝鲸 & <b>50 %</b>\n?", "a, b")
    request = CompareRequest(FOLDER / "bee.jpg", FIRST.paths[0], texts, "clip-vit-b32")
    query = of_similarity.query(request, ["", "mini"], language)
    fields = of_similarity.read(opened(query), language)
    assert (fields["text"], fields["other"]) == texts
    assert fields["image1"] == str(FOLDER / "bee.jpg")
    assert fields["image2"] == str(FIRST.paths[0])
    assert (fields["model"], fields["beside0"], fields["beside1"]) == ("clip-vit-b32", "mini", "")


def test_own_pictures_are_named_as_missing_whatever_they_are_called(tmp_path: Path) -> None:
    own = tmp_path / "bee.jpg"
    Image.new("RGB", (8, 8)).save(own)
    query = of_similarity.query(CompareRequest(own, FIRST.paths[1], ("a",)), [], "en")
    assert "bee" not in query
    fields = of_similarity.read(opened(query), "en")
    assert fields["image1"] is None
    assert fields["image2"] == str(FIRST.paths[1])
    request = ClassifyRequest.of([own, FOLDER / "bee.jpg"], "a")
    query = of_zero_shot.query(request, [], "en")
    fields = of_zero_shot.read(opened(query), "en")
    assert fields["pictures"] == [str(FOLDER / "bee.jpg")]
    assert opened(query).own == {"pictures"}


@pytest.mark.parametrize("language", CODES)
def test_a_classification_comes_back(language: Language) -> None:
    pictures = [FOLDER / name for name in EXAMPLES]
    for labels in ("bee\nbridge", "\n".join(LABEL_SETS["food"].labels(language))):
        for templates in ("openai-80", ["a {}", "{} of mine"]):
            request = ClassifyRequest.of(pictures[:2], labels, templates, reject=False)
            query = of_zero_shot.query(request, [], language)
            fields = of_zero_shot.read(opened(query), language)
            assert fields["labels"] == labels
            wanted = TEMPLATE_SETS[templates].templates if isinstance(templates, str) else templates
            assert fields["templates"].splitlines() == list(wanted)
            assert fields["reject"] is False
            assert fields["pictures"] == list(map(str, pictures[:2]))
    assert "food" in of_zero_shot.query(
        ClassifyRequest.of(pictures, LABEL_SETS["food"].labels(language)), [], language
    )


def test_a_ranking_comes_back_and_what_is_too_long_is_named() -> None:
    weights = {"dense": 1.0, "sparse": 0.25, "multi_vector": 0.0}
    request = RankRequest.of("a dog", "a cat\na dog", weights)  # pyright: ignore[reportArgumentType]
    fields = of_text.read(opened(of_text.query(request, "a cat\na dog", whole=True)), "en")
    assert (fields["query"], fields["passages"], fields["whole"]) == ("a dog", "a cat\na dog", True)
    assert [fields[name] for name in weights] == list(weights.values())
    ready = ranking_examples()[1]
    typed = "\n\n".join(ready.passages)
    query = of_text.query(RankRequest(ready.query, ready.passages), typed, whole=False)
    assert len(query) < 60
    assert of_text.read(opened(query), "en")["passages"] == typed
    long = "a long document " * 1000
    query = of_text.query(RankRequest("a dog", (long,)), long, whole=False)
    assert len(query) <= link.LONGEST
    assert opened(query).own == {"passages"}
    assert of_text.read(opened(query), "en")["passages"] == ""


@pytest.mark.parametrize(
    "query",
    [
        "tab=nonsense&image1=../../etc/passwd&image2=/etc/passwd&lang=xx&model=nobody/nothing",
        "tab=zero-shot&pictures=..%2Fsecret.png,bee.jpg&label-set=none&template-set=none",
        "tab=text&example=none&dense=nan&sparse=x&multi_vector=9e9",
        "text=" + "x" * 100_000,
    ],
)
def test_an_address_that_makes_no_sense_opens_something_that_does(query: str) -> None:
    given = opened(query)
    assert given.language == ""
    compared: dict[str, Any] = of_similarity.read(given, "en")
    assert compared["image1"] in (None, str(FIRST.paths[0]))
    classified = of_zero_shot.read(given, "en")
    assert all(Path(one).parent == FOLDER for one in classified["pictures"])
    assert classified["labels"]
    assert all(0 <= of_text.read(given, "en")[name] <= 1 for name in ("dense", "sparse"))


def test_an_upload_is_deleted_with_the_last_who_has_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads, "get_upload_folder", lambda: str(tmp_path / "kept"))
    mine, common, elsewhere = (
        tmp_path / place for place in ("kept/a/mine.png", "kept/b/common.png", "other.png")
    )
    for path in (mine, common, elsewhere):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    uploads.note("one", [str(mine), [str(common)], None, str(elsewhere), 3])
    uploads.note("two", [str(common)])
    uploads.forget("one")
    assert not mine.parent.exists()
    assert common.exists()
    uploads.forget("two")
    assert not common.exists()
    assert elsewhere.exists()
    uploads.forget("two")  # again, and of somebody who never was
