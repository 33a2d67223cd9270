"""The tab "Zero-shot"."""
