"""What a model of the pipeline was made from: the sources of the text that it was trained on here, and the models that it
started from."""

from dataclasses import dataclass
from pathlib import Path

from dapt.core import config
from dapt.core.config import Params
from dapt.core.files import sha256
from dapt.core.paths import METRICS, MODELS
from dapt.exporting import recorded
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


def refuse_other_figures(model: PipelineModel, figures: Figures) -> None:
    """Refuse a model whose weights are not those that metrics/ describes."""
    trained = (figures.base if model.name == "base" else figures.train.get(model.name, {})).get("model_sha256")
    measured = model.name in figures.comparison["matrix"]
    if model.task:
        result = figures.tasks[model.task].get(model.name, {"made_from": [{"sha256": None}]})
        measured = measured and result["made_from"][0]["sha256"] == trained
    else:
        measured = measured and sha256(model.folder / "model.safetensors") == trained
    if not measured:
        raise UserError(
            f"{METRICS} has no figures of these weights of {model.folder}; run dvc repro, or dvc checkout if git has newer ones"
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


def refuse_other_sources(model: PipelineModel, params: Params, figures: Figures) -> None:
    """Refuse a model that was made from other sources than the settings name now."""
    used = params.domains.get(model.name, []) + corpora(model, params, figures)
    if changed := recorded.changed(params, model.name, list(dict.fromkeys(used))):
        raise UserError(
            f"{model.folder} was made from other sources than the settings name now ({', '.join(changed)}), so its licences are "
            "not known; run dvc repro, or undo that change of the settings"
        )
