"""Arrays to figures: a file for each kind of chart."""
