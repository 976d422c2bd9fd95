"""The data card, one of the pages of `dapt report`: what the corpora hold, from metrics/ alone."""

from dapt.core.config import Params
from dapt.reporting.markdown import rows, share
from dapt.reporting.metrics import Figures


def listed(counts: dict[str, int]) -> str:
    """What was counted, the most frequent first."""
    return ", ".join(f"{count:,} {name}" for name, count in sorted(counts.items(), key=lambda pair: -pair[1])) or "–"


def counted(number: int | None) -> str:
    return "–" if number is None else f"{number:,}"


def totals(params: Params, cleaned: dict, valid: dict) -> list[list]:
    """Rows of the corpora, then of the unlabelled, the labelled and all: ours, by the original project's rule, and in its table."""
    lines, sums = [], {"unlabelled": [0] * 5, "labelled": [0] * 5, "all": [0] * 5}
    of_original = [name for name in params.corpora if cleaned[name]["original_rule"]["expected"] is not None]
    for name, corpus in params.corpora.items():
        rule, expected = cleaned[name]["original_rule"]["kept"], cleaned[name]["original_rule"]["expected"]
        values = [cleaned[name]["rows_in"], cleaned[name]["kept"], valid[name]["bytes"], rule, expected or 0]
        compared = (
            ["–", "–"]
            if expected is None
            else [f"{rule:,}", f"{expected:,}" + ("" if rule == expected else f" ({rule - expected:+,})")]
        )
        lines.append([name, *map(counted, values[:2]), f"{values[2] / 1e6:.1f}", *compared])
        for part in ("labelled" if corpus.labelled else "unlabelled", "all"):
            if name in of_original or not of_original:
                sums[part] = [one + other for one, other in zip(sums[part], values)]
    for part, values in sums.items():
        compared = list(map(counted, values[3:])) if of_original else ["–", "–"]
        lines.append(
            [
                f"**{part}**" + (" of the original project's" if of_original else ""),
                *map(counted, values[:2]),
                f"{values[2] / 1e6:.1f}",
                *compared,
            ]
        )
    return lines


SPREAD = ("mean", "median", "p95", "longest")
LENGTHS = ["characters: mean", "median", "95 %", "longest", "tokens: mean", "median", "95 %", "longest"]
SIDES = ("train", "valid", "test", "group_of_a_test_row", "train_like_test", "other_rows")


def markdown(params: Params, figures: Figures) -> str:
    """The card's text."""
    cleaned, split = figures.clean, figures.split
    found = {name: figures.validate[name] for name in params.corpora}
    parts = [counts(params, cleaned, found), texts(found), work(cleaned, list(found))]
    parts += [overlap(params, split), tasks(params, split), a_few_rows(found)]
    return "\n".join(parts)


def counts(params: Params, cleaned: dict, valid: dict) -> str:
    off = [name for name, corpus in params.corpora.items() if not corpus.enabled]
    not_enabled = f" **Not enabled, and empty here: {', '.join(off)}.**" if off else ""
    header = ["corpus", "rows in", "kept", "MB", "kept by the original project's rule", "its table"]
    return f"""# Data card: profile {params.profile}

Every row of every corpus was looked at after cleaning: its fields, its encoding, that no text is empty or stands twice,
that rows in = rows kept + rows dropped.{not_enabled}

## Rows

{rows(totals(params, cleaned, valid), header)}

The original project's rule is what the scripts of the original project did: white space collapsed, a least length, equal
texts dropped. Its table can only be compared where a corpus has the same sources.
"""


def texts(found: dict[str, dict]) -> str:
    """Lengths, languages and labels of each corpus."""
    lengths = [
        [name, *(f"{of[key]:,}" for of in (one["characters"], one["sample"]["tokens"]) for key in SPREAD)]
        + [share(one["sample"]["unknown"]), f"{one['groups']:,}"]
        for name, one in found.items()
    ]
    languages = [
        [name, f"{one['sample']['rows']:,}", listed(one["sample"]["languages"]), f"{one['lost_characters']:,}"]
        for name, one in found.items()
    ]
    labels = [
        [name, f"{of['rows']:,}", f"{of['different']:,}", listed(dict(of["each"]))]
        for name, of in ((name, one["labels"]) for name, one in found.items())
        if of["rows"]
    ]
    return f"""## Lengths

Characters of every text; tokens of the base's tokenizer, of a sample, and which share of these it does not know.

{rows(lengths, ["corpus", *LENGTHS, "unknown tokens", "groups"])}

## Languages

Of the sample, by py3langid, where it is nine tenths sure; short texts often leave it in doubt. The last column counts
all texts in which a character was lost before they came here (U+FFFD).

{rows(languages, ["corpus", "sample", "texts", "lost characters"])}

## Labels

{rows(labels, ["corpus", "labelled rows", "different labels", "rows per label"])}
"""


def work(cleaned: dict, names: list[str]) -> str:
    done = [[name, listed(cleaned[name]["dropped"]), listed(cleaned[name]["repaired"])] for name in names]
    return f"""## Dropped and repaired

{rows(done, ["corpus", "rows dropped", "rows repaired"])}
"""


def overlap(params: Params, split: dict) -> str:
    names = list(params.corpora)
    held = [[one, *("" if one == other else f"{split['held_by'][one][other]:,}" for other in names)] for one in names]
    return f"""## Overlap

How many rows of the corpus at the left the one at the top holds too: equal texts, and between two unlabelled corpora
nearly equal ones (MinHash, Jaccard {params.active.split.similar}).

{rows(held, ["", *names])}
"""


def tasks(params: Params, split: dict) -> str:
    sides = [[task, *(f"{of[key]:,}" for key in SIDES)] for task, of in split["tasks"].items()]
    words = params.active.split.overlap
    return f"""## Tasks

Rows by side, as far as cleaning left them. A row of a source record that has a test row is left out of the other sides,
whatever its source says. Training rows that are nearly equal to a test row of the same task, or share with one {words}
words in a row, stay, so that results on a known split can be compared; they are counted. The last column counts the rows of the task's
corpus that lack one of its fields, or have none of its labels.

{rows(sides, ["task", "train", "valid", "test", "left out", "training rows like a test row", "not of the task"])}
"""


def a_few_rows(found: dict[str, dict]) -> str:
    shown = [
        f"{name}:\n\n" + "\n".join(f"    {text}" for text in one["shown"])
        for name, one in found.items()
        if one["shown"]
    ]
    nothing = "None."
    return f"""## A few rows

Of the corpora whose licence allows it, cut at 300 characters; a label in brackets.

{(chr(10) * 2).join(shown) or nothing}
"""
