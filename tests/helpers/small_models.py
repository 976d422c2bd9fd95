"""A WordPiece tokenizer and a BERT with random weights that belongs to it, as small as they can be."""

import shutil
from collections.abc import Iterable
from pathlib import Path

from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers


def write_tokenizer(folder: Path, texts: Iterable[str], size: int = 120) -> Path:
    """A tokenizer trained on these texts, in the two files that transformers reads."""
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    specials = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tokenizer.train_from_iterator(texts, trainers.WordPieceTrainer(vocab_size=size, special_tokens=specials))
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        unk_token="[UNK]",
        pad_token="[PAD]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
    ).save_pretrained(folder)
    return folder


def write_model(folder: Path, tokenizer: Path, vocabulary: int = 128) -> Path:
    """A BertForMaskedLM of 2 layers of 32 with that tokenizer, and a pooler beside it, as a parent would carry one."""
    import torch
    from safetensors.torch import load_file, save_file
    from transformers import BertConfig, BertForMaskedLM

    from networks import SIZES

    torch.manual_seed(1)
    config = BertConfig(**SIZES | {"vocab_size": vocabulary, "initializer_range": 0.5})
    BertForMaskedLM(config).save_pretrained(folder)
    weights = load_file(folder / "model.safetensors")
    weights |= {"bert.pooler.dense.weight": torch.randn(32, 32), "bert.pooler.dense.bias": torch.randn(32)}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    for file in tokenizer.iterdir():
        shutil.copy(file, folder)
    return folder


def with_scaler(monkeypatch, scale: float):
    """accelerate with fp16's scaler and this scale of the loss. The network computes in fp32, as fp16 is slow on a processor;
    gradients overflow all the same where the scale is large enough."""
    import torch
    from accelerate import Accelerator
    from accelerate.utils import AutocastKwargs

    accelerator = Accelerator(cpu=True, kwargs_handlers=[AutocastKwargs(enabled=False)])
    monkeypatch.setitem(accelerator.state._shared_state, "_mixed_precision", "fp16")
    accelerator.native_amp, accelerator.scaler = True, torch.amp.GradScaler("cpu", init_scale=scale)
    return accelerator
