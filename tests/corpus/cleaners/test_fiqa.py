"""FiQA in the form of instructions."""

from sources import cleaned, written


def test_fiqa(tmp_path):
    raw = [
        {"instruction": "Give your opinion.", "input": "Should I buy a house?", "output": "It depends. " * 20},
        {"instruction": "What is a bond, and should I buy one?", "input": "", "output": "A loan to a firm."},
        {"instruction": "Give your opinion.", "input": "Is that so, in the end?", "output": "Yes."},
        {"instruction": "Give your opinion.", "input": None, "output": "A null is nothing to ask about."},
        {"instruction": "Give your opinion.", "input": 5, "output": "A number is not a question."},
    ]
    for name in ("train.json", "train.jsonl", "train.parquet"):
        usable = raw[:4] if name.endswith("parquet") else raw
        report, found = cleaned(tmp_path, "fiqa", written(tmp_path / name, usable))
        assert [row["text"] for row in found] == ["Give your opinion. Should I buy a house?", raw[1]["instruction"]]
        assert found[0]["question"] == "Should I buy a house?" and found[0]["answer"] == ("It depends. " * 20).strip()
        assert found[0]["label"] == ("It depends. " * 20)[:100].strip()
        assert found[1]["question"] == raw[1]["instruction"]
        assert {row["split"] for row in found} == {"train"} and report["original_rule"]["kept"] == 2
        assert report["dropped"]["short answer"] == 1 and report["dropped"].get("not text", 0) == len(usable) - 4
    test = written(tmp_path / "test.json", raw[:1])
    found = cleaned(tmp_path, "fiqa", tmp_path / "train.json", test)[1]
    assert [row["split"] for row in found] == ["test", "train"]
