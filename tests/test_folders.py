"""Model folders as people hand them over: read as they are meant, or refused with the reason."""

from __future__ import annotations

import json
import math
import os
import shutil
import tarfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from mmdemo import classify, load_encoder
from mmdemo.encoders.dual_encoder.model import DualEncoder
from mmdemo.encoders.parts import vocabulary
from mmdemo.errors import ModelError
from mmdemo.models.find import find_model
from tests import bge_m3
from tests.conftest import TINY, Command
from tests.tiny_models import TINY_MODELS, tiny_clip

Change: TypeAlias = Callable[[Path], Any]
State: TypeAlias = dict[str, torch.Tensor]

FAMILIES = (*TINY_MODELS, "bge_m3", "visualized_bge")
SAVED = (*TINY_MODELS, "bge_m3")
"""Those whose weights lie in a folder as transformers saves it."""


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return a sound folder of each family."""
    place = tmp_path_factory.mktemp("sound")
    saved = {kind: save(place / kind) for kind, save in TINY_MODELS.items()}
    return saved | {
        "bge_m3": bge_m3.save(place / "bge_m3", safetensors=True),
        "visualized_bge": TINY,
    }


@pytest.fixture
def copied(sound: dict[str, Path], tmp_path: Path) -> Callable[[str], Path]:
    """Return a function that copies a family's folder, to be changed."""
    return lambda kind: Path(shutil.copytree(sound[kind], tmp_path / "model"))


def refusal(path: Path) -> ModelError:
    with pytest.raises(ModelError) as caught:
        load_encoder(path).encode("a red car")
    assert str(path.parent) not in str(caught.value)
    return caught.value


def taken(folder: Path) -> State:
    """Take the weights out of a folder."""
    weights = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    return weights


def vectors(path: Path) -> Any:
    return load_encoder(path).encode(["a red car", "b"])


def rewritten(folder: Path, name: str, **entries: Any) -> None:
    config = json.loads((folder / name).read_text())
    (folder / name).write_text(json.dumps(config | entries))


# Weights in parts.


def split(folder: Path, stem: str = "pytorch_model", ending: str = "bin", **more: Any) -> None:
    """Write the weights in two parts with their index; `more` are further entries of that."""
    weights = taken(folder)
    index = {}
    for number in (1, 2):
        part = {key: weights[key] for key in list(weights)[number - 1 :: 2]}
        name = f"{stem}-0000{number}-of-00002.{ending}"
        (torch.save if ending == "bin" else save_file)(part, folder / name)
        index |= dict.fromkeys(part, name)
    (folder / f"{stem}.{ending}.index.json").write_text(json.dumps({"weight_map": index | more}))


@pytest.mark.parametrize("kind", SAVED)
@pytest.mark.parametrize(
    ("stem", "ending"), [("pytorch_model", "bin"), ("model", "safetensors")], ids=["bin", "st"]
)
def test_parts_are_joined(
    kind: str, stem: str, ending: str, sound: dict[str, Path], copied: Callable[[str], Path]
) -> None:
    folder = copied(kind)
    split(folder, stem, ending)
    np.testing.assert_array_equal(vectors(folder), vectors(sound[kind]))


@pytest.mark.parametrize(
    "name", ["../../x.bin", "/etc/x.bin", "pytorch_model.bin.index.json", "..bin", "a/b.bin", 3]
)
def test_an_index_names_files_beside_it_alone(name: Any, copied: Callable[[str], Path]) -> None:
    folder = copied("clip")
    split(folder, more=name)
    assert refusal(folder).code == "no_parts"


def test_parts_that_are_not_there_are_named(copied: Callable[[str], Path]) -> None:
    folder = copied("clip")
    split(folder)
    assert refusal(folder / "pytorch_model-00001-of-00002.bin").code == "part_named"
    (folder / "pytorch_model-00002-of-00002.bin").unlink()
    assert "parts that are not there: pytorch_model-00002-of-00002.bin" in str(refusal(folder))
    (folder / "pytorch_model.bin.index.json").unlink()
    assert refusal(folder).code == "parts_without_index"
    (folder / "pytorch_model.bin.index.json").write_text("[" * 100_000)
    assert refusal(folder).code == "no_json_depth"


# What sentence-transformers and PEFT write.


def as_steps(folder: Path, *steps: tuple[str, str]) -> Path:
    """Put a folder into one of sentence-transformers, as its first step."""
    outer = folder.parent / "outer"
    outer.mkdir()
    folder.rename(outer / "0_Model")
    listed = [
        {"idx": i, "path": path, "type": f"sentence_transformers.models.{kind}"}
        for i, (path, kind) in enumerate(steps)
    ]
    (outer / "modules.json").write_text(json.dumps(listed))
    return outer


@pytest.mark.parametrize(
    ("kind", "steps"),
    [
        ("clip", [("0_Model", "CLIPModel")]),
        ("bge_m3", [("0_Model", "Transformer"), ("1_P", "Pooling"), ("2_N", "Normalize")]),
    ],
)
def test_the_model_of_sentence_transformers_is_found(
    kind: str,
    steps: list[tuple[str, str]],
    sound: dict[str, Path],
    copied: Callable[[str], Path],
) -> None:
    outer = as_steps(copied(kind), *steps)
    assert find_model(outer).name == "local:outer"
    np.testing.assert_array_equal(vectors(outer), vectors(sound[kind]))


def test_steps_that_would_be_left_out_are_refused(copied: Callable[[str], Path]) -> None:
    outer = as_steps(copied("clip"), ("0_Model", "CLIPModel"), ("1_Dense", "Dense"))
    told = refusal(outer)
    assert told.code == "modules_unknown"
    assert "(Dense)" in str(told)
    assert "0_Model" in str(told)
    assert load_encoder(outer / "0_Model").dim == 24
    for path in ("../0_Model", "/0_Model", "..", 3, None):
        (outer / "modules.json").write_text(json.dumps([{"path": path, "type": "CLIPModel"}]))
        assert refusal(outer).code == "modules_damaged"
    (outer / "modules.json").write_text("[" * 100_000)
    assert refusal(outer).code == "no_json_depth"


@pytest.mark.parametrize(
    ("pooling", "code"),
    [
        ({"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}, ""),
        ({"pooling_mode": "cls", "include_prompt": True}, ""),
        ({"pooling_mode_cls_token": False, "pooling_mode_mean_tokens": True}, "modules_unknown"),
        ({"pooling_mode_cls_token": True, "pooling_mode_max_tokens": True}, "modules_unknown"),
        ({"pooling_mode": "mean"}, "modules_unknown"),
    ],
)
def test_pooling_of_another_kind_is_refused(
    pooling: dict[str, Any],
    code: str,
    sound: dict[str, Path],
    copied: Callable[[str], Path],
) -> None:
    outer = as_steps(copied("bge_m3"), ("0_Model", "Transformer"), ("1_P", "Pooling"))
    (outer / "1_P").mkdir(exist_ok=True)
    (outer / "1_P" / "config.json").write_text(json.dumps(pooling))
    if code:
        assert refusal(outer).code == code
    else:
        np.testing.assert_array_equal(vectors(outer), vectors(sound["bge_m3"]))


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("adapter_config.json", "adapter"),
        ("quantize_config.json", "model_quantised"),
        ("modules.json", "model_file_dead_link"),
    ],
)
def test_a_link_that_leads_nowhere_counts_as_there(
    name: str, code: str, copied: Callable[[str], Path]
) -> None:
    folder = copied("clip")
    (folder / name).symlink_to("gone")
    assert refusal(folder).code == code


@pytest.mark.parametrize("part", ["lora_A.default.weight", "lora_B", "hada_w1_a"])
def test_an_adapter_among_the_weights_is_not_left_out(
    part: str, copied: Callable[[str], Path]
) -> None:
    folder = copied("clip")
    weights = taken(folder)
    weights[f"text_model.encoder.layers.0.self_attn.q_proj.{part}"] = torch.ones(2, 2)
    save_file(weights, folder / "model.safetensors")
    assert refusal(folder).code == "weights_adapter"


@pytest.mark.parametrize("alone", [True, False])
@pytest.mark.parametrize(
    ("config", "says"),
    [
        ({"peft_type": "LORA", "base_model_name_or_path": "a/clip"}, "LoRA adapter of a/clip"),
        ({"peft_type": "IA3", "base_model_name_or_path": "/home/me/clip"}, "IA3 adapter of clip"),
        ({"peft_type": "PREFIX_TUNING"}, "changes no weights"),
        ({}, "merge it first"),
    ],
)
def test_an_adapter_is_no_model(
    alone: bool, config: dict[str, str], says: str, copied: Callable[[str], Path]
) -> None:
    folder = copied("clip")
    if alone:
        for path in folder.iterdir():
            path.unlink()
    (folder / "adapter_config.json").write_text(json.dumps(config))
    told = str(refusal(folder))
    assert says in told
    assert "/home" not in told


def test_the_weights_beside_an_adapter_can_be_named(copied: Callable[[str], Path]) -> None:
    folder = copied("clip")
    (folder / "adapter_model.safetensors").write_bytes(b"x")
    assert refusal(folder).code == "adapter"
    assert load_encoder(folder / "model.safetensors").dim == 24


# Numbers of other kinds.


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        ({"quantization_config": {"quant_method": "gptq"}}, "gptq"),
        ({"quantization_config": {"load_in_8bit": True}}, "bitsandbytes"),
        ({"quantization_config": "int8"}, "int8"),
        ({"compression_config": {"quant_method": "compressed-tensors"}}, "compressed-tensors"),
        ({"text_config": {"quantization_config": {"quant_method": "awq"}}}, "awq"),
    ],
)
@pytest.mark.parametrize("kind", ["clip", "visualized_bge"])
def test_a_quantised_model_is_refused(
    kind: str, entry: dict[str, Any], says: str, copied: Callable[[str], Path]
) -> None:
    folder = copied(kind)
    rewritten(folder, "config.json", **entry)
    told = refusal(folder)
    assert told.code == "model_quantised"
    assert f"({says})" in str(told)


@pytest.mark.parametrize("kind", SAVED)
@pytest.mark.parametrize("given", [torch.int8, torch.uint8, torch.int32, torch.float8_e4m3fn])
def test_codes_are_not_taken_for_numbers(
    kind: str, given: torch.dtype, copied: Callable[[str], Path]
) -> None:
    folder = copied(kind)
    weights = taken(folder)
    name = max(weights, key=lambda key: weights[key].numel())
    save_file(weights | {name: weights[name].to(given)}, folder / "model.safetensors")
    told = refusal(folder)
    assert told.code == "weights_quantised"
    assert name in str(told)


@pytest.mark.parametrize("given", [torch.float16, torch.bfloat16, torch.float64])
def test_numbers_of_other_precision_are_taken(
    given: torch.dtype, sound: dict[str, Path], copied: Callable[[str], Path]
) -> None:
    folder = copied("bge_m3")
    save_file(
        {key: one.to(given) for key, one in taken(folder).items()}, folder / "model.safetensors"
    )
    np.testing.assert_allclose(vectors(folder), vectors(sound["bge_m3"]), rtol=0, atol=2e-2)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("kind", SAVED)
def test_what_is_no_number_is_refused(
    kind: str, value: float, copied: Callable[[str], Path]
) -> None:
    folder = copied(kind)
    weights = taken(folder)
    name = next(key for key in weights if key.endswith("bias"))
    weights[name][..., 0] = value
    save_file(weights, folder / "model.safetensors")
    assert refusal(folder).code == "weights_not_finite"


# Weights of other names, and in other files.


def renamed(folder: Path, prefix: str, name: str = "pytorch_model.bin") -> None:
    torch.save({prefix + key: one for key, one in taken(folder).items()}, folder / name)


@pytest.mark.parametrize("prefix", ["module.", "model.", "_orig_mod.module."])
def test_what_training_puts_before_all_names_is_taken_away(
    prefix: str, sound: dict[str, Path], copied: Callable[[str], Path]
) -> None:
    folder = copied("clip")
    renamed(folder, prefix)
    np.testing.assert_array_equal(vectors(folder), vectors(sound["clip"]))


@pytest.mark.parametrize(
    ("prefix", "looks"),
    [
        ("visual.transformer.resblocks.", "OpenAI CLIP"),
        ("visual.trunk.", "open_clip"),
        ("0.model.", "sentence-transformers"),
        ("visual_encoder.blocks.", "LAVIS"),
        ("base_model.model.", "PEFT"),
        ("bge_encoder.", "Visualized-BGE"),
        ("zz.", ""),
    ],
)
def test_names_that_are_missing_and_names_that_are_there(
    prefix: str, looks: str, copied: Callable[[str], Path]
) -> None:
    folder = copied("clip")
    renamed(folder, prefix)
    told = str(refusal(folder))
    assert "missing: logit_scale" in told
    assert f"there and unknown: {prefix}logit_scale" in told
    assert (f"look like the weights of {looks}" in told) is bool(looks)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("flax_model.msgpack", "Flax"),
        ("tf_model.h5", "TensorFlow"),
        ("model.onnx", "ONNX"),
        ("model.Q4_K_M.gguf", "GGUF"),
        ("openvino_model.xml", "OpenVINO"),
        ("open_clip_pytorch_model.bin", "open_clip"),
        ("model.fp16.safetensors", "transformers variant"),
        ("model.safetensors.incomplete", "a download that is not complete"),
        ("README.md", "has no weights."),
    ],
)
@pytest.mark.parametrize("kind", ["blip", "bge_m3"])
def test_weights_in_another_format_are_named(
    kind: str, name: str, says: str, copied: Callable[[str], Path]
) -> None:
    folder = copied(kind)
    taken(folder)
    (folder / name).write_bytes(b"x")
    told = str(refusal(folder))
    assert says in told
    assert name in told or name == "README.md"
    assert "Accepted: model.safetensors" in told


def test_a_folder_without_a_configuration_says_what_it_looks_like(tmp_path: Path) -> None:
    (tmp_path / "open_clip_config.json").write_text("{}")
    assert "open_clip_config.json, which is open_clip" in str(refusal(tmp_path))


# Files that are not themselves.


def linked(target: str) -> Change:
    return lambda path: path.symlink_to(target)


def holding(content: bytes) -> Change:
    return lambda path: path.write_bytes(content)


STAND_INS: dict[str, Change] = {
    "lfs_pointer": holding(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"),
    "annex_pointer": holding(b"/annex/objects/SHA256E-s9--0\n"),
    "web_page": holding(b"\n<!DOCTYPE html><html><title>Log in</title>"),
    "empty": holding(b""),
    "dead_link": linked("nowhere"),
    "is_none": os.mkfifo,
}
"""What stands in the place of a file, by the end of the code that says so."""

MORE_STAND_INS: dict[str, Change] = {
    "folder": Path.mkdir,
    "device": linked("/dev/zero"),
    "link to itself": lambda path: path.symlink_to(path.name),
}

FILES = [
    *(("clip", f"{name}") for name in ("config.json", "model.safetensors", "tokenizer.json")),
    *(("clip", f"{name}") for name in ("tokenizer_config.json", "processor_config.json")),
    *(("bge_m3", name) for name in ("sparse_linear.pt", "model.safetensors")),
    *(("visualized_bge", name) for name in ("vocab.txt", "Visualized_tiny_bert.pth")),
    ("visualized_bge", "vision_config.json"),
]


@pytest.mark.parametrize(("kind", "name"), FILES)
def test_what_stands_in_the_place_of_a_file_is_named(
    kind: str, name: str, copied: Callable[[str], Path]
) -> None:
    path = copied(kind) / name
    for expected, put in STAND_INS.items():
        path.unlink()
        put(path)
        told = refusal(path.parent)
        assert told.code == f"model_file_{expected}", told
        assert name in str(told)


@pytest.mark.parametrize("put", MORE_STAND_INS.values(), ids=MORE_STAND_INS)
@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer_config.json"])
def test_nothing_is_waited_for(put: Change, name: str, copied: Callable[[str], Path]) -> None:
    path = copied("clip") / name
    path.unlink()
    put(path)
    assert refusal(path.parent).code in ("model_file_is_none", "model_file_dead_link")


def test_a_configuration_is_not_read_whatever_its_size(copied: Callable[[str], Path]) -> None:
    folder = copied("clip")
    os.truncate(folder / "config.json", 10**10)  # of holes
    assert refusal(folder).code == "model_file_too_large"


# JSON of strangers.


CONFIGURATIONS = ["config.json", "tokenizer_config.json", "processor_config.json", "tokenizer.json"]


@pytest.mark.parametrize("name", CONFIGURATIONS)
@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32-le"])
def test_json_is_read_in_any_of_its_encodings(
    name: str, encoding: str, sound: dict[str, Path], copied: Callable[[str], Path]
) -> None:
    path = copied("clip") / name
    path.write_bytes(path.read_text(encoding="utf-8").encode(encoding))
    np.testing.assert_array_equal(vectors(path.parent), vectors(sound["clip"]))


@pytest.mark.parametrize("name", CONFIGURATIONS)
@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b'{\n "a": 1, // why\n "b": 2}', "no_json_from"),
        (b'{\n "a": 1,\n}', "no_json_from"),
        (b"{'a': 1}", "no_json_from"),
        (b'{"a": "\xe9"}', "no_json_text"),
        (b"[" * 100_000, "no_json_depth"),
        (b'{"a":' * 100_000, "no_json_depth"),
        (b'{"a": ' + b"9" * 5000 + b"}", "no_json_number"),
    ],
)
def test_what_is_no_json_is_said(
    name: str, content: bytes, code: str, copied: Callable[[str], Path]
) -> None:
    path = copied("clip") / name
    path.write_bytes(content)
    told = refusal(path.parent)
    assert told.code == code
    assert f"'model' has no readable {name}" in str(told)


def test_where_json_ends_is_said(copied: Callable[[str], Path]) -> None:
    path = copied("clip") / "config.json"
    path.write_text('{\n "a": 1,\n}')
    assert "from line 3, column 1 on" in str(refusal(path.parent))


@pytest.mark.parametrize("size", [10**400, -(10**400), -(10**6), -math.inf, math.nan])
@pytest.mark.parametrize("entry", ["hidden_size", "num_hidden_layers", "image_size", "patch_size"])
def test_sizes_without_bounds(size: float, entry: str, copied: Callable[[str], Path]) -> None:
    folder = copied("clip")
    vision = json.loads((folder / "config.json").read_text())["vision_config"]
    rewritten(folder, "config.json", vision_config=vision | {entry: size})
    codes = ("sizes_too_large", "no_such_network", "weights_resized", "broken_sizes")
    assert refusal(folder).code in codes


@pytest.mark.parametrize("size", [0, -1, -2])
@pytest.mark.parametrize("entry", ["num_hidden_layers", "num_attention_heads"])
@pytest.mark.parametrize("kind", FAMILIES)
def test_no_model_has_less_than_one_of_anything(
    kind: str, entry: str, size: int, copied: Callable[[str], Path]
) -> None:
    folder = copied(kind)
    config = json.loads((folder / "config.json").read_text())
    text = config.get("text_config", config)
    text[entry] = size
    (folder / "config.json").write_text(json.dumps(config))
    assert refusal(folder).code == "broken_sizes"


@pytest.mark.parametrize("part", ["text_config", "vision_config"])
@pytest.mark.parametrize("kind", ["clip", "siglip", "blip"])
def test_layers_that_would_be_left_out_are_refused(
    kind: str, part: str, copied: Callable[[str], Path]
) -> None:
    folder = copied(kind)
    config = json.loads((folder / "config.json").read_text())
    rewritten(folder, "config.json", **{part: config[part] | {"num_hidden_layers": 1}})
    assert refusal(folder).code == "weights_unknown"


@pytest.mark.parametrize("kind", TINY_MODELS)
def test_how_an_output_is_returned_is_not_the_files_to_say(
    kind: str, sound: dict[str, Path], copied: Callable[[str], Path]
) -> None:
    folder = copied(kind)
    config = json.loads((folder / "config.json").read_text())
    parts = {n: config[n] | {"return_dict": False} for n in ("text_config", "vision_config")}
    rewritten(folder, "config.json", return_dict=False, **parts)
    np.testing.assert_array_equal(vectors(folder), vectors(sound[kind]))


@pytest.mark.parametrize(
    ("entries", "code"),
    [
        ({"layer_norm_eps": None}, "no_such_network"),
        ({"eos_token_id": None}, "tokenizer_end"),
        ({"eos_token_id": [57]}, "tokenizer_end"),
        ({"eos_token_id": -1}, "tokenizer_end"),
        ({"eos_token_id": 5}, "tokenizer_end"),
    ],
)
def test_what_fails_or_misleads_at_the_first_text_is_refused(
    entries: dict[str, Any], code: str, copied: Callable[[str], Path]
) -> None:
    folder = copied("clip")
    text = json.loads((folder / "config.json").read_text())["text_config"]
    rewritten(folder, "config.json", text_config=text | entries)
    assert refusal(folder).code == code


def test_the_first_clips_end_is_known(
    sound: dict[str, Path], copied: Callable[[str], Path]
) -> None:
    folder = copied("clip")
    text = json.loads((folder / "config.json").read_text())["text_config"]
    rewritten(folder, "config.json", text_config=text | {"eos_token_id": 2})
    np.testing.assert_array_equal(vectors(folder), vectors(sound["clip"]))


@pytest.mark.parametrize("longest", [0, -1, 1, 0.5])
@pytest.mark.parametrize("kind", ["clip", "siglip", "blip", "align"])
def test_a_tokenizer_in_which_no_text_fits_is_refused(
    kind: str, longest: Any, copied: Callable[[str], Path]
) -> None:
    folder = copied(kind)
    rewritten(folder, "tokenizer_config.json", model_max_length=longest)
    assert refusal(folder).code == "tokenizer_length"
    rewritten(folder, "tokenizer_config.json", model_max_length="x")
    assert refusal(folder).code == "tokenizer_damaged"


def test_a_tokenizer_of_a_much_smaller_model_is_refused(
    sound: dict[str, Path], copied: Callable[[str], Path]
) -> None:
    folder = copied("bge_m3")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(sound["align"] / name, folder / name)
    assert refusal(folder).code == "tokenizer_of_another"


def test_a_tokenizer_without_a_token_for_what_it_does_not_know(
    copied: Callable[[str], Path],
) -> None:
    folder = copied("clip")
    rewritten(folder, "tokenizer_config.json", unk_token=None)
    assert refusal(folder).code == "tokenizer_damaged"


@pytest.mark.parametrize("pad", [0, 5])
def test_positions_are_counted_from_what_the_tokenizer_fills_up_with(
    pad: int, copied: Callable[[str], Path]
) -> None:
    folder = copied("bge_m3")
    rewritten(folder, "config.json", pad_token_id=pad)
    assert refusal(folder).code == "tokenizer_pad"


@pytest.mark.parametrize("entries", [{"padding_side": "left"}, {"model_input_names": []}])
@pytest.mark.parametrize("kind", ["clip", "align", "blip"])
def test_a_text_has_one_vector_whatever_is_beside_it(
    kind: str, entries: dict[str, Any], sound: dict[str, Path], copied: Callable[[str], Path]
) -> None:
    folder = copied(kind)
    rewritten(folder, "tokenizer_config.json", **entries)
    np.testing.assert_allclose(vectors(folder), vectors(sound[kind]), atol=1e-6)


@pytest.mark.parametrize(
    "entries",
    [
        {"pad_token_id": -5},
        {"pad_token_id": 10**5},
        {"max_position_embeddings": 1},
        {"hidden_act": "os.system"},
        {"layer_norm_eps": "x"},
    ],
)
@pytest.mark.parametrize("kind", ["bge_m3", "visualized_bge"])
def test_a_tower_of_which_no_text_can_be_read_is_not_built(
    kind: str, entries: dict[str, Any], copied: Callable[[str], Path]
) -> None:
    folder = copied(kind)
    rewritten(folder, "config.json", **entries)
    assert refusal(folder).code == "no_text_encoder"


@pytest.mark.parametrize(
    "entries", [{"image_std": [0, 0, 0]}, {"image_mean": [0, 0]}, {"rescale_factor": 1e308}]
)
def test_a_picture_reader_that_makes_no_numbers_is_refused(
    entries: dict[str, Any], copied: Callable[[str], Path]
) -> None:
    folder = copied("clip")
    reader = json.loads((folder / "processor_config.json").read_text())["image_processor"]
    rewritten(folder, "processor_config.json", image_processor=reader | entries)
    assert refusal(folder).code in ("no_picture_reader", "sizes_too_large")


@pytest.mark.parametrize(
    "entries",
    [
        {"do_rescale": False},
        {"rescale_factor": 1.0},
        {"rescale_factor": -1 / 255},
        {"rescale_factor": 2 / 255},
        {"image_std": [58.4, 57.1, 57.4]},
        {"image_std": [1e-9] * 3},
        {"image_std": [0.26, -0.26, 0.27]},
    ],
)
def test_a_picture_reader_of_another_scale_is_refused(
    entries: dict[str, Any], copied: Callable[[str], Path]
) -> None:
    folder = copied("clip")
    reader = json.loads((folder / "processor_config.json").read_text())["image_processor"]
    rewritten(folder, "processor_config.json", image_processor=reader | entries)
    assert refusal(folder).code == "picture_reader_range"


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("config.json", "file_of_model"),
        ("model.safetensors.index.json", "file_of_model"),
        ("../model.zip", "model_archive"),
        ("../model.tar.gz", "model_archive"),
        ("../model.gguf", "model_of_format"),
        ("../model.onnx", "model_of_format"),
        ("../model.txt", "no_model_there"),
        ("../none.zip/x", "no_model_there"),
    ],
)
def test_a_file_that_is_no_model_is_told_what_it_is(
    name: str, code: str, copied: Callable[[str], Path]
) -> None:
    path = copied("clip") / name
    if path.parent.exists():
        path.touch()
    with pytest.raises(ModelError) as caught:
        find_model(path)
    assert caught.value.code == code


def test_nothing_but_the_sentence_is_printed(
    copied: Callable[[str], Path], started_command: Command
) -> None:
    folder = copied("clip")
    (folder / "model.safetensors").write_bytes(b"rubbish" * 99)
    done = started_command("embed", "--text", "a", "--json", "--model", str(folder))
    assert (done.status, done.out) == (1, "")
    assert done.err == "mmdemo: model.safetensors is damaged or cut off. Fetch it again.\n"


# Checkpoints of other times and other programs.


def legacy(weights: Any, path: Path) -> None:
    torch.save(weights, path, _use_new_zipfile_serialization=False)


def wrapped(weights: State, path: Path) -> None:
    torch.save({"epoch": 3, "lr": [0.1], "state_dict": {"model": weights}}, path)


def misnamed(weights: State, path: Path) -> None:
    save_file(weights, path)


@pytest.mark.parametrize("kind", SAVED)
@pytest.mark.parametrize("write", [legacy, wrapped, misnamed])
def test_checkpoints_of_other_times_are_read(
    kind: str,
    write: Callable[[State, Path], None],
    sound: dict[str, Path],
    copied: Callable[[str], Path],
) -> None:
    folder = copied(kind)
    write(taken(folder), folder / "pytorch_model.bin")
    np.testing.assert_array_equal(vectors(folder), vectors(sound[kind]))


def test_a_pickle_that_is_called_safetensors_is_read(
    sound: dict[str, Path], copied: Callable[[str], Path]
) -> None:
    folder = copied("clip")
    torch.save(taken(folder), folder / "model.safetensors")
    np.testing.assert_array_equal(vectors(folder), vectors(sound["clip"]))


class Surprise:
    """Would touch a file when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.mark,)


def test_code_in_an_old_checkpoint_is_not_run(copied: Callable[[str], Path]) -> None:
    folder = copied("clip")
    taken(folder)
    for surprise in (Surprise(folder / "ran"), {"state_dict": {"a": Surprise(folder / "ran")}}):
        legacy(surprise, folder / "pytorch_model.bin")
        assert refusal(folder).code == "more_than_weights"
        assert not (folder / "ran").exists()


def in_tar(path: Path) -> None:
    inner = path.with_name("pickle")
    inner.write_bytes(b"\x80\x02}.")
    with tarfile.open(path, "w") as archive:
        archive.add(inner, "pickle")


@pytest.mark.parametrize(
    ("write", "code"),
    [
        (in_tar, "weights_program"),
        (holding(b"GGUF\3\0\0\0" * 9), "weights_of_format"),
        (holding(b"\x89HDF\r\n\x1a\n" * 9), "weights_of_format"),
        (holding((2**62).to_bytes(8, "little") + b"{" * 99), "weights_damaged"),
        (holding(b"rubbish" * 99), "weights_damaged"),
        (holding(b"\0" * 2000), "weights_damaged"),
        (holding(b"PK\3\4" + b"\0" * 99), "weights_damaged"),
        (lambda path: torch.save([1, 2], path), "no_state_dict"),
        (lambda path: torch.save({"a": 3}, path), "no_state_dict"),
        (lambda path: torch.save(torch.nn.Linear(1, 1), path), "more_than_weights"),
    ],
)
def test_what_is_no_checkpoint_is_said(
    write: Change, code: str, copied: Callable[[str], Path]
) -> None:
    folder = copied("clip")
    taken(folder)
    write(folder / "pytorch_model.bin")
    assert refusal(folder).code == code


# Temperatures.


def with_scalar(folder: Path, name: str, value: float) -> Path:
    weights = taken(folder)
    weights[name] = torch.full_like(weights[name], value)
    save_file(weights, folder / "model.safetensors")
    return folder


@pytest.mark.parametrize(("logarithm", "capped"), [(4.6, False), (4.7, True), (200.0, True)])
def test_clips_scale_is_cut_as_in_its_training(
    logarithm: float,
    capped: bool,
    copied: Callable[[str], Path],
    two_pictures: tuple[Path, Path],
) -> None:
    encoder = load_encoder(with_scalar(copied("clip"), "logit_scale", logarithm))
    assert encoder.logit_scale == pytest.approx(100.0 if capped else math.exp(logarithm))
    result = classify(encoder, [two_pictures[0]], ["a", "b"], "plain")
    json.dumps(result.to_dict(), allow_nan=False)
    assert ("scale_capped" in [note.code for note in result.notes]) is capped


@pytest.mark.parametrize(
    ("kind", "name", "value", "code"),
    [
        ("clip", "logit_scale", -200.0, "senseless_scale"),
        ("siglip", "logit_scale", 200.0, "senseless_scale"),
        ("siglip", "logit_bias", 1e9, "senseless_bias"),
        ("align", "temperature", 0.0, "senseless_scale"),
        ("align", "temperature", -1.0, "senseless_scale"),
        ("align", "temperature", 1e-9, "senseless_scale"),
        ("align", "temperature", 14.3, "senseless_scale"),
        ("clip", "logit_scale", -1.0, "senseless_scale"),
        ("siglip", "logit_bias", -500.0, "senseless_bias"),
    ],
)
def test_a_temperature_of_which_nothing_comes_is_refused(
    kind: str, name: str, value: float, code: str, copied: Callable[[str], Path]
) -> None:
    assert refusal(with_scalar(copied(kind), name, value)).code == code


# Packages, and code.


@pytest.mark.parametrize("there", [True, False])
@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("bge_m3", "sentencepiece.bpe.model"),
        ("siglip", "spiece.model"),
        ("align", "tokenizer.model"),
    ],
)
def test_a_tokenizer_that_needs_packages_names_them(
    kind: str,
    name: str,
    there: bool,
    copied: Callable[[str], Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = copied(kind)
    (folder / "tokenizer.json").unlink()
    rewritten(folder, "tokenizer_config.json", tokenizer_class="LlamaTokenizer")
    (folder / name).write_bytes(b"\x0a\x0e")  # none that could be read
    monkeypatch.setattr(vocabulary, "_packages_missing", lambda: not there)
    told = refusal(folder)
    assert told.code == ("tokenizer_damaged" if there else "tokenizer_packages")
    assert ("pip install sentencepiece protobuf" in str(told)) is not there


@pytest.mark.parametrize("kind", FAMILIES)
def test_no_configuration_has_its_code_run(kind: str, copied: Callable[[str], Path]) -> None:
    folder = copied(kind)
    mark = folder / "ran"
    (folder / "own.py").write_text(f"import pathlib\npathlib.Path({str(mark)!r}).touch()\n")
    code = {f"Auto{one}": "own.Own" for one in ("Config", "Model", "Processor", "ImageProcessor")}
    code["AutoTokenizer"] = "own.Own"  # transformers wants two, of which the second is fast
    for path in folder.glob("*.json"):
        if path.name in (*CONFIGURATIONS[:3], "preprocessor_config.json"):
            rewritten(folder, path.name, auto_map=code, trust_remote_code=True)
    with suppress(ModelError):  # refused is as good
        vectors(folder)
    assert not mark.exists()


def test_an_old_transformers_reads_nothing(
    copied: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    from mmdemo import versions
    from mmdemo.errors import SettingError

    folder = copied("clip")
    monkeypatch.setattr(versions, "version", lambda _: "5.2.1")
    with pytest.raises(SettingError, match=r"transformers 5\.2\.1 .*'transformers>=5\.3'"):
        DualEncoder("old", folder)


def test_a_damaged_mini_is_said_to_be_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mmdemo import assets
    from mmdemo.encoders.mini.model import Mini
    from mmdemo.models.files import on_this_machine

    shutil.copytree(assets.ASSETS / "mini", tmp_path / "mini")
    monkeypatch.setattr(assets, "ASSETS", tmp_path)
    for name in ("vision.safetensors", "tokenizer.json"):
        path = tmp_path / "mini" / name
        whole = path.read_bytes()
        path.write_bytes(b"\x01" * len(whole))
        with pytest.raises(ModelError, match="damaged"):
            Mini()
        path.write_bytes(whole)
    (tmp_path / "mini/vision.safetensors").unlink()
    with pytest.raises(ModelError, match=r"incomplete.*vision\.safetensors"):
        Mini()
    assert on_this_machine(find_model("mini"))  # nothing of it could be fetched


def test_the_tiny_models_are_sound(tmp_path: Path) -> None:
    """Else the refusals above would say nothing."""
    assert load_encoder(tiny_clip(tmp_path / "clip")).encode("a").shape == (1, 24)
