"""A file of vectors: `.npy` for these alone, `.npz` with what each of them stands for."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mmdemo.errors import SettingError
from mmdemo.files import replacing
from mmdemo.tasks.embed import EmbedRequest, Vectors

_ENDINGS = (".npy", ".npz")


def check_place(path: Path | None, *, force: bool, printed: bool) -> None:
    """Refuse a file that could not be written, before anything is computed.

    Args:
        path: of the file; None for none.
        force: whether it may replace another.
        printed: whether the vectors are printed, so that there need not be a file.

    Raises:
        SettingError: what is wrong with it.
    """
    if path is None:
        if printed:
            return
        raise SettingError(
            "There is no place for the vectors. Name a file with --out, such as vectors.npy, or "
            "have them printed with --json.",
            "vectors_no_place",
        )
    if path.suffix.lower() not in _ENDINGS:
        raise SettingError(
            f"'{path.name}' ends in neither .npy nor .npz. Take .npy for the vectors alone, or "
            ".npz for vectors, items, model and fingerprint.",
            "vectors_ending",
            name=path.name,
        )
    if not path.absolute().parent.is_dir():
        raise SettingError(
            f"There is no folder '{path.parent}' for '{path.name}'. Make it first.",
            "vectors_no_folder",
            folder=path.parent,
            name=path.name,
        )
    if path.is_dir() or (path.exists() and not force):
        raise SettingError(
            f"'{path}' is there already, and is left as it is. Take another name, or --force to "
            "replace a file.",
            "vectors_there",
            name=path,
        )


def write_vectors(vectors: Vectors, request: EmbedRequest, path: Path, *, force: bool) -> None:
    """Write vectors; whoever opens the file meanwhile sees the old one or none.

    In a `.npy` float32 [n, dim]. In a `.npz` the same as `vectors`, `items` as text [n, 2], the
    picture's name and the text of each, empty where it has none; `model` and `fingerprint` as text.

    Args:
        vectors: the vectors.
        request: what they are of; its pictures are paths.
        path: of the file.
        force: whether it may replace another.

    Raises:
        SettingError: it cannot be written.
    """
    check_place(path, force=force, printed=False)  # somebody may have written it meanwhile
    try:
        with replacing(path) as half, half.open("wb") as file:
            if path.suffix.lower() == ".npy":
                np.save(file, vectors.vectors)
            else:
                np.savez(
                    file,
                    vectors=vectors.vectors,
                    items=np.array(
                        [(str(image or ""), text or "") for image, text in request.items]
                    ),
                    model=np.array(vectors.model),
                    fingerprint=np.array(vectors.fingerprint),
                )
    except OSError as error:
        reason = error.strerror or "there is no room"  # numpy counts bytes, and gives no reason
        raise SettingError(
            f"'{path}' cannot be written: {reason}. Take another place.",
            "vectors_unwritable",
            name=path,
            reason=reason,
        ) from error
