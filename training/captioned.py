"""Captioned pictures of the registry packages: what `mini` is trained on, and what it is tested on.

One function a package turns its files and names into `Captioned` rows. Nothing is rendered here.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, TypeAlias

from training.packages import unpacked
from training.words import ICON_PARK, emojibase, pairs

Kind: TypeAlias = Literal["emoji", "icon", "logo", "flag", "clip art"]

VENDORS = {
    "google": "npm:emoji-datasource-google@16.0.0",
    "twitter": "npm:emoji-datasource-twitter@16.0.0",
    "facebook": "npm:emoji-datasource-facebook@16.0.0",
    "apple": "npm:emoji-datasource-apple@16.0.0",
    "openmoji": "npm:openmoji@17.0.0",
}
TRAINED_VENDORS = ("google", "twitter")  # the others are for evaluation only
MDI = "npm:@mdi/svg@7.4.47"
LUCIDE = "npm:lucide-static@1.62.0"
PHOSPHOR = "npm:@phosphor-icons/core@2.1.1"
SIMPLE = "npm:simple-icons@16.37.0"
FLAGS = "npm:flag-icons@7.5.0"
REMIX = "npm:remixicon@3.5.0"  # evaluation only: icons of a vendor that was never trained on
CLIP_ART = "openclipart-svg", "openclipart-png"
SHIPPED = Path(__file__).with_name("pictures.json")

TONES = ("light", "medium-light", "medium", "medium-dark", "dark")
TONES_ZH = ("较浅肤色", "中等-浅肤色", "中等肤色", "中等-深肤色", "较深肤色")
_CAP = 6  # clip art with the same title: 99 stars teach no more than six


@dataclass(frozen=True)
class Captioned:
    """A picture and its names.

    Attributes:
        source: the package's short name; for emoji the vendor.
        kind: what sort of picture it is.
        file: a PNG, an SVG, or for `icon-park` a script that holds one.
        english: its name, lower case.
        chinese: the same in Chinese, or "".
        keywords: more English words, never needed to understand it.
        single_colour: one shape that may be drawn in any colour.
        code: code points of an emoji, without its skin tone, or "".
        tone: skin tone, 1 (light) to 5 (dark), 0 for none.
    """

    source: str
    kind: Kind
    file: Path
    english: str
    chinese: str = ""
    keywords: tuple[str, ...] = ()
    single_colour: bool = False
    code: str = ""
    tone: int = 0


def training_pictures(cache: Path) -> list[Captioned]:
    """Return every picture that may be trained on, the held-out concepts still among them."""
    shipped = {Path(row["path"]).stem for row in json.loads(SHIPPED.read_text("utf-8"))}
    emoji_rows = [row for vendor in TRAINED_VENDORS for row in emoji(vendor, cache)]
    others = [mdi, lucide, phosphor, icon_park, simple_icons, flag_icons]
    rows = [*emoji_rows, *(row for read in others for row in read(cache))]
    # The background set says what unrelated pictures score: it must not be known by heart.
    return rows + [row for row in clip_art(cache) if row.file.stem not in shipped]


def emoji(vendor: str, cache: Path) -> Iterator[Captioned]:
    """Yield a vendor's emoji, each skin tone a picture of its own."""
    english, chinese = emojibase(cache, "en"), emojibase(cache, "zh")
    files = _openmoji_files(cache) if vendor == "openmoji" else _sheet_files(vendor, cache)
    for code, row in english.items():
        other = chinese.get(code, {})
        kind: Kind = "flag" if row["label"].startswith("flag: ") else "emoji"
        tones = [(code, 0, row, other)]
        skins = {skin["hexcode"]: skin for skin in other.get("skins", [])}
        for skin in row.get("skins", []):
            if isinstance(skin.get("tone"), int):
                tones.append((skin["hexcode"], skin["tone"], skin, skins.get(skin["hexcode"], {})))
        for hexcode, tone, named, translated in tones:
            file = files.get(_plain(hexcode))
            if file is not None:
                yield Captioned(
                    source=vendor,
                    kind=kind,
                    file=file,
                    english=_label(named["label"]),
                    chinese=_label(translated.get("label", "")),
                    keywords=tuple(row.get("tags", ())),
                    code=code,
                    tone=tone,
                )


def _label(label: str) -> str:
    """Return a label as one would say it.

    >>> _label("flag: Japan"), _label("waving hand: dark skin tone")
    ('the flag of japan', 'waving hand with dark skin tone')
    """
    label = re.sub(r"^flag: (.*)", r"the flag of \1", label)
    label = re.sub(r"^旗[：:] ?(.*)", r"\1国旗", label)
    label = re.sub(r": (.* skin tone)$", r" with \1", label)
    return label.replace(": ", ", ").lower()


def _plain(hexcode: str) -> str:
    """Return code points without variation selectors, which packages write at will."""
    return "-".join(part for part in hexcode.upper().split("-") if part != "FE0F")


@lru_cache(maxsize=8)
def _sheet_files(vendor: str, cache: Path) -> dict[str, Path]:
    folder = unpacked(VENDORS[vendor], cache) / "package/img" / vendor / "64"
    return {_plain(file.stem): file for file in sorted(folder.glob("*.png"))}


@lru_cache(maxsize=1)
def _openmoji_files(cache: Path) -> dict[str, Path]:
    folder = unpacked(VENDORS["openmoji"], cache) / "package/color/svg"
    return {_plain(file.stem): file for file in sorted(folder.glob("*.svg"))}


def mdi(cache: Path) -> Iterator[Captioned]:
    """Yield Material Design Icons; a name such as `bell-off-outline` is read as words."""
    root = unpacked(MDI, cache) / "package"
    for row in json.loads((root / "meta.json").read_text(encoding="utf-8")):
        words = tuple(alias.replace("-", " ") for alias in row["aliases"])
        if row["name"].endswith("-outline"):
            continue  # the same shape again, by its edge
        name = re.sub(r"-(outline|variant)(?=-|$)", "", row["name"]).replace("-", " ")
        yield Captioned(
            "mdi", "icon", root / "svg" / f"{row['name']}.svg", name, "", words, single_colour=True
        )


def lucide(cache: Path) -> Iterator[Captioned]:
    """Yield Lucide's line icons."""
    root = unpacked(LUCIDE, cache) / "package"
    for name, tags in json.loads((root / "tags.json").read_text(encoding="utf-8")).items():
        file = root / "icons" / f"{name}.svg"
        if file.is_file():
            words = name.replace("-", " ")
            yield Captioned("lucide", "icon", file, words, "", tuple(tags), single_colour=True)


def phosphor(cache: Path) -> Iterator[Captioned]:
    """Yield Phosphor's icons in two of their six styles."""
    root = unpacked(PHOSPHOR, cache) / "package/assets"
    for style in ("fill", "duotone"):
        for file in sorted((root / style).glob("*.svg")):
            name = file.stem.removesuffix(f"-{style}").replace("-", " ")
            yield Captioned("phosphor", "icon", file, name, single_colour=True)


def icon_park(cache: Path) -> Iterator[Captioned]:
    """Yield ByteDance's IconPark, which has Chinese names."""
    root = unpacked(ICON_PARK, cache) / "package"
    for row in json.loads((root / "icons.json").read_text(encoding="utf-8")):
        stem = "".join(part[:1].upper() + part[1:] for part in row["name"].split("-"))
        file = root / "es/icons" / f"{stem}.js"
        if file.is_file():
            name = row["name"].replace("-", " ")
            yield Captioned("icon-park", "icon", file, name, row["title"])


def simple_icons(cache: Path) -> Iterator[Captioned]:
    """Yield the logos of brands (CC0; trademarks remain with their owners)."""
    root = unpacked(SIMPLE, cache) / "package"
    for row in json.loads((root / "data/simple-icons.json").read_text(encoding="utf-8")):
        file = root / "icons" / f"{row.get('slug', '')}.svg"
        if file.is_file():
            name = f"the {row['title'].lower()} logo"
            yield Captioned("simple-icons", "logo", file, name, single_colour=True)


def flag_icons(cache: Path) -> Iterator[Captioned]:
    """Yield the flags of countries, with Chinese names from CLDR."""
    root = unpacked(FLAGS, cache) / "package"
    chinese = {pair.english: pair.chinese for pair in pairs(cache) if pair.source == "place"}
    for row in json.loads((root / "country.json").read_text(encoding="utf-8")):
        name = row["name"].lower()
        translated = f"{chinese[name]}国旗" if name in chinese else ""
        file = root / row["flag_4x3"]
        yield Captioned("flag-icons", "flag", file, f"the flag of {name}", translated)


def clip_art(cache: Path) -> Iterator[Captioned]:
    """Yield Open Clip Art: names and keywords from the SVG, pixels from the PNG beside it."""
    drawings, pictures = (
        unpacked(package, cache) / "usr/share/openclipart" for package in CLIP_ART
    )
    seen: Counter[str] = Counter()
    for drawing in sorted((drawings / "svg").rglob("*.svg")):
        file = (pictures / "png" / drawing.relative_to(drawings / "svg")).with_suffix(".png")
        title, keywords = _clip_art_names(drawing)
        folder = drawing.parent.name.replace("_", " ")
        name = title or (f"{keywords[0]}" if keywords else folder)
        seen[name] += 1
        if file.is_file() and seen[name] <= _CAP and folder not in ("duplicates", "unsorted"):
            yield Captioned("openclipart", "clip art", file, name, "", (*keywords, folder))


def _clip_art_names(drawing: Path) -> tuple[str, tuple[str, ...]]:
    text = drawing.read_text(encoding="utf-8", errors="replace")
    work = text[text.find("<metadata") : text.find("</metadata>")]
    title = re.search(r"<dc:title>([^<]*)</dc:title>", work)
    keywords = [word.strip().lower() for word in re.findall(r"<rdf:li>([^<]*)</rdf:li>", work)]
    name = re.sub(r"[_-]+|\d+", " ", title[1] if title else "").strip().lower()
    name = re.sub(r"^clipart by .*|\s+by .*$|\bclip ?art\b", "", name)
    name = " ".join(name.split())
    return (name if re.fullmatch("[a-z][a-z ']{2,40}", name) else ""), tuple(
        word for word in keywords if re.fullmatch("[a-z][a-z ']{1,30}", word)
    )


def remix_icons(cache: Path) -> Iterator[Captioned]:
    """Yield Remix Icon's filled icons: a vendor that is never trained on."""
    root = unpacked(REMIX, cache) / "package/icons"
    for file in sorted(root.rglob("*-fill.svg")):
        name = re.sub(r"-\d+$", "", file.stem.removesuffix("-fill")).replace("-", " ")
        if "Logos" not in file.parts and "Editor" not in file.parts:
            yield Captioned("remix", "icon", file, name, single_colour=True)


def icon_park_svg(script: Path) -> str:
    """Return the drawing that an IconPark script puts together, in its four default colours."""
    body = script.read_text(encoding="utf-8")
    body = body[body.index("return ") : body.rindex(";")]
    values: dict[str, Any] = {
        "size": "48",
        "strokeWidth": "4",
        "strokeLinecap": "round",
        "strokeLinejoin": "round",
        "id": "a",
    }
    colours = ("#333333", "#2f88ff", "#ffffff", "#43ccf8")
    parts = re.findall(r"'((?:[^'\\]|\\.)*)'|props\.colors\[(\d)\]|props\.(\w+)", body)
    return "".join(
        text or (colours[int(colour)] if colour else str(values.get(name, "")))
        for text, colour, name in parts
    )
