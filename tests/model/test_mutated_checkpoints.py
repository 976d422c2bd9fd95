"""Checkpoints that are damaged in one way or another: each gives the loss that transformers gives, or one line.

DAPT_FUZZ says how many, of both layouts together: 10,000 is a long form in which 300 are tried.
"""

import os
import random
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoTokenizer

from dapt.judging import masked_loss
from dapt.judging.inputs import settings
from dapt.mlm.tokens import encode_tokens
from dapt.telling.errors import UserError
from published import publish
from references import plain_loop
from sentences import sentences

COUNT = 300 if int(os.environ.get("DAPT_FUZZ", 0)) >= 10_000 else 40
ROWS = [{"text": text, "group": "all"} for text in sentences(6, seed=9)]
POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 17671552\n"


def weights_of(folder: Path) -> dict[str, torch.Tensor]:
    path = folder / "model.safetensors"
    return load_file(path) if path.is_file() else torch.load(folder / "pytorch_model.bin", weights_only=True)


def write(folder: Path, weights: dict[str, torch.Tensor]) -> None:
    if (folder / "model.safetensors").is_file():
        save_file(
            {name: value.contiguous().clone() for name, value in weights.items()},
            folder / "model.safetensors",
            metadata={"format": "pt"},
        )
    else:
        torch.save(weights, folder / "pytorch_model.bin")


def cut(path: Path, chance: random.Random) -> None:
    path.write_bytes(path.read_bytes()[: chance.randrange(path.stat().st_size)])


def flipped(path: Path, chance: random.Random) -> None:
    data = bytearray(path.read_bytes())
    for place in chance.choices(range(len(data)), k=chance.randint(1, 8)):
        data[place] ^= 1 << chance.randrange(8)
    path.write_bytes(data)


def renamed(path: Path, chance: random.Random) -> None:
    path.rename(path.with_name(f"old-{path.name}"))


def missing(path: Path, chance: random.Random) -> None:
    path.unlink()


def pointer(path: Path, chance: random.Random) -> None:
    path.write_text(POINTER)


def of_a_weight(change):
    """A mutation that changes one weight of the checkpoint, whichever file was drawn."""

    def mutate(path: Path, chance: random.Random) -> None:
        weights = weights_of(path.parent)
        change(weights, chance.choice(sorted(weights)))
        write(path.parent, weights)

    return mutate


def other_name(weights, name):
    weights[f"{name}.old"] = weights.pop(name)


def no_weight(weights, name):
    del weights[name]


def wrong_type(weights, name):
    weights[name] = weights[name].to(torch.int8)


def half(weights, name):
    weights[name] = weights[name].half()


def wrong_shape(weights, name):
    weights[name] = torch.cat([weights[name], weights[name][:1]])


def flat(weights, name):
    weights[name] = weights[name].flatten()


def infinite(weights, name):
    weights[name].view(-1)[0] = float("inf")


FILES = (cut, flipped, renamed, missing, pointer)
WEIGHTS = tuple(map(of_a_weight, (other_name, no_weight, wrong_type, half, wrong_shape, flat, infinite)))


@pytest.fixture(scope="module")
def layouts(model_folder, tmp_path_factory) -> list[Path]:
    """Safetensors with a tokenizer.json, and pickled weights with a vocab.txt."""
    return [model_folder, publish("BiomedBERT", tmp_path_factory.mktemp("published") / "model")]


def loss(folder: Path) -> float:
    how = settings().model_copy(update={"window": 32, "threads": torch.get_num_threads()})
    masked_lm, tokenizer, special = masked_loss.loaded(folder, how)
    tokens = encode_tokens(tokenizer, special, (row["text"] for row in ROWS))
    return masked_loss.by_group(masked_lm, tokens, ROWS, special, how)["all"].loss


@pytest.mark.parametrize("number", range(COUNT))
def test_a_damaged_checkpoint_gives_transformers_loss_or_one_line(layouts, tmp_path, number, capsys):
    chance = random.Random(number)
    folder = tmp_path / "model"
    shutil.copytree(layouts[number % len(layouts)], folder)
    mutation = (FILES + WEIGHTS)[number // len(layouts) % len(FILES + WEIGHTS)]
    mutation(chance.choice(sorted(folder.iterdir())), chance)
    try:
        ours = loss(folder)
    except UserError as error:
        assert "\n" not in str(error)
        return
    how = settings().model_copy(update={"window": 32})
    theirs = plain_loop(folder, ROWS, how)["all"][0]
    ids = AutoTokenizer.from_pretrained(folder)([row["text"] for row in ROWS], add_special_tokens=False)["input_ids"]
    tokenizer, _ = masked_loss.load_tokenizer(folder)
    assert [tokenizer.encode(row["text"], add_special_tokens=False).ids for row in ROWS] == ids
    assert ours == pytest.approx(theirs, rel=1e-4)
