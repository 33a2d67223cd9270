"""One architecture a file. `base.py` holds what they share; `registry.py` outside names them."""
