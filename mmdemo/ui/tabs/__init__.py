"""The tabs of the page, a folder for each: a new one is a folder and a line here."""

from mmdemo.ui.parts.tab import Tab
from mmdemo.ui.tabs import similarity, text, zero_shot

TABS: tuple[Tab, ...] = (similarity.TAB, zero_shot.TAB, text.TAB)
"""In the order of their buttons."""
