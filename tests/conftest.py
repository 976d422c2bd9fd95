"""Small real things for the tests: a WordPiece tokenizer, a BERT with random weights that belongs to it, a finished repository."""

import os
import shutil
from pathlib import Path

import pytest
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

from repositories import ROOT, copy_of_tree, run
from sentences import sentences

if "PYTEST_XDIST_WORKER" in os.environ:  # before torch is imported: several workers would wait for each other's threads
    os.environ["OMP_NUM_THREADS"] = "1"


@pytest.fixture(scope="session")
def tokenizer_folder(tmp_path_factory) -> Path:
    """A folder with a trained WordPiece tokenizer in the two files that transformers reads."""
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    specials = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tokenizer.train_from_iterator(sentences(200), trainers.WordPieceTrainer(vocab_size=120, special_tokens=specials))
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    folder = tmp_path_factory.mktemp("tokenizer")
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        unk_token="[UNK]",
        pad_token="[PAD]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
    ).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory, tokenizer_folder) -> Path:
    """A BertForMaskedLM of 2 layers of 32 with that tokenizer, and a pooler beside it, as a parent would carry one."""
    import torch
    from safetensors.torch import load_file, save_file
    from transformers import BertConfig, BertForMaskedLM

    torch.manual_seed(1)
    folder = tmp_path_factory.mktemp("model")
    config = BertConfig(
        vocab_size=128,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=160,
        initializer_range=0.5,
    )
    BertForMaskedLM(config).save_pretrained(folder)
    weights = load_file(folder / "model.safetensors")
    weights |= {"bert.pooler.dense.weight": torch.randn(32, 32), "bert.pooler.dense.bias": torch.randn(32)}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    for file in tokenizer_folder.iterdir():
        shutil.copy(file, folder)
    return folder


@pytest.fixture(scope="session")
def special(model_folder):
    from dapt.model.tokenizer import load_tokenizer

    return load_tokenizer(model_folder)[1]


@pytest.fixture(scope="session")
def tokens(model_folder):
    """120 short and long documents."""
    from dapt.mlm.tokens import encode_tokens
    from dapt.model.tokenizer import load_tokenizer

    tokenizer, special = load_tokenizer(model_folder)
    return encode_tokens(tokenizer, special, sentences(100) + sentences(20, seed=1, longest=200))


@pytest.fixture()
def committed(tmp_path, monkeypatch) -> Path:
    """A git repository with the committed metrics, in which the test stands."""
    folder = tmp_path / "repository"
    shutil.copytree(ROOT / "metrics", folder / "metrics")
    for name in ("params.yaml", "dvc.yaml", "dvc.lock", ".gitignore"):
        shutil.copy(ROOT / name, folder)
    run(folder, "git", "init", "-q")
    run(folder, "git", "add", "-A")
    run(folder, "git", "commit", "-qm", "run")
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture(scope="session")
def finished(tmp_path_factory) -> Path:
    """A repository in which the whole pipeline ran once from nothing, on this machine, committed."""
    folder = tmp_path_factory.mktemp("one") / "repository"
    folder.mkdir()
    copy_of_tree(folder)
    run(folder, "dvc", "repro")
    run(folder, "git", "add", "-A")
    run(folder, "git", "commit", "-qm", "run")
    return folder
