"""Fine-tunes a model on a task, once per seed.

The seed determines the new head, dropout and the order of the rows. After each epoch the model is evaluated on the validation
rows; the best epoch's weights are evaluated once on the test rows. Two runs with the same number of threads give bit-identical
weights. On a CPU the seeds are trained in parallel, on a GPU one after the other; neither this nor an interruption
(seed_state.py) changes the result.
"""

import time
from dataclasses import asdict, dataclass, field, replace
from math import ceil
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import joblib
import numpy as np
import torch
import transformers
from accelerate import Accelerator
from tokenizers import Tokenizer
from torch import nn
from transformers import PreTrainedModel

from dapt.core.config import Finetune, Lora, Task
from dapt.core.files import write_json
from dapt.model import attention, checkpoint
from dapt.model.architectures import HEADS, set_dropout, usable_positions
from dapt.model.tokenizer import load_tokenizer
from dapt.tasks.embedding_rows import put_back, train_only
from dapt.tasks.kinds import kind as kind_named
from dapt.tasks.parallel import side_by_side
from dapt.tasks.scoring import Sides
from dapt.tasks.seed_state import Seeds, SeedState, Tensors
from dapt.telling.errors import UserError
from dapt.training.optimization.divergence import READ_EVERY, Skips, will_be_skipped
from dapt.training.optimization.optimizer import optimizer, optimizer_tensors, restore
from dapt.training.optimization.schedule import Schedule

if TYPE_CHECKING:
    from peft import PeftModel

JUDGED = 64  # rows per batch in evaluation
SORTED = 16  # so many batches' rows are sorted by length together


@dataclass(frozen=True)
class Encoded:
    """The sequences of a task's rows, `count` per row, as token ids and token types; and the number of each right candidate."""

    ids: list[list[int]]
    types: list[list[int]]
    count: int
    right: np.ndarray  # int64 [rows]
    missing: np.ndarray  # bool [rows, count]: true where a row has fewer sequences, and its first is repeated

    def lengths(self) -> np.ndarray:
        """The longest sequence of each row, int64 [rows]."""
        return np.array([len(ids) for ids in self.ids]).reshape(-1, self.count).max(1)


def encode(tokenizer: Tokenizer, kind: ModuleType, rows: list[dict], classes: list[str], task: Task) -> Encoded:
    """Encode the rows; sequences longer than task.length are truncated, in a pair the longer text first."""
    tokenizer.enable_truncation(task.length)
    sequences = [kind.sequences(row, task) for row in rows]
    counts = np.array([len(row) for row in sequences])
    count = int(counts.max())
    encodings = tokenizer.encode_batch([text for row in sequences for text in row + row[:1] * (count - len(row))])
    return Encoded(
        [encoding.ids for encoding in encodings],
        [encoding.type_ids for encoding in encodings],
        count,
        kind.right(rows, classes),
        np.arange(count) >= counts[:, None],
    )


def batches_of_epoch(lengths: np.ndarray, batch: int, seed: int, epoch: int) -> list[np.ndarray]:
    """The rows of each batch, every row once: a permutation, sorted by length within chunks of SORTED batches; then the batches
    are permuted. A function of (seed, epoch) and the lengths [rows]."""
    rng = np.random.Generator(np.random.Philox(key=[seed, epoch]))
    order, step = rng.permutation(len(lengths)), batch * SORTED
    parts = [order[start : start + step] for start in range(0, len(order), step)]
    parts = [part[np.argsort(lengths[part], kind="stable")] for part in parts]
    found = [part[start : start + batch] for part in parts for start in range(0, len(part), batch)]
    return [found[number] for number in rng.permutation(len(found))]


def padded(encoded: Encoded, rows: np.ndarray, pad: int, device: torch.device, types: bool) -> dict[str, torch.Tensor]:
    """The sequences of these rows, padded to the longest, as input of transformers' models, int64 [rows * count, size]."""
    which = (rows[:, None] * encoded.count + np.arange(encoded.count)).flatten()
    size = max(len(encoded.ids[place]) for place in which)
    ids, mask, kinds = (
        np.full((len(which), size), pad),
        np.zeros((len(which), size), int),
        np.zeros((len(which), size), int),
    )
    for row, place in enumerate(which):
        length = len(encoded.ids[place])
        ids[row, :length], mask[row, :length], kinds[row, :length] = encoded.ids[place], 1, encoded.types[place]
    arrays = {"input_ids": ids, "attention_mask": mask} | ({"token_type_ids": kinds} if types else {})
    return {name: torch.from_numpy(array).to(device) for name, array in arrays.items()}


def load(kind: ModuleType, folder: Path, classes: list[str], dropout: float, seed: int) -> PreTrainedModel:
    """A checkpoint with the head of the task; weights that the checkpoint lacks are initialised from `seed`."""
    labels = {"id2label": dict(enumerate(classes)), "label2id": {name: number for number, name in enumerate(classes)}}
    network, _ = checkpoint.from_folder(getattr(transformers, kind.AUTO), folder, seed, **(labels if classes else {}))
    if network.config.model_type in HEADS:
        network.set_attn_implementation(attention.NAME)
    set_dropout(network, dropout)
    return network


def with_adapters(network: PreTrainedModel, lora: Lora, dropout: float) -> "PeftModel":
    """Add adapters to every linear layer; only they and the layers outside the encoder (the new head) are trained."""
    from peft import LoraConfig, get_peft_model  # takes a third of a second to import, and few runs use adapters

    heads = [name for name, _ in network.named_children() if name not in (network.base_model_prefix, "dropout")]
    return get_peft_model(
        network,
        LoraConfig(
            r=lora.rank,
            lora_alpha=lora.alpha,
            lora_dropout=dropout,
            target_modules="all-linear",
            modules_to_save=heads if network.base_model is not network else None,
        ),
    )


class Tuner:
    """One fine-tuning run: a network and its optimizer, and how its inputs are padded."""

    def __init__(self, kind: ModuleType, network: nn.Module, accelerator: Accelerator, pad: int, settings: Finetune):
        self.kind, self.accelerator, self.pad, self.settings = kind, accelerator, pad, settings
        self.network = network.to(accelerator.device)
        self.types = getattr(network.config, "type_vocab_size", 0) > 1
        self.skips = Skips()
        self.optimizer = accelerator.prepare(optimizer(network.named_parameters(), settings.weight_decay))

    def outputs(self, encoded: Encoded, rows: np.ndarray) -> torch.Tensor:
        with self.accelerator.autocast():
            batch = padded(encoded, rows, self.pad, self.accelerator.device, self.types)
            outputs = self.kind.outputs(self.network, batch, encoded.count).float()
        if (missing := encoded.missing[rows]).any():
            outputs = outputs.masked_fill(torch.from_numpy(missing).to(outputs.device), -torch.inf)
        return outputs

    def epoch(self, encoded: Encoded, batches: list[np.ndarray], schedule: Schedule, first: int) -> float | None:
        """Train on these batches, starting with step number `first`; return their mean loss, or None if fp16 skipped them
        all."""
        self.network.train()
        trained = [value for value in self.network.parameters() if value.requires_grad]
        losses: list[float] = []
        unread: list[torch.Tensor] = []  # per step since the last look: its loss, and whether it was skipped
        for step, rows in enumerate(batches, first):
            for group in self.optimizer.param_groups:
                group["lr"] = schedule.rate(step)
            right = torch.from_numpy(encoded.right[rows]).to(self.accelerator.device)
            loss = self.kind.loss(self.outputs(encoded, rows), right)
            self.accelerator.backward(loss)
            self.accelerator.clip_grad_norm_(trained, schedule.clip)
            unread.append(torch.stack([loss.detach(), will_be_skipped(self.accelerator, self.optimizer)]))
            self.optimizer.step()
            self.optimizer.zero_grad()
            if len(unread) == READ_EVERY or step == first + len(batches) - 1:
                for number, (value, skipped) in enumerate(torch.stack(unread).tolist(), step + 2 - len(unread)):
                    known = self.skips.check(number, skipped > 0, value, self.accelerator.scaler)
                    losses += [] if known is None else [known]
                unread.clear()
        return sum(losses) / len(losses) if losses else None

    @torch.no_grad()
    def scores(self, encoded: Encoded) -> np.ndarray:
        """The scores of every row and candidate, float64 [rows, candidates]."""
        self.network.eval()
        order = np.argsort(encoded.lengths(), kind="stable")
        parts = [
            self.outputs(encoded, order[start : start + JUDGED]).cpu().double().numpy()
            for start in range(0, len(order), JUDGED)
        ]
        back = np.argsort(order, kind="stable")
        return self.kind.scores(np.concatenate(parts)[back], encoded.right)

    def weights(self) -> Tensors:
        return {name: value.detach().clone() for name, value in self.network.named_parameters() if value.requires_grad}

    def put(self, weights: Tensors) -> None:
        with torch.no_grad():
            for name, value in self.network.named_parameters():
                if name in weights:
                    value.copy_(weights[name])

    def state(self, course: "Course") -> tuple[Tensors, dict]:
        """Everything that the coming epochs depend on: tensors and facts."""
        scaler, device = self.accelerator.scaler, self.accelerator.device
        tensors = prefixed("now.", self.weights()) | prefixed("best.", course.best_weights)
        tensors |= optimizer_tensors(self.optimizer) | {"chance.cpu": torch.get_rng_state()}
        if device.type == "cuda":
            tensors["chance.cuda"] = torch.cuda.get_rng_state(device)
        facts = asdict(replace(course, best_weights={})) | {"scaler": scaler.state_dict() if scaler else {}}
        return tensors, facts

    def resumed(self, tensors: Tensors, facts: dict) -> "Course":
        """The inverse of `state`."""
        scaler = facts.pop("scaler")
        if self.accelerator.scaler:
            self.accelerator.scaler.load_state_dict(scaler)
        self.put(without("now.", tensors))
        restore(self.optimizer, tensors)
        torch.set_rng_state(tensors["chance.cpu"])
        if "chance.cuda" in tensors:
            torch.cuda.set_rng_state(tensors["chance.cuda"], self.accelerator.device)
        best = {name: value.to(self.accelerator.device) for name, value in without("best.", tensors).items()}
        return Course(**facts | {"best_weights": best})


def prefixed(prefix: str, tensors: Tensors) -> Tensors:
    return {f"{prefix}{name}": value for name, value in tensors.items()}


def without(prefix: str, tensors: Tensors) -> Tensors:
    """The tensors whose name begins with `prefix`, keyed by the rest of the name."""
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


@dataclass
class Course:
    """How a seed's training has gone so far."""

    valid: list[float] = field(default_factory=list)  # the main metric after each epoch
    best: list[float] = field(default_factory=list)  # the main metric of the best epoch, and its negated loss
    best_epoch: int = 0
    best_weights: Tensors = field(default_factory=dict)


def train(
    tuner: Tuner, sides: tuple[Encoded, Encoded], task: Task, seed: int, name: str, state: SeedState
) -> list[float]:
    """Train for up to task.epochs on the first side, with early stopping on the second, and restore the best epoch's weights;
    return the main metric on valid after each epoch. Continues from a saved `state`.

    If several epochs have the same metric, the one with the smallest loss on valid is the best.
    """
    encoded, valid = sides
    settings, kind = tuner.settings, tuner.kind
    steps = task.epochs * ceil(len(encoded.right) / settings.batch)
    schedule = Schedule(steps, task.lr, round(settings.warmup * steps), settings.weight_decay, settings.clip)
    lengths, course = encoded.lengths(), Course()
    if saved := state.latest():
        tensors, facts, epochs = saved
        course = tuner.resumed(tensors, facts)
        print(f"{name}: resumed after epoch {epochs}", flush=True)
    for epoch in range(len(course.valid), task.epochs):
        began = time.monotonic()
        batches = batches_of_epoch(lengths, settings.batch, seed, epoch)
        loss = tuner.epoch(encoded, batches, schedule, epoch * len(batches))
        scores = tuner.scores(valid)
        course.valid.append(float(kind.values(scores, valid.right).mean()))
        found = [course.valid[-1], -cross_entropy(scores, valid.right)]
        print(
            f"{name}, epoch {epoch + 1}: loss {'–' if loss is None else f'{loss:.3f}'}, {kind.METRICS[0]} on valid {found[0]:.4f}, "
            f"loss {-found[1]:.3f}, {time.monotonic() - began:.1f} s",
            flush=True,
        )
        if not course.best or found > course.best:
            course.best, course.best_epoch, course.best_weights = found, epoch, tuner.weights()
        if epoch - course.best_epoch >= settings.patience:
            break
        if epoch + 1 < task.epochs:
            state.epoch_done(epoch + 1, lambda: tuner.state(course))
    tuner.put(course.best_weights)
    return course.valid


def cross_entropy(scores: np.ndarray, right: np.ndarray) -> float:
    """Mean of -log softmax of the right candidate."""
    highest = scores.max(1, keepdims=True)
    logs = scores - highest - np.log(np.exp(scores - highest).sum(1, keepdims=True))
    return float(-np.take_along_axis(logs, right[:, None], 1).mean())


def at_once(seeds: int, threads: int, cores: int) -> int:
    """How many seeds are trained in parallel on a CPU: all of them if each has one thread, since single-threaded trainings
    share cores without loss; with several threads each, only as many as have cores, or they would wait for each other at every
    operation.

    >>> at_once(3, 1, 2), at_once(5, 4, 8), at_once(5, 4, 2)
    (3, 2, 1)
    """
    return seeds if threads == 1 else max(1, min(seeds, cores // threads))


@dataclass(frozen=True)
class FineTuning:
    """The fine-tuning of a model on a task with several seeds."""

    name: str  # names the task and the model in messages
    source: Path  # the model's folder
    task: Task
    settings: Finetune
    accelerator: Accelerator
    states: Seeds

    def all_seeds(self, found: Sides, out: Path) -> tuple[list[np.ndarray], list[list[float]]]:
        """Each seed's scores on the test side and its metrics on valid; the first seed's model is written to `out`."""
        kind, seeds = kind_named(self.task.kind), self.settings.seeds
        tokenizer, special = load_tokenizer(self.source)
        classes = kind.classes(found.everything())
        train_side, valid, test = (
            encode(tokenizer, kind, rows, classes, self.task) for rows in (found.train, found.valid, found.test)
        )
        seen = np.union1d(np.concatenate(train_side.ids), special.pad)

        scaler = self.accelerator.scaler
        fresh = scaler.state_dict() if scaler else {}

        def one_seed(seed: int) -> tuple[np.ndarray, list[float]]:
            if scaler:
                scaler.load_state_dict(fresh)  # each seed starts with a fresh scaler
            name, first, state = f"{self.name}, seed {seed}", seed == seeds[0], self.states.of(seed)
            found = state.finished()
            if found:
                print(f"{name}: already finished", flush=True)
            if first or not found:
                network = self._network(kind, classes, seen, seed)
                tuner = Tuner(kind, network, self.accelerator, special.pad, self.settings)
            if not found:
                course = train(tuner, (train_side, valid), self.task, seed, name, state)
                kept = prefixed("best.", tuner.weights()) if first else {}
                kept["scores"] = torch.from_numpy(tuner.scores(test))
                found = state.finish(self.task.epochs, kept, {"course": course})
            tensors, facts = found
            if first:
                tuner.put(without("best.", tensors))
                whole = network.merge_and_unload() if self.settings.lora else put_back(network)
                checkpoint.save(whole, {}, self.source, out)
                for file, content in kind.files(self.task, whole.config.hidden_size).items():
                    write_json(out / file, content)
            return tensors["scores"].numpy(), facts["course"]

        if self.accelerator.device.type == "cpu":
            done = side_by_side(one_seed, seeds, at_once(len(seeds), self.settings.threads, joblib.cpu_count()))
        else:
            done = [one_seed(seed) for seed in seeds]
        return [scores for scores, _ in done], [course for _, course in done]

    def _network(self, kind: ModuleType, classes: list[str], seen: np.ndarray, seed: int) -> Any:
        """The model with a new head. Trainable are the adapters, or all weights except the embeddings of words not in
        `seen`."""
        network = load(kind, self.source, classes, self.settings.dropout, seed)
        if self.task.length > (longest := usable_positions(network)):
            raise UserError(
                f"{self.name}: the task's length is {self.task.length} tokens, but the model has only {longest} "
                "positions; make the length smaller"
            )
        lora = self.settings.lora
        return with_adapters(network, lora, self.settings.dropout) if lora else train_only(network, seen)
