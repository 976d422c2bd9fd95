"""Whatever stands in a file, it is refused in one line or each of its rows is accounted for."""

import json
import random

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dapt.telling.errors import UserError
from sources import LONG, TABLES, cleaned

JUNK = [
    None,
    True,
    -1,
    0,
    4,
    1e308,
    float("nan"),
    10**30,
    "",
    " ",
    "x",
    LONG,
    "\ud800",
    "\0\x1b\ufeff",
    [],
    [[[]]],
    {},
    {"en": {}},
    {"en": LONG},
    {"text": [1]},
    '{"en": ',
    "한국",
    "??",
    "?쏾",
    " = = ",
    "= =",
    "@-@",
    "@neutral",
    "&#xD800;",
]


@pytest.mark.parametrize("name", TABLES)
def test_rows_of_any_values_are_all_accounted_for(tmp_path, name):
    """As many rows come in as were written, whatever stands in them."""
    chance = random.Random(name)
    good, stem = TABLES[name]
    for trial in range(20):
        rows = [good]
        for number in range(60):
            row = {key: chance.choice([value, *chance.sample(JUNK, 3)]) for key, value in good.items()}
            row |= {"more": number} if chance.random() < 0.2 else {}
            row.pop(chance.choice(list(row)) if chance.random() < 0.2 else "", None)
            rows.append(row if chance.random() < 0.9 else chance.choice(JUNK))
        path = tmp_path / f"{stem}.{trial % 2 and 'json' or 'jsonl'}"
        path.write_text(json.dumps(rows) if trial % 2 else "".join(json.dumps(row) + "\n" for row in rows))
        try:
            assert cleaned(tmp_path, name, path)[0]["rows_in"] == 61
        except UserError as error:  # a 0 among options that are counted from 1
            assert name == "medmcqa" and "options are numbered from 1 to 4" in str(error)


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize("values", [[1, 2], [1.5], [True], [b"\xff"], [["a"]], [{"a": 1}], [None]])
def test_a_parquet_of_other_types_is_refused_or_accounted_for(tmp_path, name, values):
    good, stem = TABLES[name]
    pq.write_table(pa.table({key: values for key in good}), tmp_path / f"{stem}.parquet")
    with pytest.raises(UserError):
        cleaned(tmp_path, name, tmp_path / f"{stem}.parquet")


@pytest.mark.parametrize("name", [*TABLES, "bioasq"])
@pytest.mark.parametrize("ending", ["txt", "json", "jsonl", "csv", "parquet", "csv.gz"])
def test_an_empty_file_is_refused(tmp_path, name, ending):
    (tmp_path / f"train.{ending}").write_bytes(b"")
    with pytest.raises(UserError):
        cleaned(tmp_path, name, tmp_path / f"train.{ending}")


@pytest.mark.parametrize(
    "name, harm, message",
    [
        ("tweets", lambda file: file.write_bytes(b"PK\x03\x04 cut"), "damaged zip"),
        ("tweets", lambda file: file.write_bytes(b""), "damaged zip"),
        ("hpo", lambda file: file.write_text("no ontology"), "no OBO stanza"),
        ("hpo", lambda file: file.write_bytes(b"[Term]\nname: \xe9"), "not UTF-8"),
        ("reuters", lambda file: file.write_text("Class\tBody\n"), "no column Category"),
    ],
)
def test_a_damaged_file_is_refused_in_one_line(tmp_path, name, harm, message):
    harm(tmp_path / "raw")
    with pytest.raises(UserError, match=message):
        cleaned(tmp_path, name, tmp_path / "raw")
