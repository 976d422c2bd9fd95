"""`dapt export-data NAME DIR`: exports the rows of a corpus, a domain or a task as a data set of Hugging Face's `datasets`.

`datasets.load_from_disk(DIR)` reads it, and the `push_to_hub` of the result shares it. The splits have the usual names: train,
validation and test, which for a domain is its held-out text; a corpus, which is not split yet, has only `train`.
"""

from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from dapt.core import config
from dapt.core.config import Params
from dapt.core.files import read_lines, whole_folder
from dapt.core.paths import PROCESSED, SPLIT
from dapt.telling.errors import UserError

SIDES = {"train": "train", "valid": "validation", "heldout": "test", "test": "test"}
TYPES = {str: "string", int: "int64"}  # of the fields of a row


def kind_of(params: Params, name: str, kind: str | None) -> str:
    """The kind of thing with this name; `kind` selects one if there are several."""
    named: dict[str, Collection[str]] = {"task": params.tasks, "domain": params.domains, "corpus": params.corpora}
    of = [each for each, names in named.items() if name in names]
    if not of or (kind and kind not in of):
        names = named[kind] if kind else {*params.tasks, *params.domains, *params.corpora}
        known = f"choose one of: {', '.join(sorted(names))}"
        raise UserError(f"there is no {kind or 'corpus, domain or task'} {name!r}{config.instead(name, names, known)}")
    if len(of) > 1 and not kind:
        raise UserError(f"{name} is a {' and a '.join(of)}; choose one with --kind, for example --kind {of[0]}")
    return kind or of[0]


def corpora_of(params: Params, kind: str, name: str) -> list[str]:
    if kind == "task":
        return [params.active.tasks[name].corpus]
    return params.domains[name] if kind == "domain" else [name]


def files_of(kind: str, name: str) -> dict[str, Path]:
    """The files with rows, by the name of their split."""
    if kind == "corpus":
        return {"train": there(PROCESSED / f"{name}.jsonl")}
    folder = there(SPLIT / "tasks" / name if kind == "task" else SPLIT / name)
    return {split: path for side, split in SIDES.items() if (path := folder / f"{side}.jsonl").exists()}


def there(path: Path) -> Path:
    if not path.exists():
        raise UserError(f"{path} does not exist; create it with dvc repro, or download it with dvc pull")
    return path


def types(rows: Iterable[dict]) -> dict[str, str | list[str]]:
    """The type of each field that any row has: a text, an integer, or a list of texts."""
    found: dict[str, str | list[str]] = {}
    for row in rows:
        for field, value in row.items():
            if field not in found and value is not None:
                found[field] = ["string"] if isinstance(value, list) else TYPES[type(value)]
    return found


def all_fields(path: Path, fields: tuple[str, ...]) -> Iterator[dict]:
    """The rows of a file, with null for missing fields."""
    for row in read_lines(path):
        yield {field: row.get(field) for field in fields}


def licences(params: Params, corpora: list[str]) -> str:
    found = [source.licence for corpus in corpora for source in params.active.corpora[corpus]]
    return "; ".join(dict.fromkeys(found))


def run(name: str, kind: str | None, folder: Path) -> None:
    try:
        from datasets import Dataset, DatasetDict, Features, List, Value
    except ImportError as error:
        raise UserError("the package datasets is not installed; run pip install -r requirements-bench.txt") from error

    params = config.load()
    kind = kind_of(params, name, kind)
    files, licence = files_of(kind, name), licences(params, corpora_of(params, kind, name))
    if folder.exists():
        raise UserError(f"{folder} already exists; choose another folder")
    found = types(row for path in files.values() for row in read_lines(path))
    features = Features({name: List(Value(of[0])) if isinstance(of, list) else Value(of) for name, of in found.items()})
    sides = DatasetDict()
    with TemporaryDirectory() as cache, whole_folder(folder) as whole:
        for side, path in files.items():
            given = {"path": path, "fields": tuple(found)}  # a list would be interpreted as shards
            sides[side] = Dataset.from_generator(all_fields, features=features, cache_dir=cache, gen_kwargs=given)
            sides[side].info.license = licence
        sides.save_to_disk(whole)
    told = ", ".join(f"{side} {len(rows):,}" for side, rows in sides.items())
    print(f'{folder}: {told} rows; datasets.load_from_disk("{folder}") reads them')
    print(f"licences: {licence}; check that they allow what you plan to do")
