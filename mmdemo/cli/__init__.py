"""The command line: `python -m mmdemo models | download | compare | classify | …`."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from mmdemo.cli import commands, printing
from mmdemo.errors import MMDemoError
from mmdemo.settings import send_no_telemetry
from mmdemo.tasks.prompts import TEMPLATE_SETS

_MODEL_HELP = "a name from 'models', a hub id (owner/name), a local directory or a checkpoint"


_EXIT_STATUS = (
    "Exit status: 0 done; 1 it could not be done, and standard error says why; 2 the arguments are "
    "not as above; 130 stopped by Ctrl+C; 141 nobody read what was written."
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Returns:
        The exit status: 0, or 1 after an error that was explained on stderr; 130 after Ctrl+C, 141
        where nobody read what was written, which shells expect (128 and the signal's number).

    Raises:
        SystemExit: 2, the arguments make no sense, as was explained on stderr; 0 after `--help`.
    """
    printing.prepare()
    try:
        return _run(arguments)
    except printing.PipeClosedError:
        printing.discard()
        return 141
    except MMDemoError as error:
        printing.told(f"mmdemo: {error}")
        if error.code == "output_unwritable":
            printing.discard()
        return 1
    except KeyboardInterrupt:
        printing.told("\nmmdemo: stopped")
        return 130


def _run(arguments: Sequence[str] | None) -> int:
    try:
        given = _parser().parse_args(arguments)
        send_no_telemetry()
        given.run(given)
        return 0
    finally:
        printing.flush()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m mmdemo", description="Multimodal embeddings.", epilog=_EXIT_STATUS
    )
    added = parser.add_subparsers(required=True, metavar="COMMAND")

    models = _command(added, commands.models, "list the models and what each can do")
    models.add_argument("--json", action="store_true", help="print JSON")

    download = _command(added, commands.download, "fetch a model's weights ahead of time")
    download.add_argument("name", help="a name from 'models', or a hub id (owner/name)")

    measured = _command(added, commands.background, "measure unrelated pairs ahead of time")
    measured.add_argument("name", help=_MODEL_HELP)

    _add_compare(added)
    _add_classify(added)
    _add_rank(added)
    _add_embed(added)

    serve = _command(added, commands.serve, "start the page; same as 'python app.py'")
    serve.add_argument("--model", default=None, help=f"open with it: {_MODEL_HELP}")
    serve.add_argument("--port", default=None, help="serve it there; by default at the first free")
    serve.add_argument(
        "--mcp", action="store_true", help="let its endpoints be tools of an MCP server too"
    )
    return parser


def _add_compare(added: Any) -> None:
    comparison = _request(added, commands.compare, "two pictures and a text, four ways")
    comparison.add_argument("image1", metavar="A", help="first picture")
    comparison.add_argument("image2", metavar="B", help="second picture")
    comparison.add_argument("text", metavar="TEXT")


def _add_classify(added: Any) -> None:
    classification = _request(added, commands.classify, "which of some labels pictures show")
    classification.add_argument("images", metavar="IMAGE", nargs="+", help="a picture")
    classification.add_argument("--labels", required=True, help="the candidates: a,b,c")
    classification.add_argument(
        "--templates",
        action="append",
        help="a template set, or a template with {}, as often as wanted; by default openai-7. "
        f"Sets: {', '.join(TEMPLATE_SETS)}",
    )
    classification.add_argument("--reject", action="store_true", help="add 'none of these'")


def _add_rank(added: Any) -> None:
    ranking = _request(added, commands.rank, "a text file's passages, ranked for a query")
    ranking.add_argument("query", metavar="QUERY")
    ranking.add_argument("file", metavar="FILE", type=Path, help="its paragraphs are the passages")


def _add_embed(added: Any) -> None:
    vectors = _request(added, commands.embed, "pictures and texts as vectors, in a file")
    vectors.add_argument("images", metavar="FILE", nargs="*", help="a picture")
    vectors.add_argument(
        "--text", action="append", default=[], help="a text, as often as wanted; after the pictures"
    )
    vectors.add_argument(
        "--texts", type=Path, metavar="FILE", help="a text file: a text a line, after those"
    )
    vectors.add_argument(
        "--fused",
        action="store_true",
        help="embed each picture together with a text; a single one goes with all pictures",
    )
    vectors.add_argument(
        "--out",
        type=Path,
        metavar="VECTORS",
        help="what to write: .npy for the vectors alone, float32 [n, dim]; .npz for vectors, items "
        "(picture and text of each), model and fingerprint",
    )
    vectors.add_argument("--force", action="store_true", help="replace a file that is there")


def _request(added: Any, run: Callable[[argparse.Namespace], None], told: str) -> Any:
    """Add a command that asks a model for something."""
    command = _command(added, run, told)
    command.add_argument("--model", default=None, help=_MODEL_HELP)
    command.add_argument("--json", action="store_true", help="print JSON")
    return command


def _command(added: Any, run: Callable[[argparse.Namespace], None], told: str) -> Any:
    """Add a command under the name of its function."""
    command = added.add_parser(run.__name__, help=told)
    command.set_defaults(run=run)
    return command
