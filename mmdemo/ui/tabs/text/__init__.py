"""The tab "Text"."""
