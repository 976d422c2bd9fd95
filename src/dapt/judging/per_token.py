"""The loss per masked token, as `dapt evaluate` measures it; for several models, with the differences to the first."""

from pathlib import Path

import numpy as np

from dapt.core.config import Unknown
from dapt.judging.inputs import counted, models_of_one_tokenizer, settings, share_unknown, show, texts
from dapt.judging.masked_loss import by_group, figures
from dapt.judging.statistics import paired_intervals
from dapt.mlm.tokens import encode_tokens


def run(
    folders: list[Path], text: Path, most: int | None, as_json: bool, unknown: Unknown = "refuse", draws: int = 1
) -> None:
    judged, rows, how = models_of_one_tokenizer(folders), texts(text, most), settings(draws, unknown)
    tokens = encode_tokens(judged[0].tokenizer, judged[0].special, (row["text"] for row in rows))
    share = share_unknown(judged[0], tokens.ids, text, how)
    groups = [by_group(one.masked_lm, tokens, rows, one.special, how) for one in judged]
    sums = np.array([[group.loss for group in of_model.values()] for of_model in groups])
    masked = counted(np.array([group.masked for group in groups[0].values()], float), text)
    several = len(judged) > 1
    names = [{"model": one.name} if several else {} for one in judged]
    paired = (
        paired_intervals(sums, masked, how.seed) if several else [{}]
    )  # the interval of one model is among its figures
    show(
        (
            name | figures(found, how.seed) | {"unknown": share} | compared
            for name, found, compared in zip(names, groups, paired)
        ),
        as_json,
    )
