"""From a file of weights to a network that was built without memory."""

from __future__ import annotations

import pickle
import re
import tarfile
import zipfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors.torch import load_file
from torch import nn

from mmdemo.encoders.parts import formats
from mmdemo.encoders.parts.file_names import INDEX, WEIGHTS, is_part
from mmdemo.encoders.parts.saved_files import INDEX_BYTES, check_file, read_json
from mmdemo.errors import MMDemoError, ModelError
from mmdemo.files import is_there

_NAMED = 5

_WRAPPINGS = ("state_dict", "model_state_dict", "model", "module")
"""Under what a training script keeps the weights, beside its own state."""

_PREFIXES = ("module.", "_orig_mod.", "model.")
"""What training on several devices, compiling and Lightning put before every name."""

_SMALL = 2**20
"""Numbers of a tensor that is looked through for such as are not finite. A larger one is not: its
bytes would all come from disk. What comes of it is looked at, by `similarity.unit_rows`."""


class Weights(NamedTuple):
    """A state dict, and where it came from.

    Attributes:
        tensors: by name.
        name: of the file, for messages.
    """

    tensors: dict[str, torch.Tensor]
    name: str


def read_weights(folder: Path, checkpoint: Path | None = None) -> Weights:
    """Read the weights of a folder as transformers saves them, whole or in parts.

    Args:
        folder: of the model.
        checkpoint: the file that was named; by default the first of `WEIGHTS` that is there.

    Raises:
        ModelError: there are none, a part is missing, or one cannot be read.
    """
    there = (folder / name for name in WEIGHTS)
    path = checkpoint or next(filter(is_there, there), None)
    if path is None:
        raise _no_weights(folder)
    if is_part(path.name):
        raise ModelError(
            f"{path.name} is one of several parts of a checkpoint. Name the folder '{folder.name}' "
            "in its place: its .index.json says which parts there are.",
            "part_named",
            name=folder.name,
            file=path.name,
        )
    if not path.name.endswith(INDEX):
        return Weights(read_checkpoint(path), path.name)
    tensors: dict[str, torch.Tensor] = {}
    for part in _parts(folder, path.name):
        tensors |= read_checkpoint(folder / part)
    return Weights(tensors, path.name)


def _parts(folder: Path, index: str) -> list[str]:
    """Return the files that an index names: parts in its own folder, and nothing else."""
    listed = read_json(folder, index, INDEX_BYTES).get("weight_map")
    names = sorted({str(name) for name in listed.values()}) if isinstance(listed, dict) else []
    if not names or not all(re.fullmatch(r"\w[\w.-]*\.(safetensors|bin)", name) for name in names):
        raise ModelError(
            f"The {index} in '{folder.name}' names no parts of a checkpoint: they are files beside "
            "it, which end in .safetensors or .bin. Fetch it again from where it was published.",
            "no_parts",
            name=folder.name,
            file=index,
        )
    if missing := listed_keys(n for n in names if not (folder / n).exists()):
        raise ModelError(
            f"The {index} in '{folder.name}' names parts that are not there: {missing}. Fetch them "
            "from where it was published.",
            "parts_missing",
            name=folder.name,
            file=index,
            parts=missing,
        )
    return names


def _no_weights(folder: Path) -> ModelError:
    """Say that a folder has no weights, and what it has in their place."""
    names = [path.name for path in folder.iterdir()]
    accepted = (
        "Accepted: model.safetensors or pytorch_model.bin, whole or in parts with their .index.json"
    )
    if half := formats.half_fetched(names):
        return ModelError(
            f"'{folder.name}' has no weights but {half}, a download that is not complete. Start it "
            f"again. {accepted}.",
            "weights_half_fetched",
            name=folder.name,
            file=half,
        )
    if parts := [name for name in names if is_part(name)]:
        return ModelError(
            f"'{folder.name}' has parts of a checkpoint ({min(parts)}) without the .index.json "
            f"that belongs to them. Fetch it too. {accepted}.",
            "parts_without_index",
            name=folder.name,
            file=min(parts),
        )
    if found := formats.of_files(names):
        return ModelError(
            f"'{folder.name}' has no weights in a format that is read here: {found.seen} is "
            f"{found.format}. {accepted}.",
            "weights_foreign",
            name=folder.name,
            file=found.seen,
            format=found.format,
        )
    return ModelError(
        f"'{folder.name}' has no weights. {accepted}.", "no_weights", name=folder.name
    )


def read_checkpoint(path: Path) -> dict[str, torch.Tensor]:
    """Read a state dict, memory-mapped where its format allows: bytes come when they are used.

    Its content says which format it is, whatever it is called. A pickle is read without running
    anything in it. Turning it into safetensors would save 40 ms of a load, and cost the disk a
    second copy.

    Args:
        path: as `torch.save` writes it, today or before version 1.6, or safetensors.

    Returns:
        Tensors by name. What a training script puts around them, and before all their names, is
        left out.

    Raises:
        ModelError: the file is missing, damaged, or holds something else than tensors by name.
    """
    check_file(path)
    try:
        read = _unwrapped(_read(path))
    except pickle.UnpicklingError as error:
        if not _is_pickle(path):
            raise _damaged(path) from error
        raise ModelError(
            f"{path.name} holds more than weights, perhaps code to be run; it was not loaded. "
            "Fetch it again from where it was published, or save the state dict alone.",
            "more_than_weights",
            file=path.name,
        ) from error
    except (MMDemoError, MemoryError):
        raise
    except Exception as error:  # whatever a damaged file makes of itself
        raise _damaged(path) from error
    if not isinstance(read, dict) or not all(
        isinstance(key, str) and isinstance(tensor, torch.Tensor) for key, tensor in read.items()
    ):
        raise ModelError(
            f"{path.name} is no state dict: it holds something else than tensors. Fetch it again "
            "from where it was published.",
            "no_state_dict",
            file=path.name,
        )
    return _without_prefix(read)


def _read(path: Path) -> Any:
    """Read a file by the format that its first bytes have."""
    with path.open("rb") as file:
        head = file.read(9)
    if head[8:] == b"{":
        return load_file(path)
    if head.startswith(b"PK"):
        with zipfile.ZipFile(path) as archive:
            if any(name.endswith("/constants.pkl") for name in archive.namelist()):
                raise _program(path, "TorchScript")
        return _loaded(path, mmap=True)
    if head[:1] != b"\0" and tarfile.is_tarfile(path):
        raise _program(path, "tar (torch 0.1)")
    if other := _MAGIC.get(head[:4]):
        raise ModelError(
            f"{path.name} is in the format {other}, which is not read here. Accepted: safetensors, "
            "and what torch.save writes of a state dict.",
            "weights_of_format",
            file=path.name,
            format=other,
        )
    # Before version 1.6 there was nothing in it that could be mapped.
    return _loaded(path, mmap=False)


def _loaded(path: Path, *, mmap: bool) -> Any:
    """Read what `torch.save` wrote, whatever its name; no code of it is run."""
    if path.suffix != ".safetensors":
        return torch.load(path, map_location="cpu", weights_only=True, mmap=mmap)
    with path.open("rb") as file:  # by the name, torch would take it for the other format
        return torch.load(file, map_location="cpu", weights_only=True)


_MAGIC = {b"GGUF": "GGUF", b"\x89HDF": "HDF5 (TensorFlow)", b"\x93NUM": "NumPy"}


def _program(path: Path, format_name: str) -> ModelError:
    return ModelError(
        f"{path.name} is in the format {format_name}, which cannot be read without running what is "
        "in it; it was not loaded. Save the state dict alone, with torch.save or as safetensors.",
        "weights_program",
        file=path.name,
        format=format_name,
    )


def _damaged(path: Path) -> ModelError:
    return ModelError(
        f"{path.name} is damaged or cut off. Fetch it again.", "weights_damaged", file=path.name
    )


def _is_pickle(path: Path) -> bool:
    """Say whether a file that could not be read is what `torch.save` writes, and not rubbish."""
    with path.open("rb") as file:
        return file.read(1) == b"\x80" or zipfile.is_zipfile(path)


def _unwrapped(read: Any) -> Any:
    """Return the state dict that a training script has put beside its own state."""
    if isinstance(read, Mapping):
        for name in _WRAPPINGS:
            inner = read.get(name)
            if isinstance(inner, Mapping) and inner:
                return _unwrapped(inner)
        return dict(read)
    return read


def _without_prefix(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Take away what stands before all names."""
    for prefix in _PREFIXES:
        if tensors and all(key.startswith(prefix) for key in tensors):
            return _without_prefix({key[len(prefix) :]: one for key, one in tensors.items()})
    return tensors


def fill(
    network: nn.Module,
    weights: Mapping[str, torch.Tensor],
    name: str,
    official: Callable[[str], str] = str,
    *,
    more: bool = False,
) -> None:
    """Let tensors become the weights of a network that was built on the meta device, as float32.

    What is float32 already is not copied, so a memory-mapped file stays on disk. Buffers that are
    not saved with the weights are left as they are; `check_filled` finds those that nothing filled.

    Args:
        network: whose weights to fill.
        weights: its state dict, by its own names.
        name: of the file, for messages.
        official: what the file calls a weight, for messages.
        more: whether there may be others, which are left alone: heads and counters, but neither
            layers nor adapters, without which it would be another model.

    Raises:
        ModelError: a name is unknown or missing, or a tensor has another shape, is quantised or
            holds what is no number.
    """
    wanted = network.state_dict()
    unknown = [official(key) for key in weights if key not in wanted]
    if missing := [official(key) for key in wanted if key not in weights]:
        raise _not_fitting(name, missing, unknown, len(wanted))
    if left_out := [key for key in unknown if not more or _is_layer(key, wanted)]:
        raise ModelError(
            f"{name} does not fit this model; unknown: {listed_keys(left_out)}. Take the weights "
            "that belong to its config.json.",
            "weights_unknown",
            file=name,
            keys=listed_keys(left_out),
        )
    _check_no_adapter(unknown, name)
    sizes = ((key, weights[key].shape, tensor.shape) for key, tensor in wanted.items())
    if resized := listed_keys(official(key) for key, given, own in sizes if given != own):
        raise ModelError(
            f"{name} does not fit this model; of another size than the configuration says: "
            f"{resized}. Take the weights that belong to its config.json.",
            "weights_resized",
            file=name,
            keys=resized,
        )
    pairs = {key: (weights[key], tensor) for key, tensor in wanted.items()}
    network.load_state_dict(
        {key: _as_wanted(given, own, name, official(key)) for key, (given, own) in pairs.items()},
        assign=True,
    )
    network.eval().requires_grad_(False)


def _is_layer(key: str, wanted: Mapping[str, Any]) -> bool:
    """Say whether a weight is of one more layer than a network has.

    >>> wanted = {"layers.0.bias": 0, "layers.1.bias": 0}
    >>> _is_layer("layers.2.bias", wanted), _is_layer("layers.1.inv_freq", wanted)
    (True, False)
    """
    for number in re.finditer(r"(?<=\.)\d+\.", key):
        layers, own = key[: number.start()], key[: number.end()]
        others = [name for name in wanted if re.match(rf"{re.escape(layers)}\d+\.", name)]
        if others and not any(name.startswith(own) for name in others):
            return True
    return False


def _check_no_adapter(unknown: Iterable[str], name: str) -> None:
    """Refuse weights with an adapter among them, which would be left out.

    Raises:
        ModelError: there is one.
    """
    found = formats.of_keys(unknown)
    if found is not None and found.format == formats.ADAPTER:
        raise ModelError(
            f"{name} holds an adapter (LoRA) beside the weights of its model: {found.seen}. "
            "Without it, the numbers would be those of another model: merge it into the weights "
            "first (PEFT's merge_and_unload), and take what is saved then.",
            "weights_adapter",
            file=name,
            keys=found.seen,
        )


def _not_fitting(name: str, missing: list[str], unknown: list[str], count: int) -> ModelError:
    """Say which weights are missing, which are there in their place, and what that looks like."""
    keys, others = listed_keys(missing), listed_keys(unknown)
    fix = "Take the weights that belong to its config.json."
    if not others:
        return ModelError(
            f"{name} does not fit this model; missing: {keys}. {fix}",
            "weights_missing",
            file=name,
            keys=keys,
        )
    found = formats.of_keys(unknown) if 2 * len(missing) > count else None
    if found is None:
        return ModelError(
            f"{name} does not fit this model; missing: {keys}; there and unknown: {others}. {fix}",
            "weights_other_names",
            file=name,
            keys=keys,
            others=others,
        )
    return ModelError(
        f"{name} does not fit this model; missing: {keys}; there and unknown: {others}. These look "
        f"like the weights of {found.format}. {fix}",
        "weights_foreign_names",
        file=name,
        keys=keys,
        others=others,
        format=found.format,
    )


def _as_wanted(given: torch.Tensor, own: torch.Tensor, name: str, key: str) -> torch.Tensor:
    """Return a tensor in the type that the network computes with.

    Float16, bfloat16 and float64 are numbers of other precision. Integers where the network has
    floats, and floats of 8 bits, are codes: what they stand for is said elsewhere in the file.

    Raises:
        ModelError: it is such a code, or a number in it is not finite.
    """
    if not own.is_floating_point():
        return given.to(own.dtype)
    if not given.is_floating_point() or given.element_size() == 1:
        raise ModelError(
            f"{name} is quantised: {key} is of {str(given.dtype).removeprefix('torch.')}, which is "
            "not read here. Take the weights in float32, float16 or bfloat16.",
            "weights_quantised",
            file=name,
            keys=key,
            kind=str(given.dtype).removeprefix("torch."),
        )
    values = given.float()
    if values.numel() <= _SMALL and not values.isfinite().all():
        raise ModelError(
            f"{name} is damaged: {key} holds infinite numbers or such as are none. Fetch it again "
            "from where it was published.",
            "weights_not_finite",
            file=name,
            keys=key,
        )
    return values


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
    if empty := listed_keys(name for name, tensor in tensors.items() if tensor.is_meta):
        raise ModelError(
            f"Nothing fills {empty}: this version of transformers or timm has tables that mmdemo "
            "does not know. Install the versions in requirements.txt.",
            "not_filled",
            keys=empty,
        )


def listed_keys(keys: Iterable[str]) -> str:
    """Return the first of some names, and how many more there are, in no language."""
    found = sorted(keys)
    more = f", … (+{len(found) - _NAMED})" if len(found) > _NAMED else ""
    return ", ".join(found[:_NAMED]) + more
