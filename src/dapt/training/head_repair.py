"""Repairs an untrained masked-LM head, so that the base is a fair baseline: by a transplant from a donor model, or by
training the head alone on general text."""

from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from accelerate import Accelerator
from tokenizers import Tokenizer

from dapt.core.config import Profile
from dapt.mlm import masked_lm
from dapt.mlm.batches import Batch, TrainingBatches
from dapt.mlm.masked_lm import MaskedLM
from dapt.mlm.tokens import Tokens
from dapt.mlm.windows import text_on_disk
from dapt.model import checkpoint
from dapt.model.tokenizer import Special, load_tokenizer
from dapt.telling.errors import UserError
from dapt.training.loop import Asked, Course, Run, fit, mean_loss
from dapt.training.optimization.schedule import Schedule


def transplant(model: MaskedLM, tokenizer: Tokenizer, folder: Path) -> None:
    """Take the head of the donor in `folder`; refuse a donor without a head or with another vocabulary."""
    if load_tokenizer(folder)[0].get_vocab() != tokenizer.get_vocab():
        raise UserError("the donor's tokenizer has a different vocabulary from the base's; choose another model.donor")
    donor, found = checkpoint.load(folder)
    if found.head_missing:
        raise UserError(
            f"the donor has no masked-LM head ({', '.join(found.missing[:2])}, …); choose another model.donor"
        )
    masked_lm.transplant(model, donor)


class HeadRepair(Run):
    """Trains the head alone, with a frozen encoder; stops once `patience` validations in a row have not lowered the loss by
    `least`."""

    name = "base"

    def __init__(self, model: MaskedLM, settings: Profile, looks: list[Batch], accelerator: Accelerator):
        self.model, self.settings, self.looks, self.accelerator = model, settings, looks, accelerator

    def pause(self, step: int) -> bool:
        return step % self.settings.repair.every == 0

    def visit(self, step: int, optim: torch.optim.Optimizer, course: Course, asked: Asked) -> bool:
        patience, least = self.settings.repair.patience, self.settings.repair.least
        course.valid.append((step, mean_loss(self.accelerator, self.model, self.looks)))
        values = [value for _, value in course.valid]
        return len(values) > patience and min(values[-patience:]) > min(values[:-patience]) - least

    def train(self, tokens: Tokens, special: Special) -> int:
        """Train on this text; return the number of steps."""
        train, repair = self.settings.train, self.settings.repair
        self.model.requires_grad_(False)
        for value in self.model.head_parameters().values():
            value.requires_grad_(True)
        schedule = Schedule(repair.max_steps, repair.lr, min(10, repair.max_steps), 0.0, train.clip)
        with TemporaryDirectory() as folder:
            text = text_on_disk(Path(folder) / "windows", tokens, train.window, special)
            batches = TrainingBatches(text, train.batch, train.mask, repair.seed)
            course = fit(self.accelerator, self.model, batches, schedule, self)
        self.accelerator.unwrap_model(self.model, keep_fp32_wrapper=False)  # removes autocast from its forward
        self.model.requires_grad_(True)
        return len(course.train)
