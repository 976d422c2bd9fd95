"""Mutated files, in every layout. DAPT_FUZZ sets how many (300 without it)."""

import io
import json
import os
import random
import zipfile
from collections import Counter
from pathlib import Path

import pytest

from dapt.telling.errors import UserError
from sources import DATA, LONG, ONTOLOGY, TABLES, cleaned, damaged, squad, written


def head(path: Path, size: int) -> bytes:
    """The first whole lines of a file."""
    with open(path, "rb") as file:
        return file.read(size).rpartition(b"\n")[0] + b"\n"


def zipped(text: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("x.csv", text)
    return buffer.getvalue()


@pytest.fixture(scope="module")
def bases(tmp_path_factory) -> list[tuple[str, str, bytes, dict]]:
    """Good files to mutate, for each cleaner and format: beginnings of the real ones where these are, else made up."""
    folder, found = tmp_path_factory.mktemp("bases"), []
    kinds = {
        "biomed_en_de": ["jsonl", "parquet", "csv"],
        "finance_news": ["csv", "parquet"],
        "fiqa": ["json", "jsonl"],
        "financial_phrasebank": ["parquet", "csv"],
        "medmcqa": ["parquet", "jsonl"],
        "wikitext": ["parquet"],
        "text": ["csv", "tsv", "json", "jsonl", "parquet", "jsonl.gz", "csv.zst", "parquet.gz"],
    }
    words = ["a – b", "Łódź", "“q”", "<b>", "a@b.de", "£5", "😊"] * 3
    sentences = [f"{LONG}{number}, {word}" for number, word in enumerate(words)]
    papers = DATA / "pubmedqa/ori_pqal.json"
    if papers.exists():
        sentences = [paper["CONTEXTS"][0] for paper in list(json.loads(papers.read_text()).values())[:25]]
    for name, formats in kinds.items():
        good, stem = TABLES[name]
        rows = [
            {
                key: sentence if value == LONG else value | {"en": sentence} if isinstance(value, dict) else value
                for key, value in good.items()
            }
            for sentence in sentences
        ]
        for form in formats:
            usable = (
                [
                    {
                        key: json.dumps(v) if isinstance(v, dict) else damaged(v) if isinstance(v, str) else v
                        for key, v in row.items()
                    }
                    for row in rows
                ]
                if "csv" in form
                else rows
            )
            path = written(folder / f"{stem}.{form}", usable)
            found.append((name, path.name, path.read_bytes(), {}))
    found.append(("text", "x.txt", "\n".join(sentences).encode(), {}))
    found.append(("text", "x.txt", "\n".join(sentences).encode(), {"whole": True}))
    found.append(("bioasq", "x.json", json.dumps(squad(*sentences)).encode(), {}))
    found += [(name, "x.obo", ONTOLOGY.encode(), {}) for name in ("hpo", "hpo_choices")]
    found.append(
        (
            "reuters",
            "x.tab",
            (
                "Category\tText\nd\tstring\nclass\t\n" + "".join(f"earn\t{sentence} reuter\n" for sentence in sentences)
            ).encode(),
            {},
        )
    )
    found.append(
        (
            "tweets",
            "x.zip",
            zipped("source_id,text\n" + "".join(f'a-{number},"{LONG}{number} http://x.y/z"\n' for number in range(20))),
            {},
        )
    )
    questions = [
        {
            "id": str(number),
            "snippets": [{"text": sentence, "document": f"d{number % 4}"}],
            "ideal_answer": [sentence[::-1]],
        }
        for number, sentence in enumerate(sentences)
    ]
    found.append(("bioasq", "x.json", json.dumps({"questions": questions}, indent=1).encode(), {"answers": True}))
    for name, path in (
        ("medmcqa", "medmcqa/dev.json"),
        ("financial_phrasebank", "phrasebank/Sentences_50Agree.txt"),
        ("financial_phrasebank", "phrasebank/Sentences_AllAgree.txt"),
        ("text", "pubmed/NCBItrainset_corpus.txt"),
    ):
        if (DATA / path).exists():
            found.append((name, Path(path).name, head(DATA / path, 12_000), {}))
    return found


PIECES = [
    b"null",
    b"-1",
    b"1e999",
    b"true",
    b'"',
    b"\\",
    b'"\\ud800"',
    b"\\u0000",
    b"\0",
    b"[" * 3000,
    b"]",
    b"{",
    b"}",
    b"{}",
    b",",
    b"\n",
    b"\r\n",
    b"\xef\xbb\xbf",
    b"\xff\xfe",
    b"\xc3",
    b"\xed\xa0\x80",
    b"@",
    b"\t",
    b"9" * 5000,
    b'"en": ',
    b'"text": "x", ',
    "?셲??".encode(),
    b"&#xD800;",
    b"http://[",
    b" = x = ",
    b"NaN",
    b"<" * 50,
]


def mutated(data: bytes, chance: random.Random) -> bytes:
    """Bytes flipped, cut out, cut off, repeated, turned round or put in, one to four times."""
    for _ in range(chance.randint(1, 4)):
        start = chance.randrange(len(data) + 1)
        end = min(len(data), start + chance.choice([1, 1, 2, 8, 100, 2000]))
        match chance.randrange(6):
            case 0:
                end = min(end, start + 3)
                flipped = bytes(byte ^ 1 << chance.randrange(8) for byte in data[start:end])
                data = data[:start] + flipped + data[end:]
            case 1:
                data = data[:start] + data[end:]
            case 2:
                data = data[:start] if chance.random() < 0.3 else data[:start] + data[start:end] * 2 + data[end:]
            case 3:
                data = data[:start] + data[start:end][::-1] + data[end:]
            case _:
                data = data[:start] + chance.choice(PIECES) + data[start if chance.random() < 0.5 else end :]
    return data


def test_mutated_files_are_accounted_for_or_refused(tmp_path, bases):
    """Never another exception; what is kept is whole, and different texts."""
    chance, outcomes = random.Random(4), Counter()
    for number in range(int(os.environ.get("DAPT_FUZZ", "300"))):
        name, file, data, options = bases[number % len(bases)]
        path = tmp_path / file
        path.write_bytes(mutated(data, chance))
        try:
            cleaned(tmp_path, name, path, **options)
            outcomes["cleaned"] += 1
        except UserError as error:
            assert str(error).strip() and "\n" not in str(error)
            outcomes["refused"] += 1
        except Exception as error:
            keep = Path(os.environ.get("DAPT_FUZZ_KEEP", tmp_path)) / f"{name}-{number}-{file}"
            keep.write_bytes(path.read_bytes())
            raise AssertionError(f"{name} on the mutated file {keep}: {error!r}") from error
    assert min(outcomes["cleaned"], outcomes["refused"]) > sum(outcomes.values()) / 10
