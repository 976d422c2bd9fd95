"""`dapt base`: data/raw/model/base → models/base, audited, with a masked-LM head that is worth comparing with.

Where `dapt audit` finds no trained head, one is transplanted from a donor, or trained alone on general text, the body
frozen, until the loss on general validation text stops falling: before any domain, so that every training starts from
the same head. `repair.allow` leaves it as it is.
"""

from pathlib import Path
from tempfile import TemporaryDirectory

from accelerate import Accelerator
from tokenizers import Tokenizer

from dapt.tools import audit
from dapt.mlm import batches
from dapt.model.masked_lm import masked_lm
from dapt.core import config
from dapt.core.config import Params, Profile
from dapt.telling.errors import UserError
from dapt.core.files import made_from, sha256, whole_folder, write_json
from dapt.training.loop import Course, accelerator_for, fit, mean_loss
from dapt.model.masked_lm.masked_lm import MaskedLM
from dapt.core.paths import METRICS, MODELS, RAW_MODEL, TOKENS
from dapt.training.schedule import Schedule
from dapt.mlm.tokens import load_tokenizer, read_tokens


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
    accelerator.unwrap_model(masked_lm, keep_fp32_wrapper=False)  # autocast goes from its forward
    masked_lm.requires_grad_(True)
    return course


def transplant(masked_lm: MaskedLM, tokenizer: Tokenizer, folder: Path) -> None:
    """Take the head of the donor in `folder`, if it has one and the same tokens."""
    if load_tokenizer(folder)[0].get_vocab() != tokenizer.get_vocab():
        raise UserError("the donor's tokenizer has other tokens than the base's; take another masked_lm.donor")
    donor, found = masked_lm.load(folder)
    if found.head_missing:
        raise UserError(f"the donor has no masked-LM head ({', '.join(found.missing[:2])}, …); take another masked_lm.donor")
    masked_lm.transplant(masked_lm, donor)


def make_base(params: Params) -> dict:
    """Write models/base and return what metrics/base.json says."""
    settings = params.active
    train = settings.train
    accelerator = accelerator_for(train.precision, train.threads)
    tokenizer_folder = RAW_MODEL / "base"
    tokenizer, special = load_tokenizer(tokenizer_folder)
    loaded, found = masked_lm.load(tokenizer_folder, settings.repair.seed)
    masked_lm.check_fits(loaded, special, max(train.window, settings.evaluate.window))
    masked_lm = MaskedLM(loaded)
    text = read_tokens(TOKENS / params.control, "train", special)
    valid_text = read_tokens(TOKENS / params.control, "valid", special)
    valid = batches.valid_batches(valid_text, batches.windows(valid_text, train.window), special, train.batch,
                                  train.valid_windows, train.mask)
    masked_lm.to(accelerator.device)
    before = audit.head(masked_lm, tokenizer, special, found.head_missing)
    loss_before = mean_loss(accelerator, masked_lm, valid)
    repairs, steps = [], 0
    if before["head"] == "trained":
        repairs.append("none")
    elif settings.repair.allow:
        repairs.append("none, allowed")
    else:
        if settings.model.donor:
            transplant(masked_lm, tokenizer, RAW_MODEL / "donor")
            repairs.append("transplant")
        if not settings.model.donor or audit.head(masked_lm, tokenizer, special)["head"] != "trained":
            with TemporaryDirectory() as folder:
                windows = batches.windows_on_disk(Path(folder) / "windows", text, train.window)

                def batch_of(step: int) -> batches.Batch:
                    return batches.training_batch(text, windows, special, train.batch, train.mask, settings.repair.seed,
                                                  step)

                steps = len(repair_head(masked_lm, settings, batch_of, valid, accelerator).train)
            repairs.append("head alone")
    after = audit.head(masked_lm, tokenizer, special)
    figures = {
        "parameters": found.parameters, "missing": found.missing, "unexpected": found.unexpected,
        "pooler": "present" if masked_lm.pooler(tokenizer_folder, loaded.base_model_prefix) else "missing",
        "head": before["head"], "probe_before": before["loss"], "probe_unigram": before["unigram_loss"],
        "probe_tokens": before["masked_tokens"], "loss_before": round(loss_before, 4),
        "repair": ", then ".join(repairs), "steps": steps,
        "head_after": after["head"], "probe_after": after["loss"],
        "loss_after": round(mean_loss(accelerator, masked_lm, valid), 4)}
    with whole_folder(MODELS / "base") as folder:
        masked_lm.save(loaded.cpu(), masked_lm.pooler(tokenizer_folder, loaded.base_model_prefix), tokenizer_folder, folder)
    return figures | {"made_from": made_from(RAW_MODEL, TOKENS / params.control),
                      "model_sha256": sha256(MODELS / "base" / "masked_lm.safetensors")}


def run() -> None:
    figures = make_base(config.load())
    write_json(METRICS / "base.json", figures)
    print(f"base: {figures['parameters']:,} parameters; head {figures['head']}: loss {figures['probe_before']} on the "
          f"probe, token frequencies alone {figures['probe_unigram']}; repair: {figures['repair']}, {figures['steps']} "
          f"steps; head {figures['head_after']}: {figures['probe_after']}; on general validation text "
          f"{figures['loss_before']} → {figures['loss_after']}")
    if figures["head_after"] != "trained":
        print("base: the head does worse than token frequencies: any training on any text will beat it")
