"""`dapt check`: refuse wrong settings before any stage runs, and hash the text and the bases that users provide.

For each corpus, and for the base, metrics/local/X.json has the sha256 of the files in the user's own folders. `fetch X`
depends on it, so edited text is fetched again without being pinned. If the files do not exist, as on the machine of a
teammate who only pulls the results, the committed hashes are kept.
"""

from pathlib import Path

from dapt.core import config
from dapt.core.config import Params
from dapt.core.files import sha256, whole_file, write_json
from dapt.core.paths import CHECKED, LOCAL_HASHES, profile_path
from dapt.corpus.cleaners import names
from dapt.corpus.cleaning import check_options
from dapt.tasks import kinds
from dapt.telling.errors import UserError


def check(params: Params) -> None:
    """Check what the types in config.py cannot: that each task's kind exists and its corpus is enabled, and that each
    source's cleaner exists and has the options that are set."""
    for where, profile in params.profiles.items():
        for name, task in profile.tasks.items():
            at = f"{profile_path(where)}: tasks.{name}"
            if task.kind not in kinds.names():
                raise UserError(f"{at}.kind: unknown kind {task.kind!r}; known: {', '.join(kinds.names())}")
            if where == params.profile and not params.corpora[task.corpus].enabled:
                raise UserError(f"{at}.corpus: {task.corpus} is not enabled; enable it, or remove the task")
        for corpus, sources in profile.corpora.items():
            for number, source in enumerate(sources):
                at = f"{profile_path(where)}: corpora.{corpus}.{number}"
                if source.cleaner not in names():
                    raise UserError(f"{at}.cleaner: unknown cleaner {source.cleaner!r}; known: {', '.join(names())}")
                check_options(source.cleaner, source.options, f"{at}.options")


def local_files(params: Params, name: str) -> list[Path]:
    """The user's own files and folders from which a corpus, or the base (`model`), is made."""
    return [
        Path(origin.local.folder) / file
        for origin in params.origins(name).values()
        if origin.local
        for file in ([""] if origin.files == "auto" else origin.files)
    ]


def write_local_hashes(params: Params) -> None:
    names = {*params.corpora, "model"}
    for path in LOCAL_HASHES.glob("*.json"):
        if path.stem not in names:
            path.unlink()
    for name in names:
        path, files = LOCAL_HASHES / f"{name}.json", local_files(params, name)
        if not path.exists() or all(file.exists() for file in files):
            write_json(path, {file.as_posix(): sha256(file) for file in files if file.exists()})


def run() -> None:
    params = config.load()
    check(params)
    write_local_hashes(params)
    for repo in params.unpinned():
        print(f"not pinned: {repo}; run dapt fetch --pin to write its commit and sha256 into the settings")
    with whole_file(CHECKED) as file:
        file.write("params.yaml is right\n")
