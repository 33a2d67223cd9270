"""How the data and the weights that ship with the app were made. Not needed to run it."""
