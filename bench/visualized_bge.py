"""What Visualized-BGE base-en costs here, against the reference's way of working.

    python -m bench.visualized_bge [--rounds 5] [--keep FOLDER] [--busy]

Weights are random, sizes are the official ones. The reference embeds one item a call and shares
nothing, so its five calls run the vision tower four times; they are emulated on the same layers. In
every round all rivals take their turn, and ratios are of medians over the rounds. On a machine that
others use meanwhile, `--busy` counts processor time on one thread instead of time on the clock.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import nn

from mmdemo import compare
from mmdemo.encoders.parts.linear import multiplying
from mmdemo.encoders.visualized_bge import model
from mmdemo.encoders.visualized_bge.model import VisualizedBGE
from mmdemo.models.encoder import encoder_of

CONFIG = {
    "model_type": "bert",
    "hidden_size": 768,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "intermediate_size": 3072,
    "vocab_size": 30522,
    "max_position_embeddings": 512,
    "type_vocab_size": 2,
    "pad_token_id": 0,
    "layer_norm_eps": 1e-12,
}
"""What BAAI/bge-base-en-v1.5 says of itself."""

WORDS = ["a", "red", "cat", "sits", "beside", "the", "blue", "bridge", "at", "night"]
LOADS = 3

# Run in a process of its own, libraries imported: prints milliseconds and resident megabytes.
_LOAD = """
import sys, time
from pathlib import Path
import torch
from mmdemo.encoders.visualized_bge import model as module
folder = Path(sys.argv[1])
start = time.perf_counter()
if sys.argv[2] == "ours":
    kept = module.VisualizedBGE("bench", folder)
else:
    config = module.read_json(folder, "config.json")
    kept = module._Network(config, {"timm_model": module._family(config).vision}).eval()
    checkpoint = module.only_checkpoint(folder)
    kept.load_state_dict(module._ours(torch.load(checkpoint, weights_only=True)))
    tokenizer = module.Tokenizer(folder, kept.text.config, kept.longest_texts()[0])
taken = time.perf_counter() - start
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
print(taken * 1e3, *(int(status[key].split()[0]) / 1e3 for key in ("VmRSS", "VmHWM")))
"""


def main() -> None:
    """Print Markdown tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--keep", type=Path, help="where the random weights are, or are kept")
    parser.add_argument("--busy", action="store_true", help="count processor time on one thread")
    arguments = parser.parse_args()
    clock = time.process_time if arguments.busy else time.perf_counter
    if arguments.busy:
        torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.keep or Path(temporary)
        if not (folder / "config.json").is_file():
            _make(folder)
        _print_loading(folder)
        _print_speed(folder, arguments.rounds, clock)


def _make(folder: Path) -> None:
    """Write random weights of the official sizes in the official layout."""
    torch.manual_seed(0)
    network = model._Network(CONFIG, {"timm_model": "eva02_base_patch16_clip_224"})
    names = network.state_dict()
    state = {model._renamed(name, back=True): value for name, value in names.items()}
    folder.mkdir(exist_ok=True)
    torch.save(state, folder / "Visualized_random.pth")
    (folder / "config.json").write_text(json.dumps(CONFIG))
    (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "BertTokenizer"}')
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS, "first", "second"]
    vocabulary += [str(digit) for digit in range(10)]
    (folder / "vocab.txt").write_text("\n".join(vocabulary))


def _print_loading(folder: Path) -> None:
    rows: dict[str, list[list[float]]] = {"reference": [], "ours": []}
    for _ in range(LOADS):
        for way, found in rows.items():
            command = [sys.executable, "-c", _LOAD, str(folder), way]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            found.append([float(number) for number in done.stdout.split()])
    medians = {way: np.median(found, axis=0) for way, found in rows.items()}
    out = sys.stdout.write
    out(
        "| loading, in a new process | ms | ratio | resident MB | peak MB |\n"
        "|---|---|---|---|---|\n"
    )
    for way, name in (("reference", "build and copy"), ("ours", "memory-mapped")):
        ms, resident, peak = medians[way]
        ratio = medians["reference"][0] / ms
        out(f"| {name} | {ms:.0f} | {ratio:.1f} x | {resident:.0f} | {peak:.0f} |\n")


def _print_speed(folder: Path, rounds: int, clock: Callable[[], float]) -> None:
    plain = VisualizedBGE("plain", folder)
    weights = VisualizedBGE("ours", folder)
    ours = encoder_of(weights)
    times: dict[str, list[float]] = {}

    def timed(name: str, step: Callable[..., object], *arguments: object) -> None:
        start = clock()
        step(*arguments)
        times.setdefault(name, []).append((clock() - start) * 1e3)

    for number in range(-1, rounds):
        pictures = _picture(2 * number + 2), _picture(2 * number + 3)
        timed("reference", _five_calls, plain, *pictures, _text(number, "first"))
        timed("peak", _multiply, weights)
        timed("cold", compare, ours, *pictures, _text(number, "first"))
        timed("only the text is new", compare, ours, *pictures, _text(number, "second"))
        if number < 0:  # this round warms up; its vectors are compared
            times.clear()
    inputs = _picture(0), _picture(1), _text(-1, "first")
    exact = _five_calls(plain, *inputs)
    found = compare(ours, *inputs).vectors.astype(np.float64)
    medians = {name: float(np.median(values)) for name, values in times.items()}
    out = sys.stdout.write
    out(f"\n{torch.get_num_threads()} threads, {rounds} rounds; multiplies '{weights._kernel}'\n\n")
    out("| | ms | ratio |\n|---|---|---|\n")
    out(f"| five calls of the reference | {medians['reference']:.0f} | 1.0 x |\n")
    for what in ("cold", "only the text is new"):
        out(f"| {what} | {medians[what]:.0f} | {medians['reference'] / medians[what]:.2f} x |\n")
    apart = float(1 - (exact * found).sum(1).min())
    out(f"\nThe reference's way: 1 - cos is {apart:.1e} at most, a number ")
    out(f"{float(np.abs(found - exact).max()):.1e}.\n")
    operations = _operations(plain, *inputs)
    peak = 2 * _EDGE**3 / np.array(times["peak"]) / 1e6  # GFLOP/s
    reached = operations / np.array(times["cold"]) / 1e6 / peak
    out(f"Matrix multiplication: {np.median(peak):.0f} GFLOP/s measured; a cold comparison has ")
    out(f"{operations / 1e9:.0f} GFLOP of it and reaches {np.median(reached):.0%} of that speed.\n")


def _five_calls(
    encoder: VisualizedBGE, first: Image.Image, second: Image.Image, text: str
) -> np.ndarray:
    """Embed as the reference does: five calls, nothing shared, every state of every layer.

    Returns:
        float64 [5, dim], unit rows, in the order of `Comparison.vectors`.
    """
    calls = [(None, text), (first, ""), (second, ""), (first, text), (second, text)]
    rows = np.concatenate([_reference(encoder, picture, words) for picture, words in calls])
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@torch.inference_mode()
def _reference(encoder: VisualizedBGE, picture: Image.Image | None, text: str) -> np.ndarray:
    network, tokenizer = encoder._network, encoder._tokenizer
    ids, _ = tokenizer.padded(tokenizer.ids([text]))
    if picture is None:
        states = network.text.embeddings(input_ids=ids)
    else:
        tokens = network.image_tokens(encoder.read_picture(picture)[None])
        positions = torch.arange(ids.shape[1])[None] + tokens.shape[1]
        positions[:, 0] = 0
        words = network.text.embeddings(input_ids=ids, position_ids=positions)
        states = torch.cat([words[:, :1], tokens, words[:, 1:]], dim=1)
    mask = torch.zeros(1, 1, 1, states.shape[1])  # it passes one that masks nothing
    read = network.text.encoder(states, attention_mask=mask).last_hidden_state[:, 0]
    return read.numpy().astype(np.float64)


def _picture(number: int) -> Image.Image:
    pixels = np.random.default_rng(number).integers(0, 256, (30, 40, 3), dtype=np.uint8)
    return Image.fromarray(pixels).resize((640, 480), Image.Resampling.BICUBIC)


def _text(number: int, which: str) -> str:
    return f"{' '.join(WORDS)} {number + 1} {which}"


_EDGE = 2048


@torch.inference_mode()
def _multiply(encoder: VisualizedBGE) -> None:
    """Multiply two large matrices with the kernel that the encoder chose."""
    with multiplying(encoder._kernel or "plain"):
        torch.mm(_LEFT, _RIGHT)


_LEFT, _RIGHT = torch.randn(2, _EDGE, _EDGE)


def _operations(
    encoder: VisualizedBGE, first: Image.Image, second: Image.Image, text: str
) -> float:
    """Count the multiplications and additions of a cold comparison's matrix products."""
    found: list[float] = []
    with _counted(encoder, found):
        compare(encoder_of(encoder), first, second, text)
    return float(sum(found))


@contextmanager
def _counted(encoder: VisualizedBGE, found: list[float]) -> Iterator[None]:
    def linear(layer: Any, inputs: tuple[torch.Tensor], _: object) -> None:
        found.append(2.0 * inputs[0].numel() * layer.out_features)

    attend = nn.functional.scaled_dot_product_attention

    def attention(query: torch.Tensor, key: torch.Tensor, *rest: Any, **more: Any) -> torch.Tensor:
        found.append(4.0 * query.numel() * key.shape[-2])
        return attend(query, key, *rest, **more)

    layers = [m for m in encoder._network.modules() if isinstance(m, nn.Linear)]
    hooks = [layer.register_forward_hook(linear) for layer in layers]
    nn.functional.scaled_dot_product_attention = attention
    encoder._kernel = "plain"
    try:
        yield
    finally:
        nn.functional.scaled_dot_product_attention = attend
        for hook in hooks:
            hook.remove()


if __name__ == "__main__":
    main()
