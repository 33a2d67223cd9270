"""What models are used for: a file for each use."""
