"""Files of a hub repository, downloaded one by one by huggingface_hub and verified; its cache, HF_ENDPOINT, HF_TOKEN
and HF_HUB_OFFLINE hold.

The client itself looks at nothing but a file's size. So the content is held against the sha256 of the settings, or else
against the hub's own hash, by which the cache calls a file: the sha256 of a large one, git's SHA-1 of a small one.
"""

import hashlib
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from httpx2 import HTTPError, Response
from huggingface_hub import get_hf_file_metadata, get_session, hf_hub_download, hf_hub_url, list_repo_files
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from dapt.core.config import Hub
from dapt.core.files import sha256
from dapt.telling.errors import UserError

REPOSITORY = re.compile(r"([\w.-]+/[\w.-]+)/resolve/")  # in the address of a file


def download(hub: Hub, files: list[str]) -> list[Path]:
    """Where the files lie in the hub's cache, verified; what is not right there is downloaded once more."""
    hashes: Sequence[str | None] = hub.sha256 or [None] * len(files)
    return [_verified(hub, file, known) for file, known in zip(files, hashes)]


def names(hub: Hub) -> list[str]:
    """The files of a repository."""
    with _one_line(hub, "its list of files"):
        return list_repo_files(hub.repo, repo_type=hub.type, revision=hub.revision)


def commit(hub: Hub, file: str) -> str:
    """The commit that the revision is now; one that is a commit, or the beginning of one, stays as it is."""
    if hub.revision is not None and hub.pinned:
        return hub.revision
    with _one_line(hub, file):
        return hf_hub_download(hub.repo, file, repo_type=hub.type, revision=hub.revision, dry_run=True).commit_hash


def _verified(hub: Hub, file: str, known: str | None) -> Path:
    for _ in range(2):
        with _one_line(hub, file):
            cached = Path(hf_hub_download(hub.repo, file, repo_type=hub.type, revision=hub.revision))
            if known and sha256(cached) == known:
                return cached
            promised = _hash_of_the_hub(hub, file, cached)
        found = _git_hash(cached) if len(promised) == 40 else sha256(cached)
        if found == promised and known:
            raise UserError(
                f"{file} of {hub.repo} has sha256 {sha256(cached)}, the settings say {known}; it is not "
                "the file that was pinned: do not use it, or mend sha256 in the settings"
            )
        if found == promised:
            return cached
        print(f"{file} of {hub.repo} is damaged, in the hub's cache or on its way; it goes from there")
        cached.resolve().unlink()
    raise UserError(
        f"{file} of {hub.repo} has the hash {found}, the hub says {promised}; it was damaged twice on its "
        "way: try again later, or another HF_ENDPOINT"
    )


def _hash_of_the_hub(hub: Hub, file: str, cached: Path) -> str:
    if cached.is_symlink():  # not resolved further: what lies behind may be shared under yet another name
        return Path(os.readlink(cached)).name
    etag = get_hf_file_metadata(hf_hub_url(hub.repo, file, repo_type=hub.type, revision=hub.revision)).etag
    assert etag is not None  # the hub gives one of every file
    return etag


def _git_hash(path: Path) -> str:
    """What git calls a file's content."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.sha1(b"blob %d\0" % path.stat().st_size)).hexdigest()


@contextmanager
def _one_line(hub: Hub, file: str) -> Iterator[None]:
    """The client's errors in this block become a UserError that says what, where and how to mend it."""
    _watch_names()
    where = f"{hub.type} {hub.repo} at {hub.revision or 'main'}"
    try:
        yield
    except GatedRepoError as error:
        raise UserError(f"{where} is gated: accept its terms on the hub, then set HF_TOKEN") from error
    except RevisionNotFoundError as error:
        raise UserError(f"{where}: no such revision; mend it in the settings") from error
    except RepositoryNotFoundError as error:
        raise UserError(f"{where}: no such repository, or it is private: mend the settings or set HF_TOKEN") from error
    except LocalEntryNotFoundError as error:
        raise UserError(
            f"{where}: the hub cannot be reached and {file} is not in its cache; fetch where there is a network"
        ) from error
    except EntryNotFoundError as error:
        raise UserError(f"{where} has no file {file}; mend files in the settings") from error
    except (HTTPError, OSError, RuntimeError) as error:  # the last from hf_xet, by which large files may come
        if isinstance(error, OSError) and error.strerror:  # the disk's
            raise
        raise UserError(f"{where}, {file}: {error}; try again later, or with HF_HUB_DISABLE_XET=1") from error


def _watch_names() -> None:
    hooks = get_session().event_hooks["response"]
    if _tell_new_name not in hooks:
        hooks.append(_tell_new_name)


def _tell_new_name(response: Response) -> None:
    """The hub answers for a renamed repository with a redirect to the new name, which the client follows in silence."""
    old, new = map(REPOSITORY.search, (response.request.url.path, response.headers.get("Location", "")))
    if old and new and old[1] != new[1]:
        _say_once(f"{old[1]} is now called {new[1]}; put the new name into the settings")


@cache
def _say_once(line: str) -> None:
    print(line)
