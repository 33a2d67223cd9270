"""A model as the page shows it: what it can do, and its way to this machine."""

from __future__ import annotations

from markupsafe import Markup

from mmdemo.encoders.spec import ModelSpec
from mmdemo.errors import MMDemoError
from mmdemo.models.files import on_this_machine
from mmdemo.progress import size_text
from mmdemo.types import Modality
from mmdemo.ui.parts import long_work
from mmdemo.ui.parts.markup import error_message
from mmdemo.ui.parts.models.downloads import Download
from mmdemo.ui.strings import Language, say


def facts(spec: ModelSpec, language: Language) -> Markup:
    """Return what a model can do, its size, languages, and whether it is on this machine."""
    able: tuple[tuple[Modality, str, str], ...] = (
        ("text", say(language, "can_text"), _of_texts(spec, language)),
        ("image", say(language, "can_image"), ""),
        ("fused", say(language, "can_fused"), say(language, f"fusion_{spec.fusion}")),
    )
    items = [
        Markup('<li class="able">✓ {}{}</li>').format(label, f" ({how})" if how else "")
        if modality in spec.modalities
        else Markup("<li>✗ {}</li>").format(label)
        for modality, label, how in able
    ]
    where = "on_machine" if on_this_machine(spec) else "not_on_machine"
    plain = (
        say(language, "dimensions", dim=spec.dim),
        model_size(spec),
        ", ".join(say(language, f"language_{code}") for code in spec.languages),
        say(language, where),
        spec.licence,
    )
    items += [Markup("<li>{}</li>").format(text) for text in plain if text]
    return Markup('<ul class="mm-facts">{}</ul>').format(Markup().join(items))


def _of_texts(spec: ModelSpec, language: Language) -> str:
    """Return what a model makes of a text; nothing for one that makes a single vector of it."""
    if len(spec.representations) == 1:
        return ""
    return ", ".join(say(language, f"rank_{name}") for name in spec.representations)


def model_size(spec: ModelSpec) -> str:
    """Return what a model takes on disk."""
    return size_text(spec.size_mb * 1e6)


def download(spec: ModelSpec, running: Download | None, language: Language) -> Markup:
    """Return how far the download of a model is, why it ended, or what it would cost."""
    if running is None:
        licence = spec.licence or say(language, "licence_unknown")
        return _box(say(language, "download_cost", size=model_size(spec), licence=licence))
    if running.ended:
        reason = isinstance(running.error, MMDemoError) and error_message(running.error, language)
        return _box(reason or say(language, "download_done"))
    if running.progress is None:
        return _box(say(language, "download_asking", size=model_size(spec)))
    return long_work.bar(running.progress, language, spec.title)


def refusal(reason: str) -> Markup:
    """Return why a model cannot be had."""
    return _box(reason)


def _box(text: str) -> Markup:
    return Markup('<p class="mm-download" role="status">{}</p>').format(text)
