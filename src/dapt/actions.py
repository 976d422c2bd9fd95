"""What each command of `dapt` does with its arguments: load the module that implements it, and run it in the repository."""

import argparse
import gc
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from importlib import import_module
from pathlib import Path
from types import ModuleType

from dapt.core.paths import MODELS, events_if_launched, repository
from dapt.exporting import FORMATS, Options
from dapt.telling.errors import UserError

STAGES = {  # name → the kind of name that it takes, what it does
    "check": (None, "check the settings and reject wrong ones"),
    "fetch": ("corpus", "download the raw files of a corpus or of the base model"),
    "clean": ("corpus", "clean a corpus, or any raw file with --cleaner"),
    "validate": (None, "check every cleaned row, and compute the data card's numbers"),
    "split": (None, "split into train, valid and held-out sets, without leakage"),
    "tokenize": ("domain", "write the token ids of a domain's train and valid sets"),
    "base": (None, "audit the base and repair its masked-LM head"),
    "train": ("domain", "adapt the base to a domain"),
    "evaluate": ("model", "compute a model's held-out loss, or that of any model and text with --model"),
    "finetune": ("task", "fine-tune a model on a task, once per seed"),
    "baseline": ("task", "compute a task's baselines that need no neural network"),
    "compare": (None, "compare all models on all sets"),
    "report": (None, "write the report as a web page and as Markdown, with figures"),
    "summary": (None, "summarise the metrics of the chosen domain"),
}

NEEDS = {"allow": "push", "steps": "tune", "text": "tune", "seed": "tune"}  # options of `dapt export`


def loaded(module: str) -> ModuleType:
    """Import a module of dapt. Imported objects live as long as the process, so the garbage collector need not visit them,
    neither during the import nor at exit; with torch and transformers that would take 1.7 of 4 seconds."""
    gc.disable()
    try:
        return import_module(f"dapt.{module}")
    finally:
        gc.freeze()
        gc.enable()


def to_repository() -> None:
    """Change to the root of the repository that contains the current folder."""
    root = repository(Path.cwd())
    if root is None:
        raise UserError(f"no dvc.yaml in {Path.cwd()} or a parent folder; change to the repository first")
    os.chdir(root)


def stage(args: argparse.Namespace) -> None:
    """Run dapt.stages.COMMAND with the name from the command line, here or through Slurm."""
    to_repository()
    kind, given = STAGES[args.command][0], []
    if kind:
        if args.name is None:
            raise UserError(f"the name of a {kind} is missing; `dapt {args.command} --help` shows examples")
        given = [known(kind, args.name, and_model=args.command == "fetch")]
    if kind == "model":
        has_model(MODELS / args.name)
    if not loaded("launch.dispatch").through_slurm(args.command, *given):
        with told(args.command, *given):
            module_of(args.command).run(*given)


def module_of(command: str) -> ModuleType:
    return loaded(f"stages.{command}")


@contextmanager
def told(command: str, name: str = "") -> Iterator[None]:
    """Write events about a stage, if a launcher started it."""
    events = events_if_launched(command, name)
    with events.failures():
        events.tell("started")
        yield
        events.tell("done")


def fetch(args: argparse.Namespace) -> None:
    if not args.pin:
        return stage(args)
    to_repository()
    return loaded("tools.pin").run(args.name and known("corpus", args.name, and_model=True))


def clean(args: argparse.Namespace) -> None:
    given = (args.cleaner, args.raw, args.out, args.report)
    if not any(given):
        return stage(args)
    if args.name or not all(given):
        raise UserError("--cleaner, --raw, --out and --report must be given together, and without the name of a corpus")
    known_cleaners = loaded("corpus.cleaners").names()
    if args.cleaner not in known_cleaners:
        raise UserError(f"unknown cleaner {args.cleaner!r}; choose one of: {', '.join(known_cleaners)}")
    options = dict(option(text) for text in args.option)
    return module_of("clean").run_file(args.cleaner, args.raw, args.out, args.report, options)


def option(text: str) -> tuple[str, object]:
    """Parse NAME=VALUE; the value has a type as in params.yaml.

    >>> option("least=1"), option("column=body")
    (('least', 1), ('column', 'body'))
    """
    from ruamel.yaml import YAML

    name, given, value = text.partition("=")
    if not given:
        raise UserError(f"--option {text} is not of the form NAME=VALUE")
    return name, YAML(typ="safe", pure=True).load(value)


def train(args: argparse.Namespace) -> None:
    to_repository()
    domain = known("domain", args.name)
    has_model(MODELS / "base")
    loaded("launch.dispatch").train(domain)


def finetune(args: argparse.Namespace) -> None:
    to_repository()
    task, model = known("task", args.name), known("model", args.model)
    has_model(MODELS / model)
    if not loaded("launch.dispatch").through_slurm("finetune", task, model):
        with told("finetune", f"{task}-{model}"):
            module_of("finetune").run(task, model)


def launch(args: argparse.Namespace) -> None:
    to_repository()
    if args.what == "plan":
        return loaded("launch.plan").run(args.targets, args.partition)
    if args.what == "smoke":
        domains = [known("domain", name.removeprefix("train@")) for name in args.targets]
        return loaded("launch.smoke").run(domains, args.partition)
    follow = loaded("launch.follow")
    return follow.stop(args.targets) if args.what == "stop" else follow.run(args.targets, args.partition, args.at_once)


def doctor(args: argparse.Namespace) -> None:
    if args.repair and args.remote is None:
        raise UserError("--repair works only with --remote, which says what to repair")
    to_repository()
    if args.remote is None:
        return loaded("tools.doctor").run(args.json)
    return loaded("tools.doctor_remote").run(args.remote or None, args.repair, args.json)


def evaluate(args: argparse.Namespace) -> None:
    given = (args.model, args.text, args.json, args.unknown, args.way != "per_token")
    if not any((*given, args.most is not None, args.draws is not None)):
        return stage(args)
    if args.name or not (args.model and args.text):
        raise UserError(
            "--model and --text must be given together, and without the name of a model; --most, --draws, --words, --pseudo, "
            "--unknown and --json need both"
        )
    if args.draws is not None and args.way != "per_token":
        raise UserError("--draws works only for the loss per token; remove it, or remove --words or --pseudo")
    for folder in args.model:
        has_model(folder)
    options = {name: value for name in ("draws", "unknown") if (value := getattr(args, name)) is not None}
    return loaded(f"judging.{args.way}").run(args.model, args.text, args.most, args.json, **options)


def compare(args: argparse.Namespace) -> None:
    if not (args.print or args.latex):
        return stage(args)
    to_repository()
    return loaded("tools.comparison").run(args.latex)


def report(args: argparse.Namespace) -> None:
    if not args.export:
        return stage(args)
    folder = args.export.resolve()
    to_repository()
    return loaded("tools.export").run(folder)


def place_of(given: str) -> str:
    """A hub: place is returned unchanged; a path is made absolute before the current folder changes. Links are not resolved,
    since their target may lie outside the repository."""
    return given if given.startswith("hub:") else os.path.abspath(given)


def text_of(args: argparse.Namespace, side: str | None, **columns: str | None) -> object:
    """The text to add, from split `side` of a data set; `columns` are the values of the options of the same names."""
    place = place_of(args.place)
    to_repository()
    given = columns | {"group": args.group} | dict(option(text) for text in args.option)
    options = {name: value for name, value in given.items() if value is not None}
    return loaded("tools.add").Text(place, options, args.licence, args.config, side)


def add_domain(args: argparse.Namespace) -> None:
    text = text_of(args, args.split, column=args.column)
    loaded("tools.add").domain(args.name, text, args.profile, args.dry_run)


def add_corpus(args: argparse.Namespace) -> None:
    text = text_of(args, args.split, column=args.column)
    loaded("tools.add").corpus(args.name, known("domain", args.domain), text, args.profile, args.dry_run)


def add_task(args: argparse.Namespace) -> None:
    names = ("label", "question", "options", "answer", "split")
    args.option = ["least=1", *args.option]  # rows of a task are not dropped for being short
    rows = text_of(args, None, column=args.text, **{name: getattr(args, name) for name in names})
    loaded("tools.add").task(args.name, args.kind, rows, args.profile, args.dry_run)


def add_base(args: argparse.Namespace) -> None:
    place = place_of(args.place)
    to_repository()
    loaded("tools.add").base(args.name, place, args.licence, args.dry_run)


def remove_domain(args: argparse.Namespace) -> None:
    to_repository()
    loaded("tools.add").remove_domain(args.name, args.dry_run)


def remove_task(args: argparse.Namespace) -> None:
    to_repository()
    loaded("tools.add").remove_task(args.name, args.dry_run)


def ablate(args: argparse.Namespace) -> None:
    to_repository()
    loaded("tools.ablate").run(args.names, args.json)


def spread(args: argparse.Namespace) -> None:
    to_repository()
    loaded("tools.spread").run(known("domain", args.name), args.seeds, args.json)


def sweep(args: argparse.Namespace) -> None:
    to_repository()
    from dapt.core import config

    domain = known("domain", args.domain or config.load().domain)
    loaded("tools.sweep").run(domain, args.settings, args.jobs)


def agree(args: argparse.Namespace) -> None:
    to_repository()
    loaded("tools.agree").run()


def export(args: argparse.Namespace) -> None:
    has_model(args.model)
    options, model, folder = export_options(args), os.path.abspath(args.model), args.folder.absolute()
    to_repository()
    found = loaded("exporting").run(args.format, Path(os.path.relpath(model)), folder, options)
    print_data({"folder": str(args.folder)} | found, args.json)


def export_options(args: argparse.Namespace) -> Options:
    """The options of the chosen format; an option of another one is refused, and so is one without the option that it needs."""
    options = {field.name: value for field in fields(Options) if (value := getattr(args, field.name)) is not None}
    for name in options:
        option = {"allow": "publish-anyway"}.get(name, name)
        if name not in FORMATS[args.format][1]:
            right = next(form for form, (_, own) in FORMATS.items() if name in own)
            raise UserError(f"--{option} works only with --format {right}; remove it, or change --format")
        if (needed := NEEDS.get(name, name)) not in options:
            raise UserError(f"--{option} has no effect without --{needed}; remove it, or add --{needed}")
    if "text" in options:
        options["text"] = options["text"].absolute()
    return Options(**options)


def print_data(found: dict, as_json: bool) -> None:
    """Print data that a command returns: as one JSON object, or one line per entry that is not empty."""
    for name, value in () if as_json else found.items():
        listed = [f"{key} {each}" for key, each in value.items()] if isinstance(value, dict) else value
        if told := "; ".join(map(str, listed)) if isinstance(listed, list) else str(listed):
            print(f"{name.replace('_', ' ')}: {told}")
    if as_json:
        print(json.dumps(found, ensure_ascii=False, allow_nan=False))


def export_data(args: argparse.Namespace) -> None:
    folder = args.folder.absolute()
    to_repository()
    loaded("tools.export_data").run(args.name, args.kind, folder)


def serve(args: argparse.Namespace) -> None:
    folder = args.models.resolve() if args.models else MODELS
    to_repository()
    loaded("tools.serve").run(args.host, args.port, folder, args.memory)


def predict(args: argparse.Namespace) -> None:
    has_model(args.model)
    asked = {"top_k": args.top_k, "pseudo": args.pseudo, "tokens": args.tokens}
    options = {name: value for name, value in asked.items() if value is not None}
    loaded("tools.predict").run(args.operation, args.model, args.given, args.out, options)


def audit(args: argparse.Namespace) -> None:
    has_model(args.model)
    loaded("tools.audit").run(args.model, args.json)


def plots(args: argparse.Namespace) -> None:
    folder = args.folder.resolve()
    to_repository()
    module = loaded("tools.plots")
    module.write_page() if args.page else module.run(folder)


def bench(args: argparse.Namespace) -> None:
    to_repository()
    options = {option: value for option, value in vars(args).items() if option not in ("command", "name", "run")}
    loaded(f"bench.{args.name}").run(**options)


def has_model(folder: Path) -> None:
    """Refuse a folder that is mistyped or was never created."""
    if not (folder / "config.json").is_file():
        raise UserError(
            f"{folder} is not a model folder: it has no config.json; create the models with "
            "`dvc repro`, or download them with `dvc pull`"
        )


def known(kind: str, name: str, and_model: bool = False) -> str:
    """The name, if params.yaml has a corpus, domain, model or task of this name; `and_model`: "model" is accepted as a
    corpus."""
    from dapt.core import config

    params = config.load()
    names = {
        "corpus": [*params.corpora, *["model"] * and_model],
        "domain": list(params.domains),
        "model": params.models,
        "task": list(params.tasks),
    }[kind]
    if name not in names:
        known = f"choose one of: {', '.join(names)}"
        raise UserError(f"params.yaml has no {kind} {name!r}{config.instead(name, names, known)}")
    return name
