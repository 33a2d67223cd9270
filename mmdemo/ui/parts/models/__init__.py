"""The choice of a model, and its way to this machine."""
