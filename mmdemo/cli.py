"""The command line: `python -m mmdemo models | download | compare | classify | …`."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmdemo.background.measure import ensure
from mmdemo.background.sets import background, cache_path
from mmdemo.encoders.spec import ModelSpec
from mmdemo.errors import MMDemoError, SettingError
from mmdemo.models.files import download_plan, on_this_machine
from mmdemo.models.find import find_model, model_rows, offered, unavailable
from mmdemo.models.hub.download import fetch
from mmdemo.models.pool import load_encoder
from mmdemo.progress import print_progress, print_share, size_text
from mmdemo.settings import send_no_telemetry
from mmdemo.similarity import degrees, order
from mmdemo.tasks.classify import Classification, classify
from mmdemo.tasks.compare import LABELS, PAIRS, TEXT_IMAGE, Comparison, Leaning, compare
from mmdemo.tasks.passages import open_document, split_document
from mmdemo.tasks.prompts import TEMPLATE_SETS
from mmdemo.tasks.rank import Ranking, rank_passages
from mmdemo.types import Verdict

_SHOWN: dict[Verdict, str] = {
    "yes": "probably shows the text",
    "no": "probably does not show the text",
    "unsure": "not sure",
}
_LEANS: dict[Leaning, str] = {
    "text": "mostly text",
    "image": "mostly picture",
    "half": "about half of each",
}
_MODEL_HELP = "a name from 'models', a hub id (owner/name), a local directory or a checkpoint"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return 0, or 1 after an error that was explained on stderr."""
    given = _parser().parse_args(arguments)
    send_no_telemetry()
    try:
        given.run(given)
    except MMDemoError as error:
        sys.stderr.write(f"mmdemo: {error}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("\nmmdemo: stopped\n")
        return 130  # what shells expect: 128 + SIGINT
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m mmdemo", description="Multimodal embeddings.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    models = commands.add_parser("models", help="list the models and what each can do")
    models.add_argument("--json", action="store_true", help="print JSON")
    models.set_defaults(run=_models)

    download = commands.add_parser("download", help="fetch a model's weights ahead of time")
    download.add_argument("name", help="a name from 'models', or a hub id (owner/name)")
    download.set_defaults(run=_download)

    measured = commands.add_parser("background", help="measure unrelated pairs ahead of time")
    measured.add_argument("name", help=_MODEL_HELP)
    measured.set_defaults(run=_background)

    comparison = commands.add_parser("compare", help="two pictures and a text, four ways")
    comparison.add_argument("image1", metavar="A", help="first picture")
    comparison.add_argument("image2", metavar="B", help="second picture")
    comparison.add_argument("text", metavar="TEXT")
    comparison.add_argument("--model", default=None, help=_MODEL_HELP)
    comparison.add_argument("--json", action="store_true", help="print JSON")
    comparison.set_defaults(run=_compare)

    _add_classify(commands)
    _add_rank(commands)

    serve = commands.add_parser("serve", help="start the page; same as 'python app.py'")
    serve.add_argument("--model", default=None, help=f"open with it: {_MODEL_HELP}")
    serve.set_defaults(run=_serve)
    return parser


def _add_rank(commands: Any) -> None:
    ranking = commands.add_parser("rank", help="a text file's passages, ranked for a query")
    ranking.add_argument("query", metavar="QUERY")
    ranking.add_argument("file", metavar="FILE", type=Path, help="its paragraphs are the passages")
    ranking.add_argument("--model", default=None, help=_MODEL_HELP)
    ranking.add_argument("--json", action="store_true", help="print JSON")
    ranking.set_defaults(run=_rank)


def _add_classify(commands: Any) -> None:
    classification = commands.add_parser("classify", help="which of some labels pictures show")
    classification.add_argument("images", metavar="IMAGE", nargs="+", help="a picture")
    classification.add_argument("--labels", required=True, help="the candidates: a,b,c")
    classification.add_argument(
        "--templates",
        action="append",
        help="a template set, or a template with {}, as often as wanted; by default openai-7. "
        f"Sets: {', '.join(TEMPLATE_SETS)}",
    )
    classification.add_argument("--reject", action="store_true", help="add 'none of these'")
    classification.add_argument("--model", default=None, help=_MODEL_HELP)
    classification.add_argument("--json", action="store_true", help="print JSON")
    classification.set_defaults(run=_classify)


def _models(given: argparse.Namespace) -> None:
    if given.json:
        _print_json(model_rows())
        return
    missing = [f"{name:24} {error}" for name, error in unavailable().items()]
    sys.stdout.write("\n".join([*map(_model_line, offered()), *missing]) + "\n")


def _download(given: argparse.Namespace) -> None:
    spec = find_model(given.name)
    if not spec.hub:
        load_encoder(spec)  # complains where a file is missing or cut off
        sys.stdout.write(f"{spec.name} is on this machine and complete; nothing to download.\n")
        return
    wanted = None if on_this_machine(spec) else download_plan(spec)
    if wanted is None or not wanted.files:
        sys.stdout.write(f"{spec.name} is on this machine already; nothing to download.\n")
        return
    here = f", of which {size_text(wanted.here)} are here already" if wanted.here else ""
    licence = f" ({spec.licence})" if spec.licence else ""
    sys.stdout.write(
        f"{spec.name}{licence} takes {size_text(wanted.total)} on disk{here}. Ctrl+C stops "
        "the download; the same command goes on with it.\n"
    )
    sys.stdout.flush()
    fetch(wanted, print_progress)
    sys.stdout.write(f"{spec.name} is on this machine now.\n")


def _background(given: argparse.Namespace) -> None:
    encoder = load_encoder(given.name)
    known = background(encoder)
    if known is None:
        known = ensure(encoder, lambda told: print_share(told.share))
        path = cache_path(encoder)
        if path is None or not path.is_file():
            raise SettingError(
                f"The background set of {encoder.name} was measured and could not be kept. Set "
                "MMDEMO_CACHE to a folder that can be written, and run the command again.",
                "background_not_kept",
                name=encoder.name,
            )
    pairs = ", ".join(f"{count:,} {kind}" for kind, count in known.pairs.items())
    sys.stdout.write(f"{encoder.name} has its background set: {pairs}.\n")


def _compare(given: argparse.Namespace) -> None:
    result = compare(load_encoder(given.model), given.image1, given.image2, given.text)
    if given.json:
        _print_json(result.to_dict())
    else:
        sys.stdout.write(_table(result) + "\n")


def _classify(given: argparse.Namespace) -> None:
    wanted = given.templates or ["openai-7"]
    templates = wanted[0] if len(wanted) == 1 else wanted
    images = [Path(image) for image in given.images]
    encoder = load_encoder(given.model)

    def report(done: int, total: int) -> None:
        if total >= 200:  # about a second
            print_share(done / total)

    result = classify(
        encoder, images, given.labels, templates, reject=given.reject, progress=report
    )
    if given.json:
        _print_json(result.to_dict())
    else:
        sys.stdout.write("\n".join(_ranked(result, given.images)) + "\n")


def _rank(given: argparse.Namespace) -> None:
    document = open_document(given.file)
    passages = split_document(document.text)
    ranking = rank_passages(load_encoder(given.model), given.query, passages, progress=print_share)
    read = f"'{document.name}' was read as {document.encoding}."
    notes = [] if document.is_utf8 else [read]
    if given.json:
        told = ranking.to_dict()
        _print_json(told | {"notes": [*notes, *told["notes"]]})
    else:
        lines = [_ranked_passages(ranking), *(f"Note: {note}" for note in notes)]
        sys.stdout.write("\n".join(lines) + "\n")


def _serve(given: argparse.Namespace) -> None:
    if given.model:
        os.environ["MMDEMO_MODEL"] = given.model
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


def _model_line(spec: ModelSpec) -> str:
    where = "on this machine" if on_this_machine(spec) else "not downloaded"
    able = ", ".join(spec.modalities)
    languages = ", ".join(spec.languages)
    return (
        f"{spec.name:24} {able:20} fused: {spec.fusion:9} {spec.dim:5}-d "
        f"{spec.size_mb:7.1f} MB  {languages:14} {where}"
    )


def _ranked(result: Classification, images: Sequence[str]) -> list[str]:
    lines = [
        f"{result.model}, {result.activation}, logit_scale {result.logit_scale:.4g}, logit_bias "
        f"{result.logit_bias:.4g}, {len(result.templates)} templates",
        *(note.message for note in result.notes),
    ]
    best_first = iter(result.rows())
    for image, name in enumerate(images):
        lines.append(name)
        for _ in result.labels:
            row = next(best_first)
            rank = row["percentile"]
            lines.append(
                f"  {row['probability']:7.2%}  {row['cosine']:+.4f}  {row['label']}"
                + ("" if rank is None else f"   higher than {rank:.1f} % of unrelated pairs")
                + ("" if row["matching"] is None else f"   match {row['matching']:.2%}")
            )
        if result.rejection is not None:
            lines.append(f"  {result.rejection[image]:7.2%}  none of these")
    return lines


def _table_line(kind: str, pair: str, score: float, percentile: float | None) -> str:
    rank = "" if percentile is None else f"   higher than {percentile:.0f} % of unrelated pairs"
    return f"{kind:6} {pair:20} {score:+.4f}  {degrees(score):3.0f}°{rank}"


def _table(result: Comparison) -> str:
    lines = [f"{result.model} ({result.dim}-d), fused: {result.fusion}, text: {result.text}"]
    shown = {one.label: one for one in result.shown}
    for picture, score in result.text_image.items():
        percentile = result.text_image_percentiles.get(picture)
        line = _table_line(TEXT_IMAGE, f"{LABELS[0]} · {picture}", score, percentile)
        if one := shown.get(picture):
            line += f"   {_SHOWN[one.verdict]} (chance {one.probability:.0%})"
        lines.append(line)
    for kind, (row, column) in PAIRS.items():
        pair = f"{result.labels[row]} · {result.labels[column]}"
        lines.append(_table_line(kind, pair, result.scores[kind], result.percentiles.get(kind)))
    lines.append(f"fused 1 is {_LEANS[result.leaning]}, by its angles to image 1 and to the text")
    if not result.percentiles:
        lines.append(
            f"{result.model} has no background set yet, so there are no percentiles; "
            "'python -m mmdemo background NAME' measures one."
        )
    return "\n".join([*lines, *(f"Note: {note.message}" for note in result.notes)])


def _ranked_passages(ranking: Ranking) -> str:
    known = {name: scores for name, scores in ranking.scores.items() if scores is not None}
    columns = [ranking.hybrid(), *known.values()]
    head = "".join(f"{name:>14}" for name in ("weighted sum", *known))
    lines = [f"{ranking.model}, query: {ranking.query}", f"{head}  passage"]
    for position in order(columns[0]):
        numbers = "".join(f"{scores[position]:14.4f}" for scores in columns)
        text = " ".join(ranking.passages[position].split())
        lines.append(f"{numbers}  {text[:80]}")
    for position in ranking.truncated:
        usage = ranking.usage[position]
        lines.append(
            f"Note: of '{ranking.passages[position][:30]}…' only the first {usage.used} of "
            f"{usage.total} tokens were read."
        )
    return "\n".join([*lines, *(f"Note: {note.message}" for note in ranking.notes)])


def _print_json(value: Any) -> None:
    sys.stdout.write(json.dumps(value, ensure_ascii=False, indent=2) + "\n")
