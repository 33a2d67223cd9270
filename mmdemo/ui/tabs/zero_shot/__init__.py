"""The tab "Zero-shot"."""

from mmdemo.tasks.classify import NEEDS
from mmdemo.ui.parts.tab import Tab
from mmdemo.ui.tabs.zero_shot import address, layout

TAB = Tab(address.NAME, "tab_zero_shot", NEEDS, layout.build, address.read)
