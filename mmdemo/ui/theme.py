"""The look: colours, system fonts, and the style sheets that make figures at home in both modes."""

from __future__ import annotations

import pkgutil
from importlib import import_module
from pathlib import Path

from gradio.themes import Base
from gradio.themes.utils import colors

from mmdemo import plots

_FONT = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "Noto Sans", "sans-serif")
_MONO = ("ui-monospace", "SF Mono", "Cascadia Mono", "Menlo", "Consolas", "monospace")

_DEEP = colors.Color(
    name="deep",
    c50="#eef6f8",
    c100="#d6eaef",
    c200="#aed5de",
    c300="#7dbac8",
    c400="#489bae",
    c500="#2a7f95",
    c600="#1f6f8e",
    c700="#1b5772",
    c800="#17465d",
    c900="#123a5c",
    c950="#0c2436",
)
_STONE = colors.Color(
    name="paper",
    c50="#faf8f4",
    c100="#f2efe8",
    c200="#e3ded3",
    c300="#cbc5b8",
    c400="#9d988d",
    c500="#716d65",
    c600="#56534d",
    c700="#3b3a38",
    c800="#262729",
    c900="#191b1e",
    c950="#111316",
)

_UI = Path(__file__).parent

STYLE_SHEETS = (
    _UI / "style.css",
    _UI / "parts/style.css",
    *sorted(_UI.glob("tabs/*/style.css")),
)
"""Of the shell, of what tabs share, and of each tab."""


def theme() -> Base:
    """Return the theme: ink on paper with one deep teal, and its night side."""
    return Base(
        primary_hue=_DEEP, secondary_hue=_DEEP, neutral_hue=_STONE, font=_FONT, font_mono=_MONO
    ).set(
        body_background_fill="*neutral_50",
        body_background_fill_dark="*neutral_950",
        body_text_color="*neutral_900",
        body_text_color_subdued="*neutral_500",
        body_text_color_subdued_dark="*neutral_400",
        block_background_fill="white",
        block_background_fill_dark="*neutral_900",
        block_border_width="1px",
        block_border_color="*neutral_200",
        block_border_color_dark="*neutral_800",
        block_label_background_fill="white",
        block_label_background_fill_dark="*neutral_900",
        block_label_border_width="0px",
        block_label_text_color="*neutral_600",
        block_label_text_color_dark="*neutral_300",
        block_title_text_color="*neutral_600",
        block_title_text_color_dark="*neutral_300",
        block_radius="12px",
        block_shadow="none",
        input_background_fill="*neutral_50",
        input_background_fill_dark="*neutral_950",
        button_secondary_background_fill="*neutral_100",
        button_secondary_background_fill_dark="*neutral_800",
        button_secondary_background_fill_hover="*neutral_200",
        button_secondary_background_fill_hover_dark="*neutral_700",
    )


def figure_heights() -> str:
    """Return rules that give each kind of figure its height, by the name of its file in `plots`."""
    rules: list[str] = []
    for found in pkgutil.iter_modules(plots.__path__):
        height = getattr(import_module(f"{plots.__name__}.{found.name}"), "HEIGHT", None)
        if height is not None:
            rules.append(f".mm-figure-{found.name} {{ --mm-figure-height: {height}px; }}")
    return "\n".join(rules)
