"""The data card, one of the pages of `dapt report`: what the corpora contain, from metrics/ alone."""

from dapt.core.config import Params
from dapt.reporting.markdown import as_text, share, telling
from dapt.reporting.metrics import Figures


def listed(counts: dict[str, int]) -> str:
    """What was counted, in the order of frequency."""
    return ", ".join(f"{count:,} {name}" for name, count in sorted(counts.items(), key=lambda pair: -pair[1])) or "–"


def counted(number: int | None) -> str:
    return "–" if number is None else f"{number:,}"


def totals(params: Params, cleaned: dict, valid: dict) -> list[list]:
    """One row per corpus, then the sums of the unlabelled, the labelled and all corpora: our counts, those by the original
    project's rule, and those of its table."""
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
MEASURES = ["mean", "median", "95 %", "longest"]
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
    lines = totals(params, cleaned, valid)
    header = [
        "corpus",
        "rows read",
        "kept",
        "MB",
        "kept by the original project's rule",
        "the original project's table",
    ]
    original = (
        """

The last two columns compare the corpora with those of the original project. Its scripts collapsed white space, dropped
texts below a length, and dropped equal texts. Its table can only be compared where a corpus has the same sources."""
        if any(line[-1] != "–" for line in lines)
        else ""
    )
    return f"""# Data card: profile {params.profile}

Every row of every corpus was checked after cleaning: its fields and its encoding; no text is empty or occurs twice; and the
rows that were read are the rows that were kept plus those that were dropped.{not_enabled}

## Rows

{telling(lines, header)}{original}
"""


def texts(found: dict[str, dict]) -> str:
    """Lengths, languages and labels of each corpus."""
    characters = [
        [name, *(f"{one['characters'][key]:,}" for key in SPREAD), f"{one['groups']:,}"] for name, one in found.items()
    ]
    tokens = [
        [name, *(f"{one['sample']['tokens'][key]:,}" for key in SPREAD), share(one["sample"]["unknown"])]
        for name, one in found.items()
    ]
    languages = [
        [name, f"{one['sample']['rows']:,}", listed(one["sample"]["languages"]), f"{one['lost_characters']:,}"]
        for name, one in found.items()
    ]
    labels = [
        [name, f"{of['rows']:,}", f"{of['different']:,}", as_text(listed(dict(of["each"])))]
        for name, of in ((name, one["labels"]) for name, one in found.items())
        if of["rows"]
    ]
    return f"""## Lengths

Characters per text, of all texts. A group is a source record; all its rows are on the same side of the split.

{telling(characters, ["corpus", *MEASURES, "groups"])}

Tokens per text, by the base's tokenizer, of a sample of each corpus:

{telling(tokens, ["corpus", *MEASURES, "unknown tokens"])}

## Languages

Detected in the sample by py3langid and counted if it is at least 90 % sure, otherwise "in doubt", which is common for short
texts. Lost characters: texts that contained U+FFFD already in the source.

{telling(languages, ["corpus", "sampled texts", "languages", "texts with lost characters"])}

## Labels

{telling(labels, ["corpus", "labelled rows", "different labels", "rows per label"])}
"""


def work(cleaned: dict, names: list[str]) -> str:
    done = [[name, listed(cleaned[name]["dropped"]), listed(cleaned[name]["repaired"])] for name in names]
    return f"""## Dropped and repaired by cleaning

{telling(done, ["corpus", "rows dropped", "rows repaired"])}
"""


def overlap(params: Params, split: dict) -> str:
    names = list(params.corpora)
    held = [
        [one, other, f"{split['held_by'][one][other]:,}"]
        for one in names
        for other in names
        if one != other and split["held_by"][one][other]
    ]
    found = telling(held, ["corpus", "other corpus", "rows in both"]) if held else "No two corpora have rows in common."
    return f"""## Overlap between corpora

How many rows of a corpus another corpus contains too: equal texts and, if both are unlabelled, nearly equal ones (MinHash,
Jaccard similarity {params.active.split.similar}). Pairs without common rows are not listed.

{found}
"""


def tasks(params: Params, split: dict) -> str:
    sides = [[task, *(f"{of[key]:,}" for key in SIDES)] for task, of in split["tasks"].items()]
    words = params.active.split.overlap
    return f"""## Tasks

Rows by side, after cleaning. A row whose source record has a test row is left out of the other sides, whatever its source
says. Training rows that nearly equal a test row of the same task, or have {words} successive words in common with one, are
counted but stay, so that results on a published split remain comparable. The last column counts the rows of the task's
corpus that lack one of its fields or have none of its labels.

{telling(sides, ["task", "train", "valid", "test", "left out", "training rows like a test row", "not of the task"])}
"""


def a_few_rows(found: dict[str, dict]) -> str:
    shown = [
        f"{name}:\n\n" + "\n".join(f"    {text}" for text in one["shown"])
        for name, one in found.items()
        if one["shown"]
    ]
    if not shown:
        return ""
    return f"""## Sample rows

From the corpora whose licence allows it, cut at 300 characters; the label, if there is one, in brackets.

{(chr(10) * 2).join(shown)}
"""
