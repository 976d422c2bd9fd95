"""Rehearse the profile `full` from its download to the report and a second clone, with stand-ins for what is downloaded:

    PYTHONPATH=src:tests/helpers python -m rehearsal.rehearse FOLDER [--scale 0.02 --small] [--launcher local|slurm] [--keep]

What git has committed is cloned into FOLDER, and settings of the profile are turned down (`shortened`). Standard output is a
table of JSON lines. A `step` is a command of the rehearsal, and a `stage` is a process of the pipeline; both have seconds, the
peak memory of one process and the megabytes written. A step has the size of FOLDER after it, too. A `check` compares a result
with what the stand-ins were built to contain. The first check that fails ends the rehearsal with exit code 1.
"""

import argparse
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from dapt.core import config
from dapt.core.files import sha256
from hub import TOKEN, Hub, running
from rehearsal.agreement import counts, expected, shared_news, without_kind
from rehearsal.biomedical import BIOASQ
from rehearsal.hub import repositories, troubles
from repositories import FINETUNED, ROOT, change, environment, replaced
from repositories import run as run_in
from slurm_cluster import Cluster, missing, running_cluster, wait_until
from slurm_runs import newest

MEASURED = Path(__file__).parent / "measured"  # has Python write what a process needed, to the file that RECORDS names
RECORDS = "DAPT_REHEARSAL_RECORDS"
GATED = "datasets/llamafactory/fiqa"
ON_GPU = ("train", "evaluate", "finetune")
TASKS = ("finance_classification", "biomed_topic", "multiple_choice", "answer_ranking")
SHORT = {
    "train.steps": 24,
    "train.warmup": 2,
    "train.valid_every": 12,
    "train.valid_windows": 16,
    "train.save_every": 6,
    "train.keep": [12],
    "evaluate.draws": 1,
    "finetune.seeds": [0, 1],
    "finetune.valid": 50,
    "compare.resamples": 200,
}
# Three jobs share two cores. With two threads each, they would mostly wait for each other: a sixth of the tokens per second.
SHORT |= {f"{stage}.threads": 1 for stage in ("train", "evaluate", "finetune")}
SHORT |= {f"tasks.{task}.{name}": value for task in TASKS for name, value in {"rows": 64, "epochs": 1}.items()}
LARGE = {  # a small share of full-size files is enough; short texts save time, and no kept checkpoints 7 GB
    "train.keep": [],
    "split.heldout": 0.01,
    "split.valid": 0.002,
    "tasks.multiple_choice.length": 64,
    "tasks.answer_ranking.length": 64,
    "finetune.batch": 8,  # six seeds at once; with 32 rows of four options each, two of them need 13 GB
}
SMALL = {"train.valid_windows": 8}
MANY_STEPS = {
    "train.steps": 600,
    "train.valid_every": 200,
    "train.save_every": 100,
}  # fewer would be done before the preemption


class Failed(Exception):
    """A check found something else than what was built."""


class Rehearsal:
    """The folder, its two clones, and the table."""

    def __init__(self, given: argparse.Namespace):
        self.folder: Path = given.folder.absolute()
        self.scale, self.small, self.launcher = given.scale, given.small, given.launcher
        self.clone, self.second, self.stand_ins = (self.folder / name for name in ("clone", "second", "stand-ins"))
        self.records, self.seen = self.folder / "records.jsonl", 0
        self.variables = {
            "PYTHONPATH": f"{self.clone}/src:{MEASURED}",
            RECORDS: str(self.records),
            "DAPT_LAUNCHER": self.launcher,
            "HF_HOME": str(self.folder / "hf"),
            "HF_HUB_DISABLE_PROGRESS_BARS": "1",
            "HF_TOKEN": TOKEN,
            "NO_PROXY": "127.0.0.1",
        }

    def run(self, folder: Path, *command: str, code: int | None = 0, **variables: str) -> str:
        return run_in(folder, *command, code=code, **self.variables | variables)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Print a line for each stage that ran in the block, and one for the block."""
        print(f"{time.strftime('%H:%M:%S')} {name}", file=sys.stderr)
        started, written = time.monotonic(), written_mb()
        yield
        seconds, written = time.monotonic() - started, written_mb() - written
        new = self.new_records()
        stages = [one for one in new if one["command"][0] == "dapt" and one["command"][1] != "launch"]
        for one in stages:
            numbers = {key: one[key] for key in ("seconds", "memory_mb", "written_mb")}
            tell("stage", " ".join(one["command"][1:]), **numbers, on="slurm" if one["job"] else "here")
        tell(
            "step",
            name,
            seconds=round(seconds, 1),
            memory_mb=max((one["memory_mb"] for one in new), default=0),
            written_mb=round(
                max(written, sum(one["written_mb"] for one in stages)), 1
            ),  # launch leaves the process tree
            disk_mb=disk_mb(self.folder),
        )

    def new_records(self) -> list[dict]:
        lines = self.records.read_text().splitlines() if self.records.exists() else []
        new, self.seen = lines[self.seen :], len(lines)
        return [json.loads(line) for line in new]

    def metrics(self, name: str) -> dict:
        return json.loads((self.clone / f"metrics/{name}.json").read_text())


def tell(kind: str, name: str, **values: object) -> None:
    print(json.dumps({kind: name} | values), flush=True)


def check(name: str, found: object, built: object) -> None:
    tell("check", name, ok=found == built, found=found)
    if found != built:
        raise Failed(f"{name}: found {found}, expected {built}")


def written_mb() -> float:
    """What this process and its ended children wrote."""
    return int(re.search(r"^write_bytes: (\d+)", Path("/proc/self/io").read_text(), re.M)[1]) / 1e6


def disk_mb(folder: Path) -> int:
    """Hard links count once."""
    return int(subprocess.run(["du", "-sm", folder], capture_output=True, text=True).stdout.split()[0])


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m rehearsal.rehearse", description="Rehearse the profile full.")
    parser.add_argument("folder", type=Path, help="an empty or new folder: 30 GB at full size")
    parser.add_argument("--scale", type=float, default=1.0, help="share of the rows of the real files")
    parser.add_argument("--small", action="store_true", help="models of 2 layers of 128 instead of BERT-base's size")
    parser.add_argument(
        "--launcher", choices=["local", "slurm"], help="by default slurm, where a cluster can be started"
    )
    parser.add_argument("--texts", action="store_true", help="end when the texts and the base are ready to train")
    parser.add_argument("--keep", action="store_true", help="remove nothing at the end")
    given = parser.parse_args()
    given.launcher = given.launcher or ("local" if missing() else "slurm")
    if given.folder.exists() and any(given.folder.iterdir()):
        parser.error(f"{given.folder} is not empty")
    given.folder.mkdir(parents=True, exist_ok=True)
    started, here = time.monotonic(), Rehearsal(given)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # like ^C, so that everything is cleaned up
    try:
        rehearse(here, given.texts)
    except (Failed, AssertionError) as error:
        print(f"the rehearsal failed: {error}", file=sys.stderr)
        return 1
    finally:
        stop_what_runs(here)
        if not given.keep:
            shutil.rmtree(given.folder)
    tell("step", "everything", seconds=round(time.monotonic() - started, 1))
    return 0


def rehearse(here: Rehearsal, texts_only: bool) -> None:
    make_stand_ins(here)
    clone_with_the_profile(here)
    with served(here) as hub, slurm(here) as cluster:
        ask_for_access(here, hub)
        download_and_prepare(here)
        check_texts(here)
        check_base(here)
        if texts_only:
            return
        train(here, cluster)
        judge(here)
    write_report(here)
    check_report(here)
    push(here)
    pull_in_a_second_clone(here)
    find_the_flipped_byte(here)
    compare_with_main(here)


def stop_what_runs(here: Rehearsal) -> None:
    """After a failure, `dapt launch` may have left stages that still run. What was started here has the records' path in its
    environment."""

    def left() -> list[psutil.Process]:
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                if process.environ().get(RECORDS) == str(here.records):
                    found.append(process)
        return found

    for process in left():
        with suppress(psutil.Error):
            process.terminate()
    wait_until(lambda: not left(), 120, "the end of the stages")


def make_stand_ins(here: Rehearsal) -> None:
    with here.step("make the stand-ins"):
        words = [str(here.stand_ins), "--scale", str(here.scale), "--make-only", *["--small"] * here.small]
        here.run(
            ROOT, sys.executable, "-m", "rehearsal", *words, PYTHONPATH=f"{ROOT}/src:{ROOT}/tests/helpers:{MEASURED}"
        )


def clone_with_the_profile(here: Rehearsal) -> None:
    """A clone with the shortened settings and a remote for DVC, on a branch with `profile: full`."""
    with here.step("clone"):
        here.run(here.folder, "git", "clone", "-q", str(ROOT), str(here.clone))
        params = here.clone / "params.yaml"
        params.write_text(replaced(params.read_text(), FINETUNED, "finetuned:\n- base\n- biomed\n"))
        change(here.clone, shortened(here), "full")
        if here.launcher == "slurm":
            let_trainings_be_preempted(here.clone)
        here.run(here.clone, "dvc", "remote", "add", "-d", "storage", str(here.folder / "remote"))
        here.run(here.clone, "dvc", "remote", "modify", "storage", "verify", "true")
        here.run(here.clone, "git", "commit", "-qam", "The profile full, shortened")
        here.run(here.clone, "git", "checkout", "-q", "-b", "full")
        params.write_text(replaced(params.read_text(), "profile: sample", "profile: full"))
        here.run(here.clone, "git", "commit", "-qam", "Profile full")
        shutil.copy(here.stand_ins / "local" / BIOASQ, here.clone / "data/local")


def shortened(here: Rehearsal) -> dict[str, object]:
    if not here.small:
        return SHORT | LARGE
    return SHORT | SMALL | (MANY_STEPS if here.launcher == "slurm" else {})


def let_trainings_be_preempted(clone: Path) -> None:
    from cluster_settings import change_group

    change_group(clone, "training", partitions=["gpu-preempt"])


@contextmanager
def served(here: Rehearsal) -> Iterator[Hub]:
    """A hub with the stand-ins that refuses some requests and cuts some connections."""
    with running() as hub:
        hub.repositories = repositories(config.load(ROOT), here.stand_ins)
        hub.cut, hub.refused = troubles(hub.repositories)
        here.variables["HF_ENDPOINT"] = hub.address
        yield hub


@contextmanager
def slurm(here: Rehearsal) -> Iterator[Cluster | None]:
    """The tests' Slurm while the block runs, for the launcher slurm."""
    if here.launcher != "slurm":
        yield None
        return
    if why := missing():
        raise Failed(f"no Slurm can be started here: {why}")
    with running_cluster() as cluster:
        yield cluster


def ask_for_access(here: Rehearsal, hub: Hub) -> None:
    """A gated data set is refused until its owner grants access; from then on it needs the token."""
    gated = hub.repositories[GATED]
    gated.gated = True
    said = here.run(here.clone, "dapt", "fetch", "fiqa_labeled", code=2)
    check("the gated data set is refused in one line", [said.count("\n"), "gated" in said], [1, True])
    gated.gated, gated.private = False, True


def download_and_prepare(here: Rehearsal) -> None:
    """`dvc repro` up to the tokens and the base, one kind of stage after the other."""
    said = ""
    for target in ("check", "fetch", "fetch_model", "clean", "validate", "split", "tokenize", "base"):
        with here.step(f"dvc repro {target}"):
            said += here.run(here.clone, "dvc", "repro", target)
    check("the hub refused requests, and they were repeated", "HTTP Error 429" in said, True)


def check_texts(here: Rehearsal) -> None:
    record = without_kind(json.loads((here.stand_ins / "record.json").read_text()))
    for corpus in config.load(here.clone).corpora:
        check(f"rows of {corpus}", counts(here.metrics(f"clean/{corpus}"), corpus), expected(record, corpus))
    overlap = here.metrics("split")["held_by"]
    check("texts of finance_mlm2 in finance_mlm1", overlap["finance_mlm1"]["finance_mlm2"], shared_news(record))


def check_base(here: Rehearsal) -> None:
    base = here.metrics("base")
    check(
        "repair of the base", [base["head"], base["repair"], base["head_after"]], ["missing", "transplant", "trained"]
    )


def train(here: Rehearsal, cluster: Cluster | None) -> None:
    """All trainings by `dapt launch`, three at once; on Slurm, the one of biomed is preempted."""
    with here.step("dapt launch train"):
        process = launch(here, "train")
        if cluster:
            preempt(here, cluster, process)
        end(here, process)
    if cluster:
        said = (here.clone / "logs/launch-train-biomed.log").read_text()
        found = [words in said for words in ("slurm: restart 1", "resumed at step")]
        check("the preempted training was resumed", found, [True, True])


def launch(here: Rehearsal, *targets: str) -> subprocess.Popen:
    with open(here.folder / "launch.out", "w") as output:
        return subprocess.Popen(
            [Path(sys.executable).parent / "dapt", "launch", *targets, "--at-once", "3"],
            cwd=here.clone,
            env=environment(here.folder) | here.variables,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )


def end(here: Rehearsal, process: subprocess.Popen) -> None:
    code = process.wait()
    if code:
        raise Failed(f"dapt launch gave {code}:\n{(here.folder / 'launch.out').read_text()[-6000:]}")


def preempt(here: Rehearsal, cluster: Cluster, process: subprocess.Popen) -> None:
    """Once biomed has a checkpoint, a job of a higher partition takes its node for a moment, with both GPUs: a second
    training on this node is preempted, too. Before that, a training of BERT-base on these cores could lose all of its steps:
    the cluster kills it after a few seconds, and it asks for an end only between two steps."""
    states = here.clone / ".dvc/tmp/dapt-state"
    of_biomed = f"*/biomed-{'[0-9a-f]' * 16}"

    def saved() -> bool:
        return any(newest(state) > 0 for state in states.glob(of_biomed))

    wait_until(lambda: saved() or process.poll() is not None, 900, "a checkpoint of biomed")
    node = re.findall(r"job \d+ on (\S+)", (here.clone / "logs/launch-train-biomed.log").read_text())[-1]
    words = ["srun", "--partition=gpu", f"--nodelist={node}", "--exclusive", "sleep", "1"]
    subprocess.run(words, env=os.environ | cluster.environment, capture_output=True, timeout=300, check=True)


def judge(here: Rehearsal) -> None:
    """Evaluations and fine-tunings by `dapt launch`, three at once."""
    with here.step("dapt launch evaluate finetune"):
        end(here, launch(here, "evaluate", "finetune"))


def write_report(here: Rehearsal) -> None:
    """`dvc repro` of the rest, which must find everything that `dapt launch` made up to date."""
    with here.step("dvc repro"):
        said = here.run(here.clone, "dvc", "repro")
    again = re.findall(rf"Running stage '((?:{'|'.join(ON_GPU)})@\S+)'", said)
    check("stages that ran again after dapt launch", again, [])
    here.run(here.clone, "git", "add", "-A")
    here.run(here.clone, "git", "commit", "-qm", "Results")


def check_report(here: Rehearsal) -> None:
    params = config.load(here.clone)
    text = (here.clone / "reports/report.md").read_text()
    in_tables = set(re.findall(r"(?<=\| )\w+(?= )", text))  # the first word of each cell
    check("domains and tasks missing from the report", sorted({*params.domains, *params.tasks} - in_tables), [])


def push(here: Rehearsal) -> None:
    with here.step("dvc push"):
        here.run(here.clone, "dvc", "push", "-q")


def models(here: Rehearsal) -> list[str]:
    return ["base", *(f"train@{domain}" for domain in config.load(here.clone).domains)]


def pull_in_a_second_clone(here: Rehearsal) -> None:
    with here.step("dvc pull in a second clone"):
        here.run(here.folder, "git", "clone", "-q", str(here.clone), str(here.second))
        here.run(here.second, "dvc", "pull", "-q", *models(here))
    files = [path.relative_to(here.second) for path in sorted((here.second / "models").rglob("*")) if path.is_file()]
    check("files of weights that were pulled", sum(file.suffix == ".safetensors" for file in files) > 4, True)
    different = [str(file) for file in files if sha256(here.second / file) != sha256(here.clone / file)]
    check("pulled files that differ", different, [])


def find_the_flipped_byte(here: Rehearsal) -> None:
    """Flip a byte of biomed's weights on the remote, and pull them into an empty cache."""
    weights = here.clone / "models/biomed/model.safetensors"
    name = hashlib.md5(weights.read_bytes()).hexdigest()
    stored = here.folder / f"remote/files/md5/{name[:2]}/{name[2:]}"
    flip(stored)
    shutil.rmtree(here.second / "models")
    shutil.rmtree(here.second / ".dvc/cache/files")
    with here.step("dvc pull of a damaged file"):
        said = here.run(here.second, "dvc", "pull", "train@biomed", code=None)
    check("the damaged file was not pulled", (here.second / "models/biomed/model.safetensors").exists(), False)
    check("the pull named the folder of the damaged file", "models/biomed" in said, True)


def compare_with_main(here: Rehearsal) -> None:
    """Another domain as an experiment, and the comparison with the results of main, which are those of the profile sample."""
    with here.step("dvc exp run -S domain=finance"):
        said = here.run(here.clone, "dvc", "exp", "run", "-S", "domain=finance", "-n", "full-finance")
    check("stages that the experiment ran", re.findall(r"Running stage '(\S+)'", said), ["check", "summary"])
    words = ("dvc", "metrics", "diff", "main", "--targets", "metrics/summary.json", "--json")
    domain = json.loads(here.run(here.clone, *words))["metrics/summary.json"]["domain"]
    check("the summary of main and of the experiment", [domain["old"], domain["new"]], ["biomed", "finance"])
    check("the experiment is listed", "full-finance" in here.run(here.clone, "dvc", "exp", "show", "--csv"), True)
    here.run(here.clone, "dvc", "exp", "branch", "full-finance", "full-finance")
    params = here.run(here.clone, "git", "show", "full-finance:params.yaml")
    settings = re.findall(r"^(?:profile|domain): (\S+)", params, re.M)
    check("settings on the experiment's branch", settings, ["full", "finance"])


def flip(path: Path) -> None:
    """In a copy that takes the file's place, since the cache may be a hard link to it."""
    copy = path.with_suffix(".flipped")
    shutil.copyfile(path, copy)
    with open(copy, "r+b") as file:
        file.seek(path.stat().st_size // 2)
        byte = file.read(1)
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte[0] ^ 1]))
    os.replace(copy, path)


if __name__ == "__main__":
    sys.exit(main())
