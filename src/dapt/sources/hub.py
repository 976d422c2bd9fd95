"""Files of a hub repository, downloaded one by one with huggingface_hub and verified. Its cache and the variables
HF_ENDPOINT, HF_TOKEN and HF_HUB_OFFLINE work as usual.

The client itself checks only the size of a file. So the content is compared with the sha256 in the settings, or else with
the hub's own hash, which is the file's name in the cache: the sha256 of a large file, git's SHA-1 of a small one.
"""

import hashlib
import os
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from httpx2 import HTTPError, Response
from huggingface_hub import get_hf_file_metadata, get_session, hf_hub_download, hf_hub_url, list_repo_files
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from dapt.core.config import Hub
from dapt.core.files import sha256
from dapt.telling.errors import UserError

PAUSES = (1, 2, 4, 8)  # seconds before a file is asked for again
REPOSITORY = re.compile(r"([\w.-]+/[\w.-]+)/resolve/")  # in the URL of a file


def download(hub: Hub, files: list[str]) -> list[Path]:
    """The paths of the files in the hub's cache, verified; a damaged file is downloaded once more."""
    hashes: Sequence[str | None] = hub.sha256 or [None] * len(files)
    return [_verified(hub, file, known) for file, known in zip(files, hashes)]


def names(hub: Hub) -> list[str]:
    """The files of a repository."""
    with _one_line(hub, "its list of files"):
        return list_repo_files(hub.repo, repo_type=hub.type, revision=hub.revision)


def commit(hub: Hub, file: str) -> str:
    """The commit that the revision points to now; a revision that is already a commit is returned unchanged."""
    if hub.revision is not None and hub.pinned:
        return hub.revision
    with _one_line(hub, file):
        return hf_hub_download(hub.repo, file, repo_type=hub.type, revision=hub.revision, dry_run=True).commit_hash


def _verified(hub: Hub, file: str, known: str | None) -> Path:
    for _ in range(2):
        with _one_line(hub, file):
            cached = _cached(hub, file)
            if known and sha256(cached) == known:
                return cached
            promised = _hash_of_the_hub(hub, file, cached)
        found = _git_hash(cached) if len(promised) == 40 else sha256(cached)
        if found == promised and known:
            raise UserError(
                f"{file} of {hub.repo} has sha256 {sha256(cached)}, but the settings say {known}; it is not "
                "the file that was pinned: do not use it, or correct sha256 in the settings"
            )
        if found == promised:
            return cached
        print(f"{file} of {hub.repo} was damaged in the hub's cache or during download; the copy is deleted")
        cached.resolve().unlink()
    raise UserError(
        f"{file} of {hub.repo} has the hash {found}, but the hub says {promised}; it was damaged in two "
        "downloads: try again later, or set another HF_ENDPOINT"
    )


def _cached(hub: Hub, file: str) -> Path:
    """The file in the hub's cache. The client itself waits and asks again if the hub refuses (429, 5xx), but not if the store
    of large files has a problem (5xx)."""
    for pause in PAUSES:
        try:
            return Path(hf_hub_download(hub.repo, file, repo_type=hub.type, revision=hub.revision))
        except HfHubHTTPError as error:
            if error.response.status_code < 500:
                raise
        time.sleep(pause)
    return Path(hf_hub_download(hub.repo, file, repo_type=hub.type, revision=hub.revision))


def _hash_of_the_hub(hub: Hub, file: str, cached: Path) -> str:
    if cached.is_symlink():  # not resolved further: its target may be shared under yet another name
        return Path(os.readlink(cached)).name
    url = hf_hub_url(hub.repo, file, repo_type=hub.type, revision=hub.revision)
    etag = get_hf_file_metadata(url, retry_on_errors=True).etag
    assert etag is not None  # the hub gives one for every file
    return etag


def _git_hash(path: Path) -> str:
    """The hash that git gives to the content of a file."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.sha1(b"blob %d\0" % path.stat().st_size)).hexdigest()


@contextmanager
def _one_line(hub: Hub, file: str) -> Iterator[None]:
    """Turn the client's errors in this block into a UserError that says what happened, where, and what to do."""
    _watch_names()
    where = f"{hub.type} {hub.repo} at {hub.revision or 'main'}"
    try:
        yield
    except GatedRepoError as error:
        raise UserError(f"{where} is gated; accept its terms on the hub, then set HF_TOKEN") from error
    except RevisionNotFoundError as error:
        raise UserError(f"{where}: no such revision; correct it in the settings") from error
    except RepositoryNotFoundError as error:
        raise UserError(
            f"{where}: no such repository, or it is private; correct the settings or set HF_TOKEN"
        ) from error
    except LocalEntryNotFoundError as error:
        if isinstance(error.__cause__, HfHubHTTPError):
            raise _refused(f"{where}, {file}", error.__cause__) from error
        raise UserError(
            f"{where}: the hub cannot be reached and {file} is not in its cache; try again with a network connection"
        ) from error
    except EntryNotFoundError as error:
        raise UserError(f"{where} has no file {file}; correct files in the settings") from error
    except HfHubHTTPError as error:
        raise _refused(f"{where}, {file}", error) from error
    except (HTTPError, OSError, RuntimeError) as error:  # the last from hf_xet, which may download large files
        if isinstance(error, OSError) and error.strerror:  # an error of the disk
            raise
        raise UserError(f"{where}, {file}: {error}; try again later, or set HF_HUB_DISABLE_XET=1") from error


def _refused(where: str, error: HfHubHTTPError) -> UserError:
    """Why the hub did not give a file, and what to do."""
    status = error.response.status_code
    if status == 401:
        return UserError(f"{where}: the hub does not accept the token; correct HF_TOKEN, or run hf auth logout")
    if status == 429:
        return UserError(
            f"{where}: the hub allows no more requests for now; try again in some minutes, or set HF_TOKEN for a higher limit"
        )
    if status >= 500:
        return UserError(f"{where}: the hub has a problem ({status}); try again later, or set another HF_ENDPOINT")
    return UserError(f"{where}: {error}; try again later, or set HF_HUB_DISABLE_XET=1")


def _watch_names() -> None:
    hooks = get_session().event_hooks["response"]
    if _tell_new_name not in hooks:
        hooks.append(_tell_new_name)


def _tell_new_name(response: Response) -> None:
    """For a renamed repository the hub answers with a redirect to the new name, which the client follows silently."""
    old, new = map(REPOSITORY.search, (response.request.url.path, response.headers.get("Location", "")))
    if old and new and old[1] != new[1]:
        _say_once(f"{old[1]} is now called {new[1]}; put the new name into the settings")


@cache
def _say_once(line: str) -> None:
    print(line)
