"""CLIP, SigLIP and ALIGN against transformers' own forward pass, and what can be wrong in files."""

from __future__ import annotations

import importlib.util
import json
import shutil
import socket
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from transformers import AutoModel, AutoProcessor

from mmdemo import load_encoder
from mmdemo.encoders.dual_encoder import recognise
from mmdemo.encoders.dual_encoder.model import DualEncoder
from mmdemo.encoders.parts.pretrained import PictureReader
from mmdemo.errors import ModelError
from mmdemo.models import lane
from mmdemo.models.catalogue import MODELS
from mmdemo.models.encoder import Encoder, encoder_of
from mmdemo.models.find import find_model
from mmdemo.models.hub.describe import files_needed
from tests.tiny_models import TINY_MODELS, tiny_clip, tiny_siglip
from tests.waiting import MOST

KINDS = ("clip", "siglip", "align")
TEXTS = ["a red car", "an", "a cat in the rain", "blue whale; 12 x"]
LONG = "red car " * 30
CLOSE: dict[str, Any] = {"rtol": 0, "atol": 1e-5}


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    place = tmp_path_factory.mktemp("tiny")
    return {kind: TINY_MODELS[kind](place / f"tiny-{kind}") for kind in KINDS}


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def folder(folders: dict[str, Path], kind: str) -> Path:
    return folders[kind]


@pytest.fixture(scope="module")
def loaded(folders: dict[str, Path]) -> dict[str, DualEncoder]:
    return {kind: DualEncoder("tiny", folder) for kind, folder in folders.items()}


@pytest.fixture
def model(kind: str, loaded: dict[str, DualEncoder]) -> DualEncoder:
    return loaded[kind]


@pytest.fixture
def encoder(model: DualEncoder) -> Encoder:
    """Return an encoder that has computed nothing yet."""
    return encoder_of(model)


@pytest.fixture(scope="module")
def pictures() -> list[Image.Image]:
    """Return pictures wider than high, higher than wide, small, and as large as the tower's."""
    random = np.random.default_rng(0)
    coarse = random.integers(0, 256, (4, 6, 7, 3), dtype=np.uint8)
    sizes = [(300, 200), (50, 80), (20, 31), (32, 32)]
    return [
        Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC)
        for pixels, size in zip(coarse, sizes, strict=True)
    ]


def reference(
    folder: Path, texts: list[str], pictures: list[Image.Image]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return what transformers makes of it: unit text and picture vectors, probabilities."""
    model = AutoModel.from_pretrained(folder).eval()
    processor = AutoProcessor.from_pretrained(folder)
    fixed = {"padding": "max_length", "max_length": 16} if "siglip" in folder.name else {}
    inputs = processor(
        text=texts,
        images=pictures,
        return_tensors="pt",
        **{"padding": True, "truncation": True, **fixed},
    )
    with torch.inference_mode():
        out = model(**inputs)
    logits = out.logits_per_image
    chances = logits.sigmoid() if fixed else logits.softmax(-1)
    return out.text_embeds.numpy(), out.image_embeds.numpy(), chances.numpy()


def probabilities(encoder: Encoder, cosines: np.ndarray) -> np.ndarray:
    logits = torch.from_numpy(cosines) * encoder.logit_scale + encoder.logit_bias
    return (logits.sigmoid() if encoder.activation == "sigmoid" else logits.softmax(-1)).numpy()


# The reference's numbers


def test_vectors_and_probabilities(folder: Path, pictures: list[Image.Image]) -> None:
    texts, images, chances = reference(folder, TEXTS, pictures)
    encoder = load_encoder(folder)
    np.testing.assert_allclose(encoder.encode(TEXTS), texts, **CLOSE)
    ours = encoder.encode(pictures)
    np.testing.assert_allclose(ours, images, **CLOSE)
    cosines = ours @ encoder.encode(TEXTS).T
    np.testing.assert_allclose(probabilities(encoder, cosines), chances, rtol=0, atol=1e-4)
    # The inputs can be told apart, or all of this would say nothing.
    assert np.ptp(cosines) > 1e-2
    assert np.abs(images[:, None] - images[None])[~np.eye(4, dtype=bool)].max(-1).min() > 1e-3
    assert encoder.dim == texts.shape[1] == find_model(folder).dim


def test_the_batch_makes_no_difference(encoder: Encoder, pictures: list[Image.Image]) -> None:
    items = [*pictures, *TEXTS, {"image": pictures[0], "text": TEXTS[1]}, LONG]
    alone = [encoder.encode(item)[0] for item in items]
    encoder.forget()
    np.testing.assert_allclose(encoder.encode(items), np.stack(alone), **CLOSE)


def test_more_pictures_than_go_through_at_once(
    model: DualEncoder, encoder: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lane, "STEP", MOST)  # however slow the machine
    passes: list[int] = []
    original = model.image_features

    def watched(pictures: Sequence[torch.Tensor]) -> list[np.ndarray]:
        passes.append(len(pictures))
        return original(pictures)

    monkeypatch.setattr(model, "image_features", watched)
    many = [Image.new("RGB", (40, 30), (i * 6, 255 - i * 5, i * 3)) for i in range(40)]
    together = encoder.encode(many)
    assert sum(passes) == len(many)
    assert max(passes) == model.batch_pictures < len(many)
    for i in (0, 7, 8, 39):
        encoder.forget()
        np.testing.assert_allclose(encoder.encode(many[i])[0], together[i], **CLOSE)


def test_fused_is_the_mean(encoder: Encoder, pictures: list[Image.Image]) -> None:
    assert encoder.fusion == "averaged"
    image, text, fused = encoder.encode(
        [pictures[0], TEXTS[0], {"image": pictures[0], "text": TEXTS[0]}]
    )
    mean = (image + text) / 2
    np.testing.assert_allclose(fused, mean / np.linalg.norm(mean), rtol=0, atol=1e-6)


def test_a_picture_is_read_as_a_person_sees_it(encoder: Encoder) -> None:
    clear = Image.new("RGBA", (40, 40), (200, 10, 10, 0))
    white = Image.new("RGB", (40, 40), "white")
    np.testing.assert_allclose(encoder.encode(clear), encoder.encode(white), **CLOSE)


def test_a_long_text_is_cut_and_keeps_its_end(
    model: DualEncoder, encoder: Encoder, folder: Path
) -> None:
    longest = {"clip": 20, "siglip": 16, "align": 24}[folder.name.removeprefix("tiny-")]
    for with_image in (False, True):
        usage = encoder.token_usage(LONG, with_image=with_image)
        assert (usage.used, usage.truncated) == (longest, True)
        assert not encoder.token_usage("a red car", with_image=with_image).truncated
    tokenizer = AutoProcessor.from_pretrained(folder).tokenizer
    whole = tokenizer(LONG, truncation=True, max_length=longest).input_ids
    assert model.read_texts([LONG]) == model.read_texts([LONG], beside=True) == [whole]
    assert whole[-1] == tokenizer("a").input_ids[-1]


# What a checkpoint says


def edited(folder: Path, target: Path, **weights: torch.Tensor | None) -> Path:
    """Return a copy with other weights; None takes one away."""
    shutil.copytree(folder, target)
    state = load_file(target / "model.safetensors") | weights
    kept = {name: tensor for name, tensor in state.items() if tensor is not None}
    save_file(kept, target / "model.safetensors")
    return target


def test_the_temperature_is_read(folders: dict[str, Path], tmp_path: Path) -> None:
    clip = edited(folders["clip"], tmp_path / "clip", logit_scale=torch.tensor(4.6052))
    assert load_encoder(clip).logit_scale == pytest.approx(100.0, rel=1e-4)
    align = edited(folders["align"], tmp_path / "align", temperature=torch.tensor(0.02))
    assert load_encoder(align).logit_scale == pytest.approx(50.0)
    both = {"logit_scale": torch.tensor([4.7]), "logit_bias": torch.tensor([-16.5])}
    siglip = load_encoder(edited(folders["siglip"], tmp_path / "siglip", **both))
    assert siglip.logit_scale == pytest.approx(np.exp(4.7))
    assert (siglip.logit_bias, siglip.activation) == (-16.5, "sigmoid")
    for folder in (clip, align):
        assert (load_encoder(folder).logit_bias, load_encoder(folder).activation) == (0, "softmax")


def test_siglip_reads_capitals_as_its_configuration_says(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    shouted = "A Red CAR"
    encoder = encoder_of(DualEncoder("lower", folders["siglip"]))
    np.testing.assert_array_equal(encoder.encode(shouted), encoder.encode(shouted.lower()))
    kept = tiny_siglip(tmp_path / "tiny-siglip", do_lower_case=False)
    expected = reference(kept, [shouted, "a red car"], [Image.new("RGB", (32, 32))])[0]
    assert np.abs(expected[0] - expected[1]).max() > 1e-2
    np.testing.assert_allclose(load_encoder(kept).encode([shouted, "a red car"]), expected, **CLOSE)


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("names", [["input_ids"], ["input_ids", "attention_mask"]])
def test_siglip_pads_as_its_tokenizer_says(side: str, names: list[str], tmp_path: Path) -> None:
    folder = tiny_siglip(tmp_path / "tiny-siglip", padding_side=side, model_input_names=names)
    expected = reference(folder, TEXTS, [Image.new("RGB", (32, 32))])[0]
    np.testing.assert_allclose(load_encoder(folder).encode(TEXTS), expected, **CLOSE)


def test_languages_by_the_vocabulary() -> None:
    def languages(kind: str, tokens: int) -> tuple[str, ...]:
        config = {"model_type": kind, "text_config": {"vocab_size": tokens}}
        found = recognise(Path(), config, None)
        assert found is not None
        return found.languages

    assert languages("siglip", 256_000) == languages("siglip", 250_000) == ("multilingual",)
    assert languages("siglip", 32_000) == languages("clip", 49_408) == ("en",)


def test_a_very_long_picture_stays_small(
    model: DualEncoder, encoder: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Whole, CLIP would resize it to 640,000 x 32.
    given: list[tuple[int, int]] = []
    processor = model._pictures._processor

    class Watched:
        size = processor.size

        def __call__(self, image: Image.Image, **options: object) -> object:
            given.append(image.size)
            return processor(image, **options)

    monkeypatch.setattr(model._pictures, "_processor", Watched())
    assert np.isfinite(encoder.encode(Image.new("RGB", (20_000, 1)))).all()
    by_short_side = processor.size.shortest_edge is not None
    assert given == [(64, 1) if by_short_side else (20_000, 1)]


# What can be wrong with the files


@pytest.fixture
def copy(folder: Path, tmp_path: Path) -> Path:
    return shutil.copytree(folder, tmp_path / "model")


def refused(folder: Path) -> str:
    with pytest.raises(ModelError) as caught:
        load_encoder(folder)
    assert str(folder.parent) not in str(caught.value)
    return str(caught.value)


def test_weights_that_are_not_there(copy: Path) -> None:
    weights = load_file(copy / "model.safetensors")
    name = max(weights, key=lambda name: weights[name].numel())
    save_file({key: value for key, value in weights.items() if key != name}, copy / "other.bin")
    (copy / "other.bin").rename(copy / "model.safetensors")
    assert f"model.safetensors does not fit this model; missing: {name}." in refused(copy)


def test_weights_of_another_size(copy: Path) -> None:
    weights = load_file(copy / "model.safetensors")
    name = max(weights, key=lambda name: weights[name].numel())
    save_file(weights | {name: weights[name][:-1].clone()}, copy / "model.safetensors")
    assert f"of another size than the configuration says: {name}." in refused(copy)


def test_weights_that_are_cut_off(copy: Path) -> None:
    whole = (copy / "model.safetensors").read_bytes()
    (copy / "model.safetensors").write_bytes(whole[:-1000])
    assert "model.safetensors is damaged or cut off" in refused(copy)


def test_no_weights(copy: Path) -> None:
    (copy / "model.safetensors").unlink()
    assert "'model' has no weights. Accepted: model.safetensors or pytorch_model.bin" in refused(
        copy
    )


def test_no_tokenizer(copy: Path) -> None:
    (copy / "tokenizer.json").unlink()
    assert "The tokenizer files in 'model' are missing or damaged" in refused(copy)


def test_no_picture_reader(copy: Path) -> None:
    (copy / "processor_config.json").unlink()
    assert "'model' has no readable preprocessor_config.json" in refused(copy)


def test_a_damaged_configuration(copy: Path) -> None:
    config = json.loads((copy / "config.json").read_text())
    config["text_config"]["hidden_size"] = "wide"
    (copy / "config.json").write_text(json.dumps(config))
    assert "config.json" in refused(copy)


def test_a_tokenizer_of_another_model(copy: Path) -> None:
    config = json.loads((copy / "config.json").read_text())
    config["text_config"]["vocab_size"] = 8
    (copy / "config.json").write_text(json.dumps(config))
    weights = load_file(copy / "model.safetensors")
    rows = {
        name: tensor[:8].clone()
        for name, tensor in weights.items()
        if name.endswith(("token_embedding.weight", "word_embeddings.weight"))
    }
    save_file(weights | rows, copy / "model.safetensors")
    assert "they belong to different models" in refused(copy)


def test_a_picture_reader_of_another_model(folders: dict[str, Path], tmp_path: Path) -> None:
    copy = shutil.copytree(folders["siglip"], tmp_path / "model")
    config = json.loads((copy / "processor_config.json").read_text())
    config["image_processor"]["size"] = {"height": 48, "width": 48}
    (copy / "processor_config.json").write_text(json.dumps(config))
    assert "makes pictures of 3 x 48 x 48, config.json wants 3 x 32 x 32" in refused(copy)


# What a stranger's files may ask for


def rewrite(path: Path, part: str, **entries: object) -> None:
    """Change entries of a JSON file, in one of its parts; all of it where that has no name."""
    config = json.loads(path.read_text())
    (config[part] if part else config).update(entries)
    path.write_text(json.dumps(config))


@pytest.mark.parametrize("entry", ["size", "crop_size"])
@pytest.mark.parametrize("edges", [{"height": 3000, "width": 3000}, {"shortest_edge": 3000}])
def test_a_picture_reader_makes_nothing_huge(
    copy: Path, entry: str, edges: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[object] = []
    monkeypatch.setattr(PictureReader, "read", lambda _, images: made.append(images))
    rewrite(copy / "processor_config.json", "image_processor", **{entry: edges})
    with pytest.raises(ModelError, match=r"is 3000, the most is (64|1024)\."):
        DualEncoder("huge", copy)
    assert not made


@pytest.mark.parametrize(
    ("part", "entry", "value"),
    [
        ("text_config", "num_hidden_layers", 500),
        ("vision_config", "num_hidden_layers", 500),
        ("vision_config", "num_block_repeats", [500]),
        ("vision_config", "depth_coefficient", float("inf")),
        ("vision_config", "kernel_sizes", [3] * 33),
        ("vision_config", "image_size", 30_000),
        ("text_config", "max_position_embeddings", 10**6),
        ("", "num_labels", 10**7),
        ("", "logit_scale_init_value", float("nan")),
    ],
)
def test_a_configuration_builds_nothing_huge(
    copy: Path, part: str, entry: str, value: object
) -> None:
    rewrite(copy / "config.json", part, **{entry: value})
    for load in (load_encoder, find_model, lambda folder: DualEncoder("huge", folder)):
        with pytest.raises(ModelError, match=f"asks for more .* {entry}.* is ") as caught:
            load(copy)
        assert caught.value.code == "sizes_too_large"


def test_too_many_patches_are_refused(folders: dict[str, Path], tmp_path: Path) -> None:
    copy = shutil.copytree(folders["clip"], tmp_path / "model")
    rewrite(copy / "config.json", "vision_config", image_size=1024, patch_size=4)
    with pytest.raises(ModelError, match="image_size / patch_size is 256, the most is 64"):
        DualEncoder("huge", copy)


def test_a_configuration_that_never_ends(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("[" * 100_000)
    assert "no readable config.json" in refused(tmp_path)
    with pytest.raises(ModelError, match=r"no readable config\.json"):
        DualEncoder("deep", tmp_path)


def test_nothing_is_asked_of_a_network(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []
    monkeypatch.setattr(socket, "getaddrinfo", lambda *where, **_: asked.append(where))
    monkeypatch.setattr(socket.socket, "connect", lambda _, where: asked.append(where))
    assert len(load_encoder(copy).encode([TEXTS[0], Image.new("RGB", (40, 40))])) == 2
    assert not asked


# Other layouts of a directory


Layout = Callable[[Path, dict[str, torch.Tensor]], None]


def as_bin(folder: Path, weights: dict[str, torch.Tensor]) -> None:
    """As published before safetensors, with a counter that newer versions do not save."""
    counters = {"text_model.embeddings.position_ids": torch.arange(20)[None]}
    torch.save(weights | counters, folder / "pytorch_model.bin")


def in_parts(folder: Path, weights: dict[str, torch.Tensor]) -> None:
    halves = {f"model-0000{i + 1}-of-00002.safetensors": list(weights)[i::2] for i in (0, 1)}
    for name, keys in halves.items():
        save_file({key: weights[key] for key in keys}, folder / name)
    index = {"weight_map": {key: name for name, keys in halves.items() for key in keys}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


def in_half_precision(folder: Path, weights: dict[str, torch.Tensor]) -> None:
    halved = {
        key: value.half() if value.is_floating_point() else value for key, value in weights.items()
    }
    save_file(halved, folder / "model.safetensors")


@pytest.mark.parametrize(
    ("layout", "drift"), [(as_bin, 1e-6), (in_parts, 1e-6), (in_half_precision, 1e-2)]
)
def test_weights_in_other_formats(
    copy: Path, encoder: Encoder, layout: Layout, drift: float
) -> None:
    weights = load_file(copy / "model.safetensors")
    (copy / "model.safetensors").unlink()
    layout(copy, weights)
    np.testing.assert_allclose(
        load_encoder(copy).encode(TEXTS), encoder.encode(TEXTS), rtol=0, atol=drift
    )


def published_clip(folder: Path, words: dict[str, Any]) -> None:
    """As of 2021: a feature extractor, sizes as plain numbers, a vocabulary in two files."""
    reader = {"feature_extractor_type": "CLIPFeatureExtractor", "size": 32, "crop_size": 32}
    normal = {
        "image_mean": [0.48145466, 0.4578275, 0.40821073],
        "image_std": [0.26862954, 0.26130258, 0.27577711],
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(reader | normal | {"resample": 3}))
    (folder / "vocab.json").write_text(json.dumps(words["vocab"]))
    merges = "\n".join(" ".join(pair) for pair in words["merges"])
    (folder / "merges.txt").write_text(f"#version: 0.2\n{merges}\n")


def published_align(folder: Path, words: dict[str, Any]) -> None:
    """As of 2023: a vocabulary of BERT alone, and the names that classes had then."""
    reader = json.loads((folder / "processor_config.json").read_text())["image_processor"]
    reader["processor_class"] = "ALIGNProcessor"
    (folder / "preprocessor_config.json").write_text(json.dumps(reader))
    (folder / "vocab.txt").write_text("\n".join(sorted(words["vocab"], key=words["vocab"].get)))


@pytest.mark.parametrize(
    ("kind", "published"), [("clip", published_clip), ("align", published_align)], indirect=["kind"]
)
def test_files_as_they_were_published(
    copy: Path, encoder: Encoder, published: Callable[..., None], pictures: list[Image.Image]
) -> None:
    published(copy, json.loads((copy / "tokenizer.json").read_text())["model"])
    (copy / "tokenizer.json").unlink()
    (copy / "processor_config.json").unlink()
    items = [*TEXTS, LONG, *pictures]
    np.testing.assert_allclose(load_encoder(copy).encode(items), encoder.encode(items), **CLOSE)


def test_siglip_of_the_first_generation_says_what_it_needs(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    copy = shutil.copytree(folders["siglip"], tmp_path / "model")
    config = json.loads((copy / "tokenizer_config.json").read_text())
    config["tokenizer_class"] = "SiglipTokenizer"
    (copy / "tokenizer_config.json").write_text(json.dumps(config))
    if importlib.util.find_spec("sentencepiece"):
        pytest.skip("sentencepiece is installed here, so nothing is needed")
    assert "pip install sentencepiece protobuf" in refused(copy)


def test_an_index_that_points_elsewhere(copy: Path) -> None:
    (copy / "model.safetensors").rename(copy.parent / "model.safetensors")
    index = {"weight_map": {"logit_scale": "../model.safetensors"}}
    (copy / "model.safetensors.index.json").write_text(json.dumps(index))
    assert "names no parts of a checkpoint" in refused(copy)


def test_code_in_a_bin_is_not_run(copy: Path) -> None:
    class Surprise:
        def __reduce__(self) -> tuple[Any, ...]:
            return Path.touch, (copy / "ran",)

    (copy / "model.safetensors").unlink()
    torch.save({"logit_scale": Surprise()}, copy / "pytorch_model.bin")
    assert "holds more than weights" in refused(copy)
    assert not (copy / "ran").exists()


def test_the_checkpoint_can_be_named(copy: Path, encoder: Encoder) -> None:
    other = (copy / "model.safetensors").rename(copy / "best.safetensors")
    np.testing.assert_array_equal(load_encoder(other).encode(TEXTS), encoder.encode(TEXTS))
    assert "no weights" in refused(copy)


def test_a_configuration_names_no_code(tmp_path: Path) -> None:
    folder = tiny_clip(tmp_path / "clip")
    config = json.loads((folder / "config.json").read_text())
    config |= {"_attn_implementation": "someone/kernel", "attn_implementation": "someone/kernel"}
    (folder / "config.json").write_text(json.dumps(config))
    assert load_encoder(folder).encode("a").shape == (1, 24)


def test_models_that_are_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "siglip2"}')
    assert "google/siglip2-base-patch16-224" in refused(tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "clip", "projection_dim": "wide"}')
    assert "no size where 'projection_dim' stands" in refused(tmp_path)


# What is fetched


def test_the_files_of_a_repository() -> None:
    everything = ["README.md", "pytorch_model.bin", "tf_model.h5", "flax_model.msgpack"]
    small = ["config.json", "preprocessor_config.json", "tokenizer.json", "tokenizer_config.json"]
    chosen = files_needed([*everything, *small, "model.safetensors"])
    assert set(chosen) == {*small, "model.safetensors"}
    assert set(files_needed([*everything, *small])) == {*small, "pytorch_model.bin"}
    parts = [f"model-0000{i}-of-00002.safetensors" for i in (1, 2)]
    index = "model.safetensors.index.json"
    assert set(files_needed([*everything, *small, *parts, index])) == {*small, *parts, index}
    assert set(files_needed(small)) == set(small)


def test_what_is_registered() -> None:
    for name in ("clip-vit-b32", "clip-vit-l14", "siglip2-base", "align-base"):
        spec = MODELS[name]
        assert spec.fusion == "averaged"
        [group] = spec.hub
        assert spec.source == f"hub:{group.repo}"
        assert set(files_needed(group.names)) == set(group.names)
