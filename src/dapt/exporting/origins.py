"""What a model of the pipeline was made from: the sources of the text that it was trained on here, and the models that it
started from."""

from dataclasses import dataclass
from pathlib import Path

from dapt.core import config
from dapt.core.config import Params
from dapt.core.files import made_from
from dapt.core.paths import METRICS, MODELS
from dapt.exporting import recorded
from dapt.exporting.recorded import Stages
from dapt.reporting import model_cards
from dapt.reporting.metrics import Figures
from dapt.telling.errors import UserError


@dataclass(frozen=True)
class Origin:
    """One of them, as the settings describe it."""

    name: str  # CORPUS/SOURCE, or that of the base model
    licence: str
    personal: bool = False  # its text may hold personal data
    dataset: str | None = None  # its repository on the hub


@dataclass(frozen=True)
class PipelineModel:
    """models/NAME, or models/tasks/TASK/NAME."""

    name: str
    task: str | None = None

    @property
    def folder(self) -> Path:
        return MODELS / "tasks" / self.task / self.name if self.task else MODELS / self.name


def find(folder: Path, params: Params) -> PipelineModel:
    """The model of the pipeline in a folder; for any other model nobody knows what it was made from."""
    known = [PipelineModel(name) for name in params.models]
    known += [PipelineModel(name, task) for task in params.tasks for name in params.finetuned]
    for model in known:
        if model.folder == folder:
            return model
    names = [str(model.folder) for model in known]
    choose = "export models/NAME or models/tasks/TASK/NAME"
    raise UserError(
        f"{folder} is not a model of params.yaml, so its licences and figures are not known"
        f"{config.instead(str(folder), names, choose)}"
    )


def refuse_other_figures(model: PipelineModel, figures: Figures, run: Stages) -> None:
    """Refuse a model that metrics/ does not describe: one that the run did not make, or that was not compared since."""
    trained = METRICS / ("base.json" if model.name == "base" else f"train/{model.name}.json")
    outputs = [model.folder, METRICS / "comparison.json", METRICS / f"eval/{model.name}.json", trained]
    outputs += [METRICS / "tasks" / model.task / f"{model.name}.json"] if model.task else []
    compared = figures.comparison["tasks"].get(model.task, {}) if model.task else figures.comparison["matrix"]
    current = all(found in figures.comparison["made_from"] for found in made_from(METRICS / "eval", METRICS / "tasks"))
    if recorded.differing(run, outputs) or model.name not in compared or not current:
        raise UserError(
            f"{METRICS} has no figures of {model.folder} as it is now; run dvc repro, or dvc checkout if git has newer ones"
        )


def corpora(model: PipelineModel, params: Params, figures: Figures) -> list[str]:
    """The corpora that its weights were trained on here, that of its task among them."""
    found = model_cards.corpora(params, model.name, figures.train, figures.base)
    return list(dict.fromkeys(found + ([params.active_tasks[model.task].corpus] if model.task else [])))


def of(model: PipelineModel, params: Params, figures: Figures) -> list[Origin]:
    """The sources of its corpora; then the base, and the model whose head was transplanted into it."""
    texts = [
        Origin(f"{corpus}/{source.name}", source.licence, source.personal, source.hub.repo if source.hub else None)
        for corpus in corpora(model, params, figures)
        for source in params.active.corpora[corpus]
    ]
    start = params.active.model
    models = [start.base] + ([start.donor] if start.donor and "transplant" in figures.base["repairs"] else [])
    return texts + [Origin(name, params.bases[name].licence) for name in models]


def refuse_other_sources(model: PipelineModel, params: Params, figures: Figures, run: Stages) -> None:
    """Refuse a model that was made from other sources than the settings name now."""
    domains = model_cards.domains_read(params, model.name, figures.train, figures.base)
    used = [corpus for domain in domains for corpus in params.domains.get(domain, [])]
    found = []
    if model.task:
        used.append(corpus := params.active_tasks[model.task].corpus)
        if recorded.task_corpus(run, params, model.task, model.name) != corpus:
            found.append(f"task {model.task}")
    found = recorded.changed(run, params, domains, list(dict.fromkeys(used))) + found
    if found:
        raise UserError(
            f"{model.folder} was made from other sources than the settings name now ({', '.join(found)}), so its licences are "
            "not known; run dvc repro, or undo that change of the settings"
        )
    last = [f"evaluate@{model.name}"] + ([f"finetune@{model.task}-{model.name}"] if model.task else [])
    if found := recorded.out_of_step(run, last):
        raise UserError(
            f"since {model.folder} was made, other sources have gone through the pipeline ({', '.join(found)} did not read what "
            "dvc.lock has now), so its licences are not known; run dvc repro"
        )
