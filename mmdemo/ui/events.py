"""Options that events share."""

from __future__ import annotations

from typing import Any

QUIET: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
"""For what belongs to the page alone: no endpoint, and no spinner over what is there already."""

CONCURRENCY: dict[str, Any] = {"concurrency_id": "encode", "concurrency_limit": 4}
"""One group for everything that runs a model: more at once would only fight over the cores."""
