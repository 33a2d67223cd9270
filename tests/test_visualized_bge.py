"""Visualized-BGE against the reference's own outputs, and what can be wrong with its files."""

from __future__ import annotations

import json
import pickle
import shutil
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import nn

from mmdemo import compare, load_encoder
from mmdemo.encoders.base import Prepared
from mmdemo.encoders.parts import text_tower
from mmdemo.encoders.parts.checkpoint import check_filled
from mmdemo.encoders.parts.linear import (
    Kernel,
    PackedLinear,
    fastest_kernel,
    multiplying,
    pack,
)
from mmdemo.encoders.visualized_bge import model as module
from mmdemo.encoders.visualized_bge.model import VisualizedBGE
from mmdemo.errors import ModelError
from mmdemo.images import open_image, to_rgb
from mmdemo.models import lane
from mmdemo.models.encoder import Encoder, encoder_of
from tests.waiting import MOST

DATA = Path(__file__).parent / "data/visualized_bge"
MANIFEST: dict[str, Any] = json.loads((DATA / "manifest.json").read_text())
FOLDERS = {kind: DATA / entry["dir"] for kind, entry in MANIFEST["kinds"].items()}
TEXTS: list[str] = MANIFEST["texts"]
CLOSE = {"rtol": 0, "atol": MANIFEST["tolerance"]}

Folder = Callable[..., Path]


@pytest.fixture(params=list(FOLDERS))
def kind(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def loaded() -> dict[str, VisualizedBGE]:
    return {kind: VisualizedBGE("tiny", folder) for kind, folder in FOLDERS.items()}


@pytest.fixture
def model(kind: str, loaded: dict[str, VisualizedBGE]) -> VisualizedBGE:
    return loaded[kind]


@pytest.fixture
def encoder(model: VisualizedBGE) -> Encoder:
    """Return an encoder that has computed nothing yet."""
    return encoder_of(model)


@pytest.fixture
def expected(kind: str) -> dict[str, np.ndarray]:
    with np.load(FOLDERS[kind] / "expected.npz") as arrays:
        return dict(arrays)


@pytest.fixture
def pictures() -> list[Image.Image]:
    """Return RGB wider than high, RGBA higher than wide, a palette, and small grey."""
    return [Image.open(DATA / "images" / name).copy() for name in MANIFEST["images"]]


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """Return a function that makes a model folder with other weights or another configuration."""

    def make(
        weights: Callable[[dict[str, torch.Tensor]], dict[str, Any]] = dict,
        kind: str = "bert",
        suffix: str = ".pth",
        **config: object,
    ) -> Path:
        path = tmp_path / "model"
        shutil.copytree(FOLDERS[kind], path)
        (path / "config.json").write_text(json.dumps(read(path / "config.json") | config))
        [checkpoint] = path.glob("*.pth")
        state = weights(torch.load(checkpoint, weights_only=True))
        checkpoint.unlink()
        if suffix == ".pth":
            torch.save(state, checkpoint)
        else:
            copies = {
                key: value.clone() for key, value in state.items()
            }  # it refuses shared memory
            save_file(copies, checkpoint.with_suffix(suffix))
        return path

    return make


def read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text())


def made_of(folder: Path) -> Encoder:
    return encoder_of(VisualizedBGE("tiny", folder))


def with_texts(pictures: list[Image.Image], pairs: np.ndarray) -> list[dict[str, object]]:
    return [{"image": pictures[image], "text": TEXTS[text]} for image, text in pairs]


# The reference's numbers


def test_texts(encoder: Encoder, expected: dict[str, np.ndarray]) -> None:
    # The last text is empty, which `encode` refuses: it is there for the pictures.
    np.testing.assert_allclose(encoder.encode(TEXTS[:3]), expected["text"][:3], **CLOSE)


def test_pictures_of_every_mode(
    encoder: Encoder, expected: dict[str, np.ndarray], pictures: list[Image.Image]
) -> None:
    assert [picture.mode for picture in pictures] == ["RGB", "RGBA", "P", "L"]
    np.testing.assert_allclose(encoder.encode(pictures), expected["image"], **CLOSE)


def test_fused(
    encoder: Encoder, expected: dict[str, np.ndarray], pictures: list[Image.Image]
) -> None:
    fused = encoder.encode(with_texts(pictures, expected["pairs"]))
    np.testing.assert_allclose(fused, expected["fused"], **CLOSE)


def test_one_item_a_call(
    encoder: Encoder, expected: dict[str, np.ndarray], pictures: list[Image.Image]
) -> None:
    items = [*TEXTS[:3], *pictures, *with_texts(pictures, expected["pairs"])]
    rows = [encoder.encode(item)[0] for item in items]
    wanted = np.concatenate([expected["text"][:3], expected["image"], expected["fused"]])
    np.testing.assert_allclose(np.stack(rows), wanted, **CLOSE)


def test_the_batch_makes_no_difference(
    encoder: Encoder, expected: dict[str, np.ndarray], pictures: list[Image.Image]
) -> None:
    items = [*with_texts(pictures, expected["pairs"]), *pictures, *TEXTS[:3], "hedge " * 100]
    order = np.random.default_rng(0).permutation(len(items))
    mixed = encoder.encode([items[i] for i in order])
    wanted = np.concatenate([expected["fused"], expected["image"], expected["text"][:3]])
    np.testing.assert_allclose(mixed[np.argsort(order)][:-1], wanted, **CLOSE)


def test_batches_that_memory_would_not_hold_at_once(
    kind: str,
    model: VisualizedBGE,
    expected: dict[str, np.ndarray],
    pictures: list[Image.Image],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    batches: list[list[int]] = []
    original = model.embed

    def watched(items: Sequence[Prepared]) -> np.ndarray:
        batches.append([model.length(item) for item in items])
        return original(items)

    monkeypatch.setattr(model, "embed", watched)
    monkeypatch.setattr(VisualizedBGE, "batch_tokens", 50)
    fused = encoder_of(model).encode(with_texts(pictures, expected["pairs"]))
    np.testing.assert_allclose(fused, expected["fused"], **CLOSE)
    assert all(len(batch) * max(batch) <= 50 or len(batch) == 1 for batch in batches)
    tokens = MANIFEST["kinds"][kind]["n_image_tokens"]
    assert all(min(batch) > tokens for batch in batches)


def test_pixels_and_tokens(
    model: VisualizedBGE, expected: dict[str, np.ndarray], pictures: list[Image.Image]
) -> None:
    pixels = torch.stack([model.read_picture(picture) for picture in pictures])
    np.testing.assert_allclose(pixels.numpy(), expected["pixels"], **CLOSE)
    with torch.inference_mode():
        patches = model._network.vision(pixels)
    # Values reach 8, and float32 itself is 2e-5 away from float64 here.
    np.testing.assert_allclose(patches.numpy(), expected["vision_tokens"], rtol=0, atol=5e-5)
    tokens = np.stack(model.image_features(list(pixels)))
    np.testing.assert_allclose(tokens, expected["image_tokens"], **CLOSE)


def test_token_ids(model: VisualizedBGE, expected: dict[str, np.ndarray]) -> None:
    ids, mask = model._tokenizer.padded(model.read_texts(TEXTS))
    np.testing.assert_array_equal(ids.numpy(), expected["input_ids"])
    np.testing.assert_array_equal(mask.numpy(), expected["attention_mask"])


def test_the_longest_text_beside_a_picture(
    model: VisualizedBGE, expected: dict[str, np.ndarray]
) -> None:
    ids = torch.from_numpy(expected["long_ids"])
    assert ids.shape[1] == model._network.longest_texts()[1]
    with torch.inference_mode():
        tokens = torch.from_numpy(expected["image_tokens"][:1])
        row = model._network.embed_pictures(tokens, ids, torch.ones_like(ids).bool())[0]
    np.testing.assert_allclose((row / row.norm()).numpy(), expected["long_fused"][0], **CLOSE)


@pytest.mark.parametrize("kernel", ["plain", "packed", "medium"])
def test_every_way_to_multiply_gives_these_numbers(
    kernel: Kernel,
    kind: str,
    expected: dict[str, np.ndarray],
    pictures: list[Image.Image],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = VisualizedBGE("tiny", FOLDERS[kind])  # of its own: layers are replaced
    monkeypatch.setattr(text_tower, "fastest_kernel", lambda *_: kernel)
    before = torch.get_float32_matmul_precision()
    fused = encoder_of(model).encode(with_texts(pictures, expected["pairs"]))
    layers = [type(layer) for layer in model._network.modules()]
    assert (PackedLinear in layers, nn.Linear in layers) == (kernel == "packed", kernel != "packed")
    assert torch.get_float32_matmul_precision() == before
    # Where `medium` rounds to bfloat16, `fastest_kernel` does not name it: then this is no promise.
    if fastest_if_exact(kernel):
        np.testing.assert_allclose(fused, expected["fused"], **CLOSE)


def fastest_if_exact(kernel: Kernel) -> bool:
    layer, values = nn.Linear(64, 64), torch.randn(8, 64)
    with torch.inference_mode():
        exact = layer(values)
        with multiplying(kernel):
            return bool((layer(values) - exact).norm() / exact.norm() <= 1e-6)


# One pass


def test_one_comparison_is_one_batch_of_each_kind(
    model: VisualizedBGE,
    encoder: Encoder,
    pictures: list[Image.Image],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lane, "STEP", MOST)  # however slow the machine
    encoder.encode([Image.new("RGB", (30, 20), (number, 0, 0)) for number in range(8)])
    sizes: dict[str, list[int]] = {}

    def count(name: str) -> None:
        original = getattr(model._network, name)

        def counted(first: torch.Tensor, *rest: torch.Tensor) -> torch.Tensor:
            sizes.setdefault(name, []).append(len(first))
            return original(first, *rest)

        monkeypatch.setattr(model._network, name, counted)

    for name in ("image_tokens", "embed_pictures", "embed_texts"):
        count(name)
    compare(encoder, pictures[0], pictures[1], "a red cat")
    assert sizes == {"image_tokens": [2], "embed_pictures": [4], "embed_texts": [1]}
    sizes.clear()
    # Only the text is new: the vision tower rests, and so do the pictures on their own.
    compare(encoder, pictures[0].copy(), pictures[1], "blue whale")
    assert sizes == {"embed_pictures": [2], "embed_texts": [1]}
    sizes.clear()
    compare(encoder, pictures[0], pictures[1], "blue whale")
    assert sizes == {}


def test_a_picture_is_prepared_once_a_call(
    model: VisualizedBGE,
    encoder: Encoder,
    pictures: list[Image.Image],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    read: list[Image.Image] = []
    original = model.read_picture
    monkeypatch.setattr(model, "read_picture", lambda image: read.append(image) or original(image))
    compare(encoder, pictures[0], pictures[1], "a red cat")
    assert [id(picture) for picture in read] == [id(picture) for picture in pictures[:2]]


def test_what_a_cached_picture_occupies_is_its_own(
    model: VisualizedBGE, pictures: list[Image.Image]
) -> None:
    features = model.image_features([model.read_picture(picture) for picture in pictures])
    assert [feature.base for feature in features] == [None] * 4


def test_many_threads_get_the_right_vectors(
    encoder: Encoder, expected: dict[str, np.ndarray], pictures: list[Image.Image]
) -> None:
    items = with_texts(pictures, expected["pairs"])

    def work(n: int) -> tuple[np.ndarray, int]:
        usage = encoder.token_usage(TEXTS[n % 3], with_image=True)
        return encoder.encode(items[n])[0], usage.total

    with ThreadPoolExecutor(len(items)) as threads:
        rows, usages = zip(*threads.map(work, range(len(items)), timeout=MOST), strict=True)
    np.testing.assert_allclose(rows, expected["fused"], **CLOSE)
    lengths = expected["attention_mask"].sum(1)
    assert list(usages) == [lengths[n % 3] for n in range(16)]


# Long texts


@pytest.mark.parametrize("with_image", [False, True])
def test_text_is_read_up_to_the_exact_maximum(
    encoder: Encoder, kind: str, pictures: list[Image.Image], with_image: bool
) -> None:
    config = read(FOLDERS[kind] / "config.json")
    longest = config["max_position_embeddings"]
    if with_image:
        longest -= MANIFEST["kinds"][kind]["n_image_tokens"]
        assert longest == MANIFEST["kinds"][kind]["max_text_tokens_with_image"]
    elif kind == "xlmr":
        longest -= config["pad_token_id"] + 1
    fits = "cat" + " cat" * (longest - 3)
    usages = [encoder.token_usage(text, with_image=with_image) for text in (fits, fits + " dog")]
    assert [(u.used, u.total, u.truncated) for u in usages] == [
        (longest, longest, False),
        (longest, longest + 1, True),
    ]
    # What lies beyond the maximum changes nothing, what lies before it does.
    texts = [fits, fits + " dog", fits + " dog" * 500, "dog " + fits]
    items = [{"image": pictures[0], "text": text} for text in texts] if with_image else texts
    vectors = encoder.encode(items)
    np.testing.assert_allclose(vectors[1:3], vectors[[0, 0]], **CLOSE)
    assert float(vectors[0] @ vectors[3]) < 1 - 1e-4


def test_a_comparison_says_how_much_was_read(
    model: VisualizedBGE, encoder: Encoder, pictures: list[Image.Image]
) -> None:
    notes = compare(encoder, pictures[0], pictures[1], "cat" + " cat" * 59).notes
    longest = model._network.longest_texts()[1]
    assert notes[0].code == "truncated"
    assert notes[0].values == {"used": longest, "total": 62}


def test_the_official_maxima() -> None:
    for name, folder, alone, beside in (
        ("bert", {"max_position_embeddings": 512, "pad_token_id": 0}, 512, 316),
        ("xlm-roberta", {"max_position_embeddings": 8194, "pad_token_id": 1}, 8192, 7938),
    ):
        small = {"hidden_size": 12, "num_hidden_layers": 1, "intermediate_size": 8}
        vision = {"timm_model": module._FAMILIES[name].vision}
        with torch.device("meta"):
            network = module._Network({"model_type": name, **small, **folder}, vision)
        assert network.longest_texts() == (alone, beside)


# Pictures


def test_a_path_gets_the_better_reading(
    model: VisualizedBGE, encoder: Encoder, tmp_path: Path
) -> None:
    layer = Image.new("RGBA", (90, 70), (200, 30, 30, 0))
    layer.save(tmp_path / "logo.png")
    white = Image.new("RGB", (90, 70), "white")
    vectors = encoder.encode([tmp_path / "logo.png", to_rgb(layer), white, layer])
    opened = open_image(tmp_path / "logo.png")
    assert model.read_picture(opened).equal(model.read_picture(white))
    np.testing.assert_allclose(vectors[0], vectors[2], **CLOSE)
    np.testing.assert_array_equal(vectors[1], vectors[2])
    assert float(vectors[3] @ vectors[2]) < 1 - 1e-4  # as it is: red, alpha dropped


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "PA", "RGBA", "CMYK", "YCbCr", "I", "F"])
def test_every_mode_can_be_embedded(
    mode: str, loaded: dict[str, VisualizedBGE], pictures: list[Image.Image]
) -> None:
    encoder = encoder_of(loaded["bert"])
    assert encoder.encode(pictures[0].convert("RGBA").convert("L").convert(mode)).shape == (1, 64)


@pytest.mark.parametrize("size", [(20_000, 1), (1, 20_000), (3001, 2), (5, 4_000_000)])
def test_a_long_strip_stays_small(
    size: tuple[int, int], model: VisualizedBGE, monkeypatch: pytest.MonkeyPatch
) -> None:
    pixels: list[int] = []
    original = Image.Image.resize

    def watched(self: Image.Image, size: tuple[int, int], *rest: object) -> Image.Image:
        pixels.append(size[0] * size[1])
        return original(self, size, *rest)  # pyright: ignore[reportArgumentType]

    monkeypatch.setattr(Image.Image, "resize", watched)
    edge = model._network.image_size
    read = model.read_picture(Image.new("RGB", size, (9, 99, 199)))
    assert read.shape == (3, edge, edge)
    whole = module._pixels(Image.new("RGB", (edge, edge), (9, 99, 199)))
    assert read[:, edge // 2, edge // 2].equal(whole[:, 0, 0])
    assert max(pixels) <= 65 * edge * edge


def test_a_strip_keeps_its_centre() -> None:
    for length in (99, 100):
        strip = Image.fromarray(np.arange(length, dtype=np.uint8)[None].repeat(1, 0), "L")
        whole = strip.resize((length * 8, 8), Image.Resampling.BICUBIC)
        left = (length * 8 - 8) // 2
        expected = np.asarray(whole.crop((left, 0, left + 8, 8)))
        np.testing.assert_array_equal(np.asarray(module._centre_square(strip, 8)), expected)


# Files


def same_as_ever(path: Path, kind: str = "bert") -> None:
    texts = ["a red cat", "the river"]
    wanted = made_of(FOLDERS[kind]).encode(texts)
    np.testing.assert_allclose(made_of(path).encode(texts), wanted, **CLOSE)


def test_a_prefix_of_distributed_training(folder: Folder) -> None:
    same_as_ever(folder(lambda state: {f"module.{key}": value for key, value in state.items()}))


def test_safetensors(folder: Folder, kind: str) -> None:
    same_as_ever(folder(kind=kind, suffix=".safetensors"), kind)


def test_keys_of_older_transformers(folder: Folder) -> None:
    counters = {"bge_embeddings.position_ids": torch.arange(48)[None]}
    same_as_ever(folder(lambda state: state | counters))


def test_half_precision_files_are_read(folder: Folder) -> None:
    path = folder(lambda state: {key: value.half() for key, value in state.items()})
    model = VisualizedBGE("tiny", path)
    assert {weight.dtype for weight in model._network.parameters()} == {torch.float32}
    assert encoder_of(model).encode("a cat").shape == (1, 64)


def test_the_text_encoders_own_weights_may_lie_beside(folder: Folder) -> None:
    path = folder()
    save_file({"weight": torch.zeros(1)}, path / "model.safetensors")
    same_as_ever(path)


def test_other_sizes_come_from_the_configuration(tmp_path: Path, pictures: list) -> None:
    config = {
        "model_type": "xlm-roberta",
        "hidden_size": 48,
        "num_hidden_layers": 3,
        "num_attention_heads": 6,
        "intermediate_size": 80,
        "vocab_size": 160,
        "max_position_embeddings": 90,
        "type_vocab_size": 1,
        "pad_token_id": 1,
        "layer_norm_eps": 1e-5,
    }
    vision = {"timm_model": "eva02_large_patch14_clip_224", "img_size": 70}
    vision |= {"embed_dim": 96, "depth": 3, "num_heads": 3}
    torch.manual_seed(0)
    network = module._Network(config, vision).eval()  # with memory, as it should come out again
    state = {module._renamed(key, back=True): value for key, value in network.state_dict().items()}
    torch.save(state, tmp_path / "Visualized_other.pth")
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "vision_config.json").write_text(json.dumps(vision))
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(FOLDERS["xlmr"] / name, tmp_path)
    model = VisualizedBGE("other", tmp_path)
    assert (model.dim, model._network.longest_texts()) == (48, (88, 65))
    with torch.inference_mode():
        pixels = model.read_picture(pictures[0])[None]
        words = model._tokenizer.padded(model.read_texts(["a red cat"]))
        row = network.embed_pictures(network.image_tokens(pixels), *words)[0]
    fused = encoder_of(model).encode({"image": pictures[0], "text": "a red cat"})[0]
    np.testing.assert_allclose(fused, (row / row.norm()).numpy(), **CLOSE)


def test_the_epsilon_of_the_norms_comes_from_the_configuration(folder: Folder) -> None:
    model = VisualizedBGE("tiny", folder(layer_norm_eps=0.25))
    norms = [layer for layer in model._network.text.modules() if isinstance(layer, nn.LayerNorm)]
    assert {norm.eps for norm in norms} == {0.25}
    encoder, usual = encoder_of(model), made_of(FOLDERS["bert"])
    assert float(encoder.encode("a cat")[0] @ usual.encode("a cat")[0]) < 1 - 1e-3


def test_nothing_is_left_on_meta(kind: str) -> None:
    network = VisualizedBGE("tiny", FOLDERS[kind])._network  # of its own: it is spoilt
    tensors = [*network.parameters(), *network.buffers()]
    assert not any(tensor.is_meta for tensor in tensors)
    assert not network.training
    network.vision.rope.register_buffer("table", torch.empty(3, device="meta"), persistent=False)
    with pytest.raises(ModelError, match=r"Nothing fills vision\.rope\.table"):
        check_filled(network)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda s: s | {"bge_decoder.x": torch.zeros(1)}, r"unknown: bge_decoder\.x"),
        (
            lambda s: {k: v for k, v in s.items() if not k.endswith("0.attn.q_bias")},
            r"missing: model_visual\.visual\.blocks\.0\.attn\.q_bias\.",
        ),
        (lambda s: s | {"visual_proj.bias": torch.zeros(3)}, r"of another size.*visual_proj\.bias"),
        (lambda s: {}, r"missing: .*, … \(\+\d+\)\."),
        (lambda s: s | {"epoch": 3}, "no state dict"),
    ],
)
def test_checkpoints_that_do_not_fit_are_explained(
    folder: Folder, change: Callable[[dict[str, torch.Tensor]], dict[str, Any]], says: str
) -> None:
    with pytest.raises(ModelError, match=rf"Visualized_tiny_bert\.pth.*{says}"):
        VisualizedBGE("tiny", folder(change))


def test_every_dropped_key_has_a_reason() -> None:
    assert all(len(reason) > 20 for _, reason in module._DROPPED)
    official = list(torch.load(next(FOLDERS["bert"].glob("*.pth")), weights_only=True))
    kept = module._ours(dict.fromkeys(official, torch.zeros(1)))
    assert {module._renamed(key, back=True) for key in kept} < set(official)


class Malice:
    def __reduce__(self) -> tuple[Callable[..., object], tuple[str]]:
        return Path.touch, (Path("was-here"),)  # pyright: ignore[reportReturnType]


@pytest.mark.parametrize(
    "save", [torch.save, lambda value, path: path.write_bytes(pickle.dumps(value))]
)
def test_code_in_a_checkpoint_is_not_run(
    folder: Folder, save: Callable[..., object], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = folder()
    save({"weight": Malice()}, next(path.glob("*.pth")))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelError, match=r"Visualized_tiny_bert\.pth .*Fetch it again"):
        VisualizedBGE("tiny", path)
    assert not (tmp_path / "was-here").exists()


def test_a_cut_off_file_is_explained(folder: Folder) -> None:
    path = folder()
    checkpoint = next(path.glob("*.pth"))
    checkpoint.write_bytes(checkpoint.read_bytes()[:5000])
    with pytest.raises(ModelError, match=r"damaged or cut off"):
        VisualizedBGE("tiny", path)
    checkpoint.rename(checkpoint.with_suffix(".safetensors"))
    with pytest.raises(ModelError, match=r"damaged or cut off"):
        VisualizedBGE("tiny", path)


def test_which_checkpoint_is_said(folder: Folder) -> None:
    path = folder()
    first = next(path.glob("*.pth"))
    second = path / "Visualized_other.pth"
    first.rename(second)
    shutil.copy(second, first)
    with pytest.raises(ModelError, match="several checkpoints: Visualized_other"):
        VisualizedBGE("tiny", path)
    assert VisualizedBGE("tiny", path, second).dim == 64
    # The same in two formats is one, and the better is read.
    first.unlink()
    weights = {key: one.clone() for key, one in torch.load(second, weights_only=True).items()}
    save_file(weights, second.with_suffix(".safetensors"))
    second.write_bytes(b"")
    assert VisualizedBGE("tiny", path).dim == load_encoder(path).dim == 64
    second.with_suffix(".safetensors").unlink()
    second.unlink()
    with pytest.raises(ModelError, match="'model' has no checkpoint"):
        VisualizedBGE("tiny", path)
    with pytest.raises(ModelError, match=r"Visualized_other\.pth is missing"):
        VisualizedBGE("tiny", path, second)


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("config.json", None, r"'model' has no readable config\.json"),
        ("config.json", "{", r"'model' has no readable config\.json"),
        ("config.json", "[]", "not a JSON object"),
        ("config.json", '{"model_type": "clip"}', "'clip'; .* bert, xlm-roberta"),
        ("config.json", '{"model_type": "bert", "num_attention_heads": 5}', "no text encoder"),
        ("vision_config.json", '{"timm_model": "resnet18"}', "'resnet18', which is no EVA02-CLIP"),
        ("vision_config.json", '{"timm_model": "hf-hub:a/eva02_b_clip_1"}', "no EVA02-CLIP"),
        ("vision_config.json", '{"checkpoint_path": "x"}', "unknown entries checkpoint_path"),
        (
            "vision_config.json",
            '{"timm_model": "eva02_base_patch16_clip_224", "num_heads": 0}',
            "no vision tower",
        ),
        ("vocab.txt", None, "tokenizer files in 'model' are missing or damaged"),
        ("vocab.txt", "\n".join(f"w{n}" for n in range(200)), "different models"),
    ],
)
def test_other_files_that_do_not_fit_are_explained(
    folder: Folder, name: str, content: str | None, says: str
) -> None:
    path = folder()
    if content is None:
        (path / name).unlink()
    else:
        (path / name).write_text(content)
    with pytest.raises(ModelError, match=says) as raised:
        VisualizedBGE("tiny", path)
    assert str(path.parent) not in str(raised.value)


def test_a_picture_must_leave_room_for_a_text(folder: Folder) -> None:
    def cut(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        key = "bge_embeddings.position_embeddings.weight"
        return state | {key: state[key][:17].clone()}

    with pytest.raises(ModelError, match="no room for a text"):
        VisualizedBGE("tiny", folder(cut, max_position_embeddings=17))


# Other ways to multiply


def test_a_packed_layer_is_the_layer() -> None:
    network = nn.Sequential(nn.Linear(48, 80), nn.GELU(), nn.Linear(80, 48, bias=False))
    values = torch.randn(2, 7, 48)
    with torch.inference_mode():
        expected = network(values)
        pack(network)
        assert [type(layer) for layer in network] == [PackedLinear, nn.GELU, PackedLinear]
        for _ in range(2):
            torch.testing.assert_close(network(values), expected, rtol=0, atol=1e-5)
        part = values[:, :1]  # not contiguous
        torch.testing.assert_close(network(part), expected[:, :1], rtol=0, atol=1e-5)


def test_the_fastest_kernel_is_measured_once() -> None:
    before = torch.get_float32_matmul_precision(), torch.random.get_rng_state()
    kernel = fastest_kernel(96, 160)
    assert kernel in ("plain", "packed", "medium")
    assert fastest_kernel(96, 160) is kernel
    assert torch.get_float32_matmul_precision() == before[0]
    torch.testing.assert_close(torch.random.get_rng_state(), before[1])


def test_the_process_wide_setting_is_put_back() -> None:
    before = torch.get_float32_matmul_precision()
    with pytest.raises(ZeroDivisionError), multiplying("medium"):
        assert torch.get_float32_matmul_precision() == "medium"
        raise ZeroDivisionError
    assert torch.get_float32_matmul_precision() == before
