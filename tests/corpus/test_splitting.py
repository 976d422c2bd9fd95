import random
from collections import Counter
from itertools import combinations

import pytest
from datasketch import MinHash, MinHashLSH

from dapt.core.config import Split, Task
from dapt.core.files import read_lines
from dapt.core.rows import text_id
from dapt.corpus.duplicates import HELD_OUT, Prepared, Seen, pairs, runs, words
from dapt.corpus.splitting import SIDES, decided, held_by, side, split_tasks, task_rows
from dapt.telling.errors import UserError

SPLIT = Split(heldout=0.2, valid=0.1, similar=0.7, overlap=13)
TUNED = {"kind": "classification", "length": 32, "epochs": 1, "lr": 1e-3}  # what a split does not look at
VOCABULARY = [f"word{number}" for number in range(3000)]


def documents(count: int, corpus: str, seed: int = 0, length: int = 30) -> list[dict]:
    chance = random.Random(f"{corpus}{seed}")
    texts = [" ".join(chance.choices(VOCABULARY, k=length)) for _ in range(count)]
    return [
        {"id": text_id(text), "group": f"{corpus}:{number // 3}", "text": text, "corpus": corpus}
        for number, text in enumerate(texts)
    ]


def jaccard(one: str, other: str) -> float:
    a, b = set(pairs(words(one))), set(pairs(words(other)))
    return len(a & b) / len(a | b)


def new(split: Split = SPLIT) -> Seen:
    return Seen(split.similar, split.overlap)


def split_documents(corpora: dict, tests: list[dict], split: Split, seen: Seen | None = None) -> tuple[dict, dict]:
    """Of each corpus the rows kept, by side, and how many were dropped why."""
    kept, dropped = (
        {name: {current: [] for current in SIDES} for name in corpora},
        {name: Counter() for name in corpora},
    )
    for name, current, row, reason in decided(corpora, tests, split, seen or new(split)):
        if reason:
            dropped[name][reason] += 1
        else:
            kept[name][current].append(row)
    return kept, dropped


def by_side(rows: list[dict], task: Task, split: Split) -> dict[str, list[dict]]:
    found = {"train": [], "valid": [], "test": []}
    for current, row in task_rows(rows, task, split):
        found[current].append(row)
    return found


def kept_texts(kept: dict, side_name: str) -> list[str]:
    return [row["text"] for sides in kept.values() for row in sides[side_name]]


def test_shares_are_about_right_and_a_group_lies_on_one_side():
    sides = [side(f"x:{number}", SPLIT) for number in range(20000)]
    assert sides.count("heldout") / 20000 == pytest.approx(0.2, abs=0.01)
    assert sides.count("valid") / 20000 == pytest.approx(0.1, abs=0.01)
    kept, _ = split_documents({"a": documents(900, "a")}, [], SPLIT)
    groups = [{row["group"] for row in rows} for rows in kept["a"].values()]
    assert all(groups) and not any(one & other for one, other in combinations(groups, 2))


def test_adding_a_corpus_moves_no_document():
    one = {"a": documents(300, "a")}
    before, _ = split_documents(one, [], SPLIT)
    after, _ = split_documents(one | {"b": documents(300, "b")}, [], SPLIT)
    assert before["a"] == after["a"]


def test_a_larger_share_only_adds_to_the_held_out():
    larger = SPLIT.model_copy(update={"heldout": 0.3})
    groups = [f"x:{number}" for number in range(1000)]
    assert {g for g in groups if side(g, SPLIT) == "heldout"} < {g for g in groups if side(g, larger) == "heldout"}


def with_twins(rows: list[dict], corpus: str, change: float) -> list[dict]:
    """Copies of rows as another source has them: of other groups, with a share of words changed."""
    chance = random.Random(7)
    found = []
    for number, row in enumerate(rows):
        text = " ".join(chance.choice(VOCABULARY) if chance.random() < change else word for word in row["text"].split())
        found.append({"id": text_id(text), "group": f"{corpus}:{number}", "text": text, "corpus": corpus})
    return found


@pytest.mark.parametrize("change", [0.0, 0.03])
def test_no_training_text_is_equal_or_nearly_equal_to_a_held_out_one(change):
    """Against every pair, computed exactly."""
    rows = documents(200, "a")
    kept, dropped = split_documents({"a": rows, "b": with_twins(rows, "b", change)}, [], SPLIT)
    held = kept_texts(kept, "heldout")
    for current in ("train", "valid"):
        for text in kept_texts(kept, current):
            worst = max(jaccard(text, other) for other in held)
            assert worst < SPLIT.similar + 0.12  # MinHash estimates it; its deviation at 128 permutations is 0.04
    assert sum(dropped["b"].values()) > 100


def test_near_duplicates_are_those_that_another_minhash_finds():
    rows = documents(150, "a")
    texts = [row["text"] for row in rows + with_twins(rows[:75], "b", 0.02)]
    exact = [any(jaccard(text, other) >= 0.7 for other in texts[:number]) for number, text in enumerate(texts)]
    seen = new()
    ours = [seen.twin(Prepared(text), "a") is not None for text in texts]
    reference = MinHashLSH(threshold=0.7, num_perm=128)
    theirs = []
    for number, text in enumerate(texts):
        sketch = MinHash(num_perm=128, seed=3)
        sketch.update_batch([pair.encode() for pair in pairs(words(text))])
        theirs.append(any(True for _ in reference.query(sketch)))
        if not theirs[-1]:
            reference.insert(str(number), sketch)
    agree = sum(one == other for one, other in zip(ours, exact)) / len(exact)
    assert agree >= sum(one == other for one, other in zip(theirs, exact)) / len(exact) - 0.02
    assert agree > 0.95


def test_a_shared_run_of_words_drops_a_training_document_but_a_shorter_one_does_not():
    held = documents(1, "h")[0]["text"].split()
    other = documents(1, "o", length=60)[0]["text"].split()
    seen = new()
    seen.guard(Prepared(" ".join(held)))
    assert seen.shares(Prepared(" ".join(other[:30] + held[5:17] + other[30:]))) is None
    other = documents(1, "p", length=60)[0]["text"].split()
    assert seen.shares(Prepared(" ".join(other[:30] + held[5:18] + other[30:]))) == "a test row"


def test_runs_are_all_windows_of_words():
    """Equal windows have equal hashes, others do not: against the windows themselves."""
    rng = random.Random(0)
    texts = [[rng.choice("abc") for _ in range(rng.randrange(12))] for _ in range(300)]
    for length in (1, 3, 5):
        of: dict[int, tuple[str, ...]] = {}
        for text in texts:
            windows = [tuple(text[start : start + length]) for start in range(len(text) - length + 1)]
            found = runs(text, length)
            assert len(found) == len(windows)
            assert all(of.setdefault(one, window) == window for one, window in zip(found, windows))
        assert len(of) == len(set(of.values())) > 2


def test_the_twin_of_a_test_row_goes_and_the_test_row_stays():
    rows = documents(60, "news")
    tests = [row | {"label": "x", "corpus": "task"} for row in rows[:10]]
    kept, dropped = split_documents({"news": rows}, tests, SPLIT)
    trained = set(kept_texts(kept, "train") + kept_texts(kept, "valid"))
    assert not trained & {row["text"] for row in tests}
    assert len(tests) == 10 and sum(dropped["news"].values()) >= 5


def test_what_goes_for_a_test_row_and_what_for_held_out_text_is_counted_apart():
    rows, other = documents(60, "news"), documents(40, "o", length=60)
    tests = [row | {"group": f"t:{number}", "corpus": "task"} for number, row in enumerate(documents(20, "t"))]
    held = [row for row in rows if side(row["group"], SPLIT) == "heldout"][:5]

    def quoting(texts: list[dict], corpus: str) -> list[dict]:
        return [
            own | {"group": f"{corpus}:{number}", "text": f"{own['text']} {text['text']}"}
            for number, (own, text) in enumerate(zip(other, texts))
        ]

    corpora = {
        "news": rows,
        "copies": with_twins(tests[:10], "copies", 0.0),
        "of tests": quoting(tests[10:], "q"),
        "of held": quoting(held, "h"),
    }
    _, dropped = split_documents(corpora, tests, SPLIT)
    behind = {
        name: sum(side(f"{name}:{number}", SPLIT) != "heldout" for number in range(count))
        for name, count in (("copies", 10), ("q", 10), ("h", 5))
    }

    def counted(name: str, reason: str) -> int:
        return sum(count for why, count in dropped[name].items() if why.partition(": ")[2] == reason)

    assert counted("copies", "equal text of a test row") == behind["copies"] > 3
    assert counted("of tests", "shares words with a test row") == behind["q"] > 3
    assert counted("of held", "shares words with held-out text") == behind["h"] > 1
    assert not dropped["news"]


def test_rows_of_a_test_rows_group_are_on_no_other_side_of_its_task(tmp_path):
    """As where one question is asked, with other explanations, in a source's training and in its test file."""
    rows = [
        row | {"label": "x", "split": "test" if number < 40 else "train"}
        for number, row in enumerate(documents(120, "a"))
    ]
    for number in (60, 61, 90):
        rows[number]["group"] = rows[0]["group"]
    found = split_tasks({"T": Task(corpus="c", fields=["label"], **TUNED)}, {"c": rows}, SPLIT, tmp_path)["T"]
    shared = {row["group"] for row in rows[:40]} & {row["group"] for row in rows[40:]}
    left_out = sum(row["group"] in shared for row in rows[40:])
    assert found["test"] == 40 and found["group_of_a_test_row"] == left_out >= 3
    sides = [{row["group"] for row in read_lines(tmp_path / f"T/{side}.jsonl")} for side in ("train", "valid", "test")]
    assert not any(one & other for one, other in combinations(sides, 2))


def test_a_row_that_its_source_marks_test_is_in_no_pre_training_set():
    rows = documents(60, "r")
    marked = [row | {"split": "test"} for row in rows[:20]]
    kept, dropped = split_documents({"r": marked + rows[20:]}, [], SPLIT)
    everywhere = {row["id"] for sides in kept["r"].values() for row in sides}
    assert not everywhere & {row["id"] for row in marked} and dropped["r"]["test row of a task"] == 20


def test_counts_add_up():
    rows = documents(200, "a")
    corpora = {"a": rows, "b": with_twins(rows, "b", 0.02)}
    kept, dropped = split_documents(corpora, [], SPLIT)
    for name, all_rows in corpora.items():
        assert len(all_rows) == sum(map(len, kept[name].values())) + sum(dropped[name].values())


def test_the_sources_own_split_wins_and_without_one_held_out_groups_are_the_test():
    rows = [row | {"label": str(number % 3)} for number, row in enumerate(documents(300, "a"))]
    task = Task(corpus="a", fields=["label"], **TUNED)
    by_hash = by_side(rows, task, SPLIT)
    assert all(side(row["group"], SPLIT) == "heldout" for row in by_hash["test"]) and by_hash["test"]
    official = [row | {"split": "test" if number < 50 else "train"} for number, row in enumerate(rows)]
    sides = by_side(official, task, SPLIT)
    assert [row["id"] for row in sides["test"]] == [row["id"] for row in official[:50]]
    assert sides["valid"] and all(side(row["group"], SPLIT) == "valid" for row in sides["valid"])
    assert sum(map(len, sides.values())) == 300
    with_valid = [row | {"split": "valid"} if number >= 280 else row for number, row in enumerate(official)]
    sides = by_side(with_valid, task, SPLIT)
    assert [row["id"] for row in sides["valid"]] == [row["id"] for row in rows[280:]]
    assert len(sides["train"]) == 230


def test_a_task_takes_rows_with_its_fields_and_labels():
    rows = [
        {"group": "g:1", "text": text, "label": label, **more}
        for text, label, more in [("a", "x", {"question": "q"}), ("b", "y", {"question": "q"}), ("c", "x", {})]
    ]
    sides = by_side(rows, Task(corpus="a", fields=["label", "question"], labels=["x"], **TUNED), SPLIT)
    assert [row["text"] for rows in sides.values() for row in rows] == ["a"]


def test_one_corpus_inside_another_shows_also_where_texts_differ_a_little():
    rows = documents(90, "a")
    twins, near = with_twins(rows[:40], "b", 0), with_twins(rows[:60], "c", 0.01)
    seen = new()
    split_documents({"a": rows, "b": twins + documents(30, "b"), "c": near}, [], SPLIT, seen)
    found = seen.held_by()
    exact = [
        sum(any(jaccard(row["text"], other["text"]) >= 0.7 for other in others) for row in rows)
        for others in (twins, near)
    ]
    assert exact[0] == 40 and (found["a", "b"], found["b", "a"]) == (40, 40)
    assert found["a", "c"] == pytest.approx(exact[1], abs=2) and found["c", "b"] == pytest.approx(40, abs=2)


def test_texts_that_a_labelled_corpus_holds_are_counted_by_their_hashes():
    ids = {"one": {b"a", b"b"}, "two": {b"a", b"b", b"c"}, "labelled": {b"c"}}
    assert held_by(ids, Counter({("two", "one"): 3})) == {
        "one": {"two": 2, "labelled": 0},
        "two": {"one": 3, "labelled": 1},
        "labelled": {"one": 0, "two": 1},
    }


def test_what_is_like_a_test_row_goes_though_the_test_row_is_like_held_out_text():
    """Likeness is not transitive: each test row is looked at for itself."""
    held = documents(1, "h", length=40)[0]["text"].split()
    test = held[:36] + "changed at the end".split()
    training = test[4:] + "other words stand here".split()
    assert jaccard(" ".join(held), " ".join(training)) < 0.7 <= jaccard(" ".join(test), " ".join(training))
    seen = Seen(SPLIT.similar, overlap=60)
    assert seen.twin(Prepared(" ".join(held)), "h") is None
    seen.guard(Prepared(" ".join(test)))
    assert seen.twin(Prepared(" ".join(training)), "t").startswith("near duplicate")


def test_texts_count_as_held_also_where_a_test_row_made_both_of_them_go():
    rows = documents(60, "a")
    seen = new()
    kept, _ = split_documents({"a": rows, "b": with_twins(rows, "b", 0)}, rows, SPLIT, seen)
    assert not kept_texts(kept, "train") and not kept_texts(kept, "valid")
    assert seen.held_by() == {("a", "b"): 60, ("b", "a"): 60}


def test_training_rows_like_a_test_row_of_their_task_are_counted_and_stay(tmp_path):
    tests = [row | {"label": "x", "split": "test"} for row in documents(40, "t", length=30)]
    fresh = [row | {"label": "x"} for row in documents(100, "f")]
    twins = [row | {"label": "x"} for row in with_twins(tests[:12], "n", 0.02)]
    quoting = [{"id": "0", "group": "q", "label": "x", "text": f"{fresh[0]['text']} {tests[20]['text']}"}]
    rows = tests + fresh + twins + quoting
    found = split_tasks({"T": Task(corpus="c", fields=["label"], **TUNED)}, {"c": rows}, SPLIT, tmp_path)["T"]
    trained = sum(side(row["group"], SPLIT) != "valid" for row in fresh + twins + quoting)
    like = sum(side(row["group"], SPLIT) != "valid" for row in twins + quoting)
    assert (found["test"], found["train"], found["train_like_test"]) == (40, trained, like)
    assert found["train"] == len((tmp_path / "T/train.jsonl").read_text().splitlines())


CLAUSES = {  # a text of ten clauses, another clause; between clauses; a run of words or characters that leaks
    "English": ("the patient had a fever of two days and coughed", "the bank raised its rate by a point", ", "),
    "Chinese": ("患者服用药物两天后血压明显降低", "央行宣布将利率提高一个百分点", "，"),
    "Japanese": ("患者は薬を二日間服用して熱が下がった", "中央銀行は金利を引き上げると発表した", "、"),
    "Thai": ("ผู้ป่วยกินยาสองวันแล้วไข้ลดลง", "ธนาคารกลางขึ้นอัตราดอกเบี้ยหนึ่งจุด", " "),
    "mixed": ("患者 takes BRCA1 抑制剂 for two days 血压降低", "the bank 提高 its rate 一个 point", "，"),
}


def shuffled(text: str, number: int) -> str:
    """Other text of the same script: the words, or the characters of a script without spaces, in another order."""
    parts = text.split() if " " in text and text.isascii() else list(text.replace(" ", ""))
    random.Random(number).shuffle(parts)
    return (" " if text.isascii() else "").join(parts)


@pytest.mark.parametrize("script", CLAUSES)
def test_near_duplicates_and_leaks_are_found_in_scripts_without_spaces_too(script):
    clause, other, between = CLAUSES[script]
    found = new()
    assert found.twin(Prepared(between.join(shuffled(clause, number) for number in range(10))), "a") is None
    assert (
        found.twin(Prepared(between.join(shuffled(clause, number) for number in (*range(9), 99))), "a")
        == "near duplicate"
    )
    assert found.twin(Prepared(between.join(shuffled(clause, number) for number in range(100, 110))), "a") is None
    held = new()
    held.guard(Prepared(f"{other}{between}{clause}"), HELD_OUT)
    assert held.shares(Prepared(f"{shuffled(other, 5)}{between}{clause}{between}{shuffled(clause, 6)}")) == (
        HELD_OUT if len(words(clause)) >= SPLIT.overlap else None
    )
    assert held.shares(Prepared(f"{shuffled(other, 7)}{between}{shuffled(clause, 8)}")) is None


LABELLED = [row | {"label": "xy"[number % 2]} for number, row in enumerate(documents(40, "l"))]


@pytest.mark.parametrize(
    "settings, message",
    [
        (
            {"fields": ["labl"]},
            "tasks.T of the profile: fields names 'labl', which no row of c has; its rows have: corpus, group, id, label",
        ),
        ({"input": "question"}, "tasks.T of the profile: input names 'question', which no row of c has"),
        (
            {"labels": ["x", "z"]},
            "tasks.T of the profile: labels names 'z', which no row of c has; its rows have: x, y",
        ),
    ],
)
def test_a_task_that_names_what_no_row_has_is_refused(tmp_path, settings, message):
    """A label with a typo would only make its class disappear, and accuracy rise."""
    task = Task(corpus="c", **({"fields": ["label"]} | TUNED | settings))
    with pytest.raises(UserError, match=message):
        split_tasks({"T": task}, {"c": LABELLED}, SPLIT, tmp_path)


def test_a_task_without_a_row_is_refused(tmp_path):
    with pytest.raises(UserError, match="task T: its corpus c is empty"):
        split_tasks({"T": Task(corpus="c", fields=["label"], **TUNED)}, {"c": []}, SPLIT, tmp_path)


def test_rows_that_are_not_the_tasks_are_counted(tmp_path):
    task = Task(corpus="c", fields=["label"], input="question", labels=["x"], **TUNED)
    rows = [row | {"question": "q"} if number % 4 == 0 else row for number, row in enumerate(LABELLED)]
    found = split_tasks({"T": task}, {"c": rows}, SPLIT, tmp_path)["T"]
    assert found["other_rows"] == 30 and found["train"] + found["valid"] + found["test"] == 10
