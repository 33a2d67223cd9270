"""The tab "Text"."""

from mmdemo.tasks.rank import NEEDS
from mmdemo.ui.parts.tab import Tab
from mmdemo.ui.tabs.text import address, layout

TAB = Tab(address.NAME, "tab_text", NEEDS, layout.build, address.read)
