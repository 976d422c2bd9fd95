"""The layouts in which the encoders of these fields are published, each at toy size with random weights."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import torch
import transformers
from tokenizers import BertWordPieceTokenizer, ByteLevelBPETokenizer, Tokenizer, models, pre_tokenizers, trainers
from transformers import PretrainedConfig, PreTrainedTokenizerFast

from sentences import sentences

TEXTS = sentences(200) + [text.title() for text in sentences(200, seed=1)]
BERT = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
ROBERTA = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
SIZES = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "max_position_embeddings": 66,
    "initializer_range": 0.3,
}


def word_pieces(folder: Path, cased: bool = False, specials: list[str] = BERT) -> int:
    """vocab.txt."""
    trained = BertWordPieceTokenizer(lowercase=not cased)
    trained.train_from_iterator(TEXTS, vocab_size=200, min_frequency=1, special_tokens=specials, show_progress=False)
    trained.save_model(str(folder))
    return trained.get_vocab_size()


def byte_pairs(folder: Path) -> int:
    """vocab.json and merges.txt."""
    trained = ByteLevelBPETokenizer()
    trained.train_from_iterator(TEXTS, vocab_size=320, special_tokens=ROBERTA, show_progress=False)
    trained.save_model(str(folder))
    return trained.get_vocab_size()


def sentence_pieces(folder: Path, name: str, extra: int, **pieces: object) -> int:
    """A SentencePiece model; `extra`: tokens that transformers adds to its own."""
    import sentencepiece

    with open(folder / name, "wb") as file:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(TEXTS),
            model_writer=file,
            vocab_size=100,
            hard_vocab_limit=False,  # as many as these texts give
            minloglevel=2,
            **pieces,
        )
    return sentencepiece.SentencePieceProcessor(model_file=str(folder / name)).get_piece_size() + extra


def fast_only(folder: Path) -> int:
    """tokenizer.json and tokenizer_config.json: ModernBERT's, byte-level with BERT's special tokens."""
    tokenizer = Tokenizer(models.BPE(unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=320,
        special_tokens=BERT,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(TEXTS, trainer)
    names = dict(zip(("pad_token", "unk_token", "cls_token", "sep_token", "mask_token"), BERT))
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, **names).save_pretrained(folder)
    return tokenizer.get_vocab_size()


@dataclass(frozen=True)
class Layout:
    """How an encoder is published: its class in transformers, its vocabulary, and what stands beside them."""

    model: str  # a class of transformers
    vocabulary: Callable[[Path], int]  # writes the files and gives the number of tokens
    tokenizer: dict | None = None  # tokenizer_config.json, where there is one
    config: dict = field(default_factory=dict)
    form: str = "pytorch_model.bin"


cased = partial(word_pieces, cased=True)
fairseq = partial(
    sentence_pieces, name="sentencepiece.bpe.model", extra=2
)  # <pad> and <mask>; <s>, </s> and <unk> are pieces
LAYOUTS = {
    "BioBERT": Layout("BertForPreTraining", cased),
    "ClinicalBERT": Layout("BertForPreTraining", cased, form="pytorch_model.bin"),
    "BiomedBERT": Layout("BertForMaskedLM", word_pieces, {"do_lower_case": True}),
    "SciBERT": Layout("BertModel", word_pieces),
    "BlueBERT": Layout("BertForPreTraining", word_pieces, {"do_lower_case": True}),
    "FinBERT, a classifier": Layout(
        "BertForSequenceClassification", word_pieces, {"do_lower_case": True}, {"num_labels": 3}
    ),
    "FinBERT, its own vocabulary": Layout("BertForMaskedLM", word_pieces),
    "multilingual BERT": Layout("BertForMaskedLM", cased, {"do_lower_case": False}, form="model.safetensors"),
    "XLM-R": Layout("XLMRobertaForMaskedLM", fairseq, config={"pad_token_id": 1}, form="shards"),
    "RoBERTa": Layout("RobertaForMaskedLM", byte_pairs, config={"pad_token_id": 1}),
    "DeBERTa-v3": Layout(
        "DebertaV2ForMaskedLM",
        partial(
            sentence_pieces,
            name="spm.model",
            extra=1,
            **{"pad_piece": "[PAD]", "bos_piece": "[CLS]", "eos_piece": "[SEP]", "unk_piece": "[UNK]"},
            **{"pad_id": 0, "bos_id": 1, "eos_id": 2, "unk_id": 3},
        ),
        {"do_lower_case": False, "vocab_type": "spm"},
        {"relative_attention": True, "pos_att_type": ["c2p", "p2c"], "position_buckets": 8, "type_vocab_size": 0},
    ),
    "ELECTRA": Layout("ElectraForMaskedLM", word_pieces, {"do_lower_case": True}, {"embedding_size": 16}),
    "ModernBERT": Layout(
        "ModernBertForMaskedLM",
        fast_only,
        config={"layer_types": ["full_attention", "sliding_attention"], "local_attention": 8, "pad_token_id": 0},
        form="model.safetensors",
    ),
    "MPNet": Layout("MPNetForMaskedLM", partial(word_pieces, specials=[*ROBERTA[:4], *BERT[1:2], ROBERTA[4]])),
}


def publish(name: str, folder: Path) -> Path:
    """The files of a layout; the weights' biases and norms are random too."""
    layout = LAYOUTS[name]
    folder.mkdir(parents=True)
    vocabulary = layout.vocabulary(folder)
    if layout.tokenizer is not None:
        (folder / "tokenizer_config.json").write_text(json.dumps(layout.tokenizer))
    kind = getattr(transformers, layout.model)
    config: PretrainedConfig = kind.config_class(**SIZES | {"vocab_size": vocabulary} | layout.config)
    torch.manual_seed(1)
    network = kind(config)
    with torch.no_grad():
        for value in network.parameters():
            if value.ndim == 1:
                value.add_(torch.randn_like(value) * 0.3)
    network.save_pretrained(folder, max_shard_size="20KB" if layout.form == "shards" else "1GB")
    if layout.form == "pytorch_model.bin":
        (folder / "model.safetensors").unlink()
        torch.save(network.state_dict(), folder / layout.form)
    return folder
