"""`dapt evaluate X`: models/X on every held-out set (dapt.judging.masked_loss) → metrics/eval/X.json, and
data/eval/X.jsonl, one line per group.

`dapt evaluate --model DIR --text FILE.jsonl` does the same for any model and text: dapt.judging.per_token.
"""

from dapt.core import config
from dapt.core.files import made_from, read_lines, write_json, write_lines
from dapt.core.paths import LOSSES, METRICS, MODELS, SPLIT
from dapt.judging.masked_loss import by_group, figures, loaded
from dapt.mlm.tokens import encode_tokens, unknown_share
from dapt.telling.gpu_failures import gpu_failures


@gpu_failures("make evaluate.batch smaller")
def run(name: str) -> None:
    params = config.load()
    settings = params.active.evaluate
    masked_lm, tokenizer, special = loaded(MODELS / name, settings)
    result, lines = {}, []
    for held_out in params.heldout:
        rows = list(read_lines(SPLIT / held_out / "heldout.jsonl"))
        tokens = encode_tokens(tokenizer, special, (row["text"] for row in rows))
        unknown = unknown_share(tokens.ids, special, f"{name} on {held_out}", settings.unknown == "allow")
        groups = by_group(masked_lm, tokens, rows, special, settings)
        result[held_out] = figures(groups, settings.seed) | {"unknown": unknown}
        lines += [
            {
                "set": held_out,
                "group": group,
                "loss": round(sums.loss, 5),
                "masked": sums.masked,
                "correct": sums.correct,
                "top5": sums.top5,
            }
            for group, sums in groups.items()
        ]
        print(
            f"{name} on {held_out}: loss {result[held_out]['loss']}, perplexity {result[held_out]['perplexity']}, "
            f"{result[held_out]['masked_tokens']} masked tokens in {len(groups)} groups"
        )
    write_lines(LOSSES / f"{name}.jsonl", lines)
    write_json(
        METRICS / "eval" / f"{name}.json",
        result | {"made_from": made_from(MODELS / name / "model.safetensors", MODELS / name / "tokenizer.json", SPLIT)},
    )
