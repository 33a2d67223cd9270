"""Templates for zero-shot classification, and ready lists of candidate labels: data with sources.

A *template* is a text with `{}` where the label goes, and data: nothing but the two characters `{}`
is replaced, whatever else it holds, so no template can reach anything by formatting.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, TypeVar

from mmdemo.assets import ASSETS
from mmdemo.errors import TextError, checked_signs, did_you_mean
from mmdemo.models.items import listed
from mmdemo.settings import limits
from mmdemo.signs import as_seen, has_visible
from mmdemo.tasks.lists import split_list

SLOT = "{}"
"""Where the label goes."""

LONGEST_LABEL = 200
"""Characters. CLIP reads 77 tokens, prompt included."""

_FOLDER = ASSETS / "prompts"

_Text = TypeVar("_Text")


def in_language(texts: Mapping[str, _Text], language: str) -> _Text:
    """Return what there is in a language, or in the first that there is."""
    return texts[language] if language in texts else next(iter(texts.values()))


@dataclass(frozen=True, kw_only=True)
class TemplateSet:
    """A named list of templates: a file in `assets/prompts/templates`.

    Attributes:
        name: what people type; the file's name.
        language: of the templates.
        templates: each with `{}`.
        source: where they are from.
        licence: of the list.
        renders: the set that this is a rendering of, in another language.
    """

    name: str
    language: str
    templates: tuple[str, ...]
    source: str
    licence: str
    renders: str = ""


@dataclass(frozen=True)
class LabelSet:
    """A ready list of candidate labels, the same things in every language and the same order.

    Attributes:
        name: for the page to translate.
        by_language: the labels in each; where the page speaks another, the first has to do.
    """

    name: str
    by_language: Mapping[str, tuple[str, ...]]

    def labels(self, language: str) -> tuple[str, ...]:
        """Return the labels in a language, where they are there."""
        return in_language(self.by_language, language)

    @property
    def first(self) -> tuple[str, ...]:
        """Return the labels in their first language."""
        return next(iter(self.by_language.values()))


def _template_sets() -> Iterator[TemplateSet]:
    for path in (_FOLDER / "templates").glob("*.toml"):
        told = tomllib.loads(path.read_text(encoding="utf-8"))
        told["templates"] = tuple(told["templates"])
        yield TemplateSet(name=path.stem, **told)


def _label_sets() -> Iterator[LabelSet]:
    told = tomllib.loads((_FOLDER / "labels.toml").read_text(encoding="utf-8"))
    for name, lists in told.items():
        yield LabelSet(name, {language: tuple(labels) for language, labels in lists.items()})


TEMPLATE_SETS: Mapping[str, TemplateSet] = MappingProxyType(
    {
        one.name: one
        for one in sorted(
            _template_sets(), key=lambda one: (one.language, len(one.templates), one.name)
        )
    }
)
"""By name: those in one language together, the short ones first."""

_NAME = re.compile(r"[\w.-]+")

_KNOWN = frozenset(template for one in TEMPLATE_SETS.values() for template in one.templates)

LABEL_SETS: Mapping[str, LabelSet] = MappingProxyType({one.name: one for one in _label_sets()})
"""By name."""


def twin(name: str, language: str) -> str:
    """Return the name of the same templates in a language.

    Where they are not there in that language: of those that the set renders, or of itself.

    Args:
        name: a key of `TEMPLATE_SETS`.
        language: the one that is wanted.
    """
    first = TEMPLATE_SETS[name].renders or name
    alike = (one for one in TEMPLATE_SETS.values() if first in (one.name, one.renders))
    return next((one.name for one in alike if one.language == language), first)


def fill(template: str, label: str) -> str:
    """Return the prompt of a label: `{}` replaced, and nothing else read as a format.

    >>> fill("a {} of {0.__class__}", "dog")
    'a dog of {0.__class__}'
    """
    return template.replace(SLOT, label)


def split_labels(text: str) -> list[Any]:
    r"""Split what somebody typed or pasted: at line breaks where there are any, else at commas.

    So a label may hold a comma where each has a line of its own. Chinese commas count as well; and
    lists of programs, spreadsheets and numbered ones are read (see `lists.split_list`).

    Raises:
        TextError: it is too long for as many labels as are accepted.

    >>> split_labels("cat, dog"), split_labels("a cat, asleep\na dog")
    (['cat', ' dog'], ['a cat, asleep', 'a dog'])
    """
    most = _longest(limits().labels)
    if len(text) > most:
        raise TextError(
            f"The labels have {len(text):,} characters together; at most {most:,} are accepted. "
            "Remove some.",
            "labels_length",
            length=f"{len(text):,}",
            limit=f"{most:,}",
        )
    return split_list(text)


def checked_prompts(
    labels: Iterable[str] | str, templates: Iterable[str] | str
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


def checked_labels(labels: Iterable[str] | str) -> tuple[str, ...]:
    """Return labels as they are used: as they are seen, without blank ones, each once, in order.

    What nobody sees is taken out, and accented letters are of one form, so that labels which look
    the same are one.

    Args:
        labels: a list, an array, a column of a table; or a text for `split_labels`.

    Raises:
        TextError: there is none, too many, one is too long or not a text.
    """
    given = split_labels(labels) if isinstance(labels, str) else listed(labels)
    most = limits().labels
    if len(given) > 10 * most:  # however many of them are the same
        raise _many_labels(len(given), most)
    for position, label in enumerate(given, start=1):
        if not isinstance(label, str):
            given = type(label).__name__
            raise TextError(
                f"Label {position} is not a text but {given}.",
                "label_no_text",
                position=position,
                given=given,
            )
        _check_length(label, position)
        checked_signs(label)
    kept = tuple(dict.fromkeys(as_seen(label) for label in given if has_visible(label)))
    if not kept:
        raise TextError(
            "There are no labels. Type at least one, separated by commas or line breaks.",
            "labels_none",
        )
    if len(kept) > most:
        raise _many_labels(len(kept), most)
    return kept


def _many_labels(count: int, most: int) -> TextError:
    return TextError(
        f"There are {count:,} labels; at most {most:,} are accepted. Remove some.",
        "labels_many",
        count=f"{count:,}",
        limit=f"{most:,}",
    )


def _longest(count: int) -> int:
    """Return the most characters of a list within the limits.

    Longer ones are refused before they are split: 20 MB of commas take seconds.
    """
    return count * (LONGEST_LABEL + len(", "))


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


def split_templates(text: str) -> list[Any]:
    """Split what somebody typed: one template, or name of a set, a line; or a JSON list.

    Raises:
        TextError: it is too long for as many templates as are accepted.
    """
    most = _longest(limits().templates + len(_KNOWN))
    if len(text) > most:
        raise TextError(
            f"The templates have {len(text):,} characters together; at most {most:,} are accepted. "
            "Remove some.",
            "templates_length",
            length=f"{len(text):,}",
            limit=f"{most:,}",
        )
    return split_list(text) if text.lstrip().startswith("[") else text.splitlines()


def checked_templates(templates: Iterable[str] | str) -> tuple[str, ...]:
    """Return templates as they are used: as they are seen, without blank ones, each once, in order.

    Args:
        templates: keys of `TEMPLATE_SETS` and templates, mixed freely: a list, or a text for
            `split_templates`.

    Raises:
        TextError: no such set, no template, too many, or one without `{}` or too long.
    """
    given = split_templates(templates) if isinstance(templates, str) else listed(templates)
    most = limits().templates
    kept: dict[str, None] = {}
    own = 0
    for template in _seen_templates(given, most):
        found = _set_or_template(template, alone=isinstance(templates, str))
        own += sum(one not in kept and one not in _KNOWN for one in found)
        kept |= dict.fromkeys(found)
    if not kept:
        raise TextError(
            "There are no templates. Type at least one, with {} where the label goes.",
            "templates_none",
        )
    if own > most:
        raise _many_templates(own, most)
    return tuple(kept)


def _seen_templates(given: Sequence[object], most: int) -> Iterator[str]:
    """Yield templates and names of sets as they are seen, without blank ones."""
    if len(given) > 10 * (most + len(_KNOWN)):  # however many of them are the same
        raise _many_templates(len(given), most)
    for position, template in enumerate(given, start=1):
        if not isinstance(template, str):
            found = type(template).__name__
            raise TextError(
                f"Template {position} is not a text but {found}.",
                "template_no_text",
                position=position,
                given=found,
            )
        checked_signs(template)
        if has_visible(template):
            yield as_seen(template)


def _many_templates(count: int, most: int) -> TextError:
    return TextError(
        f"There are {count:,} templates; at most {most:,} are accepted. Remove some.",
        "templates_many",
        count=f"{count:,}",
        limit=f"{most:,}",
    )


def _set_or_template(name: str, *, alone: bool) -> tuple[str, ...]:
    """Return the templates of a set, or what is one itself.

    Args:
        name: of a set, or a template.
        alone: no list was given: then a word was meant to be a set's name.
    """
    if name in TEMPLATE_SETS:
        return TEMPLATE_SETS[name].templates
    several = [one.strip() for one in name.split(",")]
    if all(one in TEMPLATE_SETS for one in several):
        return tuple(template for one in several for template in TEMPLATE_SETS[one].templates)
    meant = alone and _NAME.fullmatch(name)
    if SLOT not in name and (meant or did_you_mean(name, TEMPLATE_SETS)):
        raise TextError(
            f"There is no template set '{name[:60]}'.{did_you_mean(name, TEMPLATE_SETS)} Known: "
            f"{', '.join(TEMPLATE_SETS)}; or give templates, each with {{}} where the label goes.",
            "no_template_set",
            name=name[:60],
            known=", ".join(TEMPLATE_SETS),
        )
    _check_template(name)
    return (name,)


def _check_template(template: str) -> None:
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
