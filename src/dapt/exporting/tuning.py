"""Tunes an encoder for sentence embeddings on text without labels, with the losses of sentence-transformers.

- tsdae (Wang et al. 2021): words are deleted from a text, and a decoder that sees only the text's vector reconstructs the
  text. The decoder is the same network with cross-attention, whose weights are tied to the encoder's; only the encoder is
  kept.
- simcse (Gao et al. 2021): each text is encoded twice, with different dropout, and is to prefer its own second vector to those
  of the other texts in its batch.

The models of this project may have been trained without dropout. Here it is always DROPOUT, the rate of both papers: without
it the two vectors of simcse would be equal. The learning rate is that of the papers too; with a larger one, scaled for the
small models of the sample, they ranked worse (docs/embeddings.md). Two runs with the same seed and number of threads give the
same bits on a CPU.
"""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from sentence_transformers.sentence_transformer.losses import DenoisingAutoEncoderLoss, MultipleNegativesRankingLoss
from sentence_transformers.util import batch_to_device
from torch import nn
from transformers import AutoConfig, AutoModelForCausalLM
from transformers.utils import logging as transformers_logging

from dapt.exporting import Options
from dapt.model.architectures import set_dropout
from dapt.model.memory import keep_freed_memory
from dapt.telling.errors import UserError
from dapt.telling.progress import Progress
from dapt.training.optimization.optimizer import optimizer
from dapt.training.optimization.schedule import Schedule

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

BATCH = {"tsdae": 16, "simcse": 64}  # texts per step
LENGTH = 64  # tokens of a text while tuning, about a sentence or two; what follows is not read
DROPOUT = 0.1
DELETED = 0.6  # the share of a text's words that tsdae deletes
LR = 3e-5
WARMUP, DECAY, CLIP = 0.1, 0.01, 1.0  # share of the steps; weight decay; largest norm of the gradients


def check(model: Path, options: Options, source: Path, texts: list[str]) -> None:
    """Refuse what cannot be tuned, before anything is computed."""
    method = options.tune or ""
    if options.steps < 1:
        raise UserError(f"--steps is {options.steps}, but must be at least 1")
    if not 0 <= options.seed < 2**63:
        raise UserError(f"--seed is {options.seed}, but must be from 0 to 2^63 - 1")
    if len(texts) < BATCH[method]:
        raise UserError(
            f"{source} has {len(texts)} different texts that are no test rows, but a step of {method} reads {BATCH[method]}; "
            "use more text"
        )
    kind = AutoConfig.from_pretrained(str(model), local_files_only=True, trust_remote_code=False)
    if method == "tsdae" and type(kind) not in AutoModelForCausalLM._model_mapping:
        raise UserError(
            f"{model} is of the type {kind.model_type}, of which transformers has no decoder for tsdae; use --tune simcse"
        )


def tune(encoder: "SentenceTransformer", model: Path, texts: list[str], options: Options) -> dict[str, Any]:
    """Tune the encoder, whose weights came from the checkpoint `model`; return settings and losses."""
    method, longest = str(options.tune), encoder.max_seq_length
    encoder.max_seq_length = min(longest or LENGTH, LENGTH)
    keep_freed_memory()
    torch.manual_seed(options.seed)
    loss = decoder_loss(encoder, model) if method == "tsdae" else MultipleNegativesRankingLoss(encoder)
    set_dropout(loss.to(encoder.device).train(), DROPOUT)
    schedule = Schedule(options.steps, LR, int(WARMUP * options.steps), DECAY, CLIP)
    losses = trained(loss, encoder, texts, method, schedule, options.seed)
    encoder.max_seq_length = longest
    encoder.eval()
    tenth = max(1, options.steps // 10)
    return {
        "method": method,
        "steps": options.steps,
        "batch": BATCH[method],
        "lr": LR,
        "dropout": DROPOUT,
        "seed": options.seed,
        "threads": torch.get_num_threads(),
        "loss_first_tenth": round(float(np.mean(losses[:tenth])), 4),
        "loss_last_tenth": round(float(np.mean(losses[-tenth:])), 4),
    }


def decoder_loss(encoder: "SentenceTransformer", model: Path) -> nn.Module:
    """The loss of tsdae. It reads the decoder from the checkpoint that the encoder's configuration names: `model`, which still
    has its prediction head. The cross-attention exists in no checkpoint and is drawn from torch's seed."""
    transformers_logging.set_verbosity_error()
    encoder.transformers_model.config._name_or_path = str(model)  # type: ignore[union-attr]
    return DenoisingAutoEncoderLoss(encoder, tie_encoder_decoder=True)


def trained(
    loss: nn.Module, encoder: "SentenceTransformer", texts: list[str], method: str, schedule: Schedule, seed: int
) -> list[float]:
    """The loss of each step."""
    optim = optimizer(loss.named_parameters(), schedule.weight_decay)
    rng = np.random.Generator(np.random.Philox(seed))
    order = endless(len(texts), rng)
    progress, losses = Progress(method, schedule.steps, unit="texts"), []
    for step in range(schedule.steps):
        some = [texts[next(order)] for _ in range(BATCH[method])]
        first = [damaged(text, rng) for text in some] if method == "tsdae" else some
        value = loss([batch_to_device(encoder.preprocess(side), encoder.device) for side in (first, some)], None)
        optim.zero_grad()
        value.backward()
        nn.utils.clip_grad_norm_(loss.parameters(), schedule.clip)
        for group in optim.param_groups:
            group["lr"] = schedule.rate(step)
        optim.step()
        losses.append(value.item())
        if not math.isfinite(losses[-1]):
            raise UserError(f"the loss of {method} is not finite in step {step + 1}; export the model without --tune")
        progress.advance(len(some), loss=losses[-1])
    progress.close()
    return losses


def endless(count: int, rng: np.random.Generator) -> Iterator[int]:
    """The numbers below `count` in a random order, then in another one, and so on."""
    while True:
        yield from rng.permutation(count).tolist()


def damaged(text: str, rng: np.random.Generator) -> str:
    """The text with a share DELETED of its words deleted, at least one is kept. Words are separated by white space."""
    words = text.split()
    kept = [word for word, draw in zip(words, rng.random(len(words))) if draw >= DELETED]
    return " ".join(kept or [words[rng.integers(len(words))]])
