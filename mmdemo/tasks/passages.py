"""From what somebody typed, pasted or dropped to passages that can be ranked.

Typed text says itself where a passage ends: at an empty line, or, where there is none, at the end
of each line. A document does not, so its paragraphs are joined and cut to sizes that suit a search.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from heapq import heapify, heappop, heappush
from itertools import pairwise
from pathlib import Path

from mmdemo.errors import TextError
from mmdemo.settings import limits
from mmdemo.signs import has_visible
from mmdemo.tasks.encodings import NAMES, decoded

_LONGEST = 1200
"""Characters from which on a paragraph is cut, at the end of a sentence."""

_SHORTEST = 60
"""Characters up to which a paragraph that is no sentence is a title of the one that follows."""

_SENTENCE_END = re.compile(r"(?<=[.!?…])\s+|(?<=[。！？])")
_LINE = re.compile("\r\n?|[\v\x85\u2028]")
_PARAGRAPH = re.compile("[\f\u2029]")
_HEADING = re.compile(r"#{1,6}\s|[^\n]{1,80}\n[=-]{3,}\s*$")


@dataclass(frozen=True)
class Document:
    """A text file.

    Attributes:
        text: with line breaks of one kind.
        encoding: that it was read in, as people call it: `UTF-8`, `Windows-1252`, …
        name: of the file, without its folder.
    """

    text: str
    encoding: str
    name: str

    @property
    def is_utf8(self) -> bool:
        """Return whether it is UTF-8; of any other encoding the reader should be told."""
        return self.encoding == "UTF-8"


def typed_passages(text: str) -> list[str]:
    r"""Return the passages of a typed text: parted by empty lines, or one a line without those.

    >>> typed_passages("one\ntwo")
    ['one', 'two']
    >>> typed_passages("one\nmore of it\n\ntwo")
    ['one\\nmore of it', 'two']
    """
    blocks = _blocks(text)
    return blocks if len(blocks) > 1 else _lines(text)


def split_document(text: str) -> list[str]:
    """Cut a document into passages: its paragraphs, none much longer than 1200 characters.

    Without empty lines, each line is a paragraph. A title goes with what follows it, and neighbours
    are joined until there are not more than `MMDEMO_LIMITS_PASSAGES`.

    Args:
        text: plain text or Markdown.

    Returns:
        The passages in order; nothing of the text is lost but the space between them.
    """
    blocks = _blocks(text)
    if len(blocks) <= 1:
        return _at_most([piece for line in _lines(text) for piece in _pieces(line)])
    paragraphs = [piece for block in blocks for piece in _pieces(block)]
    passages: list[str] = []
    waiting = ""  # titles
    for paragraph, following in zip(paragraphs, [*paragraphs[1:], ""], strict=True):
        joined = f"{waiting}\n{paragraph}" if waiting else paragraph
        if _is_title(paragraph, following) and len(joined) <= _LONGEST:
            waiting = joined
        else:
            passages.append(joined)
            waiting = ""
    if waiting:
        passages.append(waiting)
    return _at_most(passages)


def _is_title(paragraph: str, following: str) -> bool:
    """Return whether a paragraph is the title of the one that follows.

    It is marked as one, or short and no sentence, before one that is a text. So a list of short
    ones stays a list, as it does where it is typed.
    """
    return _HEADING.match(paragraph) is not None or (_is_short(paragraph) and _is_text(following))


def _is_text(paragraph: str) -> bool:
    return bool(paragraph) and not _is_short(paragraph) and not _HEADING.match(paragraph)


def _is_short(paragraph: str) -> bool:
    ending = paragraph.rstrip("\"'”’»」』）)*_")[-1:]
    return len(paragraph) <= _SHORTEST and ending not in ".!?…。！？"


def open_document(path: Path) -> Document:
    """Read a file on this machine, as `read_document` does.

    Raises:
        TextError: there is no such file, or it is none that can be read.
    """
    try:
        # One byte more than is accepted is enough to see that it is too much.
        with path.open("rb") as file:
            data = file.read(4 * limits().document + 1)
    except IsADirectoryError as error:
        name = path.resolve().name or str(path)
        raise TextError(
            f"'{name}' is a folder. Give a text file that is in it.", "document_folder", name=name
        ) from error
    except (OSError, ValueError) as error:  # a name may hold what none can
        raise TextError(
            f"There is no readable text file '{path.name}'. Check the name.",
            "no_document",
            name=path.name,
        ) from error
    return read_document(data, path.name)


def read_document(data: bytes, name: str) -> Document:
    """Read a file, whatever of the usual encodings it is in (see `encodings.NAMES`).

    Args:
        data: the file's bytes.
        name: its name, for messages.

    Raises:
        TextError: it is too large, empty, or no text in any of those.
    """
    _check_size(data, name)
    if kind := _kind(data):
        raise TextError(
            f"'{name}' is {kind}, not a plain text. Save what it says as UTF-8 text (.txt or .md).",
            "document_kind",
            name=name,
            kind=kind,
        )
    found = decoded(data)
    if found is None:
        known = ", ".join(dict.fromkeys(NAMES.values()))
        raise TextError(
            f"'{name}' is not a text file in one of: {known}. Save it as UTF-8 text.",
            "document_encoding",
            name=name,
            known=known,
        )
    text, encoding = found
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if not has_visible(text):
        raise TextError(f"'{name}' has no text in it.", "document_empty", name=name)
    return Document(checked_document(text), encoding, name)


_KINDS = (
    (b"%PDF-", "a PDF"),
    (b"PK\x03\x04", "a ZIP archive or an office document (DOCX, ODT, EPUB)"),
    (b"\xd0\xcf\x11\xe0", "an old office document (DOC, XLS)"),
    (b"{\\rtf", "an RTF document"),
    (b"\x1f\x8b", "a GZIP archive"),
    (b"\x89PNG", "a PNG picture"),
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"GIF87a", "a GIF picture"),
    (b"GIF89a", "a GIF picture"),
    (b"\x7fELF", "a program"),
    (b"SQLite format 3", "a database"),
)


def _kind(data: bytes) -> str:
    """Return what a file is whose first bytes say that it is no plain text; empty for a text."""
    start = data[:64].lstrip(b"\xef\xbb\xbf\r\n\t ")
    return next((kind for mark, kind in _KINDS if start.startswith(mark)), "")


def checked_document(text: str) -> str:
    """Return a text that is not too long to be searched.

    Raises:
        TextError: it has more characters than `MMDEMO_LIMITS_DOCUMENT`.
    """
    longest = limits().document
    if len(text) > longest:
        raise TextError(
            f"The passages have {len(text):,} characters together; at most {longest:,} are "
            "accepted. Take a part of them.",
            "document_length",
            length=f"{len(text):,}",
            limit=f"{longest:,}",
        )
    return text


def _check_size(data: bytes, name: str) -> None:
    most = 4 * limits().document  # no encoding here needs more for a character
    if len(data) > most:
        raise TextError(
            f"'{name}' has more than {most / 1e6:.1f} MB, which is the most that is accepted of a "
            "text. Take a part of it.",
            "document_size",
            name=name,
            limit=f"{most / 1e6:.1f}",
        )


def _blocks(text: str) -> list[str]:
    """Return what empty lines part, without the space around it."""
    # A form feed begins a page, U+2029 a paragraph.
    text = _PARAGRAPH.sub("\n\n", _LINE.sub("\n", text))
    return [block.strip() for block in re.split(r"\n[^\S\n]*\n", text) if has_visible(block)]


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if has_visible(line)]


def _pieces(paragraph: str) -> Iterator[str]:
    """Yield a paragraph in pieces that are not too long, cut between sentences where it has any."""
    piece = ""
    for part in _SENTENCE_END.split(paragraph):
        for sentence in _words(part):
            if piece and len(piece) + len(sentence) > _LONGEST:
                yield piece.strip()
                piece = ""
            # Chinese puts no space between sentences.
            gap = "" if not piece or piece[-1] in "。！？" else " "
            piece += gap + sentence
    if piece.strip():
        yield piece.strip()


def _words(sentence: str) -> Iterator[str]:
    """Yield a sentence, or where it alone is too long, pieces of it, cut at spaces if there are."""
    while len(sentence) > _LONGEST:
        cut = sentence.rfind(" ", 1, _LONGEST)
        cut = _LONGEST if cut < 0 else cut
        yield sentence[:cut]
        sentence = sentence[cut:].lstrip()
    if sentence.strip():
        yield sentence


def _at_most(passages: list[str]) -> list[str]:
    """Join neighbours, the shortest pair first, until there are not too many."""
    # With a heap: to look for the shortest pair anew each time takes minutes for 50,000 lines.
    ends = list(range(1, len(passages) + 1))  # behind the passage that begins at a place
    starts = list(range(len(passages)))  # of the passage that ends at a place
    sizes = [len(passage) for passage in passages]
    pairs = [(one + two, place) for place, (one, two) in enumerate(pairwise(sizes))]
    heapify(pairs)
    for _ in range(len(passages) - limits().passages):
        first = _shortest(pairs, ends, sizes)
        second = ends[first]
        sizes[first] += 1 + sizes[second]
        sizes[second] = -1  # it begins nothing any more
        ends[first] = ends[second]
        starts[ends[first] - 1] = first
        if ends[first] < len(passages):
            heappush(pairs, (sizes[first] + sizes[ends[first]], first))
        if first:
            before = starts[first - 1]
            heappush(pairs, (sizes[before] + sizes[first], before))
    return [
        "\n".join(passages[place : ends[place]]) for place, size in enumerate(sizes) if size >= 0
    ]


def _shortest(pairs: list[tuple[int, int]], ends: list[int], sizes: list[int]) -> int:
    """Return where the shortest pair begins, and take it out; pairs of before are passed over."""
    while True:
        size, first = heappop(pairs)
        second = ends[first]
        there = sizes[first] >= 0 and second < len(sizes)
        if there and sizes[first] + sizes[second] == size:
            return first
