"""Sample texts that the tab offers below its fields."""

from __future__ import annotations

SAMPLE_TEXTS: tuple[str, ...] = (
    "the logo of an open-source organisation",
    "blue whale",
    "蓝鲸",
    "datawhale开源组织的logo",
)
"""Offered below the text field: what the first pictures show, and the course's exercise.

The last is the course's own text, of another logo than theirs: its button says so.
"""

SAMPLE_OTHERS: tuple[str, ...] = ("blue whale", "蓝鲸")
"""Offered below "compare with": the course's exercise."""
