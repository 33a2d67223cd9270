"""Similarities that others have published for Visualized-BGE, to be computed again.

Sources: the course section's example (https://github.com/datawhalechina/all-in-rag, chapter 3,
multimodal embedding), and the model's own page (https://github.com/FlagOpen/FlagEmbedding,
`research/visual_bge/README.md`), whose pictures lie beside it in `imgs/`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from PIL import Image

from mmdemo.images import Picture

if TYPE_CHECKING:
    from mmdemo.models.encoder import Encoder

TOLERANCE = 0.0005
"""Largest difference that counts as the same: ten times what four decimals round away."""

Side: TypeAlias = tuple[str | None, str | None]
"""What one vector is made from: the name of a picture, a text, or both."""


@dataclass(frozen=True)
class Published:
    """A similarity as it was published.

    Attributes:
        name: what it is called here.
        model: a key of `MODELS`.
        first: one side of the pair.
        second: the other side.
        value: the published cosine.
    """

    name: str
    model: str
    first: Side
    second: Side
    value: float


_BASE, _M3 = "visualized-bge-base-en", "visualized-bge-m3"

COURSE_TEXT = "datawhale开源组织的logo"
COURSE_PICTURES: tuple[str, str] = ("datawhale01.png", "datawhale02.png")
_ONE, _TWO = COURSE_PICTURES

COURSE = (
    Published("i2i", _BASE, (_ONE, None), (_TWO, None), 0.8318),
    Published("i2it", _BASE, (_ONE, None), (_ONE, COURSE_TEXT), 0.8291),
    Published("t2it", _BASE, (None, COURSE_TEXT), (_ONE, COURSE_TEXT), 0.7627),
    Published("it2it", _BASE, (_ONE, COURSE_TEXT), (_TWO, COURSE_TEXT), 0.9058),
)
"""The course's four similarities, named as the pair kinds of `compare`."""

_NIGHT = "Make the background dark, as if the camera has taken the photo at night"
_BRIDGE = "Are there sidewalks on both sides of the Mid-Hudson Bridge?"
_BRIDGE_PLACE = (
    "The Mid-Hudson Bridge, spanning the Hudson River between Poughkeepsie and Highland."
)
_BRIDGE_HISTORY = (
    "The Mid-Hudson Bridge was designated as a New York State Historic Civil Engineering Landmark "
    'by the American Society of Civil Engineers in 1983. The bridge was renamed the "Franklin '
    'Delano Roosevelt Mid-Hudson Bridge" in 1994.'
)
_GOLDEN_GATE = ("wiki_candi_2.jpg", "Golden_Gate_Bridge")
_HORSE = ("cir_query.png", "一匹马牵着这辆车")

MODEL_PAGE = (
    Published("night 1", _BASE, ("cir_query.png", _NIGHT), ("cir_candi_1.png", None), 0.8750),
    Published("night 2", _BASE, ("cir_query.png", _NIGHT), ("cir_candi_2.png", None), 0.7816),
    Published("bridge 1", _BASE, (None, _BRIDGE), ("wiki_candi_1.jpg", _BRIDGE_PLACE), 0.6932),
    Published("bridge 2", _BASE, (None, _BRIDGE), _GOLDEN_GATE, 0.4441),
    Published("bridge 3", _BASE, (None, _BRIDGE), (None, _BRIDGE_HISTORY), 0.6415),
    Published("horse 1", _M3, _HORSE, ("cir_candi_1.png", None), 0.7026),
    Published("horse 2", _M3, _HORSE, ("cir_candi_2.png", None), 0.8075),
)
"""The examples of the model's own page."""


def reproduce(
    encoder: Encoder, published: Sequence[Published], pictures: Mapping[str, Image.Image | Picture]
) -> list[float]:
    """Return the cosine of each published pair as this encoder has it.

    Args:
        encoder: embeds text, images and both together.
        published: what to compute.
        pictures: by name, in the mode of their file, such as an unchanged `Picture`.
    """
    sides = list(dict.fromkeys(side for pair in published for side in (pair.first, pair.second)))
    vectors = dict(zip(sides, encoder.encode([_item(*s, pictures) for s in sides]), strict=True))
    return [float(vectors[pair.first] @ vectors[pair.second]) for pair in published]


def _item(
    picture: str | None, text: str | None, pictures: Mapping[str, Image.Image | Picture]
) -> dict[str, object]:
    given = {"image": None if picture is None else pictures[picture], "text": text}
    return {kind: value for kind, value in given.items() if value is not None}
