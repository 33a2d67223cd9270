"""From bytes or a path to a safe RGB picture that looks the way a person sees it.

The page, the endpoints and the command line open every picture here, so all of them see the same
pixels: orientation applied, colours by their profile, transparency on white, palette, grey, wide
numbers and CMYK turned into RGB, and the first frame of an animation. What a reader of numbers
should know of it is in its notes. Whatever cannot be read raises a `PictureError` that says why.
"""

from mmdemo.images.apart import decode_apart
from mmdemo.images.apart.turns import Asking, asking
from mmdemo.images.data_uris import data_uri_bytes, is_data_uri
from mmdemo.images.files import (
    ImageSource,
    Picture,
    as_image,
    as_source,
    as_sources,
    digest_of,
    notes_of,
    open_image,
)
from mmdemo.images.formats import ACCEPTED, FORMATS
from mmdemo.images.seen import centre_strip, to_rgb
from mmdemo.images.shown import shown_by_browsers, thumbnail_uri

__all__ = [
    "ACCEPTED",
    "FORMATS",
    "Asking",
    "ImageSource",
    "Picture",
    "as_image",
    "as_source",
    "as_sources",
    "asking",
    "centre_strip",
    "data_uri_bytes",
    "decode_apart",
    "digest_of",
    "is_data_uri",
    "notes_of",
    "open_image",
    "shown_by_browsers",
    "thumbnail_uri",
    "to_rgb",
]
