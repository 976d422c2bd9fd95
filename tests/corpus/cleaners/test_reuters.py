"""Reuters R8, with its official split."""

from dapt.core.files import read_lines
from dapt.corpus.cleaning import clean


def test_reuters_test_rows_are_marked_and_win(tmp_path):
    head = "Category\tText\nd\tstring\nclass\t\n"
    twin = "a text in both files of which the test row stays behind"
    (tmp_path / "r8-train.tab").write_text(
        f"{head}earn\t{twin} reuter\nacq\tanother text that is only in the training file\n\t\n"
    )
    (tmp_path / "r8-test.tab").write_text(f"{head}earn\t{twin} reuter\n")
    report = clean(
        "x", [("reuters", [tmp_path / "r8-train.tab", tmp_path / "r8-test.tab"], {})], tmp_path / "out.jsonl"
    )
    found = {row["text"]: row.get("split") for row in read_lines(tmp_path / "out.jsonl")}
    assert found == {twin: "test", "another text that is only in the training file": None}
    assert report.dropped == {"duplicate": 1, "empty": 1} and report.repaired == {"signature": 1}
