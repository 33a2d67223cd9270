"""The endpoints: one door for programs, over HTTP and as tools of an MCP server.

A docstring is what a program reads on the API page, and in the list of tools. To add an endpoint
is to write a function here and to name it in `ENDPOINTS`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from mmdemo.background.measure import start
from mmdemo.models.encoder import Encoder
from mmdemo.models.find import model_rows
from mmdemo.models.lane import Priority, Stop
from mmdemo.tasks import classify as classifying
from mmdemo.tasks import compare as comparing
from mmdemo.tasks import embed as embedding
from mmdemo.tasks import rank as ranking
from mmdemo.tasks.classify import ClassifyRequest
from mmdemo.tasks.compare import CompareRequest
from mmdemo.tasks.embed import EmbedRequest
from mmdemo.tasks.rank import RankRequest, Weights
from mmdemo.types import Needs
from mmdemo.ui.parts import pictures
from mmdemo.ui.parts.models.handlers import first_choice, loaded, suitable
from mmdemo.ui.serving import endpoints
from mmdemo.ui.serving.endpoints import followed
from mmdemo.ui.serving.line import unheard
from mmdemo.ui.serving.payloads import (
    ModelName,
    OnePicture,
    PictureList,
    Switch,
    Text,
    TextList,
    Texts,
    Weight,
)
from mmdemo.work import Follow


def compare(
    image1: OnePicture, image2: OnePicture, text: Text, model: ModelName = None
) -> dict[str, Any]:
    """Compare two pictures and a text with a multimodal embedding model.

    The cosines of the text with each picture, of the pictures with each other, and of what becomes
    of them where picture and text are embedded together (fused); each with its percentile among
    unrelated pairs, without which a cosine says little.

    Args:
        image1: the first picture: an uploaded file, or a data URI (data:image/png;base64,…). No
            address is fetched.
        image2: the second picture, as the first: an uploaded file, or a data URI.
        text: what is compared with both pictures.
        model: the name of a model that `models` lists and that is on the server's machine; by
            default the server's own choice.

    Returns:
        scores (cosines by pair kind), percentiles, text_image (the text with each picture), shown
        (whether a picture shows the text, where the model is calibrated), matrix, labels, notes.
    """
    request = CompareRequest(image1, image2, (text,), model)
    encoder = _loaded(request.model, comparing.NEEDS, Priority.CALL, unheard())
    pictures.check([image1, image2], ["image1", "image2"])
    return request.run(encoder)[0].to_dict()


def classify(
    images: PictureList,
    labels: Texts,
    templates: Texts = "openai-7",
    reject: Switch = False,
    model: ModelName = None,
) -> Iterator[dict[str, Any]]:
    """Say which of some labels pictures show, without training (zero-shot classification).

    Args:
        images: the pictures: uploaded files, or data URIs (data:image/png;base64,…).
        labels: the candidates, in any language that the model reads: a list, or a text with one a
            line, or separated by commas.
        templates: what the labels are put into: plain, openai-7, openai-80, each also with -zh for
            Chinese labels; or templates of one's own, with {} where the label goes, as a list or
            one a line.
        reject: whether to add "none of these". That needs unrelated pairs, which are measured at a
            model's first use, and the first answer then takes as long as that.
        model: the name of a model that `models` lists and that is on the server's machine; by
            default the server's own choice.

    Yields:
        stage and share while it runs; at last labels, cosines and probabilities [picture][label],
        percentiles among unrelated pairs, rejection, logit_scale, notes.
    """
    request = ClassifyRequest.of(images, labels, templates, reject=reject, model=model)

    def work(follow: Follow) -> dict[str, Any]:
        encoder = _loaded(request.model, classifying.NEEDS, Priority.ENDPOINT, follow.unwanted)
        start(encoder)
        return request.run(encoder, follow).to_dict()

    yield from followed(work)


def rank(
    query: Text,
    passages: Texts,
    model: ModelName = None,
    dense: Weight = 1,
    sparse: Weight = 1,
    multi_vector: Weight = 1,
) -> Iterator[dict[str, Any]]:
    """Rank passages for a query: by meaning, by shared words, token by token, and by all of these.

    Args:
        query: what is looked for.
        passages: a list of texts; or one text, parted by empty lines, or one a line without those.
        model: the name of a model that `models` lists and that is on the server's machine; by
            default the server's own choice.
        dense: weight of the cosine of the two vectors.
        sparse: weight of the words that they share (lexical weights); BGE-M3 alone has these.
        multi_vector: weight of each query token's best match (MaxSim).

    Yields:
        stage and share while it runs; at last passages in the order of the weighted sum, each with
        text, position, scores, hybrid (that sum) and percentile; notes.
    """
    weights: Weights = {"dense": dense, "sparse": sparse, "multi_vector": multi_vector}
    request = RankRequest.of(query, passages, weights, model=model)

    def work(follow: Follow) -> dict[str, Any]:
        encoder = _loaded(request.model, ranking.NEEDS, Priority.ENDPOINT, follow.unwanted)
        return request.run(encoder, follow).to_dict(request.by_name)

    yield from followed(work)


def embed(
    images: PictureList = (),
    texts: TextList = (),
    fused: Switch = False,
    model: ModelName = None,
) -> Iterator[dict[str, Any]]:
    """Turn pictures and texts into vectors of one space, such as a search is built from.

    Every vector has length 1, so that the dot product of two is their cosine.

    Args:
        images: pictures: uploaded files, or data URIs (data:image/png;base64,…).
        texts: a list of texts.
        fused: whether to embed each picture together with a text, the first with the first and so
            on; a single text goes with all pictures. Otherwise pictures come first, then texts.
        model: the name of a model that `models` lists and that is on the server's machine; by
            default the server's own choice.

    Yields:
        stage and share while it runs; at last vectors (one list of numbers for each item, in
        order), modalities, dim, model, fingerprint (of its weights: vectors of others do not
        compare), notes.
    """
    request = EmbedRequest.of(images, texts, fused=fused, model=model)

    def work(follow: Follow) -> dict[str, Any]:
        encoder = _loaded(request.model, embedding.NEEDS, Priority.ENDPOINT, follow.unwanted)
        return request.run(encoder, follow).to_dict()

    yield from followed(work)


def models() -> list[dict[str, Any]]:
    """List the models: what each can do, its size, languages, and whether it is on this machine.

    Returns:
        a list with name, modalities, dim, languages, size_mb, on_this_machine and more; of a model
        that is offered and cannot be had, name and error.
    """
    return model_rows()


ENDPOINTS: tuple[tuple[Callable[..., Any], Needs], ...] = (
    (compare, comparing.NEEDS),
    (classify, classifying.NEEDS),
    (rank, ranking.NEEDS),
    (embed, embedding.NEEDS),
    (models, frozenset()),
)
"""Each with what a model must be able to do for it."""


def build() -> None:
    """Add the endpoints that a model on offer can serve."""
    for function, needs in ENDPOINTS:
        if not needs or suitable(needs):
            endpoints.add(function)


def _loaded(model: str | None, needs: Needs, priority: Priority, stop: Stop) -> Encoder:
    """Return the model that was asked for; where none was, the first that can do it."""
    return loaded(model or first_choice(needs), priority, stop)
