"""What BGE-M3 costs here at full size: memory for the longest text, and batches by length.

    python -m bench.bge_m3 [--keep FOLDER] [--tokens 8192] [--rounds 3] [--only memory|batches]

Weights are random, sizes are those of BAAI/bge-m3; the checkpoint takes 2.3 GB of the disk. Memory
is the peak of a process of its own, which loads the model and encodes one passage in all three
ways. Batches are timed against the same passages one by one, and against batches that may be padded
as much as they like; every round runs all ways, and ratios are of medians.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
from torch import nn
from transformers import XLMRobertaConfig, XLMRobertaModel

from mmdemo.encoders import bge_m3
from mmdemo.encoders.bge_m3.model import BGEM3
from mmdemo.encoders.parts.batching import by_length
from mmdemo.models.encoder import encoder_of

CONFIG: dict[str, Any] = {
    "model_type": "xlm-roberta",
    "hidden_size": 1024,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "intermediate_size": 4096,
    "vocab_size": 250002,
    "max_position_embeddings": 8194,
    "type_vocab_size": 1,
    "pad_token_id": 1,
    "bos_token_id": 0,
    "eos_token_id": 2,
    "layer_norm_eps": 1e-5,
}
"""What BAAI/bge-m3 says of itself."""

WORDS = ["red", "whale", "river", "night", "bridge", "house", "bread", "winter", "song", "ship"]

# Passages of a search as one finds them: many short ones, a few long ones.
LENGTHS = (12, 18, 25, 31, 44, 60, 75, 90, 14, 22, 28, 37, 52, 66, 83, 110, 160, 240, 330, 500)

# Run in a process of its own: prints seconds and the peak of resident memory in kB. Not getrusage's
# peak, which begins with that of the process that started this one.
_PEAK = """
import sys, time
from pathlib import Path
from mmdemo.encoders.bge_m3.model import BGEM3
from mmdemo.models.encoder import encoder_of
status = lambda: dict(line.split(":", 1) for line in open("/proc/self/status"))
peak = lambda: status()["VmHWM"].split()[0]
model = BGEM3("bench", Path(sys.argv[1]))
loaded = peak()
text = " ".join(["whale"] * (int(sys.argv[2]) - 2))
start = time.perf_counter()
((_, read),) = encoder_of(model).read_texts([text])
taken = time.perf_counter() - start
assert read.multi_vector is not None and len(read.multi_vector) == int(sys.argv[2]) - 1
print(loaded, peak(), taken, model._kernel)
"""


def main() -> None:
    """Print Markdown tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keep", type=Path, help="folder for the weights, to be used again")
    parser.add_argument("--tokens", type=int, nargs="+", default=[512, 2048, 8192])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", choices=("memory", "batches"))
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = given.keep or Path(temporary)
        if not (folder / "config.json").is_file():
            write_checkpoint(folder)
        if given.only != "batches":
            memory(folder, given.tokens)
        if given.only != "memory":
            batches(BGEM3("bench", folder), given.rounds)


def write_checkpoint(folder: Path) -> None:
    """Write random weights in the official layout, and a tokenizer of whole words."""
    folder.mkdir(parents=True, exist_ok=True)
    with torch.device("meta"):
        tower = XLMRobertaModel(XLMRobertaConfig(**CONFIG), add_pooling_layer=False)
    random = torch.Generator().manual_seed(0)
    state = {
        name: torch.ones(tensor.shape)
        if name.endswith("LayerNorm.weight")
        else torch.randn(tensor.shape, generator=random) * 0.02
        for name, tensor in tower.state_dict().items()
    }
    torch.save(state, folder / "pytorch_model.bin")
    hidden = CONFIG["hidden_size"]
    for name, rows in ((bge_m3.SPARSE_HEAD, 1), (bge_m3.MULTI_VECTOR_HEAD, hidden)):
        torch.save(nn.Linear(hidden, rows).state_dict(), folder / name)
    _write_tokenizer(folder)
    (folder / "config.json").write_text(json.dumps(CONFIG))


def _write_tokenizer(folder: Path) -> None:
    pieces = ["<s>", "<pad>", "</s>", "<unk>", *(f"▁{word}" for word in WORDS)]
    # As many as the model has rows for: a tokenizer of far fewer is taken for another model's.
    pieces += [f"▁other{number}" for number in range(CONFIG["vocab_size"] - len(pieces))]
    tokenizer = Tokenizer(models.WordLevel({piece: i for i, piece in enumerate(pieces)}, "<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    tokenizer.save(str(folder / "tokenizer.json"))
    special = {"cls": "<s>", "bos": "<s>", "eos": "</s>", "sep": "</s>", "pad": "<pad>"}
    names = {f"{role}_token": piece for role, piece in (special | {"unk": "<unk>"}).items()}
    kind = {"tokenizer_class": "PreTrainedTokenizerFast"}
    (folder / "tokenizer_config.json").write_text(json.dumps(kind | names))


def memory(folder: Path, lengths: Sequence[int]) -> None:
    """Print the peak memory of one passage of each length, each in a process of its own."""
    out = sys.stdout.write
    out(f"{torch.get_num_threads()} threads\n\n| tokens | peak GiB | of it before the text | s |\n")
    out("|---|---|---|---|\n")
    for tokens in lengths:
        command = [sys.executable, "-c", _PEAK, str(folder), str(tokens)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        loaded, peak, taken, kernel = done.stdout.split()
        out(f"| {tokens} | {int(peak) / 2**20:.2f} | {int(loaded) / 2**20:.2f} | ")
        out(f"{float(taken):.1f} ({kernel}) |\n")
        sys.stdout.flush()


def batches(model: BGEM3, rounds: int) -> None:
    """Print how long passages take in batches by length, as they come, and one by one."""
    encoder = encoder_of(model)
    ways = {
        "batches by length": lambda texts: list(encoder.read_texts(texts)),
        "one by one": lambda texts: [list(encoder.read_texts([text])) for text in texts],
        "batches of any padding": lambda texts: _padded(model, texts),
    }
    times: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(-1, rounds):
        for name, way in ways.items():
            texts = list(_passages(f"{number} {name}"))
            start = time.perf_counter()
            way(texts)
            if number >= 0:  # the first round reads the weights from disk
                times[name].append(time.perf_counter() - start)
    medians = {name: float(np.median(values)) for name, values in times.items()}
    out = sys.stdout.write
    out(f"\n{len(LENGTHS)} passages of {min(LENGTHS)} to {max(LENGTHS)} tokens, ")
    out(f"{sum(LENGTHS)} in all; {rounds} rounds\n\n| | s | ratio |\n|---|---|---|\n")
    for name, median in medians.items():
        out(f"| {name} | {median:.1f} | {medians['one by one'] / median:.2f} x |\n")


def _passages(seed: str) -> Iterator[str]:
    """Yield passages of `LENGTHS` tokens that no earlier round has had."""
    random = np.random.default_rng(list(seed.encode()))
    for length in LENGTHS:
        yield " ".join(random.choice(WORDS, length - 2))


def _padded(model: BGEM3, texts: Sequence[str]) -> None:
    for chosen in by_length(LENGTHS, model.batch_tokens):
        tokens = model.read_texts([texts[position] for position in chosen])
        model.text_encodings(tokens, lambda share: None)


if __name__ == "__main__":
    main()
