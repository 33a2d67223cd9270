"""The tab "Similarity"."""
