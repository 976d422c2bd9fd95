"""`dapt launch --smoke`: ten steps of a training through the real launcher, in a temporary folder.

The folder is in logs/, on the file system that the nodes share, and has links to the code, the tokens and the base. Models,
metrics, checkpoints and dvc.lock of the repository are not changed.
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ruamel.yaml import YAML

from dapt.core import config
from dapt.core.files import read_json, write_json
from dapt.core.paths import CLUSTER, LOGS, METRICS, MODELS, PARAMS, PROFILES, TOKENS, profile_path
from dapt.launch import cluster, plan
from dapt.launch.cluster import Cluster, Group
from dapt.telling import events, signals

STEPS = 10
TIMED = 5  # the last steps; the first ones warm a GPU up
LIMIT = "10"  # minutes
LINKED = (Path("dvc.yaml"), Path("src"), TOKENS, MODELS / "base")


def shortened(train: dict) -> dict:
    """The settings of a training of STEPS steps; everything that affects the speed of a step is kept.

    >>> shortened({"epochs": 2.0, "warmup": 100, "batch": 8, "valid_windows": 512, "keep": [1500]}) == {
    ...     "steps": 10, "warmup": 2, "batch": 8, "valid_windows": 8, "valid_every": 5, "save_every": 10, "keep": []}
    True
    """
    kept = {name: value for name, value in train.items() if name not in ("epochs", "tokens")}
    return kept | {
        "steps": STEPS,
        "warmup": min(2, train["warmup"]),
        "valid_every": STEPS - TIMED,
        "save_every": STEPS,
        "valid_windows": min(train["batch"], train["valid_windows"]),
        "keep": [],
    }


def hurried(settings: Cluster) -> Cluster:
    """Settings for a short job, which starts sooner, without restarts."""
    short = min(LIMIT, settings.time, key=plan.seconds)
    changed = {"time": short, "leave_before": 60, "restarts_without_progress": 0}
    return settings.model_copy(update=changed | {"groups": {"training": Group(stages=["train"])}})


@contextmanager
def workspace(domain: str, settings: Cluster | None) -> Iterator[Path]:
    """A folder in which `dapt train DOMAIN` takes ten steps."""
    yaml = YAML()
    LOGS.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f"smoke-{domain}-", dir=LOGS.absolute()) as name:
        folder = Path(name)
        for path in LINKED:
            if path.exists():
                (folder / path).parent.mkdir(parents=True, exist_ok=True)
                (folder / path).symlink_to(path.absolute())
        settings_of = profile_path(config.load().profile)
        profile = yaml.load(settings_of.read_text(encoding="utf-8"))
        profile["train"] = shortened(dict(profile["train"]))
        shutil.copy(PARAMS, folder)
        (folder / PROFILES).mkdir()
        with open(folder / settings_of, "w", encoding="utf-8") as file:
            yaml.dump(profile, file)
        if settings:
            (folder / CLUSTER).parent.mkdir()
            with open(folder / CLUSTER, "w", encoding="utf-8") as file:
                yaml.dump(hurried(settings).model_dump(exclude_unset=True), file)
        yield folder


def train(domain: str, folder: Path, launcher: str, log: Path) -> tuple[int, list[dict]]:
    """Run `dapt train` in this folder; return its exit code and events."""
    told = folder / "events.jsonl"
    variables = {"DAPT_LAUNCHER": launcher, "DAPT_STATE": str(folder / "state"), "DAPT_EVENTS": str(told)}
    process = subprocess.Popen(
        [sys.executable, "-m", "dapt", "train", domain],
        cwd=folder,
        text=True,
        errors="replace",
        env=os.environ | variables,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        process_group=0,
    )
    with signals.on_signal(process.send_signal, (*signals.SIGNALS, signal.SIGINT)), open(log, "w", buffering=1) as file:
        for line in process.stdout or ():
            print(line, end="", flush=True)
            file.write(line)
        code = process.wait()
    return 128 - code if code < 0 else code, events.read(told)


def one(told: list[dict], event: str, **facts: object) -> dict:
    """The first event of this kind with these facts."""
    return next(record for record in told if record["event"] == event and facts.items() <= record.items())


def smoke(domain: str, launcher: str, settings: Cluster | None) -> None:
    log = LOGS / f"smoke-{domain}.log"
    with workspace(domain, settings) as folder:
        code, told = train(domain, folder, launcher, log)
        if code:
            print(f"{domain}: the ten steps failed with exit code {code}; log: {log}", file=sys.stderr)
            raise SystemExit(code)
        result = read_json(folder / METRICS / f"train/{domain}.json")
    started = one(told, "started")
    device = f"{started['processes']} × {started['device']}"
    seconds = one(told, "step", step=STEPS)["time"] - one(told, "valid", step=STEPS - TIMED)["time"]
    speed = result["tokens_seen"] * TIMED / STEPS / max(seconds, 1e-3)
    write_json(
        LOGS / f"smoke-{domain}.json",
        {
            "domain": domain,
            "launcher": launcher,
            "device": device,
            "precision": result["precision"],
            "steps": STEPS,
            "tokens_per_second": round(speed),
            "valid_loss_before": result["valid_loss_before"],
            "valid_loss": result["valid_loss"],
        },
    )
    print(
        f"{domain}: {STEPS} steps, {speed:,.0f} tokens per second, {result['precision']} on {device}, loss on valid "
        f"{result['valid_loss_before']:.4f} → {result['valid_loss']:.4f}",
        flush=True,
    )


def run(domains: list[str], partition: str | None) -> None:
    """Run one domain after the other; stop at the first failure, with its exit code."""
    settings = cluster.load()
    slurm = cluster.through_slurm("train", os.environ.get("DAPT_LAUNCHER"), settings, partition)
    chosen = plan.choose(partition, slurm) if slurm else settings
    for domain in domains or config.load().domains:
        smoke(domain, "slurm" if slurm else "local", chosen)
