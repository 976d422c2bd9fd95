"""Two tokenizers, two models of one of them, and a text."""

import json

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import AutoModelForMaskedLM, PreTrainedTokenizerFast, RobertaConfig, RobertaForMaskedLM

from dapt.core.files import write_lines
from networks import SIZES
from references import TEXTS
from sentences import sentences


@pytest.fixture(scope="session")
def byte_level(tmp_path_factory):
    """A RoBERTa of random weights with a byte-level BPE tokenizer, trained here, smaller pieces than the WordPiece one."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    specials = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    tokenizer.train_from_iterator(
        sentences(100),
        trainers.BpeTrainer(
            vocab_size=300, special_tokens=specials, initial_alphabet=pre_tokenizers.ByteLevel.alphabet()
        ),
    )
    folder = tmp_path_factory.mktemp("byte_level")
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        unk_token="<unk>",
        pad_token="<pad>",
        cls_token="<s>",
        sep_token="</s>",
        mask_token="<mask>",
    ).save_pretrained(folder)
    torch.manual_seed(2)
    RobertaForMaskedLM(
        RobertaConfig(
            **SIZES | {"vocab_size": tokenizer.get_vocab_size(), "initializer_range": 0.5},
            pad_token_id=1,
        )
    ).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def other_weights(model_folder, tmp_path_factory):
    """The WordPiece model's twin with weights of its own."""
    folder = tmp_path_factory.mktemp("twin")
    for file in model_folder.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    network = AutoModelForMaskedLM.from_pretrained(folder)
    torch.manual_seed(5)
    with torch.no_grad():
        for value in network.parameters():
            value.add_(torch.randn_like(value) * 0.2)
    network.save_pretrained(folder)
    return folder


@pytest.fixture()
def text(tmp_path):
    write_lines(
        tmp_path / "text.jsonl", ({"text": text, "group": f"g{number // 2}"} for number, text in enumerate(TEXTS))
    )
    return tmp_path / "text.jsonl"


@pytest.fixture()
def judge(text, capsys):
    def run(way, *folders, most=None, **more) -> list[dict]:
        way.run(list(folders), text, most, True, **more)
        return [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    return run
