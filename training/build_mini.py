"""Pack the embedded model `mini` from what the other commands of this folder trained.

    python -m training.build_mini [--cache DIR] [--work DIR] [--seed N] [--out DIR]

Needs `text.safetensors` and `tokenizer.json` (training.train_text), `head-<seed>.safetensors`
(training.train_head) and `calibration-<seed>.json` (training.calibrate) below `--work`, and the
vision tower's package. The same input gives the same bytes.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from mmdemo.assets import ASSETS, fingerprint
from mmdemo.encoders.mini.reading import TRADITIONAL
from mmdemo.encoders.parts.packed import part_name, quantise_rows
from training import traditional
from training.packages import CACHE
from training.train_head import HIDDEN, SHIPPED_SEED, TOP_T
from training.train_text import WORK
from training.vision import TIMM_MODEL, vision_weights

SHARD_BYTES = 9_000_000  # below 10 MB a hosted Space takes a file without LFS
CONFIG: dict[str, Any] = {
    "version": "2",
    "dim": 384,
    "languages": ["en", "zh"],
    "timm_model": TIMM_MODEL,
    "image_size": 224,
    "hidden": HIDDEN,
    "top_t": TOP_T,
    "max_text_tokens": 256,  # sentence_bert_config.json of the text package
}


def main() -> None:
    """Build `assets/mini`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, default=CACHE)
    parser.add_argument("--work", type=Path, default=WORK)
    parser.add_argument("--seed", type=int, default=SHIPPED_SEED)
    parser.add_argument("--out", type=Path, default=ASSETS / "mini")
    given = parser.parse_args()
    calibration = given.work / f"calibration-{given.seed}.json"
    head = given.work / f"head-{given.seed}.safetensors"
    build(given.cache, given.work, head, json.loads(calibration.read_text("utf-8")), given.out)
    size = sum(file.stat().st_size for file in given.out.iterdir())
    sys.stdout.write(f"{given.out}: {size / 1e6:.1f} MB\n")


def build(cache: Path, work: Path, head: Path, calibration: dict[str, Any], out: Path) -> None:
    """Write the model folder.

    Args:
        cache: where packages are kept.
        work: what `training.train_text` wrote.
        head: what `training.train_head` wrote.
        calibration: `logit_scale` and `match`, as `training.calibrate` finds them.
        out: where to write.
    """
    out.mkdir(parents=True, exist_ok=True)
    for old in out.glob("*.safetensors"):
        old.unlink()
    bert = json.loads((work / "text-config.json").read_text(encoding="utf-8"))
    tokenizer = json.loads((work / "tokenizer.json").read_text(encoding="utf-8"))
    tokenizer["truncation"] = tokenizer["padding"] = None  # the encoder does both
    compact = json.dumps(tokenizer, ensure_ascii=False, separators=(",", ":"))
    (out / "tokenizer.json").write_text(compact, encoding="utf-8")
    traditional.write(cache, out)
    shards = split(quantise_rows(load_file(work / "text.safetensors")))
    for index, shard in enumerate(shards, start=1):
        save_file(shard, out / f"text-{index:05d}-of-{len(shards):05d}.safetensors")
    save_file(halved(vision_weights(cache)), out / "vision.safetensors")
    save_file(halved(load_file(head)), out / "head.safetensors")
    write_config(out, CONFIG | calibration | {"bert": bert})


def halved(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return floats as float16, everything else as it is."""
    return {
        name: (tensor.half() if tensor.is_floating_point() else tensor).contiguous()
        for name, tensor in weights.items()
    }


def split(tensors: dict[str, torch.Tensor]) -> list[dict[str, torch.Tensor]]:
    """Distribute tensors over shards below `SHARD_BYTES`; a larger matrix is cut by rows."""
    shards: list[dict[str, torch.Tensor]] = [{}]
    room = SHARD_BYTES
    for whole_name, whole in tensors.items():
        count = -(-whole.nbytes // SHARD_BYTES)
        parts = whole.chunk(count) if count > 1 else [whole]
        for index, part in enumerate(parts):
            if part.nbytes > room:
                shards.append({})
                room = SHARD_BYTES
            name = part_name(whole_name, index) if count > 1 else whole_name
            shards[-1][name] = part.contiguous()
            room -= part.nbytes
    return shards


def write_config(out: Path, config: dict[str, Any]) -> None:
    """Write `config.json` with the size of every file and a fingerprint of them all."""
    files = {
        file.name: file.stat().st_size
        for file in sorted(out.iterdir())
        if file.suffix == ".safetensors" or file.name in ("tokenizer.json", TRADITIONAL)
    }
    text = json.dumps(config | {"files": files}, indent=2)
    (out / "config.json").write_text(text + "\n", encoding="utf-8")
    text = json.dumps(config | {"files": files, "fingerprint": fingerprint(out)}, indent=2)
    (out / "config.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
