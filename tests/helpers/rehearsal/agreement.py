"""What the reports of the pipeline must say about the stand-ins, by the stand-ins' record."""

BANK, NEWS = "takala/financial_phrasebank", "lukecarlate/english_finance_news"
PLACES = {  # corpus → the sources that it is made of
    "biomed_mlm": ["local"],
    "biomed_mlm_2": ["Hmehdi515/biomedical_en-de"],
    "finance_mlm1": [NEWS, BANK],
    "finance_mlm2": [NEWS],
    "fiqa_labeled": ["llamafactory/fiqa"],
    "medmcqa_labeled": ["openlifescienceai/medmcqa"],
    "general": ["Salesforce/wikitext"],
}
Record = dict[str, dict[str, int]]  # place on the hub, without `datasets/` → what was built


def without_kind(record: Record) -> Record:
    return {name.removeprefix("datasets/"): values for name, values in record.items()}


def expected(record: Record, corpus: str) -> dict[str, int]:
    """The counts in metrics/clean/CORPUS.json, as `counts` shows them."""
    first, *others = [record[place] for place in PLACES[corpus]]
    found = {"rows_in": first.get("read", first["rows"]) + sum(other["rows"] for other in others)}
    if corpus == "general":
        return found | {
            "kept": first["paragraphs"],
            "tokenised": first["paragraphs"],
            "empty": first["empty"],
            "heading": first["headings"],
        }
    original = first["original"] + sum(other["original"] - first["shared"] for other in others)
    return found | {
        "kept": original - first.get("hopeless", 0),
        "original_rule": original,
        "mojibake": first.get("hopeless_rows", 0),
        "short answer": first.get("short_answers", 0),
        "too short": first.get("short", 0) + sum(other["short"] for other in others),
    }


def counts(report: dict, corpus: str) -> dict[str, int]:
    """The same counts as the report has them."""
    found = {name: report[name] for name in ("rows_in", "kept")}
    if corpus == "general":
        return found | {"tokenised": report["repaired"]["tokenised"]} | report["dropped"]
    dropped = {name: report["dropped"].get(name, 0) for name in ("mojibake", "short answer", "too short")}
    return found | {"original_rule": report["original_rule"]["kept"]} | dropped


def shared_news(record: Record) -> int:
    """The texts of finance_mlm2, all of which finance_mlm1 contains, too."""
    return record[NEWS]["original"] - record[NEWS]["hopeless"]
