"""The model hub: where it is, what its cache holds, what it is asked, and downloads from it."""
