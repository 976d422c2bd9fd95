"""`dapt base`: data/raw/model/base → models/base, audited, with a masked-LM head that is worth comparing with.

A head is untrained where the model does worse than token frequencies do (unigram_loss). It is then transplanted from a
donor, or trained alone on general text, the body frozen, until the loss on general validation text stops falling:
before any domain, so that every training starts from the same head.
"""

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from accelerate import Accelerator

from dapt import batches, config, model
from dapt.batches import IGNORED
from dapt.config import Params, Profile
from dapt.files import made_from, sha256, whole_folder, write_json
from dapt.fit import Course, accelerator_for, fit, mean_loss
from dapt.model import MaskedLM
from dapt.paths import METRICS, MODELS, RAW_MODEL, TOKENS
from dapt.schedule import Schedule
from dapt.tokenize import frequencies, load_tokenizer, read_tokens


def repair_head(masked_lm: MaskedLM, settings: Profile, batch_of, valid, accelerator: Accelerator) -> Course:
    """Train the head alone; stop once `patience` looks in a row found no loss lower by `least`."""
    repair = settings.repair
    masked_lm.requires_grad_(False)
    for value in masked_lm.head_parameters().values():
        value.requires_grad_(True)
    schedule = Schedule(repair.max_steps, repair.lr, min(10, repair.max_steps), 0.0, settings.train.clip)

    def visit(step: int, _, course: Course, __) -> bool:
        course.valid.append((step, mean_loss(accelerator, masked_lm, valid)))
        values = [value for _, value in course.valid]
        late = values[-repair.patience:]
        return len(values) > repair.patience and min(late) > min(values[:-repair.patience]) - repair.least

    course = fit(accelerator, masked_lm, batch_of, schedule, "base",
                 lambda step: step % repair.every == 0, visit)
    masked_lm.requires_grad_(True)
    return course


def make_base(params: Params) -> dict:
    """Write models/base and return what metrics/base.json says."""
    settings = params.active
    train = settings.train
    accelerator = accelerator_for(train.precision, train.threads)
    tokenizer_folder = RAW_MODEL / "base"
    _, special = load_tokenizer(tokenizer_folder)
    loaded, audit = model.load(tokenizer_folder, settings.repair.seed)
    model.check_fits(loaded, special, max(train.window, settings.evaluate.window))
    masked_lm = MaskedLM(loaded)
    text = read_tokens(TOKENS / params.control, "train", special)
    valid_text = read_tokens(TOKENS / params.control, "valid", special)
    valid = batches.valid_batches(valid_text, batches.windows(valid_text, train.window), special, train.batch,
                                  train.valid_windows, train.mask)
    labels = np.concatenate([batch.labels[batch.labels != IGNORED] for batch in valid])
    masked_lm.to(accelerator.device)
    figures: dict = {
        "parameters": audit.parameters, "missing": audit.missing, "unexpected": audit.unexpected,
        "pooler": "present" if model.pooler(tokenizer_folder, loaded.base_model_prefix) else "missing",
        "unigram_loss": round(model.unigram_loss(frequencies(text, special), labels), 4),
        "loss_before": round(mean_loss(accelerator, masked_lm, valid), 4), "repair": "none", "steps": 0}
    trained = not audit.head_missing and figures["loss_before"] < figures["unigram_loss"]
    if not trained and settings.model.donor:
        donor, _ = model.load(RAW_MODEL / "donor")
        model.transplant(masked_lm, donor)
        figures["repair"] = "transplant"
        trained = mean_loss(accelerator, masked_lm, valid) < figures["unigram_loss"]
    if not trained:
        with TemporaryDirectory() as folder:
            windows = batches.windows_on_disk(Path(folder) / "windows", text, train.window)

            def batch_of(step: int) -> batches.Batch:
                return batches.training_batch(text, windows, special, train.batch, train.mask, settings.repair.seed,
                                              step)

            course = repair_head(masked_lm, settings, batch_of, valid, accelerator)
        figures["repair"] = "transplant, then head alone" if settings.model.donor else "head alone"
        figures["steps"] = len(course.train)
    figures["loss_after"] = round(mean_loss(accelerator, masked_lm, valid), 4)
    with whole_folder(MODELS / "base") as folder:
        model.save(loaded.cpu(), model.pooler(tokenizer_folder, loaded.base_model_prefix), tokenizer_folder, folder)
    return figures | {"made_from": made_from(RAW_MODEL, TOKENS / params.control),
                      "model_sha256": sha256(MODELS / "base" / "model.safetensors")}


def run() -> None:
    figures = make_base(config.load())
    write_json(METRICS / "base.json", figures)
    print(f"base: {figures['parameters']:,} parameters; loss on general text {figures['loss_before']} "
          f"(token frequencies alone: {figures['unigram_loss']}); repair: {figures['repair']}, "
          f"{figures['steps']} steps, loss {figures['loss_after']}")
