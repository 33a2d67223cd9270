"""The tab "Similarity"."""

from mmdemo.tasks.compare import NEEDS
from mmdemo.ui.parts.tab import Tab
from mmdemo.ui.tabs.similarity import address, layout

TAB = Tab(address.NAME, "tab_similarity", NEEDS, layout.build, address.read)
