"""Loading and auditing checkpoints, and saving them with the parent's pooler."""

import sys
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModelForMaskedLM, PreTrainedModel
from transformers.utils import logging as transformers_logging

from dapt.core.files import refuse_pointers
from dapt.model.architectures import usable_positions
from dapt.model.tokenizer import Special, copy_tokenizer
from dapt.model.weights import read_weights, wrapping
from dapt.telling.errors import UserError, short


@dataclass(frozen=True)
class Audit:
    """What was found when a checkpoint was loaded as a masked language model."""

    parameters: int
    missing: list[str]
    unexpected: list[str]

    @property
    def head_missing(self) -> bool:
        return bool(self.missing)  # a tied decoder does not count as missing


def load(folder: Path, seed: int = 0) -> tuple[PreTrainedModel, Audit]:
    """Load a checkpoint as a masked language model in fp32. A missing head is drawn from `seed` and named in the audit; an
    incomplete encoder is refused."""
    model, info = from_folder(AutoModelForMaskedLM, folder, seed)
    if any(name.startswith("discriminator_predictions.") for name in info["unexpected_keys"]):
        raise UserError(
            f"{folder} is an ELECTRA discriminator, which does not predict tokens and has no masked-LM head; use the "
            "generator instead"
        )
    return model, Audit(model.num_parameters(), sorted(info["missing_keys"]), sorted(info["unexpected_keys"]))


def from_folder(auto: Any, folder: Path, seed: int, **settings: Any) -> tuple[PreTrainedModel, dict[str, Any]]:
    """Load a model of the class that `auto` chooses, in fp32; return it and what loading found. Missing weights outside the
    encoder are drawn from `seed`; an encoder with a weight that is missing, not finite or misshapen is refused."""
    torch.manual_seed(seed)
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    refuse_pointers(folder)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            config = AutoConfig.from_pretrained(str(folder), local_files_only=True, trust_remote_code=False, **settings)
            with torch.device("meta"):
                expected = auto.from_config(config)
            state = _renamed(expected, folder)
            model, info = type(expected).from_pretrained(
                None if state else str(folder),
                config=config,
                state_dict=state,
                dtype=torch.float32,
                output_loading_info=True,
                local_files_only=True,
                trust_remote_code=False,
                ignore_mismatched_sizes=True,  # they are reported below
            )
    except (UserError, MemoryError):
        raise
    except Exception as error:  # for a damaged file the libraries raise all kinds of errors
        raise UserError(f"{folder} cannot be loaded ({short(error)}); fetch it again, or use another base") from error
    _zero_missing_biases(model, info["missing_keys"])
    _check_whole(model, info, folder)
    return model, info


@torch.no_grad()
def _zero_missing_biases(model: PreTrainedModel, missing: set[str]) -> None:
    """Set the biases of a new head to 0. In some types (Nyströmformer) no module that transformers initialises has them, so
    they would be uninitialised memory."""
    for name, value in model.named_parameters():
        if name in missing and name.endswith("bias"):
            value.zero_()


def outline(auto: Any, folder: Path) -> PreTrainedModel | None:
    """A model of the class that `auto` chooses, without weights; None if there is none for the type in config.json."""
    try:
        config = AutoConfig.from_pretrained(str(folder), local_files_only=True, trust_remote_code=False)
        if type(config) not in auto._model_mapping:
            return None
        with torch.device("meta"):
            return auto.from_config(config)
    except (OSError, ValueError, KeyError) as error:
        raise UserError(f"{folder}/config.json cannot be used ({short(error)}); use another base") from error


def _renamed(model: PreTrainedModel, folder: Path) -> dict[str, torch.Tensor] | None:
    """The weights under the names that the model expects, if a training loop wrapped them, which a notice tells; None if
    transformers finds them by itself."""
    names, _, nested = read_weights(folder, lambda name: False)
    full = set(model.state_dict())
    prefix = wrapping(names, full | {name.removeprefix(f"{model.base_model_prefix}.") for name in full})
    if not prefix and not nested:
        return None
    where = " and ".join([*[f"inside {nested}"] * bool(nested), *[f"with the prefix {prefix}"] * bool(prefix)])
    print(
        f"{folder}: its weights are stored {where}, as a training loop writes them, and are read from there",
        file=sys.stderr,
    )
    return {name.removeprefix(prefix): value for name, value in read_weights(folder).tensors.items()}


def _check_whole(model: PreTrainedModel, info: dict[str, Any], folder: Path) -> None:
    """Refuse a model whose encoder is not complete in the checkpoint; the pooler may be missing."""
    encoder = f"{model.base_model_prefix}."
    missing = sorted(name for name in info["missing_keys"] if name.startswith(encoder) and "pooler." not in name)
    odd = sorted(f"{name} {list(theirs)} instead of {list(ours)}" for name, theirs, ours in info["mismatched_keys"])
    infinite = [name for name, value in model.named_parameters() if not _finite(value)]
    for names, what in (
        (odd, "weights whose shape is not that of config.json"),
        (missing, "missing weights of the encoder"),
        (infinite, "weights that are not finite"),
    ):
        if names:
            more = f", … ({len(names)} in all)" if len(names) > 2 else ""
            raise UserError(
                f"{folder}: {what}: {', '.join(names[:2])}{more}; an encoder is not repaired; fetch it again, or use "
                "another base"
            )


def _finite(value: torch.Tensor) -> bool:
    """Whether all values are finite; a NaN makes minimum and maximum NaN. Checking each value takes 11 times as long."""
    return not value.numel() or bool(torch.stack(value.aminmax()).isfinite().all())


def check_fits(model: PreTrainedModel, special: Special, window: int = 0) -> None:
    """Refuse the tokenizer of another model, and windows longer than the model's positions.

    Embeddings without a token are padding up to a round number: 99 in DeBERTa-v3, 898 of 251,000 in its multilingual
    version. With many more of them, or fewer embeddings than tokens, the tokenizer belongs to another model.
    """
    embeddings, usable = model.config.vocab_size, usable_positions(model)
    if not 0 <= embeddings - special.vocabulary <= max(128, embeddings // 100):
        raise UserError(
            f"the tokenizer has {special.vocabulary} tokens, but the model has {embeddings} embeddings, so they do not "
            "belong together; take both from the same model"
        )
    if window > usable:
        raise UserError(
            f"windows of {window} tokens are longer than the model's {usable} positions; make train.window "
            "and evaluate.window smaller"
        )


def pooler(folder: Path, encoder: str) -> dict[str, torch.Tensor]:
    """The pooler's weights in a checkpoint, under the names that a model with an encoder inside gives them.

    `encoder` is the encoder's name in such a model ("bert"). In a checkpoint of a bare encoder no name begins with it.
    """
    names, found, _ = read_weights(folder, lambda name: "pooler." in name)
    inner = f"{encoder}."
    bare = not any(inner in name for name in names)
    return {
        f"{inner}{name}" if bare else name[name.find(inner) if inner in name else 0 :]: value
        for name, value in found.items()
    }


def save(model: PreTrainedModel, extra: dict[str, torch.Tensor], tokenizer: Path, folder: Path) -> None:
    """Write config.json, model.safetensors with the `extra` weights (the parent's pooler), and the tokenizer's files."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        model.save_pretrained(folder, safe_serialization=True)
        if extra:
            weights = load_file(folder / "model.safetensors")
            save_file(weights | extra, folder / "model.safetensors", metadata={"format": "pt"})
        copy_tokenizer(tokenizer, folder)
    except SafetensorError as error:
        raise UserError(f"cannot write {folder}: {error}; free disk space there, then run again") from error
