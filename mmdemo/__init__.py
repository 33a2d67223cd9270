"""mmdemo: an interactive demo of multimodal embeddings.

>>> from mmdemo import compare, load_encoder
>>> compare(load_encoder("mini"), "a.png", "b.png", "a red car").scores
{"i2i": .., "i2it": .., "t2it": .., "it2it": ..}
"""

from mmdemo.encoders.spec import ModelSpec
from mmdemo.errors import MMDemoError
from mmdemo.models.catalogue import MODELS
from mmdemo.models.pool import load_encoder
from mmdemo.tasks.classify import Classification, ClassifyRequest, classify
from mmdemo.tasks.compare import CompareRequest, Comparison, compare
from mmdemo.tasks.embed import EmbedRequest, Vectors
from mmdemo.tasks.rank import Ranking, RankRequest, rank_passages

__all__ = [
    "MODELS",
    "Classification",
    "ClassifyRequest",
    "CompareRequest",
    "Comparison",
    "EmbedRequest",
    "MMDemoError",
    "ModelSpec",
    "RankRequest",
    "Ranking",
    "Vectors",
    "classify",
    "compare",
    "load_encoder",
    "rank_passages",
]
