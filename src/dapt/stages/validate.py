"""`dapt validate`: checks every row of data/processed, by code other than that which wrote it → metrics/validate.json.

An invalid row stops the pipeline before anything is trained on it; so does a task on which the base cannot be fine-tuned. The
figures are those of the data card.
"""

from collections import Counter

import numpy as np

from dapt.core import config
from dapt.core.files import made_from, read_json, read_lines, write_json
from dapt.core.paths import METRICS, PROCESSED, RAW_MODEL
from dapt.corpus.language import language
from dapt.corpus.validation import LONGEST, SHOWN, spread, validated
from dapt.mlm.tokens import encode_tokens, unknown_share
from dapt.model.tokenizer import load_tokenizer
from dapt.tasks.checks import check_model
from dapt.telling.errors import UserError


def run() -> None:
    params = config.load()
    for task, settings in params.active_tasks.items():
        check_model(task, settings, params.tasks[task].words, RAW_MODEL / "base")
    tokenizer, special = load_tokenizer(RAW_MODEL / "base")
    found = {}
    for name, corpus in params.corpora.items():
        path = PROCESSED / f"{name}.jsonl"
        figures, sample = validated(read_lines(path), name, corpus.labelled)
        cleaned = read_json(METRICS / "clean" / f"{name}.json")
        if not figures["rows"] == cleaned["kept"] == cleaned["rows_in"] - sum(cleaned["dropped"].values()):
            raise UserError(
                f"{path} has {figures['rows']} rows, but by metrics/clean/{name}.json {cleaned['kept']} of "
                f"{cleaned['rows_in']} were kept; run dvc repro clean@{name}"
            )
        texts = [row["text"] for row in sample]
        tokens = encode_tokens(tokenizer, special, texts)
        lengths, unknown = (
            spread(np.diff(tokens.offsets).tolist()),
            unknown_share(tokens.ids, special, name, allow=True),
        )
        languages = Counter(language(text) or "in doubt" for text in texts)
        shown = sample[:SHOWN] if all(source.show for source in params.active.corpora[name]) else []
        found[name] = figures | {
            "bytes": path.stat().st_size,
            "sample": {
                "rows": len(sample),
                "tokens": lengths,
                "unknown": unknown,
                "languages": dict(languages.most_common()),
            },
            "shown": [f"{row['text'][:LONGEST]}" + (f" [{row['label']}]" if row.get("label") else "") for row in shown],
        }
        why = ", ".join(f"{count:,} {reason}" for reason, count in sorted(cleaned["dropped"].items()))
        dropped = f" (cleaning dropped {why})" * bool(why)
        shares = ", ".join(
            f"{'undetermined' if code == 'in doubt' else code} {count / len(texts):.0%}"
            for code, count in languages.most_common(3)
        )
        print(
            f"{name}: {figures['rows']:,} valid rows{dropped}, {lengths['mean']} tokens per row on average, "
            f"language: {shares or 'none'}"
        )
    write_json(METRICS / "validate.json", found | {"made_from": made_from(PROCESSED)})
