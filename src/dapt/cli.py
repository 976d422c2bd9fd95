"""The command `dapt`: one subcommand per stage of dvc.yaml, and tools to use directly.

It works on the repository of the current folder (the nearest parent folder with a dvc.yaml) and runs the code of that
repository, even in a temporary experiment or a clone that shares this environment.
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
from dapt.exporting import FORMATS
from dapt.telling.errors import guarded

BENCHES = {  # name → rounds, what is timed
    "clean": (3, "seconds to clean synthetic corpora of the real sizes: dapt against a script with datasets"),
    "train": (1, "tokens per second of a training step: dapt against transformers' Trainer"),
    "nodes": (3, "seconds per training step on one node and on several, with an estimate for GPUs"),
    "serve": (3, "answers per second: dapt serve against transformers' pipeline in the same web framework"),
}

WAYS = {  # option of `dapt evaluate` → module of dapt.judging, what it measures; default: the loss per token
    "words": ("per_word", "the loss per word, to compare models with different tokenizers"),
    "pseudo": (
        "pseudo_perplexity",
        "pseudo-perplexity, masking one token at a time: one to two forward passes per token, about ten times the usual cost",
    ),
}
PLACES = "a file or folder in data/local, or hub:OWNER/NAME[@REVISION]"
LAUNCH = {  # option → what it does instead of starting and following the jobs
    "plan": "show when a job would start in each allowed partition and on each GPU, and what the remaining stages need",
    "smoke": "run ten training steps through the queue, in a temporary folder",
    "stop": "ask running stages to save and exit",
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
dapt ablate
dapt ablate truncate concatenate --json
dapt sweep train.lr=5e-4,1e-3,2e-3 --domain biomed
dapt agree
dapt export models/finance finance-hub --format hub
dapt export models/finance finance-hub --format hub --push OWNER/finance
dapt export models/finance finance-embeddings --format sentence-transformers --tune tsdae --steps 300
dapt export models/finance finance-onnx --format onnx --int8
dapt export-data biomed_topic topics
dapt export-data general text --kind domain
dapt plots pictures
dapt doctor
dapt doctor --remote --repair
dapt completion bash
dapt serve
dapt serve --host 0.0.0.0 --port 8080 --memory 8
dapt predict fill-mask --model models/biomed --in sentences.jsonl --out words.jsonl --top-k 3
dapt predict score --model models/finance --in texts.jsonl --tokens
dapt launch
dapt launch biomed --partition auto
dapt launch 'finetune@*-biomed' --at-once 4
dapt launch --plan
dapt launch --smoke biomed
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
""".splitlines()  # shown by the --help of the respective command
OPERATIONS = "fill-mask: predict masked words; score: loss of a text; embed: vector of a text; classify and rank: with fine-tuned models"
SHELLS = ("bash", "zsh", "fish")

Commands = argparse._SubParsersAction  # the type that add_subparsers returns has no public name


class Version(argparse.Action):
    """Looks the version up only on request, since that takes a tenth of a second."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from importlib.metadata import version

        print(f"dapt {version('dapt')}")
        parser.exit()


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(
        prog="dapt",
        description="Continue the pre-training of an encoder on your own text, and measure what it gains. `dvc repro` runs all "
        "stages; here is one command per stage, and tools to use directly.",
        epilog="`dapt COMMAND --help` shows the options of a command, with examples.",
    )
    top.add_argument("--version", action=Version, nargs=0, default=argparse.SUPPRESS, help="print the version")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    add_stages(commands)
    add_tools(commands)
    add_launch(commands)
    add_serving(commands)
    add_benches(commands)
    add_editors(commands)
    return top


def add(commands: Commands, name: str, text: str, run: Callable | None = None) -> argparse.ArgumentParser:
    """Add a command whose --help ends with its examples."""
    as_written = argparse.RawDescriptionHelpFormatter
    found = commands.add_parser(name, help=text, description=text, formatter_class=as_written)
    examples = [line for line in EXAMPLES if f"{line} ".startswith(f"{found.prog} ")]
    found.epilog = "\n  ".join(["examples:", *examples])
    if run:
        found.set_defaults(run=run)
    return found


def add_stages(commands: Commands) -> None:
    """A command per stage; some have options that make them do something else."""
    special = {
        "fetch": actions.fetch, "clean": actions.clean, "train": actions.train, "finetune": actions.finetune, "evaluate": actions.evaluate,
        "compare": actions.compare, "report": actions.report,
    }  # fmt: skip
    otherwise = {  # what may be given instead of a name
        "fetch": ", or `model`; optional with --pin",
        "clean": "; omit with --cleaner",
        "evaluate": "; omit with --model",
    }
    sub = {}
    for name, (kind, text) in STAGES.items():
        sub[name] = add(commands, name, text, special.get(name, actions.stage))
        if kind:
            optional = "?" if name in otherwise else None
            text = f"name of a {kind} in params.yaml" + otherwise.get(name, "")
            sub[name].add_argument("name", metavar=kind.upper(), nargs=optional, help=text)
    sub["fetch"].add_argument(
        "--pin",
        action="store_true",
        help="write the current commit and sha256 of the corpus, or of all sources, into the settings",
    )
    clean = sub["clean"].add_argument_group("clean any raw file, without settings")
    clean.add_argument("--cleaner", metavar="NAME", help="name of a file in src/dapt/corpus/cleaners, without .py")
    clean.add_argument("--raw", type=Path, metavar="FILE", help="the raw file to clean")
    clean.add_argument("--out", type=Path, metavar="FILE", help="where to write the cleaned rows, as JSON lines")
    clean.add_argument(
        "--report",
        type=Path,
        metavar="FILE",
        help="where to write how many rows were kept, and why others were dropped",
    )
    clean.add_argument(
        "--option", action="append", default=[], metavar="NAME=VALUE", help="an option of the cleaner; may be repeated"
    )
    sub["finetune"].add_argument("model", metavar="MODEL", help="name of a model in params.yaml")
    add_any_model(sub["evaluate"])
    sub["compare"].add_argument("--print", action="store_true", help="print the tables of the last comparison")
    sub["compare"].add_argument("--latex", action="store_true", help="print them as LaTeX, for a paper")
    copied = "copy the last report to this folder, with the commit, all figures, and LaTeX tables"
    sub["report"].add_argument("--export", type=Path, metavar="DIR", help=copied)


def add_any_model(evaluate: argparse.ArgumentParser) -> None:
    group = evaluate.add_argument_group("evaluate any models on any text")
    group.add_argument(
        "--model",
        type=Path,
        metavar="DIR",
        nargs="+",
        help="model folders; with several, differences from the first are shown",
    )
    group.add_argument(
        "--text", type=Path, metavar="FILE", help="JSON lines or a table with a column `text`, or plain text"
    )
    group.add_argument("--most", type=int, metavar="N", help="use only the first N texts")
    group.add_argument(
        "--draws", type=int, metavar="N", help="number of random maskings, default 1; only for the loss per token"
    )
    unknown = "if more than 30 %% of the tokens are unknown to the tokenizer: refuse (the default) or allow"
    group.add_argument("--unknown", choices=("refuse", "allow"), help=unknown)
    group.set_defaults(way="per_token")
    way = group.add_mutually_exclusive_group()
    for option, (module, text) in WAYS.items():
        way.add_argument(f"--{option}", dest="way", action="store_const", const=module, help=text)
    group.add_argument("--json", action="store_true", help="print JSON, one line per model")


def add_tools(commands: Commands) -> None:
    add(commands, "agree", "compare the metrics of the workspace with the committed ones", actions.agree)
    add_export(commands)
    data = add(commands, "export-data", "export rows as a data set for Hugging Face datasets", actions.export_data)
    data.add_argument("name", metavar="NAME", help="name of a corpus, a domain or a task")
    data.add_argument("folder", metavar="DIR", type=Path, help="the folder to create")
    data.add_argument(
        "--kind", choices=("corpus", "domain", "task"), help="which of these is meant, if the name is ambiguous"
    )
    audit = add(
        commands,
        "audit",
        "describe a checkpoint as a masked language model, and check that its head is trained",
        actions.audit,
    )
    audit.add_argument("--model", type=Path, metavar="DIR", required=True, help="the checkpoint's folder")
    audit.add_argument("--json", action="store_true", help="print one JSON object instead of sentences")
    ablate = add(
        commands, "ablate", "train with each mistake of the original project, and measure what it costs", actions.ablate
    )
    ablate.add_argument("names", nargs="*", metavar="MISTAKE", help="head, truncate, concatenate or leak; default: all")
    ablate.add_argument("--json", action="store_true", help="print one JSON object per line instead of a table")
    spread = add(
        commands,
        "spread",
        "train and evaluate a domain with several seeds, to see how much its losses vary",
        actions.spread,
    )
    spread.add_argument("name", metavar="DOMAIN", help="name of a domain in params.yaml")
    spread.add_argument(
        "--seeds", type=int, default=3, help="number of seeds, default %(default)s; each needs a full training"
    )
    spread.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    sweep = add(commands, "sweep", "train a domain with several settings, and compare them in a table", actions.sweep)
    settings = "a setting of the profile and its values, as train.lr=1e-3,2e-3; several settings are combined"
    sweep.add_argument("settings", metavar="SETTING=VALUE,VALUE", nargs="+", help=settings)
    sweep.add_argument("--domain", metavar="DOMAIN", help="the domain to train; default: the one in params.yaml")
    sweep.add_argument(
        "--jobs", type=int, default=1, metavar="N", help="number of trainings at the same time, default %(default)s"
    )
    plots = add(commands, "plots", "write the figures of the last comparison as SVG, PDF and PNG", actions.plots)
    plots.add_argument(
        "folder", type=Path, nargs="?", default=Path("plots"), help="where to write them, default %(default)s"
    )
    plots.add_argument("--page", action="store_true", help="write the offline page template of `dvc plots show`")
    doctor = add(
        commands,
        "doctor",
        "check what a training needs on this machine, and say how to fix what is missing",
        actions.doctor,
    )
    remote = "check a DVC remote instead, by default the default remote: read and hash what it holds of dvc.lock"
    doctor.add_argument("--remote", metavar="NAME", nargs="?", const="", help=remote)
    mended = "upload missing and damaged objects again, from a cache that has them intact"
    doctor.add_argument("--repair", action="store_true", help=f"with --remote: {mended}")
    doctor.add_argument("--json", action="store_true", help="print one JSON object instead of sentences")
    completion = add(commands, "completion", "print the script for Tab completion in a shell", run_completion)
    completion.add_argument("shell", choices=SHELLS, help="docs/install.md shows how to set it up for each shell")


def add_export(commands: Commands) -> None:
    """The default of every option of one format is None, so that one given with another format is noticed."""
    export = add(commands, "export", "write a model so that other programs load it, and share it", actions.export)
    export.add_argument("model", metavar="MODEL", type=Path, help="the model's folder, for example models/finance")
    export.add_argument("folder", metavar="DIR", type=Path, help="the folder to create")
    formats = "hub: for transformers, with a model card; sentence-transformers: for embeddings; onnx: for onnxruntime"
    export.add_argument("--format", required=True, choices=tuple(FORMATS), help=formats)
    export.add_argument("--json", action="store_true", help="print one JSON object instead of sentences")
    hub = export.add_argument_group("--format hub")
    hub.add_argument("--push", metavar="OWNER/NAME", help="upload to this repository of the hub; a new one is private")
    anyway = "upload even if the licences of the model's sources forbid it or leave it open"
    hub.add_argument("--publish-anyway", dest="allow", action="store_true", default=None, help=anyway)
    embeddings = export.add_argument_group("--format sentence-transformers")
    pooling = "how the vectors of the tokens become that of a text; default: as the model was tuned, otherwise mean"
    embeddings.add_argument("--pooling", choices=("mean", "cls"), help=pooling)
    embeddings.add_argument("--tune", choices=("tsdae", "simcse"), help="tune for embeddings first, without labels")
    embeddings.add_argument("--steps", type=int, metavar="N", help="of the tuning, default 300")
    embeddings.add_argument("--text", type=Path, metavar="FILE", help="for the tuning; default: the domain's own text")
    embeddings.add_argument("--seed", type=int, metavar="N", help="of the tuning, default 0")
    onnx = export.add_argument_group("--format onnx")
    onnx.add_argument("--int8", action="store_true", default=None, help="also write a network with weights of 8 bits")


def add_launch(commands: Commands) -> None:
    launch = add(
        commands,
        "launch",
        "bring stages up to date, as many in parallel as the machine or cluster allows",
        actions.launch,
    )
    targets = "a stage (train@biomed), all stages of a name (evaluate), a pattern ('finetune@*-biomed'), a domain; default: all"
    launch.add_argument("targets", metavar="TARGET", nargs="*", help=targets)
    launch.add_argument(
        "--at-once",
        type=int,
        default=16,
        metavar="N",
        help="stages that run or queue at the same time, default %(default)s",
    )
    launch.add_argument(
        "--partition", help="a partition instead of those in slurm/cluster.yaml; auto: the one with the earliest start"
    )
    instead = launch.add_mutually_exclusive_group()
    for option, text in LAUNCH.items():
        instead.add_argument(f"--{option}", dest="what", action="store_const", const=option, help=text)


def add_serving(commands: Commands) -> None:
    serve = add(commands, "serve", "serve the models over HTTP, with a web page and a JSON API", actions.serve)
    serve.add_argument(
        "--host", default="127.0.0.1", help="address to listen on, default %(default)s: this machine only"
    )
    serve.add_argument(
        "--port", type=int, default=8000, help="port to listen on, default %(default)s; 0: any free port"
    )
    serve.add_argument(
        "--models", type=Path, metavar="DIR", help="folder with the models; default: models of the repository"
    )
    serve.add_argument(
        "--memory", type=float, default=4.0, metavar="GB", help="memory for loaded models, default %(default)s"
    )
    predict = add(commands, "predict", "use a model from the shell: JSON lines in, JSON lines out", actions.predict)
    predict.add_argument("operation", choices=("fill-mask", "score", "embed", "classify", "rank"), help=OPERATIONS)
    predict.add_argument("--model", type=Path, required=True, metavar="DIR", help="the model's folder")
    predict.add_argument(
        "--in",
        dest="given",
        type=Path,
        metavar="FILE",
        help="one JSON string or object per line; default: standard input",
    )
    predict.add_argument("--out", type=Path, metavar="FILE", help="default: standard output")
    predict.add_argument("--top-k", type=int, metavar="N", help="number of words or classes to return")
    predict.add_argument("--pseudo", action="store_true", default=None, help="score: mask one token at a time")
    predict.add_argument(
        "--tokens", action="store_true", default=None, help="score: also return the loss of each token"
    )


def add_benches(commands: Commands) -> None:
    bench = add(commands, "bench", "compare the speed of dapt with that of common alternatives", actions.bench)
    names = bench.add_subparsers(dest="name", required=True, metavar="NAME")
    benches = {name: add(names, name, text) for name, (_, text) in BENCHES.items()}
    for name, (rounds, _) in BENCHES.items():
        turns = "runs of each, default %(default)s; the median is reported"
        benches[name].add_argument("--rounds", type=int, default=rounds, help=turns)
        benches[name].add_argument("--json", action="store_true", dest="as_json", help="print one JSON object per line")
    benches["clean"].add_argument(
        "--scale", type=float, default=1.0, help="share of the real number of rows, default 1"
    )
    benches["train"].add_argument("--only", metavar="MODEL", help="tiny, minilm or base; default: all three")
    benches["train"].add_argument("--steps", type=int, help="steps per run; default: depends on the model")


def add_editors(commands: Commands) -> None:
    """Commands that add entries to the settings or remove them."""
    what = add(commands, "add", "add your own text, task or base to the settings").add_subparsers(
        required=True, metavar="WHAT"
    )
    domain = add(
        what,
        "domain",
        "add a domain of your own text, with the stages that train and evaluate its model",
        actions.add_domain,
    )
    domain.add_argument("name", metavar="NAME", help="name of the domain, its corpus and its model")
    domain.add_argument("place", metavar="PLACE", help=f"its text: {PLACES}")
    corpus = add(what, "corpus", "add more text to a domain", actions.add_corpus)
    corpus.add_argument("name", metavar="NAME", help="name of the corpus")
    corpus.add_argument("--from", dest="place", metavar="PLACE", required=True, help=PLACES)
    corpus.add_argument("--to", dest="domain", metavar="DOMAIN", required=True, help="the domain to train on it")
    task = add(what, "task", "add a downstream task from a table", actions.add_task)
    task.add_argument("name", metavar="NAME", help="name of the task and its corpus")
    task.add_argument("place", metavar="PLACE", help=f"its rows: {PLACES}")
    kinds = "classification (--text, --label), multiple_choice (--question, --options, --answer) or ranking (--question, --answer)"
    task.add_argument("--kind", required=True, help=kinds)
    base = add(what, "base", "add an encoder to start from", actions.add_base)
    base.add_argument("name", metavar="NAME", help="name of the base, for model.base in a profile")
    base.add_argument("--from", dest="place", metavar="PLACE", required=True, help=PLACES)
    gone = add(commands, "remove", "remove a domain or task from the settings").add_subparsers(
        required=True, metavar="WHAT"
    )
    without = [
        add(gone, "domain", "remove a domain, its model, and corpora that nothing else uses", actions.remove_domain),
        add(gone, "task", "remove a task, and corpora that nothing else uses", actions.remove_task),
    ]
    for command in without:
        command.add_argument("name", metavar="NAME", help="its name in params.yaml")
    for command in (domain, corpus):
        add_text(command)
    add_rows(task)
    for command in (domain, corpus, task):
        add_reading(command)
    for command in (domain, corpus, task, base):
        command.add_argument(
            "--licence", default="not stated", help="licence of the source, for the reports; default: %(default)s"
        )
    for command in (domain, corpus, task, base, *without):
        command.add_argument("--dry-run", action="store_true", help="show what would change, and write nothing")


def add_text(command: argparse.ArgumentParser) -> None:
    """Options for where the text is."""
    command.add_argument("--column", help="the column of a table with the text; default: text")
    command.add_argument("--split", metavar="SIDE", help="the split of a data set on the hub; default: all")


def add_rows(command: argparse.ArgumentParser) -> None:
    """Options for the columns of a task."""
    columns = {
        "text": "the text to be classified",
        "label": "its class",
        "question": "the question",
        "options": "its options, as lists; or several columns, separated by commas",
        "answer": "the answer to rank, or the right option: its text, letter or number",
        "split": "the column with train, valid or test; default: by the names of the files, else at random",
    }
    for name, what in columns.items():
        command.add_argument(f"--{name}", metavar="COLUMN", help=f"the column with {what}" if name != "split" else what)


def add_reading(command: argparse.ArgumentParser) -> None:
    """Options for how files are read, and for which profiles."""
    command.add_argument("--group", metavar="COLUMN", help="the column of a table that says which rows belong together")
    others = "how to read the text, as in a profile: whole=true, documents=blank-line, least=1; may be repeated"
    command.add_argument("--option", action="append", default=[], metavar="NAME=VALUE", help=others)
    command.add_argument("--config", help="the configuration of a data set on the hub, if it has several")
    profiles = "the profile to add the corpus to; may be repeated; default: all"
    command.add_argument("--profile", action="append", default=[], help=profiles)


def run_completion(args: argparse.Namespace) -> None:
    import shtab

    top = parser()
    for action in every_action(top):
        if action.type is Path:
            action.complete = shtab.FILE  # type: ignore[attr-defined]
    print(shtab.complete(top, args.shell))


def every_action(top: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """The arguments of a parser and of all its subcommands."""
    for action in top._actions:
        yield action
        if isinstance(action, Commands):
            for command in action.choices.values():
                yield from every_action(command)


def run_workspace_code() -> None:
    """Restart with the code of the workspace, if this process runs the code of another one."""
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
        print("dapt: Windows is supported only through WSL; see docs/install.md", file=sys.stderr)
        return 2
    run_workspace_code()
    args = parser().parse_args()
    try:
        return guarded(f"dapt {args.command}", lambda: args.run(args))
    except KeyboardInterrupt:
        what = "interrupted" + "; no file is incomplete: run the same command again" * (args.command in STAGES)
        print(f"dapt {args.command}: {what}", file=sys.stderr, flush=True)
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        signal.raise_signal(signal.SIGINT)  # a shell's loop continues after an exit code, and stops after a signal
        return 130  # the signal has ended the process


if __name__ == "__main__":
    raise SystemExit(main())
