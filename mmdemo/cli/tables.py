"""Results as lines of text, for people."""

from __future__ import annotations

from collections.abc import Sequence

from mmdemo.encoders.spec import ModelSpec
from mmdemo.models.files import on_this_machine
from mmdemo.similarity import degrees, order
from mmdemo.tasks.classify import Classification
from mmdemo.tasks.compare import LABELS, PAIRS, TEXT_IMAGE, Comparison, Leaning
from mmdemo.tasks.rank import Ranking
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


def model_line(spec: ModelSpec) -> str:
    """Return a model and what it can do."""
    where = "on this machine" if on_this_machine(spec) else "not downloaded"
    able = ", ".join(spec.modalities)
    languages = ", ".join(spec.languages)
    return (
        f"{spec.name:24} {able:20} fused: {spec.fusion:9} {spec.dim:5}-d "
        f"{spec.size_mb:7.1f} MB  {languages:14} {where}"
    )


def classification(result: Classification, images: Sequence[str]) -> str:
    """Return each picture's labels, the best first; `images` are the names of the pictures."""
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
    return "\n".join(lines)


def _table_line(kind: str, pair: str, score: float, percentile: float | None) -> str:
    rank = "" if percentile is None else f"   higher than {percentile:.0f} % of unrelated pairs"
    return f"{kind:6} {pair:20} {score:+.4f}  {degrees(score):3.0f}°{rank}"


def comparison(result: Comparison) -> str:
    """Return each pair of a comparison: its cosine, angle and percentile."""
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


def ranking(result: Ranking) -> str:
    """Return the passages in the order of their weighted sums."""
    known = {name: scores for name, scores in result.scores.items() if scores is not None}
    columns = [result.hybrid(), *known.values()]
    head = "".join(f"{name:>14}" for name in ("weighted sum", *known))
    lines = [f"{result.model}, query: {result.query}", f"{head}  passage"]
    for position in order(columns[0]):
        numbers = "".join(f"{scores[position]:14.4f}" for scores in columns)
        text = " ".join(result.passages[position].split())
        lines.append(f"{numbers}  {text[:80]}")
    for position in result.truncated:
        usage = result.usage[position]
        lines.append(
            f"Note: of '{result.passages[position][:30]}…' only the first {usage.used} of "
            f"{usage.total} tokens were read."
        )
    return "\n".join([*lines, *(f"Note: {note.message}" for note in result.notes)])
