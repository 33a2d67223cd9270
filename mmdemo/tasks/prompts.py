"""Templates for zero-shot classification, and ready lists of candidate labels: data with sources.

A *template* is a text with `{}` where the label goes, and data: nothing but the two characters `{}`
is replaced, whatever else it holds, so no template can reach anything by formatting.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, TypeAlias

from mmdemo.errors import TextError, checked_signs, did_you_mean
from mmdemo.settings import limits

SLOT = "{}"
"""Where the label goes."""

LONGEST_LABEL = 200
"""Characters. CLIP reads 77 tokens, prompt included."""

_SEPARATORS = ",，、;；"

PromptLanguage: TypeAlias = Literal["en", "zh"]


@dataclass(frozen=True)
class TemplateSet:
    """A named list of templates.

    Attributes:
        name: what people type.
        language: of the templates.
        templates: each with `{}`.
        source: where they are from.
    """

    name: str
    language: PromptLanguage
    templates: tuple[str, ...]
    source: str


@dataclass(frozen=True)
class LabelSet:
    """A ready list of candidate labels, the same things in both languages and the same order.

    Attributes:
        name: for the page to translate.
        en: in English.
        zh: in Chinese.
    """

    name: str
    en: tuple[str, ...]
    zh: tuple[str, ...]

    def labels(self, language: str) -> tuple[str, ...]:
        """Return the labels in `en` or `zh`."""
        return self.zh if language == "zh" else self.en


def _lines(text: str) -> tuple[str, ...]:
    return tuple(line.strip() for line in text.strip().splitlines())


_NOTEBOOK = "github.com/openai/CLIP, notebooks/Prompt_Engineering_for_ImageNet.ipynb"

# "itap" is a community's short form of "I took a picture"; the bad grammar is the source's own.
_OPENAI_7 = _lines("""
    itap of a {}.
    a bad photo of the {}.
    a origami {}.
    a photo of the large {}.
    a {} in a video game.
    art of the {}.
    a photo of the small {}.
""")

_OPENAI_80 = _lines("""
    a bad photo of a {}.
    a photo of many {}.
    a sculpture of a {}.
    a photo of the hard to see {}.
    a low resolution photo of the {}.
    a rendering of a {}.
    graffiti of a {}.
    a bad photo of the {}.
    a cropped photo of the {}.
    a tattoo of a {}.
    the embroidered {}.
    a photo of a hard to see {}.
    a bright photo of a {}.
    a photo of a clean {}.
    a photo of a dirty {}.
    a dark photo of the {}.
    a drawing of a {}.
    a photo of my {}.
    the plastic {}.
    a photo of the cool {}.
    a close-up photo of a {}.
    a black and white photo of the {}.
    a painting of the {}.
    a painting of a {}.
    a pixelated photo of the {}.
    a sculpture of the {}.
    a bright photo of the {}.
    a cropped photo of a {}.
    a plastic {}.
    a photo of the dirty {}.
    a jpeg corrupted photo of a {}.
    a blurry photo of the {}.
    a photo of the {}.
    a good photo of the {}.
    a rendering of the {}.
    a {} in a video game.
    a photo of one {}.
    a doodle of a {}.
    a close-up photo of the {}.
    a photo of a {}.
    the origami {}.
    the {} in a video game.
    a sketch of a {}.
    a doodle of the {}.
    a origami {}.
    a low resolution photo of a {}.
    the toy {}.
    a rendition of the {}.
    a photo of the clean {}.
    a photo of a large {}.
    a rendition of a {}.
    a photo of a nice {}.
    a photo of a weird {}.
    a blurry photo of a {}.
    a cartoon {}.
    art of a {}.
    a sketch of the {}.
    a embroidered {}.
    a pixelated photo of a {}.
    itap of the {}.
    a jpeg corrupted photo of the {}.
    a good photo of a {}.
    a plushie {}.
    a photo of the nice {}.
    a photo of the small {}.
    a photo of the weird {}.
    the cartoon {}.
    art of the {}.
    a drawing of the {}.
    a photo of the large {}.
    a black and white photo of a {}.
    the plushie {}.
    a dark photo of a {}.
    itap of a {}.
    graffiti of the {}.
    a toy {}.
    itap of my {}.
    a photo of a cool {}.
    a photo of a small {}.
    a tattoo of the {}.
""")

_ZH_7 = _lines("""
    我拍的一张{}的照片。
    一张很差的{}的照片。
    折纸{}。
    一张大大的{}的照片。
    电子游戏里的{}。
    关于{}的艺术作品。
    一张小小的{}的照片。
""")

# One for each difference that the English list makes; "a" and "the" are none in Chinese.
_ZH_80 = _lines("""
    一张很差的{}的照片。
    一张有许多{}的照片。
    一座{}的雕塑。
    一张很难看清的{}的照片。
    一张低分辨率的{}的照片。
    一张{}的渲染图。
    一幅{}的涂鸦墙画。
    一张裁剪过的{}的照片。
    一个{}的纹身。
    刺绣的{}。
    一张明亮的{}的照片。
    一张干净的{}的照片。
    一张脏兮兮的{}的照片。
    一张昏暗的{}的照片。
    一幅{}的图画。
    一张我的{}的照片。
    塑料的{}。
    一张很酷的{}的照片。
    一张{}的特写照片。
    一张{}的黑白照片。
    一幅{}的油画。
    一张像素化的{}的照片。
    一张因 JPEG 压缩而损坏的{}的照片。
    一张模糊的{}的照片。
    一张{}的照片。
    一张很好的{}的照片。
    电子游戏里的{}。
    一张一个{}的照片。
    一幅{}的随手画。
    折纸{}。
    一幅{}的速写。
    玩具{}。
    一幅再现{}的作品。
    一张大大的{}的照片。
    一张漂亮的{}的照片。
    一张古怪的{}的照片。
    卡通{}。
    关于{}的艺术作品。
    我拍的一张{}的照片。
    我拍的一张我的{}的照片。
    毛绒玩具{}。
    一张小小的{}的照片。
""")

_PAPER = "Radford et al. 2021 (arXiv 2103.00020), section 3.1.4"
_OURS = "our rendering of the English list; without articles, some of its lines become one"

TEMPLATE_SETS: MappingProxyType[str, TemplateSet] = MappingProxyType(
    {
        one.name: one
        for one in (
            TemplateSet("plain", "en", ("a photo of a {}.",), _PAPER),
            TemplateSet("openai-7", "en", _OPENAI_7, _NOTEBOOK),
            TemplateSet("openai-80", "en", _OPENAI_80, _NOTEBOOK),
            TemplateSet("plain-zh", "zh", ("一张{}的照片。",), "our rendering of the English one"),
            TemplateSet("openai-7-zh", "zh", _ZH_7, _OURS),
            TemplateSet("openai-80-zh", "zh", _ZH_80, _OURS),
        )
    }
)
"""By name."""

_SHIPPED = frozenset(one.templates for one in TEMPLATE_SETS.values())

LABEL_SETS: MappingProxyType[str, LabelSet] = MappingProxyType(
    {
        one.name: one
        for one in (
            LabelSet(
                "everyday",
                _lines("""
                    car
                    bicycle
                    house
                    bridge
                    flower
                    fruit
                    dog
                    insect
                    boat
                    heart
                """),
                _lines("""
                    汽车
                    自行车
                    房子
                    桥
                    花
                    水果
                    狗
                    昆虫
                    船
                    心形
                """),
            ),
            LabelSet(
                "animals",
                _lines("""
                    dog
                    cat
                    horse
                    elephant
                    blue whale
                    penguin
                    owl
                    bee
                    frog
                    snake
                """),
                _lines("""
                    狗
                    猫
                    马
                    大象
                    蓝鲸
                    企鹅
                    猫头鹰
                    蜜蜂
                    青蛙
                    蛇
                """),
            ),
            LabelSet(
                "food",
                _lines("""
                    apple
                    banana
                    orange
                    fig
                    grapes
                    tomato
                    bread
                    cheese
                    egg
                    rice
                    noodles
                    soup
                    pizza
                    hamburger
                    cake
                    ice cream
                    coffee
                    tea
                """),
                _lines("""
                    苹果
                    香蕉
                    橙子
                    无花果
                    葡萄
                    番茄
                    面包
                    奶酪
                    鸡蛋
                    米饭
                    面条
                    汤
                    披萨
                    汉堡
                    蛋糕
                    冰淇淋
                    咖啡
                    茶
                """),
            ),
            LabelSet(
                "styles",
                _lines("""
                    photograph
                    pencil sketch
                    watercolour painting
                    oil painting
                    cartoon
                    line drawing
                    logo
                    icon
                    3D rendering
                    pixel art
                """),
                _lines("""
                    照片
                    铅笔素描
                    水彩画
                    油画
                    卡通画
                    线条画
                    标志
                    图标
                    三维渲染图
                    像素画
                """),
            ),
            LabelSet(
                "course",
                _lines("""
                    the logo of an open-source organisation
                    the logo of a coffee shop
                    a blue whale
                    a boat
                    a bridge
                    a photo of a person
                """),
                _lines("""
                    开源组织的logo
                    咖啡店的logo
                    蓝鲸
                    船
                    桥
                    人物照片
                """),
            ),
        )
    }
)
"""By name. The last holds the texts of the course's own comparison, as labels."""


def fill(template: str, label: str) -> str:
    """Return the prompt of a label: `{}` replaced, and nothing else read as a format.

    >>> fill("a {} of {0.__class__}", "dog")
    'a dog of {0.__class__}'
    """
    return template.replace(SLOT, label)


def split_labels(text: str) -> list[str]:
    r"""Split what somebody typed: at line breaks where there are any, else at commas.

    So a label may hold a comma where each has a line of its own. Chinese commas count as well.

    Raises:
        TextError: it is too long for as many labels as are accepted.

    >>> split_labels("cat, dog"), split_labels("a cat, asleep\na dog")
    (['cat', ' dog'], ['a cat, asleep', 'a dog'])
    """
    _check_all(text, limits().labels, "labels")
    lines = text.strip().splitlines()
    if len(lines) > 1:  # "cat,⏎dog," is common
        return [line.strip(_SEPARATORS + " ") for line in lines]
    return re.split(f"[{_SEPARATORS}]", text)


def checked_prompts(
    labels: Sequence[str] | str, templates: Sequence[str] | str
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return labels and templates as they are used, if together they are not too much work.

    Args:
        labels: as for `checked_labels`.
        templates: as for `checked_templates`.

    Raises:
        TextError: as those two; or every label in every template is too many prompts.
    """
    checked, prompts = checked_labels(labels), checked_templates(templates)
    most = limits().prompts
    if len(checked) * len(prompts) > most:
        raise TextError(
            f"{len(checked):,} labels in {len(prompts)} templates are "
            f"{len(checked) * len(prompts):,} prompts; at most {most:,} are accepted. Remove "
            "labels, or take a smaller set of templates.",
            "prompts_many",
            labels=f"{len(checked):,}",
            templates=len(prompts),
            count=f"{len(checked) * len(prompts):,}",
            limit=f"{most:,}",
        )
    return checked, prompts


def checked_labels(labels: Sequence[str] | str) -> tuple[str, ...]:
    """Return labels as they are used: trimmed, without blank ones, each once, in order.

    Args:
        labels: a list, or a text for `split_labels`.

    Raises:
        TextError: there is none, too many, one is too long or not a text.
    """
    given = split_labels(labels) if isinstance(labels, str) else list(labels)
    for position, label in enumerate(given, start=1):
        if not isinstance(label, str):
            raise TextError(f"Label {position} is not a text but {type(label).__name__}.")
        _check_length(label, position)
        checked_signs(label)
    kept = tuple(dict.fromkeys(" ".join(label.split()) for label in given if label.strip()))
    if not kept:
        raise TextError(
            "There are no labels. Type at least one, separated by commas or line breaks.",
            "labels_none",
        )
    most = limits().labels
    if len(kept) > most:
        raise TextError(
            f"There are {len(kept):,} labels; at most {most:,} are accepted. Remove some.",
            "labels_many",
            count=f"{len(kept):,}",
            limit=f"{most:,}",
        )
    return kept


def _check_all(text: str, count: int, what: Literal["labels", "templates"]) -> None:
    """Refuse what cannot be within the limits, before it is split: 20 MB of commas take seconds."""
    most = count * (LONGEST_LABEL + len(", "))
    if len(text) > most:
        raise TextError(
            f"The {what} have {len(text):,} characters together; at most {most:,} are accepted. "
            "Remove some.",
            f"{what}_length",
            length=f"{len(text):,}",
            limit=f"{most:,}",
        )


def _check_length(label: str, position: int) -> None:
    if len(label.strip()) > LONGEST_LABEL:
        raise TextError(
            f"Label {position} has {len(label.strip()):,} characters; at most {LONGEST_LABEL} are "
            "accepted. Shorten it, or put a comma or a line break between labels.",
            "label_long",
            position=position,
            length=f"{len(label.strip()):,}",
            limit=LONGEST_LABEL,
        )


def split_templates(text: str) -> list[str]:
    """Split what somebody typed: one template a line.

    Raises:
        TextError: it is too long for as many templates as are accepted.
    """
    _check_all(text, max(limits().templates, *map(len, _SHIPPED)), "templates")
    return text.splitlines()


def checked_templates(templates: Sequence[str] | str) -> tuple[str, ...]:
    """Return templates as they are used: trimmed, without blank ones, each once, in order.

    Args:
        templates: a key of `TEMPLATE_SETS`, one template, or a list of templates.

    Raises:
        TextError: no such set, no template, too many, or one without `{}` or too long.
    """
    templates = _set_or_template(templates) if isinstance(templates, str) else list(templates)
    for position, template in enumerate(templates, start=1):
        if not isinstance(template, str):
            raise TextError(f"Template {position} is not a text but {type(template).__name__}.")
    kept = tuple(dict.fromkeys(one.strip() for one in templates if one.strip()))
    if not kept:
        raise TextError(
            "There are no templates. Type at least one, with {} where the label goes.",
            "templates_none",
        )
    most = limits().templates
    if len(kept) > most and kept not in _SHIPPED:
        raise TextError(
            f"There are {len(kept):,} templates; at most {most:,} are accepted. Remove some.",
            "templates_many",
            count=f"{len(kept):,}",
            limit=f"{most:,}",
        )
    for template in kept:
        _check_template(template)
    return kept


def _set_or_template(name: str) -> tuple[str, ...]:
    if name in TEMPLATE_SETS:
        return TEMPLATE_SETS[name].templates
    if SLOT not in name:
        raise TextError(
            f"There is no template set '{name[:60]}'.{did_you_mean(name, TEMPLATE_SETS)} Known: "
            f"{', '.join(TEMPLATE_SETS)}; or give templates, each with {{}} where the label goes."
        )
    return (name,)


def _check_template(template: str) -> None:
    checked_signs(template)
    start = template if len(template) <= 40 else template[:39] + "…"
    if SLOT not in template:
        raise TextError(
            f"The template '{start}' has no {{}}. Put {{}} where the label goes, as in "
            "'a photo of a {}.'",
            "template_slot",
            template=start,
        )
    if len(template) > LONGEST_LABEL:
        raise TextError(
            f"The template '{start}' has {len(template):,} characters; at most {LONGEST_LABEL} are "
            "accepted. Shorten it.",
            "template_long",
            template=start,
            length=f"{len(template):,}",
            limit=LONGEST_LABEL,
        )
