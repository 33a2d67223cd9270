"""Options that events share."""

from __future__ import annotations

from typing import Any

from gradio.block_function import BlockFunction

QUIET: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
"""For what belongs to the page alone: no endpoint, and no spinner over what is there already."""

# What runs at once, in groups, so that no kind of work keeps another waiting. A group is as large
# as its first event says, so each has its limit here.
#
# Whose turn it is to use a model is decided at the model, one batch at a time, and there alone: a
# group that is full would put a comparison behind others before anybody has looked how long each
# takes. So the groups are as wide as a full audience. What stands in them mostly waits, and that
# costs a thread each.

SHORT: dict[str, Any] = {"concurrency_id": "short", "concurrency_limit": 32}
"""For the page's comparisons, and whatever else a visitor waits a moment for."""

LONG: dict[str, Any] = {"concurrency_id": "long", "concurrency_limit": 24}
"""For the page's classifications and rankings: a minute or more, on a large model."""

API: dict[str, Any] = {"concurrency_id": "api", "concurrency_limit": 16}
"""For the endpoints that answer in a moment."""

API_LONG: dict[str, Any] = {"concurrency_id": "api-long", "concurrency_limit": 16}
"""For the endpoints that take long: those that classify, rank and embed."""

TASKS = frozenset(group["concurrency_id"] for group in (SHORT, LONG, API, API_LONG))
"""The groups of what a visitor has asked for, each of which is a line in the log. The rest is the
page's own: what it looks like, what its timers ask."""

LONG_TASKS = frozenset(group["concurrency_id"] for group in (LONG, API_LONG))
"""Those of them that take long: one caller has only some at once."""

OTHERS = 8
"""Of each handler that names no group, such as one that opens an upload: gradio runs one at a time
of each, for all visitors together, where nothing else is said."""

THREADS = 128
"""More than all groups hold together. With fewer, those that wait for a model would be all there
are, and nothing that needs no model could be answered. `launch` takes it too."""


def is_endpoint(fn: BlockFunction) -> bool:
    """Say whether a function is there for programs; the others are of the page alone."""
    return fn.api_visibility == "public"
