"""Inputs that people of this trade complained of in public, and what comes of each.

Each is asked through every door that takes it: the library, the shell, an endpoint, the page. A
door returns what was said, notes and all, and the numbers, none where it was refused.
`python -m bench.cases` prints them all as a table.
"""

from __future__ import annotations

import contextlib
import io
import json
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageCms, PngImagePlugin
from safetensors.torch import load_file

from mmdemo import EmbedRequest, classify, compare, load_encoder, rank_passages
from mmdemo.cli import main
from mmdemo.errors import MMDemoError
from mmdemo.examples import FOLDER
from mmdemo.images.profiles import described
from mmdemo.tasks.passages import open_document, split_document
from mmdemo.ui.tabs.similarity import handlers as of_similarity
from mmdemo.ui.tabs.text import handlers as of_text
from mmdemo.ui.tabs.zero_shot import handlers as of_zero_shot
from mmdemo.work import Current
from tests.held import ask, upload
from tests.tiff_files import Stored, tiff
from tests.tiny_models import tiny_clip

GERMAN = "Wir üben täglich große Sprünge.\n\nDas Brot ist für den Müller.\n"
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"
BEE, WHALE = FOLDER / "bee.jpg", FOLDER / "whale.png"


@dataclass(frozen=True)
class Answer:
    """What a door answers.

    Attributes:
        said: the sentence that it was refused with, or the notes, or all that the page shows.
        numbers: those of the result, by name; None where it was refused.
    """

    said: str
    numbers: Mapping[str, Any] | None


@dataclass(frozen=True)
class House:
    """What the doors need.

    Attributes:
        folder: for files.
        address: of a page.
    """

    folder: Path
    address: str


Door: TypeAlias = Callable[[Any, House], Answer]


def _of_result(result: Any) -> Answer:
    told = result.to_dict()
    return Answer("\n".join(told["notes"]), told)


def _tried(ask_it: Callable[[], Answer]) -> Answer:
    try:
        return ask_it()
    except MMDemoError as error:
        return Answer(str(error), None)


def _shell(*arguments: str) -> Answer:
    out, error = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8") for _ in range(2))
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(error):
        status = main([*arguments, "--json"])
    for stream in (out, error):
        stream.seek(0)
    if status:
        return Answer(error.read(), None)
    told = json.loads(out.read())
    return Answer("\n".join([*told["notes"], error.read()]), told)


def _endpoint(house: House, name: str, *given: Any) -> Answer:
    kind, told = ask(house.address, name, list(given))
    if kind == "error":
        return Answer(told["error"], None)
    return Answer("\n".join(told["notes"]), told)


def _page(results: Any, found: Callable[[Any], Any]) -> Answer:
    """Return all that a handler's answers change, in words, and the result that is shown."""
    shown, last = "", None
    for one in results:
        for name, value in vars(one).items():
            if name == "shown":
                last = value
            elif isinstance(value, str | dict):
                shown += f"{value}\n"
    result = None if last is None or isinstance(last, dict) else found(last)
    return Answer(shown, None if result is None else result.to_dict())


def asdict_shallow(one: Any) -> dict[str, Any]:
    """Return a dataclass' fields by name, as they are."""
    return {name: getattr(one, name) for name in one.__dataclass_fields__}


# A picture: a path.


def picture_in_python(path: Path, _house: House) -> Answer:
    return _tried(lambda: _of_result(EmbedRequest.of([path], []).run(load_encoder("mini"))))


def picture_in_shell(path: Path, _house: House) -> Answer:
    return _shell("embed", str(path))


def picture_at_endpoint(path: Path, house: House) -> Answer:
    return _endpoint(house, "embed", [upload(house.address, path)], [], False, "mini")


def picture_on_page(path: Path, _house: House) -> Answer:
    given = of_similarity.Given(
        str(path), str(WHALE), "a bee", "", "mini", (), "en", of_similarity.Shown()
    )
    return _page(of_similarity.run(given), lambda shown: shown.results[0])


# Labels, with a photo of a bee.


def labels_in_python(labels: Any, _house: House) -> Answer:
    return _tried(lambda: _of_result(classify(load_encoder("mini"), BEE, labels)))


def labels_in_shell(labels: Any, _house: House) -> Answer:
    text = labels if isinstance(labels, str) else "\n".join(labels)
    return _shell("classify", str(BEE), "--labels", text)


def labels_at_endpoint(labels: Any, house: House) -> Answer:
    return _endpoint(
        house, "classify", [upload(house.address, BEE)], labels, "openai-7", False, "mini"
    )


def labels_on_page(labels: Any, _house: House) -> Answer:
    given = of_zero_shot.Given(
        [str(BEE)],
        labels if isinstance(labels, str) else "\n".join(labels),
        "a photo of a {}.",
        False,
        None,
        ("mini",),
        "en",
        of_zero_shot.Shown(),
        Current(),
    )
    return _page(of_zero_shot.run(given), lambda shown: shown.results[0] if shown.results else None)


# A text, compared with two photos.


def text_in_python(text: str, _house: House) -> Answer:
    return _tried(lambda: _of_result(compare(load_encoder("mini"), BEE, WHALE, text)))


def text_in_shell(text: str, _house: House) -> Answer:
    return _shell("compare", str(BEE), str(WHALE), text)


def text_at_endpoint(text: str, house: House) -> Answer:
    pictures = [upload(house.address, path) for path in (BEE, WHALE)]
    return _endpoint(house, "compare", *pictures, text, "mini")


def text_on_page(text: str, _house: House) -> Answer:
    given = of_similarity.Given(
        str(BEE), str(WHALE), text, "", "mini", (), "en", of_similarity.Shown()
    )
    return _page(
        of_similarity.run(given), lambda shown: shown.results[0] if shown.results else None
    )


# A document, searched for something.


def document_in_python(path: Path, _house: House) -> Answer:
    def asked() -> Answer:
        document = open_document(path)
        ranking = rank_passages(load_encoder("mini"), "day", split_document(document.text))
        return Answer(f"{document.encoding}, {ranking.notes}", ranking.to_dict())

    return _tried(asked)


def document_in_shell(path: Path, _house: House) -> Answer:
    return _shell("rank", "day", str(path))


def document_on_page(path: Path, _house: House) -> Answer:
    loaded = of_text.load_document([str(path)], "en")
    given = of_text.Given(
        "day",
        loaded.passages,
        False,
        "mini",
        (1, 1, 1),
        None,
        "en",
        loaded.document,
        of_text.Shown(),
        Current(),
    )
    answer = _page(of_text.run(given), lambda shown: shown.ranking)
    return Answer(f"{loaded.message}\n{answer.said}", answer.numbers)


# A folder with a model, asked for the vector of a text.


def folder_in_python(path: Path, _house: House) -> Answer:
    def asked() -> Answer:
        return _of_result(EmbedRequest.of([], ["red car"]).run(load_encoder(str(path))))

    return _tried(asked)


def folder_in_shell(path: Path, _house: House) -> Answer:
    return _shell("embed", "--text", "red car", "--model", str(path))


def folder_at_endpoint(path: Path, house: House) -> Answer:
    return _endpoint(house, "embed", [], ["red car"], False, str(path))


DOORS: Mapping[str, tuple[Door, ...]] = {
    "picture": (picture_in_python, picture_in_shell, picture_at_endpoint, picture_on_page),
    "labels": (labels_in_python, labels_in_shell, labels_at_endpoint, labels_on_page),
    "text": (text_in_python, text_in_shell, text_at_endpoint, text_on_page),
    "folder": (folder_in_python, folder_in_shell, folder_at_endpoint),
    "document": (document_in_python, document_in_shell, document_on_page),
}


@dataclass(frozen=True)
class Case:
    """An input, and what is right.

    Attributes:
        kind: a key of `DOORS`.
        made: what is asked; a file is made in the folder that it is given.
        says: what every door says, among other things; nothing where there is nothing to say.
        refused: whether there are no numbers.
        as_if: another input of the kind, whose numbers it must have.
        within: how far they may be from those.
    """

    kind: str
    made: Callable[[Path], Any]
    says: str = ""
    refused: bool = False
    as_if: Callable[[Path], Any] | None = None
    within: float = 1e-6


def _plainly(value: Any) -> Callable[[Path], Any]:
    return lambda _folder: value


def _file(name: str, data: bytes) -> Callable[[Path], Path]:
    def made(folder: Path) -> Path:
        path = folder / name
        path.write_bytes(data)
        return path

    return made


def _bee(side: int = 96) -> Image.Image:
    with Image.open(BEE) as picture:
        return picture.convert("RGB").resize((side, side))


def _grey(low: float, high: float, kind: str) -> NDArray[np.generic]:
    """Return the photo's shades as numbers between two, [height, width, 1]."""
    shades = np.asarray(_bee().convert("L"), dtype=np.float64)[..., None]
    least, most = shades.min(), shades.max()
    return (low + (shades - least) / (most - least) * (high - low)).astype(kind)


def _with_gap(gap: float) -> NDArray[np.generic]:
    numbers = _grey(812.0, 2950.0, "f4")
    numbers[:20, :20] = gap
    return numbers


def _saved(format: str, picture: Image.Image | None = None, **options: Any) -> bytes:
    file = io.BytesIO()
    (picture or _bee()).save(file, format, **options)
    return file.getvalue()


def _plain_picture() -> Callable[[Path], Path]:
    return _file("plain.png", _saved("PNG"))


def _spread(low: int = 0) -> Callable[[Path], Path]:
    """Return the photo as it looks where its shades are spread from black to white."""
    return _file(f"spread{low}.png", _saved("PNG", Image.fromarray(_grey(low, 255, "u1")[..., 0])))


def _wide_gamut() -> bytes:
    profile = described(1.8, (0.3457, 0.3585, 0.7347, 0.2653, 0.1596, 0.8404, 0.0366, 0.0001))
    as_numbers = ImageCms.profileToProfile(
        _bee(),
        ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")),
        ImageCms.ImageCmsProfile(io.BytesIO(profile)),
    )
    return _saved("PNG", as_numbers, icc_profile=profile)


def _long_texts() -> bytes:
    told = PngImagePlugin.PngInfo()
    for number in range(3):
        told.add_text(f"Comment {number}", "x" * 1_000_000, zip=True)
    return _saved("PNG", pnginfo=told)


def _clip(
    changed: Callable[[Path], None] = lambda _: None,
) -> Callable[[Path], Path]:
    """Return what makes a folder with a small CLIP, and then something of it."""

    def made(folder: Path) -> Path:
        place = Path(tempfile.mkdtemp(dir=folder)) / "model"
        tiny_clip(place)
        changed(place)
        return place

    return made


def _in_parts(place: Path) -> None:
    weights = load_file(place / "model.safetensors")
    (place / "model.safetensors").unlink()
    names = sorted(weights)
    parts = {"a.bin": names[::2], "b.bin": names[1::2]}
    for part, own in parts.items():
        torch.save({name: weights[name] for name in own}, place / part)
    told = {"weight_map": {name: part for part, own in parts.items() for name in own}}
    (place / "pytorch_model.bin.index.json").write_text(json.dumps(told))


def _of_other_times(place: Path) -> None:
    weights = load_file(place / "model.safetensors")
    (place / "model.safetensors").unlink()
    torch.save(weights, place / "pytorch_model.bin", _use_new_zipfile_serialization=False)


def _with_mark(place: Path) -> None:
    told = (place / "config.json").read_text(encoding="utf-8")
    (place / "config.json").write_text(told, encoding="utf-8-sig")


def _adapted(place: Path) -> None:
    told = {"peft_type": "LORA", "base_model_name_or_path": "openai/clip-vit-base-patch32"}
    (place / "adapter_config.json").write_text(json.dumps(told))


def _quantised(place: Path) -> None:
    told = json.loads((place / "config.json").read_text(encoding="utf-8"))
    told["quantization_config"] = {"quant_method": "bitsandbytes", "load_in_8bit": True}
    (place / "config.json").write_text(json.dumps(told))


def _pointing(place: Path) -> None:
    (place / "model.safetensors").write_bytes(POINTER)


CASES: Mapping[str, Case] = {
    "a model in parts": Case("folder", _clip(_in_parts), as_if=_clip()),
    "a checkpoint of other times": Case("folder", _clip(_of_other_times), as_if=_clip()),
    "a config.json with a byte order mark": Case("folder", _clip(_with_mark), as_if=_clip()),
    "an adapter beside a model": Case("folder", _clip(_adapted), "merge it", refused=True),
    "a quantised model": Case("folder", _clip(_quantised), "bitsandbytes", refused=True),
    "a pointer in the place of weights": Case(
        "folder", _clip(_pointing), "git lfs pull", refused=True
    ),
    "a photo in ProPhoto RGB": Case(
        "picture", _file("prophoto.png", _wide_gamut()), as_if=_plain_picture(), within=0.02
    ),
    "a scan in signed numbers": Case(
        "picture",
        _file("ct.tif", tiff(_grey(-1024, 1016, "i2"))),
        "Grey values -1,024 to 1,016 were spread",
        as_if=_spread(),
        within=0.02,
    ),
    "12 bits in 16": Case(
        "picture",
        _file("dicom.tif", tiff(_grey(0, 4095, "u2"))),
        "Grey values 0 to 4,095 were spread",
        as_if=_spread(),
        within=0.02,
    ),
    "heights, with a value for no data": Case(
        "picture",
        _file("heights.tif", tiff(_with_gap(-9999.0), t42113=b"-9999")),
        "There is no data in",
    ),
    "heights, with the least of all floats for no data": Case(
        "picture",
        _file("least.tif", tiff(_with_gap(-3.4028235e38), t42113=b"-3.4028234663852886e+38")),
        "There is no data in",
        as_if=_file("heights9.tif", tiff(_with_gap(-9999.0), t42113=b"-9999")),
    ),
    "colours as floats": Case(
        "picture",
        _file("float.tif", tiff((np.asarray(_bee()) / 255.0).astype("f4"), Stored(photo=2))),
        as_if=_plain_picture(),
    ),
    "three megabytes of comments": Case(
        "picture", _file("comments.png", _long_texts()), as_if=_plain_picture()
    ),
    "an icon": Case(
        "picture", _file("icon.ico", _saved("ICO", sizes=[(96, 96)])), as_if=_plain_picture()
    ),
    "a photo that is cut off": Case(
        "picture", _file("cut.jpg", _saved("JPEG")[:1500]), "damaged or cut off", refused=True
    ),
    "a pointer in the place of a photo": Case(
        "picture",
        _file("pointer.jpg", POINTER),
        "run git lfs pull",
        refused=True,
    ),
    "a photo in JPEG XL": Case(
        "picture", _file("photo.jxl", b"\xff\x0a" + bytes(60)), "JPEG XL", refused=True
    ),
    "a web page called photo.jpg": Case(
        "picture", _file("page.jpg", b"<!doctype html><p>Not found"), "web page", refused=True
    ),
    "labels that are emoji": Case("labels", _plainly("🐝, 🐶, 🍕"), "🐝"),
    "labels in traditional characters": Case(
        "labels", _plainly("蜜蜂,麵包,藍鯨,燈塔"), as_if=_plainly("蜜蜂,面包,蓝鲸,灯塔")
    ),
    "labels in full-width letters": Case(
        "labels", _plainly("ｂｅｅ，ｄｏｇ"), as_if=_plainly("bee,dog")
    ),
    "a list of labels, as Python writes it": Case(
        "labels", _plainly("['bee', 'dog']"), as_if=_plainly("bee, dog")
    ),
    "a list of labels, as JSON": Case(
        "labels", _plainly('["bee", "dog"]'), as_if=_plainly("bee, dog")
    ),
    "labels that the model does not tell apart": Case(
        "labels", _plainly("Bee, bee, BEE, dog"), "BEE"
    ),
    "a label that nobody sees": Case(
        "labels", _plainly("\u200b, \ufeff"), "no labels", refused=True
    ),
    "half a sign": Case("text", _plainly("a bee \ud83d"), "half of a sign", refused=True),
    "a text that nobody sees": Case("text", _plainly("\u200b\ufeff"), "empty", refused=True),
    "a document in Windows-1252": Case(
        "document",
        _file("de.txt", GERMAN.encode("cp1252")),
        "Windows-1252",
        as_if=_file("de.md", GERMAN.encode()),
    ),
}
