"""A family of models a folder: `__init__.py` describes them and recognises their directories.

`model.py` beside it has the forward passes, and is imported when a model of the family is loaded.
`base.py` and `parts/` hold what families share.
"""
