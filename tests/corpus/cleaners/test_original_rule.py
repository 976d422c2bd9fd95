"""The least lengths that the original project asked of its corpora."""

import json

import pytest

from sources import cleaned, lines, medmcqa, squad


def of_length(length: int) -> str:
    return ("abc def " * 20)[: length - 1] + "."


@pytest.mark.parametrize(
    "name, least, row",
    [
        ("biomed_en_de", 50, lambda length: {"text": {"en": of_length(length)}}),
        ("finance_news", 31, lambda length: {"newscontents": of_length(length)}),
        ("financial_phrasebank", 31, lambda length: {"sentence": of_length(length), "label": 0}),
        (
            "fiqa",
            30,
            lambda length: {"instruction": "Say.", "input": of_length(length - 5), "output": "A long answer."},
        ),
        ("medmcqa", 50, lambda length: medmcqa(1, question=of_length(length - 7), exp="As is.\n")),
        ("bioasq", 31, of_length),
    ],
)
def test_texts_are_kept_from_the_length_on_that_the_seed_asks(tmp_path, name, least, row):
    """One character less, just enough, the same with other white space, and in capitals: the original project told case apart."""
    same = json.dumps(row(least))
    values = [row(least - 1), *map(json.loads, (same, same.replace("c d", "c \\n d"), same.replace("abc", "ABC")))]
    path = lines(tmp_path / "train.json", [squad(*values)] if name == "bioasq" else values)
    report, found = cleaned(tmp_path, name, path)
    assert (report["rows_in"], report["kept"], report["original_rule"]["kept"]) == (4, 1, 2)
    assert len(found[0]["text"]) == least and report["dropped"] == {"too short": 1, "duplicate": 2}
