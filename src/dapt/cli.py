"""The command `dapt`: one subcommand per stage of dvc.yaml, and those that people call on files of their own.

It works on the repository of the current folder (the nearest dvc.yaml upwards) and runs the code of that repository,
also in a temporary experiment or a clone that shares this environment.
"""

import argparse
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from dapt import actions
from dapt.actions import STAGES
from dapt.core.paths import repository
from dapt.telling.errors import guarded

BENCHES = {  # name → turns of each way, what it times
    "clean": (3, "seconds to clean the stand-in of all corpora, ours and the usual way with datasets"),
    "train": (1, "tokens per second of a training step, ours and transformers' Trainer's"),
    "nodes": (3, "seconds of a training step on one node or several, and what that says of GPUs"),
    "serve": (3, "answers per second of dapt serve and of transformers' pipeline behind the same web framework"),
}

WAYS = {  # option of `dapt evaluate` → module of dapt.judging, what it measures; without one, the loss per token
    "words": ("per_word", "the loss per word, for models of different tokenizers"),
    "pseudo": (
        "pseudo_perplexity",
        "pseudo-perplexity, one token masked at a time: one to two forward passes per token, some ten times the usual cost",
    ),
}
PLACES = "a file or folder below data/local, or hub:OWNER/NAME[@REVISION]"
LAUNCH = {  # option → what it does instead of starting and following the jobs
    "plan": "when each allowed partition and GPU would start, and what the stages that are left need",
    "smoke": "ten steps through the queue, into a temporary folder",
    "stop": "have those that run save and end",
}
EXAMPLES = """\
dapt check
dapt fetch biomed_mlm
dapt fetch model
dapt fetch --pin biomed_mlm_2
dapt clean biomed_mlm
dapt clean --cleaner text --raw notes.txt --out rows.jsonl --report report.json --option least=1
dapt validate
dapt split
dapt tokenize biomed
dapt base
dapt train biomed
dapt evaluate biomed
dapt evaluate --model models/base models/biomed --text data/split/biomed/heldout.jsonl --words
dapt finetune finance_classification biomed
dapt baseline finance_classification
dapt compare
dapt compare --print
dapt report
dapt report --export biomed-report
dapt summary
dapt audit --model models/base
dapt spread biomed --seeds 5
dapt sweep train.lr=5e-4,1e-3,2e-3 --domain biomed
dapt agree
dapt export-data biomed_topic topics
dapt export-data general text --kind domain
dapt plots pictures
dapt doctor
dapt completion bash
dapt serve
dapt serve --host 0.0.0.0 --port 8080 --memory 8
dapt predict fill-mask --model models/biomed --in sentences.jsonl --out words.jsonl --top-k 3
dapt predict score --model models/finance --in texts.jsonl --tokens
dapt launch
dapt launch biomed --partition auto
dapt launch 'finetune@*-biomed' --at-once 4
dapt launch --plan
dapt bench clean --scale 0.1
dapt bench train --only tiny
dapt bench nodes --rounds 1
dapt bench serve --json
dapt add domain law data/local/law --option documents=blank-line
dapt add corpus cases --from data/local/cases.csv --to biomed --column body
dapt add task sentiment data/local/sentences.csv --kind classification --text sentence --label sentiment
dapt add task exam data/local/exam.csv --kind multiple_choice --question question --options a,b,c,d --answer right
dapt add base scibert --from hub:allenai/scibert_scivocab_uncased
dapt remove domain law
dapt remove task sentiment
""".splitlines()  # each is shown by the --help of its command
SHELLS = ("bash", "zsh", "fish")

Commands = argparse._SubParsersAction  # what add_subparsers returns has no public name


class Version(argparse.Action):
    """Asked for once in a while, it takes a tenth of a second."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from importlib.metadata import version

        print(f"dapt {version('dapt')}")
        parser.exit()


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(
        prog="dapt",
        description=str(__doc__).split("\n\n")[0],
        epilog="`dapt COMMAND --help` shows how the command is called, with examples.",
    )
    top.add_argument("--version", action=Version, nargs=0, default=argparse.SUPPRESS, help="say which version this is")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    add_stages(commands)
    add_tools(commands)
    add_launch(commands)
    add_serving(commands)
    add_benches(commands)
    add_editors(commands)
    return top


def add(commands: Commands, name: str, text: str, run: Callable | None = None) -> argparse.ArgumentParser:
    """A command whose --help ends with its examples, as they are."""
    as_written = argparse.RawDescriptionHelpFormatter
    found = commands.add_parser(name, help=text, description=text, formatter_class=as_written)
    examples = [line for line in EXAMPLES if f"{line} ".startswith(f"{found.prog} ")]
    found.epilog = "\n  ".join(["examples:", *examples])
    if run:
        found.set_defaults(run=run)
    return found


def add_stages(commands: Commands) -> None:
    """A command for each stage; some do something else as well, which their further options ask for."""
    special = {
        "fetch": actions.fetch, "clean": actions.clean, "train": actions.train, "finetune": actions.finetune, "evaluate": actions.evaluate,
        "compare": actions.compare, "report": actions.report,
    }  # fmt: skip
    otherwise = {  # what stands in place of a name
        "fetch": ", or `model`; not needed with --pin",
        "clean": "; not given with --cleaner",
        "evaluate": "; not given with --model",
    }
    sub = {}
    for name, (kind, text) in STAGES.items():
        sub[name] = add(commands, name, text, special.get(name, actions.stage))
        if kind:
            optional = "?" if name in otherwise else None
            text = f"name of a {kind} in params.yaml" + otherwise.get(name, "")
            sub[name].add_argument("name", metavar=kind, nargs=optional, help=text)
    sub["fetch"].add_argument(
        "--pin", action="store_true", help="write commit and sha256 of what is fetched, or of all, into the settings"
    )
    clean = sub["clean"].add_argument_group("any raw file, without settings")
    clean.add_argument("--cleaner", metavar="NAME", help="a file of src/dapt/corpus/cleaners, without .py")
    clean.add_argument("--raw", type=Path, metavar="FILE", help="the file that the cleaner reads")
    clean.add_argument("--out", type=Path, metavar="FILE", help="the cleaned rows, as JSON lines")
    clean.add_argument("--report", type=Path, metavar="FILE", help="how many rows were kept, and why others were not")
    clean.add_argument(
        "--option", action="append", default=[], metavar="NAME=VALUE", help="of the cleaner; may be repeated"
    )
    sub["finetune"].add_argument("model", help="name of a model in params.yaml")
    add_any_model(sub["evaluate"])
    sub["compare"].add_argument("--print", action="store_true", help="print the tables that compare last wrote")
    sub["compare"].add_argument("--latex", action="store_true", help="print them for a paper")
    copied = "copy the last report there, with the commit, all pictures, and tables for a paper"
    sub["report"].add_argument("--export", type=Path, metavar="DIR", help=copied)


def add_any_model(evaluate: argparse.ArgumentParser) -> None:
    group = evaluate.add_argument_group("any models on any text")
    group.add_argument(
        "--model",
        type=Path,
        metavar="DIR",
        nargs="+",
        help="folders of models; of several, differences to the first are given",
    )
    group.add_argument("--text", type=Path, metavar="FILE", help="JSON lines with a field text")
    group.add_argument("--most", type=int, metavar="N", help="the first N texts only")
    group.add_argument("--draws", type=int, metavar="N", help="of masks, default 1; for the loss per token")
    unknown = "more than 30 %% of the tokens unknown to the tokenizer: refuse (the default) or allow"
    group.add_argument("--unknown", choices=("refuse", "allow"), help=unknown)
    group.set_defaults(way="per_token")
    way = group.add_mutually_exclusive_group()
    for option, (module, text) in WAYS.items():
        way.add_argument(f"--{option}", dest="way", action="store_const", const=module, help=text)
    group.add_argument("--json", action="store_true", help="one JSON object per line, one line per model")


def add_tools(commands: Commands) -> None:
    add(commands, "agree", "whether the figures of the workspace agree with the committed ones", actions.agree)
    export = add(commands, "export-data", "rows as a data set of Hugging Face's datasets", actions.export_data)
    export.add_argument("name", metavar="NAME", help="of a corpus, a domain or a task")
    export.add_argument("folder", metavar="DIR", type=Path, help="that is made")
    export.add_argument("--kind", choices=("corpus", "domain", "task"), help="of a name that is several of these")
    audit = add(
        commands, "audit", "what a checkpoint is as a masked language model, and if its head is trained", actions.audit
    )
    audit.add_argument("--model", type=Path, metavar="DIR", required=True, help="the checkpoint's folder")
    audit.add_argument("--json", action="store_true", help="one JSON object instead of sentences")
    spread = add(
        commands, "spread", "train and judge a domain under several seeds: how far its losses scatter", actions.spread
    )
    spread.add_argument("name", metavar="domain", help="name of a domain in params.yaml")
    spread.add_argument("--seeds", type=int, default=3, help="how many, default %(default)s; each takes a training")
    spread.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    sweep = add(commands, "sweep", "train a domain under several settings, side by side in a table", actions.sweep)
    settings = "of the profile, with its values: train.lr=1e-3,2e-3; of several, every combination"
    sweep.add_argument("settings", metavar="SETTING=VALUE,VALUE", nargs="+", help=settings)
    sweep.add_argument("--domain", metavar="DOMAIN", help="that is trained; default: the one in params.yaml")
    sweep.add_argument("--jobs", type=int, default=1, metavar="N", help="trainings at once, default %(default)s")
    plots = add(commands, "plots", "the pictures of the last comparison as SVG, PDF and PNG", actions.plots)
    plots.add_argument(
        "folder", type=Path, nargs="?", default=Path("plots"), help="where they are written, default %(default)s"
    )
    plots.add_argument("--page", action="store_true", help="write the offline page that `dvc plots show` fills")
    doctor = add(
        commands, "doctor", "what a training finds on this machine, and how to mend what is wrong", actions.doctor
    )
    doctor.add_argument("--json", action="store_true", help="one JSON object instead of sentences")
    completion = add(
        commands, "completion", "print the script with which a shell completes dapt by Tab", run_completion
    )
    completion.add_argument("shell", choices=SHELLS, help="docs/install.md says the line for each shell's settings")


def add_launch(commands: Commands) -> None:
    launch = add(
        commands, "launch", "bring stages up to date, as many at once as the place has room for", actions.launch
    )
    targets = (
        "a stage (train@biomed), all of a name (evaluate), a pattern ('finetune@*-biomed'), a domain; default: all"
    )
    launch.add_argument("targets", metavar="TARGET", nargs="*", help=targets)
    launch.add_argument(
        "--at-once", type=int, default=16, metavar="N", help="stages that run or wait in the queue, default %(default)s"
    )
    launch.add_argument("--partition", help="instead of slurm/cluster.yaml's; auto: the one with the soonest start")
    instead = launch.add_mutually_exclusive_group()
    for option, text in LAUNCH.items():
        instead.add_argument(f"--{option}", dest="what", action="store_const", const=option, help=text)


def add_serving(commands: Commands) -> None:
    serve = add(commands, "serve", "the models for people, on a page, and for programs, over HTTP", actions.serve)
    serve.add_argument(
        "--host", default="127.0.0.1", help="that it listens on, default %(default)s: this machine alone"
    )
    serve.add_argument("--port", type=int, default=8000, help="default %(default)s; 0: any that is free")
    serve.add_argument("--models", type=Path, metavar="DIR", help="where they are; default: models of the repository")
    serve.add_argument("--memory", type=float, default=4.0, metavar="GB", help="of loaded models, default %(default)s")
    predict = add(commands, "predict", "the same from the shell: JSON lines in, JSON lines out", actions.predict)
    predict.add_argument("operation", choices=("fill-mask", "score", "embed", "classify", "rank"), help="what is done")
    predict.add_argument("--model", type=Path, required=True, metavar="DIR", help="the folder of the model")
    predict.add_argument(
        "--in", dest="given", type=Path, metavar="FILE", help="a text or an object a line; default: standard input"
    )
    predict.add_argument("--out", type=Path, metavar="FILE", help="default: standard output")
    predict.add_argument("--top-k", type=int, metavar="N", help="words or classes that are told")
    predict.add_argument("--pseudo", action="store_true", default=None, help="score: hide one token at a time")
    predict.add_argument("--tokens", action="store_true", default=None, help="score: the loss of each token as well")


def add_benches(commands: Commands) -> None:
    bench = add(commands, "bench", "time our way and the usual way in turns", actions.bench)
    names = bench.add_subparsers(dest="name", required=True, metavar="NAME")
    benches = {name: add(names, name, text) for name, (_, text) in BENCHES.items()}
    for name, (rounds, _) in BENCHES.items():
        turns = "turns of each, default %(default)s; the median counts"
        benches[name].add_argument("--rounds", type=int, default=rounds, help=turns)
        benches[name].add_argument("--json", action="store_true", dest="as_json", help="one JSON object per line")
    benches["clean"].add_argument("--scale", type=float, default=1.0, help="share of the real rows, default 1")
    benches["train"].add_argument("--only", metavar="MODEL", help="tiny, minilm or base; else all three")
    benches["train"].add_argument("--steps", type=int, help="steps of each run, else a number for each model")


def add_editors(commands: Commands) -> None:
    """Commands that write entries of the settings."""
    what = add(commands, "add", "write what is yours into the settings").add_subparsers(required=True, metavar="WHAT")
    domain = add(what, "domain", "text of your own, and all that trains and judges a model of it", actions.add_domain)
    domain.add_argument("name", metavar="NAME", help="of the domain, its corpus and its model")
    domain.add_argument("place", metavar="PLACE", help=f"of its text: {PLACES}")
    corpus = add(what, "corpus", "more text of a domain", actions.add_corpus)
    corpus.add_argument("name", metavar="NAME", help="of the corpus")
    corpus.add_argument("--from", dest="place", metavar="PLACE", required=True, help=PLACES)
    corpus.add_argument("--to", dest="domain", metavar="DOMAIN", required=True, help="that is trained on it")
    task = add(what, "task", "a downstream task, whose rows are those of a table", actions.add_task)
    task.add_argument("name", metavar="NAME", help="of the task and its corpus")
    task.add_argument("place", metavar="PLACE", help=f"of its rows: {PLACES}")
    kinds = "classification (--text, --label), multiple_choice (--question, --options, --answer) or ranking (--question, --answer)"
    task.add_argument("--kind", required=True, help=kinds)
    base = add(what, "base", "an encoder to start from", actions.add_base)
    base.add_argument("name", metavar="NAME", help="of the base, for model.base in a profile")
    base.add_argument("--from", dest="place", metavar="PLACE", required=True, help=PLACES)
    gone = add(commands, "remove", "take what is yours out of the settings").add_subparsers(
        required=True, metavar="WHAT"
    )
    without = [
        add(gone, "domain", "a domain, its model, and corpora that nothing else reads", actions.remove_domain),
        add(gone, "task", "a task, and corpora that nothing else reads", actions.remove_task),
    ]
    for command in without:
        command.add_argument("name", metavar="NAME", help="as it stands in params.yaml")
    for command in (domain, corpus):
        add_text(command)
    add_rows(task)
    for command in (domain, corpus, task):
        add_reading(command)
    for command in (domain, corpus, task, base):
        command.add_argument("--licence", default="not stated", help="for the reports; default: %(default)s")
    for command in (domain, corpus, task, base, *without):
        command.add_argument("--dry-run", action="store_true", help="show what would change, and write nothing")


def add_text(command: argparse.ArgumentParser) -> None:
    """Which text is read."""
    command.add_argument("--column", help="of a table, that holds the text; else text")
    command.add_argument("--split", metavar="SIDE", help="of a data set on the hub; default: all")


def add_rows(command: argparse.ArgumentParser) -> None:
    """Which columns a task reads."""
    columns = {
        "text": "the text to be classified",
        "label": "its class",
        "question": "a question",
        "options": "its options: several columns, with commas between them, or one that holds lists",
        "answer": "the answer to rank, or the right option: its text, a letter, or its number",
        "split": "whose rows say train, valid or test; default: the sides are drawn",
    }
    for name, what in columns.items():
        command.add_argument(f"--{name}", metavar="COLUMN", help=f"that holds {what}" if name != "split" else what)


def add_reading(command: argparse.ArgumentParser) -> None:
    """How files are read, for which profiles."""
    command.add_argument("--group", metavar="COLUMN", help="of a table, that says which rows belong together")
    others = "of how the text is read, as in a profile: whole=true, documents=blank-line, least=1; may be repeated"
    command.add_argument("--option", action="append", default=[], metavar="NAME=VALUE", help=others)
    command.add_argument("--config", help="of a data set on the hub that has several")
    profiles = "that gets the corpus; may be repeated; default: all"
    command.add_argument("--profile", action="append", default=[], help=profiles)


def run_completion(args: argparse.Namespace) -> None:
    import shtab

    top = parser()
    for action in every_action(top):
        if action.type is Path:
            action.complete = shtab.FILE  # type: ignore[attr-defined]
    print(shtab.complete(top, args.shell))


def every_action(top: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """The arguments of a parser and of all commands below it."""
    for action in top._actions:
        yield action
        if isinstance(action, Commands):
            for command in action.choices.values():
                yield from every_action(command)


def run_workspace_code() -> None:
    """Start again with the code of the workspace, where this process runs that of another one."""
    root = repository(Path.cwd())
    own = Path(__file__).resolve().parents[1]
    if root is None or not (root / "src/dapt/cli.py").is_file() or (root / "src").resolve() == own:
        return
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(filter(None, [str(root / "src"), os.environ.get("PYTHONPATH")]))
    }
    sys.stdout.flush()
    os.execve(sys.executable, [sys.executable, "-m", "dapt", *sys.argv[1:]], environment)


def main() -> int:
    if sys.platform == "win32":
        print("dapt: needs Linux, macOS or, on Windows, WSL (docs/install.md)", file=sys.stderr)
        return 2
    run_workspace_code()
    args = parser().parse_args()
    try:
        return guarded(f"dapt {args.command}", lambda: args.run(args))
    except KeyboardInterrupt:
        what = "interrupted" + "; nothing is half-written: run the same command again" * (args.command in STAGES)
        print(f"dapt {args.command}: {what}", file=sys.stderr, flush=True)
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        signal.raise_signal(signal.SIGINT)  # a shell's loop goes on behind a code, and ends behind a signal
        return 130  # the signal has ended the process


if __name__ == "__main__":
    raise SystemExit(main())
