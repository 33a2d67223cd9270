"""From a file of weights to a network that was built without memory."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from mmdemo.errors import ModelError

_NAMED = 5


def read_json(folder: Path, name: str) -> dict[str, Any]:
    """Read a JSON object from a model's folder.

    Raises:
        ModelError: the file is missing, damaged, or holds something else.
    """
    try:
        read = json.loads((folder / name).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(
            f"The folder '{folder.name}' has no readable {name}. Fetch it again from where it was "
            "published.",
            "no_json",
            name=folder.name,
            file=name,
        ) from error
    if not isinstance(read, dict):
        raise ModelError(
            f"The {name} in the folder '{folder.name}' is not a JSON object. Fetch it again from "
            "where it was published.",
            "no_json_object",
            name=folder.name,
            file=name,
        )
    return read


def read_checkpoint(path: Path) -> dict[str, torch.Tensor]:
    """Read a state dict, memory-mapped: bytes come from disk when they are first used.

    A `.pth` is read without running anything in it. Turning it into safetensors would save 40 ms of
    a load, and cost the disk a second copy.

    Args:
        path: `.pth` or `.bin` as `torch.save` writes it, or `.safetensors`.

    Raises:
        ModelError: the file is missing, damaged, or holds something else than tensors by name.
    """
    try:
        if path.suffix == ".safetensors":
            read = load_file(path)
        else:
            read = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except pickle.UnpicklingError as error:
        raise ModelError(
            f"{path.name} holds more than weights, perhaps code to be run; it was not loaded. "
            "Fetch it again from where it was published.",
            "more_than_weights",
            file=path.name,
        ) from error
    except (OSError, RuntimeError, ValueError, SafetensorError) as error:
        raise ModelError(
            f"{path.name} is missing, damaged or cut off. Fetch it again.",
            "weights_damaged",
            file=path.name,
        ) from error
    if not isinstance(read, dict) or not all(isinstance(t, torch.Tensor) for t in read.values()):
        raise ModelError(
            f"{path.name} is no state dict: it holds something else than tensors. Fetch it again "
            "from where it was published.",
            "no_state_dict",
            file=path.name,
        )
    return read


def fill(
    network: nn.Module,
    weights: Mapping[str, torch.Tensor],
    name: str,
    official: Callable[[str], str] = str,
) -> None:
    """Let tensors become the weights of a network that was built on the meta device.

    They are not copied, so a memory-mapped file stays on disk. Buffers that are not saved with the
    weights are left as they are; `check_filled` finds those that nothing filled.

    Args:
        network: whose weights to fill.
        weights: exactly its state dict, by its own names.
        name: of the file, for messages.
        official: what the file calls a weight, for messages.

    Raises:
        ModelError: a name is unknown or missing, or a tensor has another shape.
    """
    wanted = network.state_dict()
    if missing := _listed(official(key) for key in wanted if key not in weights):
        raise ModelError(
            f"{name} does not fit this model; missing: {missing}. Take the weights that belong to "
            "its config.json.",
            "weights_missing",
            file=name,
            keys=missing,
        )
    if unknown := _listed(official(key) for key in weights if key not in wanted):
        raise ModelError(
            f"{name} does not fit this model; unknown: {unknown}. Take the weights that belong to "
            "its config.json.",
            "weights_unknown",
            file=name,
            keys=unknown,
        )
    sizes = ((key, weights[key].shape, tensor.shape) for key, tensor in wanted.items())
    if resized := _listed(official(key) for key, given, own in sizes if given != own):
        raise ModelError(
            f"{name} does not fit this model; of another size than the configuration says: "
            f"{resized}. Take the weights that belong to its config.json.",
            "weights_resized",
            file=name,
            keys=resized,
        )
    network.load_state_dict(weights, assign=True)
    network.eval().requires_grad_(False)


def fill_counters(embeddings: nn.Module, count: int) -> None:
    """Give BERT's embeddings their index buffers, which no checkpoint holds.

    Empty, they would raise no error and turn texts into garbage.

    Args:
        embeddings: of BERT or XLM-R.
        count: `max_position_embeddings` of its configuration.
    """
    counters = {"position_ids": torch.arange(count), "token_type_ids": torch.zeros(count).long()}
    for name, counter in counters.items():
        embeddings.register_buffer(name, counter[None], persistent=False)


def check_filled(network: nn.Module) -> None:
    """Make sure that nothing is left on the meta device, where it would compute garbage.

    Raises:
        ModelError: something is; the message names it.
    """
    tensors = {**dict(network.named_parameters()), **dict(network.named_buffers())}
    if empty := _listed(name for name, tensor in tensors.items() if tensor.is_meta):
        raise ModelError(
            f"Nothing fills {empty}: this version of transformers or timm has tables that mmdemo "
            "does not know. Install the versions in requirements.txt.",
            "not_filled",
            keys=empty,
        )


def _listed(keys: Iterable[str]) -> str:
    """Return the first of some keys, and how many more there are, in no language."""
    found = sorted(keys)
    more = f", … (+{len(found) - _NAMED})" if len(found) > _NAMED else ""
    return ", ".join(found[:_NAMED]) + more
