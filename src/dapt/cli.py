"""The command `dapt`: one subcommand per stage of dvc.yaml, and those that people call on files of their own.

It works on the repository of the current folder (the nearest dvc.yaml upwards) and runs the code of that repository,
also in a temporary experiment or a clone that shares this environment.
"""

import argparse
import gc
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from types import ModuleType

from dapt.core.paths import MODELS, events_if_launched, repository
from dapt.telling.errors import UserError, guarded

STAGES = {  # name → the kind of name that it is given, what it does
    "check": (None, "refuse wrong settings"),
    "fetch": ("corpus", "raw files of a corpus, or of the model"),
    "clean": ("corpus", "clean a corpus; with --cleaner any raw file"),
    "validate": (None, "look at every cleaned row; the data card's figures"),
    "split": (None, "train, valid and held-out sets, without leaks"),
    "tokenize": ("domain", "token ids of a domain's train and valid sets"),
    "base": (None, "audit the base and repair its masked-LM head"),
    "train": ("domain", "adapt the base to a domain"),
    "evaluate": ("model", "held-out loss of a model; with --model any model and text"),
    "finetune": ("task", "fine-tune a model on a task, once per seed"),
    "baseline": ("task", "what a task gives without a neural network"),
    "compare": (None, "all models on all sets, and which is best"),
    "report": (None, "the page, its Markdown twin and the pictures"),
    "summary": (None, "the figures of the chosen domain"),
}
BENCHES = {  # name → turns of each way, what it times
    "clean": (3, "seconds to clean the stand-in of all corpora, ours and the usual way with datasets"),
    "train": (1, "tokens per second of a training step, ours and transformers' Trainer's"),
    "nodes": (3, "seconds of a training step on one node or several, and what that says of GPUs"),
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
dapt launch
dapt launch biomed --partition auto
dapt launch 'finetune@*-biomed' --at-once 4
dapt launch --plan
dapt bench clean --scale 0.1
dapt bench train --only tiny
dapt bench nodes --rounds 1
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
        "fetch": run_fetch, "clean": run_clean, "train": run_train, "finetune": run_finetune, "evaluate": run_evaluate,
        "compare": run_compare, "report": run_report,
    }  # fmt: skip
    otherwise = {  # what stands in place of a name
        "fetch": ", or `model`; not needed with --pin",
        "clean": "; not given with --cleaner",
        "evaluate": "; not given with --model",
    }
    sub = {}
    for name, (kind, text) in STAGES.items():
        sub[name] = add(commands, name, text, special.get(name, run_stage))
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
    add(commands, "agree", "whether the figures of the workspace agree with the committed ones", run_agree)
    export = add(commands, "export-data", "rows as a data set of Hugging Face's datasets", run_export_data)
    export.add_argument("name", metavar="NAME", help="of a corpus, a domain or a task")
    export.add_argument("folder", metavar="DIR", type=Path, help="that is made")
    export.add_argument("--kind", choices=("corpus", "domain", "task"), help="of a name that is several of these")
    audit = add(
        commands, "audit", "what a checkpoint is as a masked language model, and if its head is trained", run_audit
    )
    audit.add_argument("--model", type=Path, metavar="DIR", required=True, help="the checkpoint's folder")
    audit.add_argument("--json", action="store_true", help="one JSON object instead of sentences")
    spread = add(
        commands, "spread", "train and judge a domain under several seeds: how far its losses scatter", run_spread
    )
    spread.add_argument("name", metavar="domain", help="name of a domain in params.yaml")
    spread.add_argument("--seeds", type=int, default=3, help="how many, default %(default)s; each takes a training")
    spread.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    sweep = add(commands, "sweep", "train a domain under several settings, side by side in a table", run_sweep)
    settings = "of the profile, with its values: train.lr=1e-3,2e-3; of several, every combination"
    sweep.add_argument("settings", metavar="SETTING=VALUE,VALUE", nargs="+", help=settings)
    sweep.add_argument("--domain", metavar="DOMAIN", help="that is trained; default: the one in params.yaml")
    sweep.add_argument("--jobs", type=int, default=1, metavar="N", help="trainings at once, default %(default)s")
    plots = add(commands, "plots", "the pictures of the last comparison as SVG, PDF and PNG", run_plots)
    plots.add_argument(
        "folder", type=Path, nargs="?", default=Path("plots"), help="where they are written, default %(default)s"
    )
    plots.add_argument("--page", action="store_true", help="write the offline page that `dvc plots show` fills")
    doctor = add(commands, "doctor", "what a training finds on this machine, and how to mend what is wrong", run_doctor)
    doctor.add_argument("--json", action="store_true", help="one JSON object instead of sentences")
    completion = add(
        commands, "completion", "print the script with which a shell completes dapt by Tab", run_completion
    )
    completion.add_argument("shell", choices=SHELLS, help="docs/install.md says the line for each shell's settings")


def add_launch(commands: Commands) -> None:
    launch = add(commands, "launch", "bring stages up to date, as many at once as the place has room for", run_launch)
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


def add_benches(commands: Commands) -> None:
    bench = add(commands, "bench", "time our way and the usual way in turns", run_bench)
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
    domain = add(what, "domain", "text of your own, and all that trains and judges a model of it", run_add_domain)
    domain.add_argument("name", metavar="NAME", help="of the domain, its corpus and its model")
    domain.add_argument("place", metavar="PLACE", help=f"of its text: {PLACES}")
    corpus = add(what, "corpus", "more text of a domain", run_add_corpus)
    corpus.add_argument("name", metavar="NAME", help="of the corpus")
    corpus.add_argument("--from", dest="place", metavar="PLACE", required=True, help=PLACES)
    corpus.add_argument("--to", dest="domain", metavar="DOMAIN", required=True, help="that is trained on it")
    task = add(what, "task", "a downstream task, whose rows are those of a table", run_add_task)
    task.add_argument("name", metavar="NAME", help="of the task and its corpus")
    task.add_argument("place", metavar="PLACE", help=f"of its rows: {PLACES}")
    kinds = "classification (--text, --label), multiple_choice (--question, --options, --answer) or ranking (--question, --answer)"
    task.add_argument("--kind", required=True, help=kinds)
    base = add(what, "base", "an encoder to start from", run_add_base)
    base.add_argument("name", metavar="NAME", help="of the base, for model.base in a profile")
    base.add_argument("--from", dest="place", metavar="PLACE", required=True, help=PLACES)
    gone = add(commands, "remove", "take what is yours out of the settings").add_subparsers(
        required=True, metavar="WHAT"
    )
    without = [
        add(gone, "domain", "a domain, its model, and corpora that nothing else reads", run_remove_domain),
        add(gone, "task", "a task, and corpora that nothing else reads", run_remove_task),
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


def loaded(module: str) -> ModuleType:
    """A module of dapt. What it imports lives as long as the process: the garbage collector needn't walk that, neither
    while it comes nor at the end, which with torch and transformers takes 1.7 of 4 seconds."""
    gc.disable()
    try:
        return import_module(f"dapt.{module}")
    finally:
        gc.freeze()
        gc.enable()


def to_repository() -> None:
    """Make the repository of the current folder the current folder."""
    root = repository(Path.cwd())
    if root is None:
        raise UserError(f"no dvc.yaml in {Path.cwd()} or above; go to the repository")
    os.chdir(root)


def run_stage(args: argparse.Namespace) -> None:
    """dapt.stages.COMMAND.run, with the name that it is given, here or on another node."""
    to_repository()
    kind, given = STAGES[args.command][0], []
    if kind:
        if args.name is None:
            raise UserError(f"needs the name of a {kind}")
        given = [known(kind, args.name, and_model=args.command == "fetch")]
    if kind == "model":
        has_model(MODELS / args.name)
    if not loaded("launch.dispatch").through_slurm(args.command, *given):
        with told(args.command, *given):
            stage(args.command).run(*given)


def stage(command: str) -> ModuleType:
    return loaded(f"stages.{command}")


@contextmanager
def told(command: str, name: str = "") -> Iterator[None]:
    """What a stage does is told in events where a launcher started it."""
    events = events_if_launched(command, name)
    with events.failures():
        events.tell("started")
        yield
        events.tell("done")


def run_fetch(args: argparse.Namespace) -> None:
    if not args.pin:
        return run_stage(args)
    to_repository()
    return loaded("tools.pin").run(args.name and known("corpus", args.name, and_model=True))


def run_clean(args: argparse.Namespace) -> None:
    given = (args.cleaner, args.raw, args.out, args.report)
    if not any(given):
        return run_stage(args)
    if args.name or not all(given):
        raise UserError("--cleaner goes with --raw, --out and --report, and without a corpus")
    known_cleaners = loaded("corpus.cleaners").names()
    if args.cleaner not in known_cleaners:
        raise UserError(f"there is no cleaner {args.cleaner!r}; there are: {', '.join(known_cleaners)}")
    options = dict(option(text) for text in args.option)
    return stage("clean").run_file(args.cleaner, args.raw, args.out, args.report, options)


def option(text: str) -> tuple[str, object]:
    """NAME=VALUE, the value typed as in params.yaml.

    >>> option("least=1"), option("column=body")
    (('least', 1), ('column', 'body'))
    """
    from ruamel.yaml import YAML

    name, given, value = text.partition("=")
    if not given:
        raise UserError(f"--option {text}: must be NAME=VALUE")
    return name, YAML(typ="safe", pure=True).load(value)


def run_train(args: argparse.Namespace) -> None:
    to_repository()
    domain = known("domain", args.name)
    has_model(MODELS / "base")
    loaded("launch.dispatch").train(domain)


def run_finetune(args: argparse.Namespace) -> None:
    to_repository()
    task, model = known("task", args.name), known("model", args.model)
    has_model(MODELS / model)
    if not loaded("launch.dispatch").through_slurm("finetune", task, model):
        with told("finetune", f"{task}-{model}"):
            stage("finetune").run(task, model)


def run_launch(args: argparse.Namespace) -> None:
    to_repository()
    if args.what == "plan":
        return loaded("launch.plan").run(args.targets, args.partition)
    if args.what == "smoke":
        domains = [known("domain", name.removeprefix("train@")) for name in args.targets]
        return loaded("launch.smoke").run(domains, args.partition)
    follow = loaded("launch.follow")
    return follow.stop(args.targets) if args.what == "stop" else follow.run(args.targets, args.partition, args.at_once)


def run_doctor(args: argparse.Namespace) -> None:
    to_repository()
    loaded("tools.doctor").run(args.json)


def run_evaluate(args: argparse.Namespace) -> None:
    given = (args.model, args.text, args.json, args.unknown, args.way != "per_token")
    if not any((*given, args.most is not None, args.draws is not None)):
        return run_stage(args)
    if args.name or not (args.model and args.text):
        raise UserError(
            "--model goes with --text, and without a model's name; --most, --draws, --words, --pseudo, "
            "--unknown and --json go with both"
        )
    if args.draws is not None and args.way != "per_token":
        raise UserError("--draws is for the loss per token: --words masks each text once, and --pseudo every token")
    for folder in args.model:
        has_model(folder)
    options = {name: value for name in ("draws", "unknown") if (value := getattr(args, name)) is not None}
    return loaded(f"judging.{args.way}").run(args.model, args.text, args.most, args.json, **options)


def run_compare(args: argparse.Namespace) -> None:
    if not (args.print or args.latex):
        return run_stage(args)
    to_repository()
    return loaded("tools.comparison").run(args.latex)


def run_report(args: argparse.Namespace) -> None:
    if not args.export:
        return run_stage(args)
    folder = args.export.resolve()
    to_repository()
    return loaded("tools.export").run(folder)


def place_of(given: str) -> str:
    """One on the hub as it is; a path, made absolute before the repository becomes the current folder. Links stay: what they
    lead to may lie elsewhere."""
    return given if given.startswith("hub:") else os.path.abspath(given)


def text_of(args: argparse.Namespace, side: str | None, **columns: str | None) -> object:
    """The text that is added, of a data set's `side`; `columns` hold what the options of this name say."""
    place = place_of(args.place)
    to_repository()
    given = columns | {"group": args.group} | dict(option(text) for text in args.option)
    options = {name: value for name, value in given.items() if value is not None}
    return loaded("tools.add").Text(place, options, args.licence, args.config, side)


def run_add_domain(args: argparse.Namespace) -> None:
    text = text_of(args, args.split, column=args.column)
    loaded("tools.add").domain(args.name, text, args.profile, args.dry_run)


def run_add_corpus(args: argparse.Namespace) -> None:
    text = text_of(args, args.split, column=args.column)
    loaded("tools.add").corpus(args.name, known("domain", args.domain), text, args.profile, args.dry_run)


def run_add_task(args: argparse.Namespace) -> None:
    names = ("label", "question", "options", "answer", "split")
    args.option = ["least=1", *args.option]  # a row of a task is not left out for being short
    rows = text_of(args, None, column=args.text, **{name: getattr(args, name) for name in names})
    loaded("tools.add").task(args.name, args.kind, rows, args.profile, args.dry_run)


def run_add_base(args: argparse.Namespace) -> None:
    place = place_of(args.place)
    to_repository()
    loaded("tools.add").base(args.name, place, args.licence, args.dry_run)


def run_remove_domain(args: argparse.Namespace) -> None:
    to_repository()
    loaded("tools.add").remove_domain(args.name, args.dry_run)


def run_remove_task(args: argparse.Namespace) -> None:
    to_repository()
    loaded("tools.add").remove_task(args.name, args.dry_run)


def run_spread(args: argparse.Namespace) -> None:
    to_repository()
    loaded("tools.spread").run(known("domain", args.name), args.seeds, args.json)


def run_sweep(args: argparse.Namespace) -> None:
    to_repository()
    from dapt.core import config

    domain = known("domain", args.domain or config.load().domain)
    loaded("tools.sweep").run(domain, args.settings, args.jobs)


def run_agree(args: argparse.Namespace) -> None:
    to_repository()
    loaded("tools.agree").run()


def run_export_data(args: argparse.Namespace) -> None:
    folder = args.folder.absolute()
    to_repository()
    loaded("tools.export_data").run(args.name, args.kind, folder)


def run_audit(args: argparse.Namespace) -> None:
    has_model(args.model)
    loaded("tools.audit").run(args.model, args.json)


def run_plots(args: argparse.Namespace) -> None:
    folder = args.folder.resolve()
    to_repository()
    module = loaded("tools.plots")
    module.write_page() if args.page else module.run(folder)


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


def run_bench(args: argparse.Namespace) -> None:
    to_repository()
    options = {option: value for option, value in vars(args).items() if option not in ("command", "name", "run")}
    loaded(f"bench.{args.name}").run(**options)


def has_model(folder: Path) -> None:
    """Refuse a folder that was mistyped, or that was never made."""
    if not (folder / "config.json").is_file():
        raise UserError(
            f"{folder} holds no model: it has no config.json; `dvc repro` and `dvc pull` put some into models/"
        )


def known(kind: str, name: str, and_model: bool = False) -> str:
    """The name, if params.yaml has it among the corpora, domains, models or tasks; `and_model`: a corpus, or "model"."""
    from dapt.core import config

    params = config.load()
    names = {
        "corpus": [*params.corpora, *["model"] * and_model],
        "domain": list(params.domains),
        "model": params.models,
        "task": list(params.tasks),
    }[kind]
    if name not in names:
        raise UserError(f"params.yaml knows no {kind} {name!r}; it has: {', '.join(names)}")
    return name


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
