"""The tabs: a folder for each."""
