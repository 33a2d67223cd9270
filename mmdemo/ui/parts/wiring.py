"""Between components and handlers: values by name, in place of arguments that match a list.

A handler takes one frozen dataclass, what a tab is given, and returns another, what changes on the
page. Which component stands for which field is said once, by name, where both are laid out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import field, fields
from typing import Any, Generic, TypeAlias, TypeVar

import gradio as gr
from gradio.blocks import Block
from gradio.components import Component

Given = TypeVar("Given")
Changes = TypeVar("Changes")
Source: TypeAlias = "Component | Sequence[Component]"
Target: TypeAlias = "Block | Sequence[Block]"


class Wiring(Generic[Given, Changes]):
    """The components of a part of the page, by the names of two dataclasses' fields."""

    def __init__(
        self,
        given: type[Given],
        inputs: Mapping[str, Source],
        changes: type[Changes],
        outputs: Mapping[str, Target],
    ) -> None:
        """Say which component stands for which field.

        Args:
            given: what handlers take; a field whose component is a list of them takes a tuple.
            inputs: a component for each of its fields.
            changes: what handlers return. Each field has `gr.skip()` as its default; one whose
                component is a list of them takes as many values, or one skip for all.
            outputs: a component for each of its fields.

        Raises:
            TypeError: a field has no component, or a component no field.
        """
        self._given, self._named_inputs = given, _in_order(given, inputs)
        self._outputs = _in_order(changes, outputs)

    @property
    def inputs(self) -> list[Component]:
        """Return the components that a handler is given."""
        return [one for source in self._named_inputs.values() for one in _listed(source)]

    @property
    def outputs(self) -> list[Any]:
        """Return the components that a handler changes."""
        return [one for target in self._outputs.values() for one in _listed(target)]

    def given(self, values: Sequence[Any]) -> Given:
        """Return the values of `inputs` by name."""
        rest, named = list(values), {}
        for name, source in self._named_inputs.items():
            if isinstance(source, Sequence):
                named[name] = tuple(rest[: len(source)])
                del rest[: len(source)]
            else:
                named[name] = rest.pop(0)
        return self._given(**named)

    def values(self, changes: Changes) -> list[Any]:
        """Return values for `outputs`."""
        return as_values(changes, self._outputs)

    def payload(self, **named: Any) -> list[Any]:
        """Return values for `inputs` by name, as a request hands them over; None for the others."""
        found: list[Any] = []
        for name, source in self._named_inputs.items():
            value, count = named.get(name), len(_listed(source))
            found += list(value) if isinstance(source, Sequence) and value else [value] * count
        return found

    def _named(self, called: Any, handler: Callable[..., Any]) -> Any:
        """Let whoever looks at an event see what it calls; `__wrapped__` would hide arguments."""
        called.handler, called.wiring = handler, self
        return called

    def once(self, handler: Callable[[Given], Changes]) -> Callable[..., list[Any]]:
        """Return a handler as gradio calls it, with `inputs` and `outputs`."""

        def called(*values: Any) -> list[Any]:
            return self.values(handler(self.given(values)))

        return self._named(called, handler)

    def steps(self, handler: Callable[[Given], Iterator[Changes]]) -> Callable[..., Iterator[Any]]:
        """Return a handler that answers several times.

        gradio sends the last answer of a generator twice: as the latest, and at the end. So an
        answer that changes nothing comes last.
        """

        def called(*values: Any) -> Iterator[Any]:
            told = False
            for changes in handler(self.given(values)):
                told = True
                yield tuple(self.values(changes))
            if told:
                yield (gr.skip(),) * len(self.outputs)

        return self._named(called, handler)


def unchanged() -> Any:
    """Return the default of what a handler changes: the component stays as it is."""
    return field(default_factory=gr.skip)


def values_of(changes: Any) -> list[Any]:
    """Return the values of a dataclass' fields, in order."""
    return [getattr(changes, one.name) for one in fields(changes)]


def as_values(changes: Any, outputs: Mapping[str, Target]) -> list[Any]:
    """Return what changes as values for components, which are named like its fields."""
    found: list[Any] = []
    for name, target in outputs.items():
        value = getattr(changes, name)
        if not isinstance(target, Sequence):
            found.append(value)
        else:
            found += value if isinstance(value, Sequence) else [value] * len(target)
    return found


def _in_order(kind: Any, components: Mapping[str, Any]) -> dict[str, Any]:
    names = [one.name for one in fields(kind)]
    if set(names) != set(components):
        odd = ", ".join(sorted(set(names) ^ set(components)))
        raise TypeError(f"{kind.__name__} and its components differ in: {odd}")
    return {name: components[name] for name in names}


def _listed(target: Any) -> list[Any]:
    return list(target) if isinstance(target, Sequence) else [target]
