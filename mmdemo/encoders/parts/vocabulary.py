"""The tokenizer of a model's folder, whichever files it is in."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

from transformers import AutoTokenizer

from mmdemo.encoders.parts.file_names import READER_FILES
from mmdemo.encoders.parts.saved_files import reader_files
from mmdemo.errors import ModelError
from mmdemo.versions import check_version

_SENTENCEPIECE = tuple(name for name in READER_FILES if name.endswith(".model"))
_ACCEPTED = ("tokenizer.json", "vocab.txt", "vocab.json", *_SENTENCEPIECE)
_LEAST_USED = 0.9
_PACKAGES = {"sentencepiece": "sentencepiece", "protobuf": "google.protobuf"}
"""What transformers reads SentencePiece's own files with, and how it is imported."""


def load_tokenizer(folder: Path, config: Any) -> Any:
    """Load a tokenizer of transformers; no code of the folder is run, nothing is fetched.

    Args:
        folder: with the tokenizer's files.
        config: of the text encoder that reads its ids.

    Raises:
        ModelError: the files are missing, damaged, of another model, or need packages that are not
            installed.
        SettingError: transformers is older than what is safe.
    """
    check_version("transformers")
    try:
        with reader_files(folder) as place:
            tokenizer: Any = AutoTokenizer.from_pretrained(
                place, local_files_only=True, trust_remote_code=False
            )
    except ModelError:
        raise
    except Exception as error:  # whatever a damaged or missing file makes of itself
        raise _unloadable(folder, error) from error
    # Without its files, transformers makes a tokenizer of special tokens alone, and no error.
    if tokenizer.get_vocab().keys() <= set(tokenizer.all_special_tokens):
        raise _unloadable(folder, None)
    # A vocabulary may be rounded up beyond its tokens, by a few of each thousand.
    if not _LEAST_USED * config.vocab_size <= len(tokenizer) <= config.vocab_size:
        raise ModelError(
            f"The tokenizer in '{folder.name}' has {len(tokenizer)} tokens, config.json "
            f"{config.vocab_size}: they belong to different models.",
            "tokenizer_of_another",
            name=folder.name,
            count=len(tokenizer),
            known=config.vocab_size,
        )
    _check_reads(folder, tokenizer)
    return tokenizer


def _check_reads(folder: Path, tokenizer: Any) -> None:
    """Find what nothing but a text shows: no token for what is not known, perhaps."""
    try:
        tokenizer(["a \u2603 \u4e2d"], padding=False, truncation=False, verbose=False)
    except Exception as error:  # of the library `tokenizers`, which has no other class
        raise _unloadable(folder, error) from error


def _unloadable(folder: Path, error: Exception | None) -> ModelError:
    """Say what a tokenizer lacks: packages, where that is it, or files."""
    only = not (folder / "tokenizer.json").exists()
    pieces = next((name for name in _SENTENCEPIECE if (folder / name).is_file()), "")
    if isinstance(error, ImportError) or (only and pieces and _packages_missing()):
        given = f" ({pieces} without tokenizer.json)" if pieces and only else ""
        return ModelError(
            f"The tokenizer in '{folder.name}'{given} needs more packages: pip install "
            "sentencepiece protobuf. Or fetch its tokenizer.json, which needs none.",
            "tokenizer_packages",
            name=folder.name,
        )
    return ModelError(
        f"The tokenizer files in '{folder.name}' are missing or damaged. It takes "
        f"tokenizer_config.json and one of {', '.join(_ACCEPTED)}.",
        "tokenizer_damaged",
        name=folder.name,
        files=", ".join(_ACCEPTED),
    )


def _packages_missing() -> bool:
    """Say whether one of the packages is not installed that SentencePiece's files are read with."""
    try:
        return not all(map(importlib.util.find_spec, _PACKAGES.values()))
    except ModuleNotFoundError:  # not even the package around it
        return True
