"""What a folder holds besides, or in place of, a model that can be taken as it is.

An adapter of PEFT, integers in the place of weights, the steps of sentence-transformers: left out
silently, each would give numbers of another model than the folder's.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmdemo.encoders.parts.file_names import ADAPTER_CONFIG, ADAPTERS, MODULES, QUANTISED
from mmdemo.encoders.parts.saved_files import read_any_json, read_json
from mmdemo.errors import ModelError
from mmdemo.files import is_there

_QUANTISED_ENTRIES = ("quantization_config", "compression_config")
_PROMPTS = ("PROMPT_TUNING", "P_TUNING", "PREFIX_TUNING", "MULTITASK_PROMPT_TUNING")
"""Kinds of PEFT that change what a model reads, and no weight."""

_POOLING = "pooling_mode_"

_PLAIN_STEPS = ("Transformer", "CLIPModel", "Pooling", "Normalize")
"""Steps of sentence-transformers that are part of the models here: pooling is that of [CLS] or of
the last position, and all vectors are made unit vectors."""


def check_adapter(folder: Path, checkpoint: Path | None) -> None:
    """Refuse a folder with an adapter, which changes the weights of a model that is elsewhere.

    Beside a model too: without it, the numbers would be those of another model. Who wants these
    names the file with the model's weights.

    Raises:
        ModelError: there is one.
    """
    found = [name for name in ADAPTERS if is_there(folder / name)]
    if not found or (checkpoint is not None and checkpoint.name not in ADAPTERS):
        return
    kind, base = _adapter(folder)
    if kind in _PROMPTS:
        raise ModelError(
            f"'{folder.name}' holds an adapter of PEFT ({kind}) for {base}, of a kind that changes "
            "no weights and cannot be shown here. Take a model that was trained whole.",
            "adapter_prompts",
            name=folder.name,
            kind=kind,
            base=base,
        )
    raise ModelError(
        f"'{folder.name}' holds a {kind} adapter of {base}, which is not a model by itself: merge "
        "it first (PEFT's merge_and_unload, then save_pretrained into a new folder) and name that "
        "folder. To use the weights beside it without the adapter, name their file.",
        "adapter",
        name=folder.name,
        kind=kind,
        base=base,
    )


def _adapter(folder: Path) -> tuple[str, str]:
    """Return an adapter's kind and the model that it belongs to, as far as they can be told."""
    try:
        told = read_json(folder, ADAPTER_CONFIG)
    except ModelError:  # missing; or, of a repository, known by name alone
        told = {}
    kind = str(told.get("peft_type") or "LoRA")[:40]
    base = str(told.get("base_model_name_or_path") or "")
    # A path is of the machine where it was trained, or of this one.
    base = base.replace("\\", "/").rstrip("/")
    named = "/".join(base.split("/")[-2:]) if base.count("/") == 1 else base.rpartition("/")[2]
    return "LoRA" if kind == "LORA" else kind, named[:80] or "…"


def check_quantised(folder: Path, config: Mapping[str, Any]) -> None:
    """Refuse a model whose weights are integers, or floats of 8 bits, with their scales apart.

    Raises:
        ModelError: its configuration says so.
    """
    told = [part for part in (config, *config.values()) if isinstance(part, Mapping)]
    entries = [part[name] for part in told for name in _QUANTISED_ENTRIES if part.get(name)]
    files = [name for name in QUANTISED if is_there(folder / name)]
    if not entries and not files:
        return
    method = _method(entries[0]) if entries else files[0]
    raise ModelError(
        f"'{folder.name}' is quantised ({method}): its weights are integers, or floats of 8 bits, "
        "whose scales need a library of their own, which is not used here. Take the model in "
        "float32, float16 or bfloat16.",
        "model_quantised",
        name=folder.name,
        method=method,
    )


def _method(entry: Any) -> str:
    """Return how weights were quantised, as far as an entry of a configuration says."""
    if not isinstance(entry, Mapping):
        return str(entry)[:40]
    if method := entry.get("quant_method"):
        return str(method)[:40]
    older = any(str(name).startswith("load_in_") for name in entry)
    return "bitsandbytes" if older else _QUANTISED_ENTRIES[0]


def model_folder(folder: Path) -> Path:
    """Return where in a folder of sentence-transformers its model is; any other as it is.

    Raises:
        ModelError: the model has steps that are not taken here, or the list of them is damaged.
    """
    listed = folder / MODULES
    if not is_there(listed) or (listed.is_file() and not listed.stat().st_size):
        return folder  # of a repository, known by name alone
    steps = read_any_json(folder, MODULES)
    if not isinstance(steps, list) or not steps or not all(_is_step(step) for step in steps):
        raise ModelError(
            f"The {MODULES} in '{folder.name}' lists no steps of a model. Fetch it again, or name "
            "the folder that has the model's config.json.",
            "modules_damaged",
            name=folder.name,
        )
    inner = folder / steps[0]["path"]
    if more := ", ".join(filter(None, (_more_than_plain(folder, step) for step in steps))):
        raise ModelError(
            f"'{folder.name}' is a model of sentence-transformers with steps that are not taken "
            f"here ({more}), so its vectors would be others. To use the model without them, name "
            "the file with its weights, such as "
            f"{f'{inner.name}/' if inner != folder else ''}model.safetensors.",
            "modules_unknown",
            name=folder.name,
            steps=more,
            file=f"{inner.name}/model.safetensors" if inner != folder else "model.safetensors",
        )
    return inner if (inner / "config.json").exists() else folder


def _more_than_plain(folder: Path, step: Mapping[str, Any]) -> str:
    """Return what a step is where it is no part of the models here; else nothing."""
    kind = str(step["type"]).rpartition(".")[2][:40]
    if kind not in _PLAIN_STEPS:
        return kind
    place = folder / step["path"]
    if kind != "Pooling" or not is_there(place / "config.json"):
        return ""
    told = read_json(place, "config.json")
    older = [n.removeprefix(_POOLING) for n in told if n.startswith(_POOLING) and told[n] is True]
    modes = [str(told.get("pooling_mode", "cls"))[:40], *older]
    others = [mode for mode in modes if mode not in ("cls", "cls_token")]
    return f"{kind}: {', '.join(others)}" if others else ""


def _is_step(step: Any) -> bool:
    """Say whether an entry names a type and a folder that is directly in this one, or this one."""
    if not isinstance(step, Mapping):
        return False
    path = step.get("path")
    plain = isinstance(path, str) and path not in (".", "..") and not {"/", "\\"} & set(path)
    return plain and isinstance(step.get("type"), str)
