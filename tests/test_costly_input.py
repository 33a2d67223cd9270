"""Input that is small, and made to cost much: refused before anything is done with it."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from mmdemo.background.sets import Background, cache_path, write
from mmdemo.background.sets import background as known_background
from mmdemo.errors import PictureError, TextError
from mmdemo.models.encoder import Encoder
from mmdemo.tasks.classify import check_count, class_embeddings, classify
from mmdemo.tasks.prompts import LABEL_SETS, TEMPLATE_SETS, checked_prompts
from mmdemo.ui.strings import ERRORS
from mmdemo.ui.tabs.zero_shot import handlers as zero_shot_handlers
from mmdemo.ui.tabs.zero_shot.handlers import Given, Shown
from mmdemo.work import Current


def test_prompts_are_limited_together(mini: Encoder, monkeypatch: pytest.MonkeyPatch) -> None:
    labels = [f"thing {number}" for number in range(1000)]
    for count, templates in ((1000, "openai-7"), (250, "openai-80")):  # what the page is for
        assert len(checked_prompts(labels[:count], templates)[0]) == count
    for one in LABEL_SETS.values():
        for templates in TEMPLATE_SETS:
            checked_prompts(one.labels("en"), templates)
    says = "1,000 labels in 80 templates are 80,000 prompts; at most 20,000"
    picture = Image.new("RGB", (8, 8))
    with pytest.raises(TextError, match=says) as refused:
        classify(mini, picture, labels, "openai-80")
    assert "80,000" in ERRORS[refused.value.code]["zh"].format(**refused.value.values)
    with pytest.raises(TextError, match=says):
        class_embeddings(mini, labels, "openai-80")
    # On the page, before a picture is opened.
    monkeypatch.setattr(zero_shot_handlers, "_looked_at", None)
    templates = "\n".join(TEMPLATE_SETS["openai-80"].templates)
    given = Given(
        ["a.png"],
        "\n".join(labels),
        templates,
        False,
        None,
        ("mini",),
        "en",
        Shown(),
        Current(),
    )
    (shown,) = zero_shot_handlers.run(given)
    assert says in shown.message
    monkeypatch.setenv("MMDEMO_LIMITS_PROMPTS", "80000")
    assert len(checked_prompts(labels, "openai-80")[1]) == 80


def test_scores_are_limited_together(mini: Encoder, monkeypatch: pytest.MonkeyPatch) -> None:
    labels = [f"thing {number}" for number in range(401)]
    says = "50 pictures with 401 labels are 20,050 scores; at most 20,000 are given"
    with pytest.raises(PictureError, match=says) as refused:
        classify(mini, ["a.png"] * 50, labels, "plain")  # none of which is opened
    assert "20,050" in ERRORS[refused.value.code]["zh"].format(**refused.value.values)
    monkeypatch.setattr(zero_shot_handlers, "_looked_at", None)
    given = Given(
        ["a.png"] * 50,
        "\n".join(labels),
        "{}",
        False,
        None,
        ("mini",),
        "en",
        Shown(),
        Current(),
    )
    (shown,) = zero_shot_handlers.run(given)
    assert says in shown.message
    check_count(50, 400)
    monkeypatch.setenv("MMDEMO_LIMITS_SCORES", "50000")
    check_count(50, 1000)


def test_a_cache_file_that_is_nested_too_deep_counts_as_none(mini: Encoder) -> None:
    class Other:
        name, fingerprint = "other", "0123"

    path = cache_path(Other())
    assert path is not None
    path.parent.mkdir(parents=True)
    path.write_text("[" * 100_000)
    assert known_background(Other()) is None


def test_a_set_that_cannot_be_written_leaves_nothing_half(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="No space"):
        write(Background({}, {}, "0123"), "mini", tmp_path / "mini.json")
    assert list(tmp_path.glob("*.tmp")) == []
