"""A hub on loopback: the protocol by which single files are resolved and downloaded, as the real one speaks it, and (in
hub_uploads) that by which a folder is uploaded.

Large files (LFS) are redirected to a store of another origin, with the file's sha256 and size in the answer; small ones
within the hub, with git's SHA-1 as their ETag. Both answers name the commit. What goes wrong is set by the test. A file
may also be the path of a file on disk, which is sent in pieces.
"""

import gzip
import hashlib
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote

from hub_uploads import Uploads

PIECE = 1 << 20  # bytes of a file on disk sent at a time
LARGE = (".parquet", ".safetensors", ".bin")
TOKEN = "hf_test"


@dataclass
class Repository:
    """Files of a repository at one commit, which `revisions` name as well."""

    files: dict[str, bytes | Path]
    commit: str
    revisions: tuple[str, ...] = ("main",)
    private: bool = False
    gated: bool = False
    moved: str | None = None  # the new name
    branches: dict[str, "Repository"] = field(default_factory=dict)  # other contents

    def at(self, revision: str) -> "Repository":
        return next((one for name, one in self.branches.items() if revision in (name, one.commit)), self)


@dataclass
class Hub:
    """`repositories` by their path: NAME for a model, datasets/NAME for a data set."""

    repositories: dict[str, Repository] = field(default_factory=dict)
    damaged: set[str] = field(default_factory=set)  # files that lose a bit whenever they are sent
    cut: set[str] = field(default_factory=set)  # files whose connection is cut off half-way, once
    held: set[str] = field(default_factory=set)  # files that stop half-way until the end of the test
    refused: dict[str, list[tuple[int, dict]]] = field(default_factory=dict)  # "hub/FILE" or "store/FILE" → status and
    # headers of the answers to the next requests for it: 429 with Retry-After, or 5xx
    xet: bool = False  # offers large files by Xet as well, from a store that has none of them
    packed: bool = False  # sends small files as gzip to a client that accepts this, as the real hub does
    log: list[tuple[str, str, str | None]] = field(default_factory=list)  # method, file, Range; nothing of redirects
    half: threading.Event = field(default_factory=threading.Event)  # a held file has stopped half-way
    end: threading.Event = field(default_factory=threading.Event)
    address: str = ""
    store: str = ""
    token: str = TOKEN
    owners: tuple[str, ...] = ("tester",)  # under whose names this token may create repositories
    sent: list[str] = field(default_factory=list)  # paths to which something was sent
    stored: dict[str, bytes] = field(default_factory=dict)  # large files that were uploaded, by their sha256

    @staticmethod
    def new_repository(private: bool) -> Repository:
        return Repository({}, "0" * 40, private=private)

    def gets(self) -> list[str]:
        return [file for method, file, _ in self.log if method == "GET"]


def size(content: bytes | Path) -> int:
    return content.stat().st_size if isinstance(content, Path) else len(content)


def pieces(content: bytes | Path, start: int, end: int) -> Iterator[bytes]:
    if isinstance(content, bytes):
        yield content[start:end]
        return
    with open(content, "rb") as file:
        file.seek(start)
        while part := file.read(min(PIECE, end - file.tell())):
            yield part


@cache
def digest(content: bytes | Path, name: str, prefix: bytes = b"") -> str:
    """The hash called `name` of a file; a file on disk must not change while the hub runs."""
    found = hashlib.new(name, prefix)
    for piece in pieces(content, 0, size(content)):
        found.update(piece)
    return found.hexdigest()


def git_hash(content: bytes | Path) -> str:
    return digest(content, "sha1", b"blob %d\0" % size(content))


class Handler(Uploads, BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    large = LARGE

    @property
    def hub(self) -> Hub:
        return self.server.hub

    def log_message(self, *_):
        pass

    def do_HEAD(self):
        self.answer()

    do_GET = do_HEAD

    def head(self, status: int, headers: dict[str, object]) -> None:
        self.send_response(status)
        for name, value in ({"Content-Length": 0} | headers).items():
            self.send_header(name, str(value))
        self.end_headers()

    def refuses(self, file: str) -> bool:
        """Whether the test wants this request refused; then it is answered."""
        if answers := self.hub.refused.get(file):
            self.head(*answers.pop(0))
            return True
        return False

    def answer(self) -> None:
        if match := re.fullmatch(r"/(?:store|api/resolve-cache)/([^@]+)@(\w+)/(.+)", self.path):
            name, commit, file = map(unquote, match.groups())
            return self.send_content(self.hub.repositories[name].at(commit), file)
        if match := re.fullmatch(r"/api/(models|datasets)/([^/]+/[^/]+)/tree/([^/?]+)(/[^?]*)?\?.*", self.path):
            kind, name, revision, under = map(unquote, match.groups(default=""))
            repository = self.hub.repositories[name if kind == "models" else f"datasets/{name}"]
            return self.send_tree(repository, revision, under.removeprefix("/"))
        if match := re.fullmatch(r"/api/models/([^/]+/[^/]+)", self.path):
            found = self.hub.repositories.get(unquote(match[1]))
            if found is None:
                return self.head(404, {"X-Error-Code": "RepoNotFound"})
            return self.send_json({"id": match[1], "private": found.private, "sha": found.commit})
        if self.path == "/xet":
            return self.head(
                200, {"X-Xet-Cas-Url": self.hub.store, "X-Xet-Access-Token": "xet", "X-Xet-Token-Expiration": 1 << 40}
            )
        if "/reconstructions/" in self.path:
            return self.head(404, {})
        match = re.fullmatch(r"/((?:datasets/)?[^/]+/[^/]+)/resolve/([^/]+)/(.+)", self.path)
        name, revision, file = map(unquote, match.groups())
        repository = self.hub.repositories.get(name)
        token, known = self.headers.get("Authorization"), self.known()
        if self.refuses(f"hub/{file}"):
            return
        if token and not known:
            return self.head(401, {"X-Error-Message": "Invalid credentials in Authorization header"})
        if repository is None or repository.private and not known:
            return self.head(404 if known else 401, {"X-Error-Code": "RepoNotFound"})
        if repository.moved:
            return self.head(307, {"Location": self.path.replace(f"/{name}/", f"/{repository.moved}/", 1)})
        if repository.gated:
            return self.head(403 if known else 401, {"X-Error-Code": "GatedRepo"})
        repository = repository.at(revision)
        if revision not in (repository.commit, *repository.revisions):
            return self.head(404, {"X-Error-Code": "RevisionNotFound"})
        commit = {"X-Repo-Commit": repository.commit}
        if file not in repository.files:
            return self.head(404, commit | {"X-Error-Code": "EntryNotFound"})
        content, path = repository.files[file], f"{name}@{repository.commit}/{file}"
        if not file.endswith(LARGE):
            return self.head(307, commit | {"Location": f"/api/resolve-cache/{path}"})
        if self.hub.xet:
            commit |= {"X-Xet-Hash": "0" * 64, "X-Xet-Refresh-Route": f"{self.hub.address}/xet"}
        self.head(
            302,
            commit
            | {
                "Location": f"{self.hub.store}/store/{path}",
                "X-Linked-Size": size(content),
                "X-Linked-Etag": f'"{digest(content, "sha256")}"',
            },
        )

    def send_tree(self, repository: Repository, revision: str, under: str) -> None:
        """The list of a repository's files, or of those in a folder of it."""
        repository = repository.at(revision)
        if revision not in (repository.commit, *repository.revisions):
            return self.head(404, {"X-Error-Code": "RevisionNotFound"})
        files = [
            {"type": "file", "path": path, "size": size(content), "oid": git_hash(content)}
            for path, content in repository.files.items()
            if path.startswith(f"{under}/" * bool(under))
        ]
        if under and not files:
            return self.head(404, {"X-Error-Code": "EntryNotFound"})
        self.send_json(files)

    def send_content(self, repository: Repository, file: str) -> None:
        """A file's bytes, from the Range's start on; in two parts where the test wants something between them."""
        content = repository.files[file]
        self.hub.log.append((self.command, file, self.headers.get("Range")))
        if self.command == "GET" and self.refuses(f"store/{file}"):
            return
        if self.hub.packed and not file.endswith(LARGE) and "gzip" in self.headers.get("Accept-Encoding", ""):
            return self.send_packed(repository, file)
        start, end = int(re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", "bytes=0-"))[1]), size(content)
        headers = {
            "X-Repo-Commit": repository.commit,
            "ETag": f'"{git_hash(content)}"',
            "Content-Length": end - start,
        }
        if start:
            headers["Content-Range"] = f"bytes {start}-{end - 1}/{end}"
        self.head(206 if start else 200, headers)
        if self.command == "HEAD":
            return
        if file in self.hub.damaged:
            content = bytes([content[0] ^ 1]) + content[1:]
        middle = (start + end) // 2
        self.wfile.writelines(pieces(content, start, middle))
        if file in self.hub.cut:
            self.hub.cut.remove(file)
            self.close_connection = True
            return
        if file in self.hub.held:
            self.hub.half.set()
            self.hub.end.wait()
        self.wfile.writelines(pieces(content, middle, end))

    def send_packed(self, repository: Repository, file: str) -> None:
        """A small file as gzip; its hash is then a weak one."""
        content = repository.files[file]
        packed = gzip.compress(content)
        about = {"X-Repo-Commit": repository.commit, "ETag": f'W/"{git_hash(content)}"', "Content-Encoding": "gzip"}
        self.head(200, about | {"Content-Length": len(packed)})
        if self.command == "GET":
            self.wfile.write(packed)


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, hub: Hub):
        super().__init__(("127.0.0.1", 0), Handler)
        self.hub = hub

    def handle_error(self, request, client_address):  # a client that was killed is no error of the hub
        pass


@contextmanager
def running():
    """A hub and its store, each on a free port, until the block ends."""
    hub = Hub()
    servers = [Server(hub), Server(hub)]
    hub.address, hub.store = (f"http://127.0.0.1:{server.server_port}" for server in servers)
    for server in servers:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield hub
    finally:
        hub.end.set()
        for server in servers:
            server.shutdown()
            server.server_close()
