"""Arrays to figures: a file for each kind of chart.

Where all figures of a kind are of one height, its file says so as `HEIGHT`.
"""
