"""`dapt base`: data/raw/model/base → models/base, audited, with a trained masked-LM head, so that comparisons are fair.

If the base has no trained head (as `dapt audit` measures it), one is transplanted from a donor, or the head alone is trained
on general text, with the encoder frozen, until the loss on general validation text stops falling. This happens before any
domain is trained, so that every training starts from the same head. `repair.allow` leaves the head as it is.
"""

from accelerate import Accelerator
from tokenizers import Tokenizer

from dapt.core import config
from dapt.core.config import Params
from dapt.core.files import made_from, sha256, whole_folder, write_json
from dapt.core.paths import METRICS, MODELS, RAW_MODEL, TOKENS
from dapt.judging import probe
from dapt.mlm.batches import Batch, valid_batches
from dapt.mlm.masked_lm import MaskedLM
from dapt.mlm.tokens import read_tokens
from dapt.mlm.windows import text_in_memory
from dapt.model import checkpoint
from dapt.model.tokenizer import Special, load_tokenizer, write_tokenizer
from dapt.telling.gpu_failures import gpu_failures
from dapt.training import readme
from dapt.training.head_repair import HeadRepair, transplant
from dapt.training.loop import mean_loss
from dapt.training.optimization.device import accelerator_for

RAW_BASE = RAW_MODEL / "base"


def repaired(
    model: MaskedLM,
    tokenizer: Tokenizer,
    special: Special,
    params: Params,
    looks: list[Batch],
    accelerator: Accelerator,
) -> tuple[list[str], int]:
    """Repair the untrained head of a model; return what was done, and in how many steps."""
    settings = params.active
    if settings.repair.allow:
        return [], 0
    repairs, steps = [], 0
    if settings.model.donor:
        transplant(model, tokenizer, RAW_MODEL / "donor")
        repairs.append("transplant")
    if not settings.model.donor or probe.head(model, tokenizer, special)["head"] != "trained":
        text = read_tokens(TOKENS / params.control, "train", special)
        steps = HeadRepair(model, settings, looks, accelerator).train(text, special)
        repairs.append("head alone")
    return repairs, steps


def make_base(params: Params) -> dict:
    """Write models/base and return the content of metrics/base.json."""
    settings, train = params.active, params.active.train
    accelerator = accelerator_for(train.precision, train.threads)
    tokenizer, special = load_tokenizer(RAW_BASE)
    network, found = checkpoint.load(RAW_BASE, settings.repair.seed)
    checkpoint.check_fits(network, special, max(train.window, settings.evaluate.window))
    model = MaskedLM(network).to(accelerator.device)
    valid = text_in_memory(read_tokens(TOKENS / params.control, "valid", special), train.window, special)
    looks = valid_batches(valid, train.batch, train.valid_windows, train.mask)
    before, loss_before = (
        probe.head(model, tokenizer, special, found.head_missing),
        mean_loss(accelerator, model, looks),
    )
    trained = before["head"] == "trained"
    repairs, steps = ([], 0) if trained else repaired(model, tokenizer, special, params, looks, accelerator)
    after, loss_after = probe.head(model, tokenizer, special), mean_loss(accelerator, model, looks)
    pooler = checkpoint.pooler(RAW_BASE, network.base_model_prefix)
    figures = {
        "parameters": found.parameters,
        "missing": found.missing,
        "unexpected": found.unexpected,
        "pooler": "present" if pooler else "missing",
        "head": before["head"],
        "probe_before": before["loss"],
        "probe_unigram": before["unigram_loss"],
        "probe_tokens": before["masked_tokens"],
        "loss_before": round(loss_before, 4),
        "repair": ", then ".join(repairs) or ("none" if trained else "none, allowed"),
        "repairs": repairs,
        "steps": steps,
        "head_after": after["head"],
        "probe_after": after["loss"],
        "loss_after": round(loss_after, 4),
    }
    with whole_folder(MODELS / "base") as folder:
        checkpoint.save(network.cpu(), pooler, RAW_BASE, folder)
        write_tokenizer(RAW_BASE, folder)
        readme.write(folder, "base", settings.model.base, readme.of_base(network, figures, params.control))
    return figures | {
        "made_from": made_from(RAW_MODEL, TOKENS / params.control),
        "model_sha256": sha256(MODELS / "base" / "model.safetensors"),
    }


@gpu_failures("make train.batch smaller")
def run() -> None:
    figures = make_base(config.load())
    write_json(METRICS / "base.json", figures)
    print(
        f"base: {figures['parameters']:,} parameters; head {figures['head']}: loss {figures['probe_before']} on the "
        f"probe text, token frequencies alone {figures['probe_unigram']}; repair: {figures['repair']}, {figures['steps']} "
        f"steps; then head {figures['head_after']}: loss {figures['probe_after']}; loss on general validation text "
        f"{figures['loss_before']} → {figures['loss_after']}"
    )
    if figures["head_after"] != "trained":
        print("base: its head does worse than token frequencies, so training on any text will beat it")
