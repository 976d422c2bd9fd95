"""Stand-ins for the models of the profile `full`: random weights in the files of the real ones.

The base is a classifier of 28 emotions without a masked-LM head, as `pytorch_model.bin` only; the donor has the head. A head
cannot know more than how frequent tokens are if the encoder is random, so that is what the donor's output bias knows, of the
text by which `dapt audit` judges a head. With it, the head counts as trained.
"""

import json
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer
from transformers import BertConfig, BertForPreTraining, BertForSequenceClassification

from dapt.core.config import Params
from dapt.judging.probe import PROBE, word_tokens
from dapt.sources.package import read_files

BASE, DONOR = "bhadresh-savani/bert-base-go-emotion", "google-bert/bert-base-uncased"
SMALL = {"hidden_size": 128, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 512}
EMOTIONS = 28
LEFT_OVER = {  # DistilBERT's names, which nothing reads
    "activation": "gelu",
    "attention_dropout": 0.1,
    "dim": 768,
    "dropout": 0.1,
    "hidden_dim": 3072,
    "n_heads": 12,
    "n_layers": 6,
    "output_past": True,
    "qa_dropout": 0.1,
    "seq_classif_dropout": 0.2,
    "sinusoidal_pos_embds": False,
    "tie_weights_": True,
}
SPECIALS = {f"{name}_token": f"[{name.upper()}]" for name in ("unk", "sep", "pad", "cls", "mask")}


def write_base(folder: Path, tokenizer: Path, small: bool = False) -> dict[str, int]:
    """Write the base; return what it was built to contain."""
    torch.manual_seed(0)
    config = BertConfig(num_labels=EMOTIONS, problem_type="multi_label_classification", **SMALL if small else {})
    network = BertForSequenceClassification(config)
    _vary(network)
    state = network.state_dict()
    state["bert.embeddings.position_ids"] = torch.arange(config.max_position_embeddings)[
        None
    ]  # older versions saved it
    _write_tokenizer(folder, tokenizer)
    _write_config(folder, config, "BertForSequenceClassification", LEFT_OVER)
    (folder / "special_tokens_map.json").write_text(json.dumps(SPECIALS))
    torch.save(state, folder / "pytorch_model.bin")
    return {
        "parameters": network.num_parameters(),
        "missing": 6,
        "bytes": (folder / "pytorch_model.bin").stat().st_size,
    }


def write_donor(folder: Path, tokenizer: Path, small: bool = False) -> dict[str, int]:
    """Write the donor, whose norms have the names gamma and beta, as in the real file."""
    torch.manual_seed(1)
    config = BertConfig(**SMALL if small else {})
    network = BertForPreTraining(config)
    _vary(network)
    head = network.cls.predictions
    with torch.no_grad():
        head.transform.LayerNorm.weight.mul_(0.01)  # the random encoder is hardly heard
        head.bias.copy_(_frequencies(Tokenizer.from_file(str(tokenizer / "tokenizer.json"))))
    state = {
        name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): value
        for name, value in network.state_dict().items()
        if not name.startswith("cls.predictions.decoder.")  # tied
    }
    _write_tokenizer(folder, tokenizer)
    _write_config(folder, config, "BertForMaskedLM", {})
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    return {"parameters": network.num_parameters(), "bytes": (folder / "model.safetensors").stat().st_size}


def write_models(params: Params, folder: Path, small: bool = False) -> dict[str, dict[str, int]]:
    """Write both below `folder`, under their names on the hub, with the vocabulary of the sample's base."""
    tiny = params.bases["tiny"]
    with TemporaryDirectory() as name:
        tokenizer = Path(name)
        files = [file for file in tiny.files if Path(file).name.startswith("tokenizer")]
        for path in read_files(tiny.package, files, tokenizer):
            shutil.move(tokenizer / path, tokenizer / Path(path).name)
        return {
            name: write(folder / name, tokenizer, small) for name, write in ((BASE, write_base), (DONOR, write_donor))
        }


@torch.no_grad()
def _vary(network: torch.nn.Module) -> None:
    """Biases and norms are random, too, so that a lost one is noticed."""
    for value in network.parameters():
        if value.ndim == 1:
            value.add_(torch.randn_like(value) * 0.02)


def _frequencies(tokenizer: Tokenizer) -> torch.Tensor:
    counts = torch.tensor(word_tokens(tokenizer), dtype=torch.float32)
    shares = 0.5 * (counts + 1) / (counts + 1).sum()
    for line in (PROBE / "text.txt").read_text(encoding="utf-8").splitlines():
        for token in tokenizer.encode(line, add_special_tokens=False).ids:
            shares[token] += 1e-4
    return shares.log()


def _write_config(folder: Path, config: BertConfig, architecture: str, more: dict[str, object]) -> None:
    values = config.to_diff_dict() | {"model_type": "bert", "architectures": [architecture], "vocab_size": 30522}
    values |= {name: getattr(config, name) for name in ("hidden_size", "num_hidden_layers", "num_attention_heads")}
    (folder / "config.json").write_text(json.dumps(values | more, indent=2, sort_keys=True))


def _write_tokenizer(folder: Path, tokenizer: Path) -> None:
    """tokenizer.json, tokenizer_config.json, and the vocabulary as a text file."""
    folder.mkdir(parents=True)
    for path in tokenizer.glob("tokenizer*.json"):
        shutil.copy(path, folder)
    numbers = Tokenizer.from_file(str(tokenizer / "tokenizer.json")).get_vocab()
    (folder / "vocab.txt").write_text("".join(f"{word}\n" for word in sorted(numbers, key=numbers.get)), "utf-8")
