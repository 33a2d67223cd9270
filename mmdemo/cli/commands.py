"""What each command does; each takes what the parser made of the arguments."""

from __future__ import annotations

import argparse
import os

from mmdemo.background import sets
from mmdemo.background.measure import ensure
from mmdemo.cli import tables
from mmdemo.cli.printing import told, write, write_json
from mmdemo.cli.vectors import check_place, write_vectors
from mmdemo.environment import check_settings
from mmdemo.errors import MMDemoError, SettingError
from mmdemo.models.files import download_plan, on_this_machine
from mmdemo.models.find import find_model, model_rows, offered, unavailable
from mmdemo.models.hub.download import fetch
from mmdemo.models.pool import load_encoder
from mmdemo.progress import print_progress, print_share, size_text
from mmdemo.signs import has_visible
from mmdemo.tasks.classify import ClassifyRequest
from mmdemo.tasks.compare import CompareRequest
from mmdemo.tasks.embed import EmbedRequest
from mmdemo.tasks.passages import Document, open_document, split_document
from mmdemo.tasks.rank import RankRequest
from mmdemo.work import Follower

_LONG = 200  # prompts, which take about a second
_LONGEST_NAME = 200  # of a picture, which may be a data URI


def models(given: argparse.Namespace) -> None:
    """List the models."""
    if given.json:
        write_json(model_rows())
        return
    missing = [f"{name:24} {error}" for name, error in unavailable().items()]
    write("\n".join([*map(tables.model_line, offered()), *missing]))


def download(given: argparse.Namespace) -> None:
    """Fetch a model's weights."""
    spec = find_model(given.name)
    if not spec.hub:
        load_encoder(spec)  # complains where a file is missing or cut off
        write(f"{spec.name} is on this machine and complete; nothing to download.")
        return
    wanted = None if on_this_machine(spec) else download_plan(spec)
    if wanted is None or not wanted.files:
        write(f"{spec.name} is on this machine already; nothing to download.")
        return
    here = f", of which {size_text(wanted.here)} are here already" if wanted.here else ""
    licence = f" ({spec.licence})" if spec.licence else ""
    write(
        f"{spec.name}{licence} takes {size_text(wanted.total)} on disk{here}. Ctrl+C stops "
        "the download; the same command goes on with it."
    )
    fetch(wanted, print_progress)
    write(f"{spec.name} is on this machine now.")


def background(given: argparse.Namespace) -> None:
    """Measure a model's unrelated pairs."""
    encoder = load_encoder(given.name)
    known = sets.background(encoder)
    if known is None:
        known = ensure(encoder, lambda progress: print_share(progress.share))
        path = sets.cache_path(encoder)
        if path is None or not path.is_file():
            raise SettingError(
                f"The background set of {encoder.name} was measured and could not be kept. Set "
                "MMDEMO_CACHE to a folder that can be written, and run the command again.",
                "background_not_kept",
                name=encoder.name,
            )
    pairs = ", ".join(f"{count:,} {kind}" for kind, count in known.pairs.items())
    write(f"{encoder.name} has its background set: {pairs}.")


def compare(given: argparse.Namespace) -> None:
    """Compare two pictures and a text."""
    request = CompareRequest(given.image1, given.image2, (given.text,), given.model)
    [result] = request.run(load_encoder(request.model))
    if given.json:
        write_json(result.to_dict())
    else:
        write(tables.comparison(result))


def classify(given: argparse.Namespace) -> None:
    """Score pictures against labels."""
    wanted = given.templates or ["openai-7"]
    request = ClassifyRequest.of(
        given.images,
        given.labels,
        wanted[0] if len(wanted) == 1 else wanted,
        reject=given.reject,
        model=given.model,
    )

    def report(done: float, total: float, stage: str) -> None:
        if stage == "prompts" and total >= _LONG:
            print_share(done / total)

    result = request.run(load_encoder(request.model), Follower(report))
    if given.json:
        write_json(result.to_dict())
    else:
        write(tables.classification(result, [name[:_LONGEST_NAME] for name in given.images]))


def rank(given: argparse.Namespace) -> None:
    """Rank a document's passages for a query."""
    document = open_document(given.file)
    request = RankRequest.of(given.query, split_document(document.text), model=given.model)
    ranking = request.run(load_encoder(request.model), Follower(_share))
    notes = _how_read(document)
    if given.json:
        known = ranking.to_dict(request.by_name)
        write_json(known | {"notes": [*notes, *known["notes"]]})
    else:
        write("\n".join([tables.ranking(ranking), *(f"Note: {note}" for note in notes)]))


def embed(given: argparse.Namespace) -> None:
    """Write the vectors of pictures and texts."""
    check_place(given.out, force=given.force, printed=given.json)
    document = open_document(given.texts) if given.texts else None
    lines = document.text.splitlines() if document else []
    texts = [*given.text, *(line.strip() for line in lines if has_visible(line))]
    request = EmbedRequest.of(given.images, texts, fused=given.fused, model=given.model)
    result = request.run(load_encoder(request.model), Follower(_share))
    if given.out:
        write_vectors(result, request, given.out, force=given.force)
        count, dim = result.vectors.shape
        first = f"{given.out} holds {count:,} vectors of {dim:,} numbers, by {result.model}."
        notes = [*_how_read(document), *(note.message for note in result.notes)]
        lines = [first, *(f"Note: {note}" for note in notes)]
        (told if given.json else write)("\n".join(lines))
    if given.json:
        write_json(result.to_dict())


def serve(given: argparse.Namespace) -> None:
    """Start the page."""
    if given.model:
        os.environ["MMDEMO_MODEL"] = given.model
    if given.mcp:
        os.environ["MMDEMO_MCP"] = "1"
    if given.port:
        os.environ["GRADIO_SERVER_PORT"] = given.port
    check_settings()  # before gradio looks at its own, in words of its own
    # Here and not at the top: the other commands need no gradio.
    try:
        from mmdemo.ui.app import launch
    except ModuleNotFoundError as error:
        missing = str(error.name).partition(".")[0]
        if missing == "mmdemo":
            raise
        raise MMDemoError(
            f"The page needs packages of its own, and {missing} is not installed. Run: pip install "
            '"mmdemo[page]"',
            "page_missing",
            package=missing,
        ) from error
    launch()


def _how_read(document: Document | None) -> list[str]:
    """Return what a reader should know of how a document was read."""
    if document is None or document.is_utf8:
        return []
    return [f"'{document.name}' was read as {document.encoding}."]


def _share(done: float, total: float, _stage: str) -> None:
    print_share(done / total)
