"""Real counterparts of DVC's remotes, on loopback: a folder, Debian's sshd with keys of the test's own, and an S3 server. Both
servers run in the foreground as children of the test and are stopped by their pid."""

import getpass
import os
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import boto3
import pytest

from repositories import ROOT, run
from slurm_cluster import free_ports, search_path, wait_until

BUCKET = "models"
SSHD = shutil.which("sshd", path=search_path())
NO_SSHD = pytest.mark.skipif(SSHD is None, reason="not installed: sshd (apt-get install openssh-server)")
KINDS = ("folder", pytest.param("ssh", marks=NO_SSHD), "s3")
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "of the test", "AWS_DEFAULT_REGION": "us-east-1"}
PIPELINE = """\
stages:
  train:
    foreach: [biomed, finance]
    do:
      cmd: mkdir -p models && cp -r made/${item} models/${item}
      outs: ["models/${item}"]
  summary:
    cmd: cp made/summary.csv summary.csv
    outs: [summary.csv]
  text:
    cmd: cp made/text.jsonl text.jsonl
    outs: [{text.jsonl: {push: false}}]
artifacts:
  biomed: {path: models/biomed, type: model}
  finance: {path: models/finance, type: model}
"""


class Objects(Protocol):
    """The objects that a remote holds, read and changed without DVC."""

    def names(self) -> set[str]: ...
    def read(self, name: str) -> bytes: ...
    def write(self, name: str, content: bytes) -> None: ...
    def remove(self, name: str) -> None: ...


@dataclass(frozen=True)
class InFolder:
    """A folder of this machine, which sshd hands out too."""

    folder: Path

    def path(self, name: str) -> Path:
        return self.folder / "files/md5" / name[:2] / name[2:]

    def names(self) -> set[str]:
        return {path.parent.name + path.name for path in self.folder.glob("files/md5/??/*")}

    def read(self, name: str) -> bytes:
        return self.path(name).read_bytes()

    def write(self, name: str, content: bytes) -> None:
        self.path(name).unlink(missing_ok=True)  # DVC makes its objects read-only
        self.path(name).write_bytes(content)

    def remove(self, name: str) -> None:
        self.path(name).unlink()


@dataclass(frozen=True)
class InBucket:
    address: str
    prefix: str

    def client(self):
        return boto3.client(
            "s3",
            endpoint_url=self.address,
            aws_access_key_id="test",
            aws_secret_access_key="of the test",
            region_name="us-east-1",
        )

    def key(self, name: str) -> dict[str, str]:
        return {"Bucket": BUCKET, "Key": f"{self.prefix}/files/md5/{name[:2]}/{name[2:]}"}

    def names(self) -> set[str]:
        found = self.client().list_objects_v2(Bucket=BUCKET, Prefix=f"{self.prefix}/files/md5/").get("Contents", [])
        return {"".join(each["Key"].split("/")[-2:]) for each in found}

    def read(self, name: str) -> bytes:
        return self.client().get_object(**self.key(name))["Body"].read()

    def write(self, name: str, content: bytes) -> None:
        self.client().put_object(**self.key(name), Body=content)

    def remove(self, name: str) -> None:
        self.client().delete_object(**self.key(name))


@dataclass(frozen=True)
class Remote:
    """What a user types to reach a remote, and the port at which its server listens."""

    url: str
    objects: Objects
    shared: dict[str, str] = field(default_factory=dict)  # settings in .dvc/config, which git has
    own: dict[str, str] = field(default_factory=dict)  # settings in .dvc/config.local
    variables: dict[str, str] = field(default_factory=dict)  # of the environment
    port: int = 0

    def add(self, clone: Path, name: str = "shared") -> None:
        """As docs/share.md says, for the whole team."""
        run(clone, "dvc", "remote", "add", "-d", name, self.url)
        for setting, value in {"verify": "true", **self.shared}.items():
            run(clone, "dvc", "remote", "modify", name, setting, value)

    def sign_in(self, clone: Path, name: str = "shared") -> None:
        """As each member of the team does in their own clone."""
        for setting, value in self.own.items():
            run(clone, "dvc", "remote", "modify", "--local", name, setting, value)


@contextmanager
def child(*command: str | Path, port: int, log: Path) -> Iterator[subprocess.Popen]:
    """A server in the foreground, from its first answer until the block ends."""
    with open(log, "w") as file:
        process = subprocess.Popen(command, stdout=file, stderr=file, stdin=subprocess.DEVNULL)
    try:
        wait_until(lambda: process.poll() is not None or answers(port), 60, f"an answer of {command[0]} (see {log})")
        assert process.poll() is None, log.read_text()
        yield process
    finally:
        process.terminate()
        process.wait(60)


def answers(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


@contextmanager
def sshd(folder: Path) -> Iterator[tuple[int, Path]]:
    """Its port, and the private key that it accepts."""
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # sshd of root wants it; usually the service makes it
    for name in ("host", "user"):
        run(folder, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name))
    port, settings = free_ports(1), folder / "sshd_config"
    settings.write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {folder}/host\nAuthorizedKeysFile {folder}/user.pub\nPidFile none\n"
        "UsePAM no\nPasswordAuthentication no\nStrictModes no\nSubsystem sftp internal-sftp\n"
    )
    assert SSHD
    with child(SSHD, "-D", "-e", "-f", settings, port=port, log=folder / "sshd.log"):
        yield port, folder / "user"


@contextmanager
def s3_server(folder: Path) -> Iterator[str]:
    """Its address; it has an empty bucket."""
    port = free_ports(1)
    command = (sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port))
    with child(*command, port=port, log=folder / "s3.log"):
        address = f"http://127.0.0.1:{port}"
        InBucket(address, "").client().create_bucket(Bucket=BUCKET)
        yield address


def over_ssh(port: int, key: Path, folder: Path) -> Remote:
    url = f"ssh://{getpass.getuser()}@127.0.0.1:{port}{folder}"
    return Remote(url, InFolder(folder), own={"keyfile": str(key)}, port=port)


def over_s3(address: str, prefix: str) -> Remote:
    shared = {"endpointurl": address}
    url, port = f"s3://{BUCKET}/{prefix}", int(address.rpartition(":")[2])
    return Remote(url, InBucket(address, prefix), shared, variables=CREDENTIALS, port=port)


@contextmanager
def remote(kind: str, folder: Path) -> Iterator[Remote]:
    """An empty remote of one of KINDS, its server started."""
    (folder / "store").mkdir()
    if kind == "folder":
        yield Remote(str(folder / "store"), InFolder(folder / "store"))
    elif kind == "ssh":
        with sshd(folder) as (port, key):
            yield over_ssh(port, key, folder / "store")
    else:
        with s3_server(folder) as address:
            yield over_s3(address, "store")


class Cable:
    """A port that leads to another one, and is cut after so many bytes of answers until it is mended."""

    def __init__(self, to: int, least: int):
        self.to, self.left, self.whole = to, least, False
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self) -> None:
        with suppress(OSError):  # the listener was closed
            while True:
                near = self.listener.accept()[0]
                if not self.whole and self.left <= 0:
                    near.close()
                    continue
                far = socket.create_connection(("127.0.0.1", self.to))
                for source, target in ((near, far), (far, near)):
                    threading.Thread(target=self.forward, args=(source, target, source is far), daemon=True).start()

    def forward(self, source: socket.socket, target: socket.socket, counted: bool) -> None:
        with source, target:
            with suppress(OSError):
                while (self.whole or self.left > 0) and (data := source.recv(65536)):
                    self.left -= len(data) * counted
                    target.sendall(data)
            for end in (source, target):  # closed alone, the other direction would still wait, and the client with it
                with suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)


def model(folder: Path, size: int) -> None:
    """Weights of random bytes, written in pieces, and what lies beside them."""
    folder.mkdir(parents=True)
    with open(folder / "model.safetensors", "wb") as file:
        for start in range(0, size, 1 << 22):
            file.write(os.urandom(min(1 << 22, size - start)))
    for name in ("config", "tokenizer", "tokenizer_config"):  # the same in every model
        (folder / f"{name}.json").write_text(f'{{\n  "of": "{name}"\n}}\n')
    (folder / "README.md").write_text(f"# {folder.name}\n")


def repository_with_models(folder: Path, size: int) -> Path:
    """A git repository whose pipeline has made two models, a small file, and a text that is not to be uploaded. The weights of
    finance have this size."""
    model(folder / "made/biomed", 10_000)
    model(folder / "made/finance", size)
    (folder / "made/summary.csv").write_text("model,loss\nbiomed,3.9\n")
    (folder / "made/text.jsonl").write_text('{"text": "not ours to pass on"}\n')
    (folder / "dvc.yaml").write_text(PIPELINE)
    (folder / ".gitignore").write_text("/made\n/models\n/summary.csv\n/text.jsonl\n")
    run(folder, "git", "init", "-q", "-b", "main")
    run(folder, "dvc", "init", "-q")
    (folder / ".dvc/config").write_bytes((ROOT / ".dvc/config").read_bytes())
    run(folder, "dvc", "repro", "-q")
    shutil.rmtree(folder / "made")
    run(folder, "git", "add", "-A")
    run(folder, "git", "commit", "-qm", "run")
    return folder


def teammate(repository: Path, folder: Path) -> Path:
    """A clone with an empty cache."""
    run(folder.parent, "git", "clone", "-q", str(repository), str(folder))
    return folder


def content(folder: Path) -> dict[str, bytes]:
    """The files of a folder."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
