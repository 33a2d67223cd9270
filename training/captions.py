"""What is said about each training view, in English and Chinese."""

from __future__ import annotations

import random

from training.captioned import Captioned
from training.features import View
from training.render import COLOURS

_FORMS = {
    "emoji": ("{}", "{}", "an emoji of {}", "a picture of {}"),
    "icon": ("{}", "an icon of {}", "{} icon", "a symbol for {}"),
    "logo": ("{}", "{}", "the brand mark of {}", "a logo"),
    "flag": ("{}", "{}", "a picture of {}", "a drawing of {}"),
    "clip art": ("{}", "a drawing of {}", "a picture of {}", "an illustration of {}"),
}
_CHINESE_FORMS = ("{}", "{}", "一个{}", "{}的图片", "{}图标")


def captions(view: View, rows: list[Captioned], draw: random.Random) -> list[str]:
    """Return the captions of a view: its name, the name in some form, and one more.

    The third is Chinese where the picture has a Chinese name, else made of keywords.
    """
    if len(view.rows) == 2:
        return _pair_captions(*(rows[index] for index in view.rows), draw=draw)
    row, colour = rows[view.rows[0]], view.colours[0]
    shown = f"{colour} {row.english}" if colour and row.kind == "icon" else row.english
    form = draw.choice(_FORMS[row.kind])
    found = [row.english, form.format(shown if draw.random() < 0.7 else row.english)]
    if colour and row.kind == "icon":
        found.append(f"{colour} {row.english}")
    if row.chinese:
        told = f"{COLOURS[colour][0]}的{row.chinese}" if colour else row.chinese
        found.append(draw.choice(_CHINESE_FORMS).format(told))
    elif row.keywords:
        words = draw.sample(row.keywords, min(2, len(row.keywords)))
        found.append(", ".join([row.english, *words]))
    return found


def _pair_captions(first: Captioned, second: Captioned, draw: random.Random) -> list[str]:
    joined = draw.choice(("{} and {}", "{} with {}", "{} next to {}", "{}, {}"))
    found = [joined.format(first.english, second.english), f"{first.english} and {second.english}"]
    if first.chinese and second.chinese:
        found.append(f"{first.chinese}和{second.chinese}")
    return found
