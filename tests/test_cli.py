import argparse
import shlex
import shutil
import signal
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from dapt import exporting
from dapt.cli import BENCHES, STAGES, parser
from dapt.telling.errors import UserError
from repositories import ROOT, committed_files, committed_params


def dapt(folder: Path, *arguments: str) -> subprocess.CompletedProcess:
    command = Path(sys.executable).parent / "dapt"
    return subprocess.run([command, *arguments], cwd=folder, capture_output=True, text=True)


@pytest.fixture()
def repository(tmp_path) -> Path:
    """A workspace of its own, as a clone or a temporary experiment is."""
    shutil.copytree(ROOT / "src", tmp_path / "src", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    committed_files(tmp_path, "params.yaml", "profiles", "dvc.yaml")
    return tmp_path


def test_a_command_for_each_stage_of_dvc_yaml():
    from ruamel.yaml import YAML

    stages = YAML(typ="safe", pure=True).load((ROOT / "dvc.yaml").read_text())["stages"]
    assert {stage.get("do", stage)["cmd"].split()[1] for stage in stages.values()} == set(STAGES)
    assert all((ROOT / f"src/dapt/stages/{name}.py").is_file() for name in STAGES)
    assert all((ROOT / f"tests/stages/test_{name}.py").is_file() for name in STAGES)
    assert all((ROOT / f"src/dapt/bench/{name}.py").is_file() for name in BENCHES)


def test_it_says_its_version(tmp_path):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert dapt(tmp_path, "--version").stdout == f"dapt {project['version']}\n"


def test_a_workspace_runs_its_own_code(repository):
    (repository / "src/dapt/stages/check.py").write_text("def run():\n    print('of the workspace')\n")
    (repository / "deep/er").mkdir(parents=True)
    done = dapt(repository / "deep/er", "check")
    assert (done.returncode, done.stdout) == (0, "of the workspace\n")


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["fetch", "biomed_mml"], "dapt fetch: params.yaml has no corpus 'biomed_mml'; did you mean biomed_mlm?"),
        (["train", "law"], "dapt train: params.yaml has no domain 'law'; choose one of: biomed,"),
        (["evaluate", "law"], "dapt evaluate: params.yaml has no model 'law'; choose one of: base,"),
        (["clean"], "dapt clean: the name of a corpus is missing; `dapt clean --help` shows"),
        (["clean", "--cleaner", "hpo"], "dapt clean: --cleaner, --raw, --out and --report must be given together"),
        (["evaluate", "--model", "x"], "dapt evaluate: --model and --text must be given together"),
        (["clean", "biomed_mlm"], "dapt clean: No such file or directory: data/raw/biomed_mlm/hpo/hp.obo"),
        (
            ["bench", "clean"],
            "dapt bench: data/processed/biomed_mlm.jsonl does not exist, but this benchmark needs it;",
        ),
        (["evaluate", "--model", "nowhere", "--text", "x.jsonl"], "dapt evaluate: nowhere is not a model folder"),
        (["evaluate", "base"], "dapt evaluate: models/base is not a model folder: it has no config.json; create"),
        (["train", "biomed"], "dapt train: models/base is not a model folder"),
        (["finetune", "biomed_topic", "base"], "dapt finetune: models/base is not a model folder"),
        (["audit", "--model", "nowhere"], "dapt audit: nowhere is not a model folder"),
        (["evaluate", "base", "--words"], "dapt evaluate: --model and --text must"),
        (["evaluate", "--text", "x.jsonl"], "dapt evaluate: --model and --text must"),
        (
            ["evaluate", "--model", "x", "--text", "x.jsonl", "--draws", "2", "--words"],
            "dapt evaluate: --draws works only for the loss per token",
        ),
        (["clean", "biomed_mlm", "--raw", "x"], "dapt clean: --cleaner, --raw, --out"),
        (["export", "nowhere", "out", "--format", "hub"], "dapt export: nowhere is not a model folder"),
        (
            ["clean", "--cleaner", "hop", "--raw", "x", "--out", "y", "--report", "z"],
            "dapt clean: unknown cleaner 'hop'; choose one of: bioasq,",
        ),
    ],
)
def test_a_users_mistake_is_one_line_and_code_2(repository, arguments, message):
    done = dapt(repository, *arguments)
    assert done.returncode == 2 and done.stderr.startswith(message), done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--format", "hub", "--int8"], "--int8 works only with --format onnx; remove it, or change --format"),
        (["--format", "onnx", "--push", "a/b"], "--push works only with --format hub"),
        (["--format", "onnx", "--publish-anyway"], "--publish-anyway works only with --format hub"),
        (["--format", "hub", "--publish-anyway"], "--publish-anyway has no effect without --push; remove it, or add"),
        (["--format", "sentence-transformers", "--steps", "9"], "--steps has no effect without --tune"),
        (["--format", "hub"], "models/full already exists and is not an empty folder; choose another folder"),
    ],
)
def test_an_export_that_cannot_be_is_refused_and_nothing_is_written(repository, arguments, message):
    for name in ("base", "full"):
        (repository / f"models/{name}").mkdir(parents=True)
        (repository / f"models/{name}/config.json").write_text("{}")
    before = sorted(repository.rglob("*.*"))
    done = dapt(repository, "export", "models/base", "models/full", *arguments)
    assert (done.returncode, done.stdout) == (2, "") and message in done.stderr and done.stderr.count("\n") == 1
    assert {path for path in repository.rglob("*.*") if "__pycache__" not in str(path)} == set(before)


def test_what_is_put_into_the_folder_while_an_export_runs_is_kept(tmp_path, monkeypatch):
    folder = tmp_path / "out"
    folder.mkdir()

    def export(model, whole, options):
        (folder / "notes.txt").write_text("mine")
        return {}

    monkeypatch.setattr("dapt.exporting.onnx.export", export)
    with pytest.raises(UserError, match="out already exists and is not an empty folder"):
        exporting.run("onnx", tmp_path, folder, exporting.Options())
    assert [path.name for path in tmp_path.iterdir()] == ["out"] and (folder / "notes.txt").read_text() == "mine"
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UserError, match="link is a link; name the folder itself"):
        exporting.run("onnx", tmp_path, tmp_path / "link", exporting.Options())


def test_outside_a_repository_it_says_so(tmp_path):
    done = dapt(tmp_path, "split")
    assert done.returncode == 2 and "no dvc.yaml" in done.stderr


def test_an_interrupted_command_says_so_in_a_line(repository):
    (repository / "src/dapt/stages/check.py").write_text(
        "import os, signal\ndef run():\n    os.kill(os.getpid(), signal.SIGINT)\n    signal.pause()\n"
    )
    done = dapt(repository, "check")
    assert (done.returncode, done.stderr) == (
        -signal.SIGINT,
        "dapt check: interrupted; no file is incomplete: run the same command again\n",
    )


@pytest.mark.parametrize("lines", [1, 100_000])
def test_a_reader_who_has_read_enough_ends_it_without_a_word(lines):
    """Whether what is printed fits into Python's buffer or not."""
    program = f"from dapt.telling.errors import guarded; exit(guarded('x', lambda: print('line\\n' * {lines})))"
    done = subprocess.run(
        ["bash", "-c", '"$0" -c "$1" | true; echo ${PIPESTATUS[0]}', sys.executable, program],
        capture_output=True,
        text=True,
    )
    assert (done.stdout, done.stderr) == ("141\n", "")


def test_a_bug_is_a_traceback_and_code_1(repository):
    (repository / "src/dapt/stages/check.py").write_text("def run():\n    raise KeyError('x')\n")
    done = dapt(repository, "check")
    assert done.returncode == 1 and "Traceback" in done.stderr


def test_the_collector_rests_while_a_module_is_imported_and_then_goes_on(repository):
    (repository / "src/dapt/stages/check.py").write_text(
        "import gc\nthen = gc.isenabled()\ndef run():\n    print(then, gc.isenabled(), gc.get_freeze_count() > 1000)\n"
    )
    assert dapt(repository, "check").stdout == "False True True\n"


def test_help_names_every_command():
    assert all(f"    {name} " in parser().format_help() for name in STAGES)


@pytest.mark.parametrize(
    "name, words", [("spread", "how much its losses vary"), ("train", "adapt the base to a domain")]
)
def test_a_command_s_help_says_what_it_does(capsys, name, words):
    with pytest.raises(SystemExit):
        parser().parse_args([name, "--help"])
    assert words in " ".join(capsys.readouterr().out.split())


def commands(top: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """The parser and those of all commands below it."""
    yield top
    for action in top._actions:
        if isinstance(action.choices, dict):
            for command in action.choices.values():
                yield from commands(command)


COMMANDS = {command.prog: command for command in commands(parser())}


def examples(prog: str) -> list[str]:
    return [line.strip() for line in (COMMANDS[prog].epilog or "").splitlines()[1:]]


@pytest.mark.parametrize("prog", COMMANDS)
def test_help_describes_every_argument(prog):
    for action in COMMANDS[prog]._actions:
        if not isinstance(action, argparse._SubParsersAction):
            assert action.help and action.help is not argparse.SUPPRESS, f"{prog}: {action.dest}"
        else:
            assert {shown.dest for shown in action._choices_actions if shown.help} == set(action.choices)


@pytest.mark.parametrize("prog", [prog for prog in COMMANDS if prog != "dapt"])
def test_help_ends_with_examples_that_can_be_typed(prog, capsys):
    assert examples(prog)
    for line in examples(prog):
        name, *arguments = shlex.split(line)
        assert line.startswith(prog) and name == "dapt"
        parser().parse_args(arguments)
    with pytest.raises(SystemExit):
        parser().parse_args([*prog.split()[1:], "--help"])
    assert capsys.readouterr().out.splitlines()[-len(examples(prog)) :] == [f"  {line}" for line in examples(prog)]


@pytest.mark.parametrize("stage", [name for name, (kind, _) in STAGES.items() if kind])
def test_the_examples_name_what_params_yaml_has(stage):
    params = committed_params()
    kind, _ = STAGES[stage]
    there = {
        "corpus": [*params.corpora, "model"], "domain": params.domains, "model": params.models, "task": params.tasks,
    }[kind]  # fmt: skip
    given = [vars(parser().parse_args(shlex.split(line)[1:])) for line in examples(f"dapt {stage}")]
    named = [one for one in given if one["name"]]
    assert named and all(one["name"] in there for one in named)
    assert all(one["model"] in params.models for one in named if one.get("model"))


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_completion_script_is_one_that_its_shell_can_read(tmp_path, shell):
    if not shutil.which(shell):
        pytest.skip(f"there is no {shell}")
    script = dapt(tmp_path, "completion", shell)
    assert script.returncode == 0 and "finetune" in script.stdout
    (tmp_path / "script").write_text(script.stdout)
    read = subprocess.run([shell, "-n", "script"], cwd=tmp_path, capture_output=True, text=True)
    assert (read.returncode, read.stderr) == (0, "")


@pytest.mark.parametrize(
    "words, found",
    [
        ("dapt fin", {"finetune"}),
        ("dapt add ", {"domain", "corpus", "base"}),
        ("dapt bench train --on", {"--only"}),
        ("dapt evaluate --unknown r", {"refuse"}),
        ("dapt audit --model mod", {"models"}),  # a folder
    ],
)
def test_bash_completes_commands_options_and_files(tmp_path, words, found):
    (tmp_path / "models").mkdir()
    (tmp_path / "script").write_text(dapt(tmp_path, "completion", "bash").stdout)
    typed = words.split(" ")
    asked = (
        f"source ./script; COMP_WORDS=({' '.join(typed[:-1])} '{typed[-1]}'); COMP_CWORD={len(typed) - 1}; "
        "$(complete -p dapt | sed 's/.* -F //; s/ dapt$//'); printf '%s\\n' \"${COMPREPLY[@]}\""
    )
    done = subprocess.run(["bash", "--norc", "-c", asked], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert found <= set(done.stdout.split()) and (len(found) > 1 or set(done.stdout.split()) == found)


def test_on_windows_it_points_to_wsl_in_one_line(tmp_path):
    """With what Python lacks there; before any module that needs it is imported."""
    missing = ("fcntl", "grp", "pwd", "resource", "termios")
    code = (
        f"import sys; sys.modules.update(dict.fromkeys({missing})); from dapt.cli import main; sys.platform = 'win32'; "
        "sys.argv = ['dapt', 'check']; sys.exit(main())"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert "WSL" in done.stderr and done.stderr.count("\n") == 1
