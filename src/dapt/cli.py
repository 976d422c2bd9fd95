"""The command `dapt`: one subcommand a stage of dvc.yaml, and those that people call on files of their own.

It works on the repository of the current folder (the nearest dvc.yaml upwards) and runs the code of that repository,
also in a temporary experiment or a clone that shares this environment.
"""

import argparse
import os
import sys
from importlib import import_module
from pathlib import Path

from dapt.errors import UserError, guarded
from dapt.paths import repository

STAGES = {  # name → what it is given, what it does
    "check": (None, "refuse a wrong params.yaml"),
    "fetch": ("corpus", "raw files of a corpus, or of the model"),
    "clean": ("corpus", "clean a corpus; with --cleaner any raw file"),
    "validate": (None, "look at every cleaned row; the data card's figures"),
    "split": (None, "train, valid and held-out sets, without leaks"),
    "tokenize": ("domain", "token ids of a domain's train and valid sets"),
    "base": (None, "audit the base and repair its masked-LM head"),
    "train": ("domain", "adapt the base to a domain"),
    "evaluate": ("model", "held-out loss of a model; with --model any model and text"),
    "compare": (None, "all models on all sets, and which is best"),
    "report": (None, "the page, its Markdown twin and the pictures"),
    "summary": (None, "the figures of the chosen domain"),
}
BENCHES = {  # name → turns of each way, what it times
    "clean": (3, "seconds to clean the stand-in of all corpora, ours and the usual way with datasets"),
    "train": (1, "tokens a second of a training step, ours and transformers' Trainer's"),
}


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="dapt", description=__doc__.split("\n\n")[0])
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    sub = {}
    for name, (what, text) in STAGES.items():
        sub[name] = commands.add_parser(name, help=text, description=text)
        if what:
            sub[name].add_argument("name", metavar=what, nargs="?" if name in ("fetch", "clean", "evaluate") else None)
    sub["fetch"].add_argument("--pin", action="store_true",
                              help="write commit and sha256 of what is fetched, or of all, into params.yaml")
    clean = sub["clean"].add_argument_group("any raw file, without params.yaml")
    clean.add_argument("--cleaner")
    for option in ("--raw", "--out", "--report"):
        clean.add_argument(option, type=Path)
    evaluate = sub["evaluate"].add_argument_group("any model and text")
    evaluate.add_argument("--model", type=Path)
    evaluate.add_argument("--text", type=Path, help="JSON lines with a field text")
    evaluate.add_argument("--json", action="store_true")
    audit = commands.add_parser("audit", help="what a checkpoint is as a masked language model, and if its head is trained")
    audit.add_argument("--model", type=Path, required=True)
    audit.add_argument("--json", action="store_true")
    sub["compare"].add_argument("--print", action="store_true", help="print the table that compare last wrote")
    plots = commands.add_parser("plots", help="the pictures of the last comparison as SVG and PNG")
    plots.add_argument("folder", type=Path, nargs="?", default=Path("plots"))
    plots.add_argument("--page", action="store_true", help="write the offline page that `dvc plots show` fills")
    bench = commands.add_parser("bench", help="time our way and the usual way in turns")
    names = bench.add_subparsers(dest="name", required=True, metavar="NAME")
    benches = {name: names.add_parser(name, help=text, description=text) for name, (_, text) in BENCHES.items()}
    for name, (rounds, _) in BENCHES.items():
        benches[name].add_argument("--rounds", type=int, default=rounds,
                                   help="turns of each way, default %(default)s; the median counts")
        benches[name].add_argument("--json", action="store_true", dest="as_json", help="one JSON object a line")
    benches["clean"].add_argument("--scale", type=float, default=1.0, help="share of the real rows, default 1")
    benches["train"].add_argument("--only", metavar="MODEL", help="tiny, minilm or base; else all three")
    benches["train"].add_argument("--steps", type=int, help="steps of each run, else a number for each model")
    return top


def dispatch(args: argparse.Namespace) -> None:
    name = args.command
    if name == "clean" and args.cleaner:
        if args.name or not (args.raw and args.out and args.report):
            raise UserError("--cleaner goes with --raw, --out and --report, and without a corpus")
        return import_module("dapt.clean").run_file(args.cleaner, args.raw, args.out, args.report)
    if name == "evaluate" and args.model:
        if args.name or not args.text:
            raise UserError("--model goes with --text, and without a model's name")
        return import_module("dapt.evaluate").run_file(args.model, args.text, args.json)
    if name == "audit":
        return import_module("dapt.audit").run(args.model, args.json)
    root = repository(Path.cwd())
    if root is None:
        raise UserError(f"no dvc.yaml in {Path.cwd()} or above; go to the repository")
    if name == "plots":
        args.folder = args.folder.resolve()
    os.chdir(root)
    if name == "plots":
        plots = import_module("dapt.plots")
        return plots.write_page() if args.page else plots.run(args.folder)
    if name == "bench":
        options = {option: value for option, value in vars(args).items() if option not in ("command", "name")}
        return import_module(f"dapt.bench.{args.name}").run(**options)
    if name == "compare" and args.print:
        return import_module("dapt.compare").print_table()
    if name == "train":
        return import_module("dapt.launch").train(args.name)
    if name == "fetch" and args.pin:
        return import_module("dapt.pin").run(args.name and known(name, args.name))
    module = import_module(f"dapt.{name}")
    if STAGES[name][0] is None:
        return module.run()
    if args.name is None:
        raise UserError(f"needs the name of a {STAGES[name][0]}")
    return module.run(known(name, args.name))


def known(command: str, name: str) -> str:
    """The name, if params.yaml has it among what the command is given."""
    from dapt import config

    params = config.load()
    names = {"corpus": [*params.corpora, "model"] if command == "fetch" else list(params.corpora),
             "domain": list(params.domains), "model": params.models}[STAGES[command][0]]
    if name not in names:
        raise UserError(f"params.yaml knows no {STAGES[command][0]} {name!r}; it has: {', '.join(names)}")
    return name


def run_workspace_code() -> None:
    """Start again with the code of the workspace, where this process runs that of another one."""
    root = repository(Path.cwd())
    own = Path(__file__).resolve().parents[1]
    if root is None or not (root / "src/dapt/cli.py").is_file() or (root / "src").resolve() == own:
        return
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, [str(root / "src"),
                                                                            os.environ.get("PYTHONPATH")]))}
    sys.stdout.flush()
    os.execve(sys.executable, [sys.executable, "-m", "dapt", *sys.argv[1:]], environment)


def main() -> int:
    run_workspace_code()
    args = parser().parse_args()
    return guarded(f"dapt {args.command}", lambda: dispatch(args))


if __name__ == "__main__":
    raise SystemExit(main())
