"""docs/share.md: the commands and programs of the page, in toy repositories and with remotes on this machine. What they print has
the form that the page shows."""

import getpass
import re
import shlex
from hashlib import md5
from pathlib import Path

import pytest

from pages import lines_missing, steps
from remotes import NO_SSHD, content, remote, repository_with_models, teammate
from repositories import ROOT, run

PAGE = (ROOT / "docs/share.md").read_text(encoding="utf-8")
WEIGHTS = "models/finance/model.safetensors"
HASH = "496955e711e57079dfbab2fb26d79e27"  # of these weights, on the page
# What a reader types to install something, which is done here, or to set a variable of the shell, which the test passes on.
LEFT_OUT = ("make .venv/ready ", "pip install ", "export AWS_")
FOLLOWED = ["Get a model in three commands", "A folder", "A shared cache", "ssh", "S3"]
FOLLOWED += ["Check a remote, and repair it", "Without a clone", "Versions of a model"]


def section(heading: str) -> str:
    """From a heading to the next one of any level."""
    start = re.search(f"^##+ {heading}\n", PAGE, re.MULTILINE).end()
    return PAGE[start:].partition("\n#")[0] + "\n"


def follow(heading: str, folder: Path, names: dict[str, str], **variables: str) -> Path:
    """Type what a section says, with the names of this machine; the folder in which the reader stands at its end."""
    text = section(heading)
    for name, value in names.items():
        text = text.replace(name, value)
    for step in steps(text):
        if step.text.startswith(LEFT_OUT):
            continue
        line = f"python -c {shlex.quote(step.text)}" if step.python else step.text
        printed = run(folder, "bash", "-c", line, PYTHONPATH=str(ROOT / "src"), **variables)
        assert lines_missing(step.shown, printed) == [], f"{line} printed\n{printed}"
        folder /= step.text.partition(" && cd ")[2]
    return folder


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """A repository whose models are in its cache."""
    folder = tmp_path_factory.mktemp("made") / "dapt"
    folder.mkdir()
    return repository_with_models(folder, 20_000)


@pytest.fixture()
def address(made, tmp_path) -> str:
    """Of a git server, here a bare repository."""
    run(tmp_path, "git", "clone", "-q", "--bare", str(made), str(tmp_path / "server.git"))
    return str(tmp_path / "server.git")


@pytest.fixture()
def author(made, address, tmp_path) -> Path:
    """The clone in which the models were made, from which they are shared."""
    folder = teammate(Path(address), tmp_path / "author")
    run(folder, "dvc", "cache", "dir", "--local", str(tmp_path / "cache"))
    run(tmp_path, "cp", "-r", str(made / ".dvc/cache"), str(tmp_path / "cache"))
    return folder


@pytest.fixture()
def names(address, tmp_path) -> dict[str, str]:
    """What the page says → what is meant here."""
    return {
        "ADDRESS": address,
        "/group/dapt-cache": str(tmp_path / "group-cache"),
        "/group/dapt": str(tmp_path / "group"),
    }


@pytest.fixture()
def shared(author, names) -> Path:
    """The author's clone, its models in a folder."""
    return follow("A folder", author, names)


def test_every_section_with_commands_is_followed():
    headings = re.findall(r"^##+ (.*)$", PAGE, re.MULTILINE)
    assert [heading for heading in headings if steps(section(heading))] == FOLLOWED


def test_the_versions_that_the_page_names_are_the_pinned_ones():
    pinned = "".join((ROOT / f"requirements-{name}.txt").read_text() for name in ("dvc", "remotes"))
    named = re.findall(r"[\w-]+==[\w.]*\w", PAGE)
    assert len(named) == 3 and [each for each in named if f"\n{each}" not in pinned] == []


def test_three_commands_give_a_verified_model(made, shared, names, tmp_path):
    assert len(steps(section(FOLLOWED[0]))) == 3
    (tmp_path / "home").mkdir()
    clone = follow(FOLLOWED[0], tmp_path / "home", names)
    assert content(clone / "models") == {
        f"biomed/{name}": bytes for name, bytes in content(made / "models/biomed").items()
    }
    assert "verify = true" in (clone / ".dvc/config").read_text()
    assert (
        tmp_path / "group/files"
    ).stat().st_mode & 0o2070 == 0o2070  # the group may write, and what is new is the group's


def test_a_shared_cache_has_one_file_for_all_clones(shared, names, address, tmp_path):
    (tmp_path / "home").mkdir()
    clones = [teammate(Path(address), tmp_path / "home" / name) for name in ("one", "two")]
    follow("A shared cache", clones[0], names)
    for step in steps(section("A shared cache"))[:2]:
        run(clones[1], "bash", "-c", step.text.replace("/group/dapt-cache", names["/group/dapt-cache"]))
    run(clones[1], "dvc", "checkout", "models/biomed")
    weights = [(clone / "models/biomed/model.safetensors").stat() for clone in clones]
    assert weights[0].st_ino == weights[1].st_ino and not weights[0].st_mode & 0o222
    run(clones[1], "dvc", "unprotect", "models/biomed")
    assert (clones[1] / "models/biomed/model.safetensors").stat().st_ino != weights[0].st_ino


@NO_SSHD
def test_over_ssh(made, author, names, address, tmp_path):
    (tmp_path / "sshd").mkdir()
    with remote("ssh", tmp_path / "sshd") as store:
        key = store.own["keyfile"]
        named = {"ssh://login.example.org/group/dapt": store.url.replace(f"{getpass.getuser()}@", "")}
        follow("ssh", author, named | names | {"user me": f"user {getpass.getuser()}", "~/.ssh/id_ed25519": key})
        mate = teammate(Path(address), tmp_path / "mate")
        run(mate, "dvc", "remote", "modify", "--local", "shared", "keyfile", key)
        run(mate, "dvc", "pull", "models/finance")
        other = teammate(Path(address), tmp_path / "other")
        (tmp_path / "home/.ssh").mkdir(parents=True)
        (tmp_path / "home/.ssh/config").write_text(
            f"Host 127.0.0.1\n  User {getpass.getuser()}\n  IdentityFile {key}\n"
        )
        run(other, "dvc", "pull", "models/finance", HOME=str(tmp_path / "home"))
    for clone in (mate, other):
        assert content(clone / "models/finance") == content(made / "models/finance")
    assert key not in (mate / ".dvc/config").read_text() and not (other / ".dvc/config.local").exists()


def test_on_s3(made, author, names, address, tmp_path):
    (tmp_path / "s3").mkdir()
    with remote("s3", tmp_path / "s3") as store:
        named = {"s3://bucket/dapt": store.url, "https://s3.example.org": store.shared["endpointurl"]}
        follow("S3", author, named | names, **store.variables)
        mate = teammate(Path(address), tmp_path / "mate")
        run(mate, "dvc", "pull", "models/finance", **store.variables)
        other = teammate(Path(address), tmp_path / "other")
        for setting, variable in (
            ("access_key_id", "AWS_ACCESS_KEY_ID"),
            ("secret_access_key", "AWS_SECRET_ACCESS_KEY"),
        ):
            run(other, "dvc", "remote", "modify", "--local", "shared", setting, store.variables[variable])
        run(other, "dvc", "pull", "models/finance")
    for clone in (mate, other):
        assert content(clone / "models/finance") == content(made / "models/finance")
    assert not run(other, "git", "status", "--porcelain")


def flip_a_byte(store: Path, path: Path) -> None:
    """Of the object with the bytes of a file."""
    whole = path.read_bytes()
    name = md5(whole).hexdigest()
    stored = store / "files/md5" / name[:2] / name[2:]
    stored.unlink()
    stored.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))


def test_a_remote_is_checked_and_repaired(made, shared, names, address, tmp_path):
    flip_a_byte(tmp_path / "group", made / WEIGHTS)
    follow("Check a remote, and repair it", shared, names | {HASH: md5((made / WEIGHTS).read_bytes()).hexdigest()})
    mate = teammate(Path(address), tmp_path / "mate")
    run(mate, "dvc", "pull", "models/finance")
    assert content(mate / "models/finance") == content(made / "models/finance")


def test_without_a_clone(made, shared, names, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    place = follow("Without a clone", tmp_path / "elsewhere", names)
    assert content(place / "finance") == content(place / "checked") == content(made / "models/finance")
    assert (place / "config.json").read_bytes() == (made / "models/finance/config.json").read_bytes()


def test_without_a_clone_a_damaged_file_is_seen_only_by_the_program_of_the_page(made, shared, names, tmp_path):
    flip_a_byte(tmp_path / "group", made / WEIGHTS)
    (tmp_path / "elsewhere").mkdir()
    run(tmp_path / "elsewhere", "dvc", "get", names["ADDRESS"], "models/finance")
    assert content(tmp_path / "elsewhere/finance") != content(made / "models/finance")
    program = next(step.text for step in steps(section("Without a clone")) if step.python)
    said = run(tmp_path / "elsewhere", "python", "-c", program.replace("ADDRESS", names["ADDRESS"]))
    assert "model.safetensors is damaged" in said and said.count("is intact") == 4


def test_a_version_stays_what_it_was(made, shared, names, tmp_path):
    follow("Versions of a model", shared, names)
    old = content(made / "models/finance")
    assert content(shared / "finance-v0.0.1") == content(shared / "finance-prod") == old
    run(shared, "dvc", "checkout", "models/finance")
    run(shared, "dvc", "unprotect", "models/finance")
    (shared / "models/finance/README.md").write_text("# trained again\n")
    run(shared, "dvc", "commit", "-f", "train@finance")
    run(shared, "dvc", "push")
    run(shared, "git", "commit", "-qam", "train again")
    run(shared, "gto", "register", "finance", "--bump-minor")
    run(shared, "git", "push", "-q", "--tags", "origin", "main")
    for version, readme in (("v0.0.1", old["README.md"]), ("v0.1.0", b"# trained again\n"), ("", b"# trained again\n")):
        place = tmp_path / f"got{version}"
        run(
            tmp_path,
            "dvc",
            "artifacts",
            "get",
            names["ADDRESS"],
            "finance",
            *["--rev", version] * bool(version),
            "-o",
            place.name,
        )
        assert (place / "README.md").read_bytes() == readme
