"""mmdemo: an interactive demo of multimodal embeddings.

>>> from mmdemo import compare, load_encoder
>>> compare(load_encoder("mini"), "a.png", "b.png", "a red car").scores
{"i2i": .., "i2it": .., "t2it": .., "it2it": ..}
"""

from mmdemo.encoders.spec import ModelSpec
from mmdemo.errors import MMDemoError
from mmdemo.models.catalogue import MODELS
from mmdemo.models.pool import load_encoder
from mmdemo.tasks.classify import Classification, classify
from mmdemo.tasks.compare import Comparison, compare
from mmdemo.tasks.rank import Ranking, rank_passages

__all__ = [
    "MODELS",
    "Classification",
    "Comparison",
    "MMDemoError",
    "ModelSpec",
    "Ranking",
    "classify",
    "compare",
    "load_encoder",
    "rank_passages",
]
