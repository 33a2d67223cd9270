"""Options that events share."""

from __future__ import annotations

from typing import Any

QUIET: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
"""For what belongs to the page alone: no endpoint, and no spinner over what is there already."""

# What runs at once, in groups, so that no kind of work keeps another waiting. A group is as large
# as its first event says, so each has its limit here.

SHORT: dict[str, Any] = {"concurrency_id": "short", "concurrency_limit": 4}
"""For the page's comparisons, and whatever else a visitor waits a moment for."""

LONG: dict[str, Any] = {"concurrency_id": "long", "concurrency_limit": 4}
"""For the page's classifications and rankings: a minute or more, on a large model."""

API: dict[str, Any] = {"concurrency_id": "api", "concurrency_limit": 4}
"""For the endpoints that answer in a moment."""

API_LONG: dict[str, Any] = {"concurrency_id": "api-long", "concurrency_limit": 2}
"""For the endpoints that classify and rank. Fewer: programs ask without a pause, people do not."""
