"""Temporary repositories for the tests: real git, real DVC, the pipeline shortened by its settings alone."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from ruamel.yaml import YAML

from dapt.core import config

ROOT = Path(__file__).parents[2]
FINETUNED = "finetuned:\n- base\n- biomed\n- finance\n- biomed_finance\n"
SHORT = {
    "train.steps": 6,
    "train.warmup": 2,
    "train.valid_every": 3,
    "train.valid_windows": 8,
    "repair.max_steps": 4,
    "repair.every": 2,
    "split.heldout": 0.02,
    "compare.resamples": 200,
    "finetune.seeds": [0, 1],
    "finetune.valid": 20,
}
SHORT |= {
    f"tasks.{task}.{name}": value
    for task in ("finance_classification", "biomed_topic", "multiple_choice", "answer_ranking")
    for name, value in {"rows": 64, "epochs": 1}.items()
}


def environment(home: Path) -> dict[str, str]:
    """This interpreter's commands first; no settings, caches or state of DVC but those of the test."""
    return os.environ | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "DVC_GLOBAL_CONFIG_DIR": str(home / "dvc-global"),
        "DVC_SYSTEM_CONFIG_DIR": str(home / "dvc-system"),
        "DVC_SITE_CACHE_DIR": str(home / "dvc-site"),
        "DVC_NO_ANALYTICS": "1",
        "GIT_AUTHOR_NAME": "test",
        "GIT_AUTHOR_EMAIL": "test@localhost",
        "GIT_COMMITTER_NAME": "test",
        "GIT_COMMITTER_EMAIL": "test@localhost",
    }


def run(folder: Path, *command: str, code: int | None = 0, **variables: str) -> str:
    """Standard output and error of a command; `code` None allows any exit status, `variables` are of its environment."""
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment(folder.parent) | variables,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
    )
    assert code is None or done.returncode == code, (
        f"{' '.join(command)} gave {done.returncode}:\n{done.stdout[-6000:]}"
    )
    return done.stdout


def committed_text(name: str) -> str:
    """A file as git's index has it: as it is committed, or about to be. Each `dvc repro` on another processor changes the
    figures of the workspace, and a user its params.yaml."""
    return subprocess.run(
        ["git", "show", f":{name}"], cwd=ROOT, encoding="utf-8", check=True, capture_output=True
    ).stdout


def committed_files(folder: Path, *paths: str) -> Path:
    """What git's index has under these paths, written to `folder`."""
    names = subprocess.run(["git", "ls-files", "-z", *paths], cwd=ROOT, check=True, capture_output=True).stdout
    subprocess.run(["git", "checkout-index", "-z", "--stdin", f"--prefix={folder}/"], cwd=ROOT, input=names, check=True)
    return folder


def replaced(text: str, old: str, new: str) -> str:
    """The text with `new` in place of the first `old`, which must stand there."""
    assert old in text, old
    return text.replace(old, new, 1)


def committed_params(*changes: tuple[str, str, str]) -> config.Params:
    """The committed settings; a change names a file, what stands in it, and what takes its place."""
    texts = {name: committed_text(name) for name in ("params.yaml", "profiles/full.yaml", "profiles/sample.yaml")}
    for name, old, new in changes:
        texts[name] = replaced(texts[name], old, new)
    return config.parse_params(texts.pop("params.yaml"), {Path(name).stem: text for name, text in texts.items()})


def change(folder: Path, settings: dict[str, object], profile: str = "sample") -> None:
    """Write some settings of a repository's profile; where there are none, the file stays as it is."""
    if not settings:
        return
    yaml = YAML()
    yaml.width = 1000
    path = folder / f"profiles/{profile}.yaml"
    values = yaml.load(path.read_text())
    for place, value in settings.items():
        *above, last = place.split(".")
        at = values
        for name in above:
            at = at[name]
        at[last] = value
    with open(path, "w") as file:
        yaml.dump(values, file)


def add_task(folder: Path, name: str, words: str, settings: str) -> None:
    """A task of one's own: a name and a count of words in params.yaml, and under the profile what it is."""
    for file, entry in (
        ("params.yaml", f"words: {words}"),
        ("profiles/sample.yaml", f"{settings}, epochs: 2, lr: 1.0e-3"),
    ):
        text = (folder / file).read_text()
        (folder / file).write_text(replaced(text, "\ntasks:\n", f"\ntasks:\n  {name}: {{{entry}}}\n"))


def copy_of_code(folder: Path) -> Path:
    """What git tracks or would track here, without the committed run."""
    files = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, text=True, check=True, capture_output=True
    ).stdout.splitlines()
    for name in files:
        if (ROOT / name).is_file() and name != "dvc.lock" and not name.startswith("metrics/"):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    return folder


def copy_of_tree(folder: Path) -> Path:
    """The same, committed anew with the shortened settings."""
    copy_of_code(folder)
    params = committed_text("params.yaml")
    (folder / "params.yaml").write_text(replaced(params, FINETUNED, "finetuned:\n- base\n- biomed\n"))
    change(folder, SHORT)
    run(folder, "git", "init", "-q", "-b", "main")
    run(folder, "git", "add", "-A")
    run(folder, "git", "commit", "-qm", "start")
    return folder


def ground_in(folder: Path, model_folder: Path, tokens, special, settings: dict[str, object]) -> Path:
    """models/base and data/tokens/biomed of a model that trains in milliseconds a step, ready to train."""
    from dapt.mlm.tokens import write_tokens

    committed_files(folder, "params.yaml", "profiles", "dvc.yaml")
    change(
        folder,
        {
            "train.batch": 8,
            "train.window": 32,
            "train.warmup": 5,
            "train.threads": 1,
            "train.precision": "fp32",
            **settings,
        },
    )
    shutil.copytree(model_folder, folder / "models/base")
    documents = [tokens.ids[tokens.offsets[i] : tokens.offsets[i + 1]] for i in range(len(tokens))]
    (folder / "data/tokens/biomed").mkdir(parents=True)
    write_tokens(folder / "data/tokens/biomed", "train", documents[:100], special)
    write_tokens(folder / "data/tokens/biomed", "valid", documents[100:], special)
    return folder
