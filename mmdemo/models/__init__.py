"""A model in use: which there are, where their files are, and loading each of them once."""
