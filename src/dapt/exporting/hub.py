"""`dapt export MODEL DIR --format hub`: the model with its pooler and tokenizer as plain transformers loads it, and a card in the
hub's format. The weights are those of MODEL, byte for byte.
"""

import shutil
import sys
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import transformers

from dapt.core import config
from dapt.core.config import Params
from dapt.core.paths import METRICS
from dapt.exporting import Options, cards, licences, origins, recorded, upload
from dapt.exporting.origins import Origin, PipelineModel
from dapt.model import checkpoint
from dapt.reporting.metrics import Figures
from dapt.tasks.kinds import kind as kind_named
from dapt.telling.errors import UserError

LEFT_OUT = ("README.md", "checkpoint-*", ".*")  # the card takes the README's place; weights of earlier steps stay here
CLASSES = ("AutoModelForMaskedLM", "AutoModel", "AutoModelForSequenceClassification")


def export(model: Path, folder: Path, options: Options) -> dict[str, Any]:
    """Write the model and its card; return its licence, what it was made from and which of that leaves publication open, and which
    weights transformers makes up. Whether it may be uploaded is decided before anything is written."""
    params = config.load()
    chosen, figures = origins.find(model, params), Figures.read(params, METRICS)
    run = recorded.stages(params)
    origins.refuse_other_figures(chosen, figures, run)
    origins.refuse_other_sources(chosen, params, figures, run)
    made_of = origins.of(chosen, params, figures)
    open_questions = unclear(made_of)
    if options.push:
        upload.refuse_name(options.push)
        if not options.allow:
            refuse_publication(chosen, open_questions)
    personal = [origin.name for origin in made_of if origin.personal]
    if personal:
        print(f"warning: {', '.join(personal)} may hold personal data, which {model} can give away", file=sys.stderr)
    copy(model, folder)
    loads = {name: new_weights(name, folder) for name in classes(params, chosen)}
    card = cards.card(params, chosen, figures, made_of, {name: said for name, said in loads.items() if said})
    card.save(folder / "README.md")
    return {
        "licence": card.data.to_dict()["license"],
        "made_from": [origin.name for origin in made_of],
        "not_known_to_allow_publication": open_questions,
        "may_hold_personal_data": personal,
        "weights": loads,
    }


def copy(model: Path, folder: Path) -> None:
    """Copy the files of a model; the first error ends it (copytree collects them, and names no file)."""
    for path in sorted(path for path in model.rglob("*") if path.is_file()):
        name = path.relative_to(model)
        if not any(fnmatchcase(part, pattern) for part in name.parts for pattern in LEFT_OUT):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, folder / name)


def unclear(made_of: list[Origin]) -> list[str]:
    """The sources whose licence is not known to allow that the model is published."""
    return [f"{one.name} ({one.licence or 'not stated'})" for one in made_of if not licences.allowing(one.licence)]


def refuse_publication(model: PipelineModel, sources: list[str]) -> None:
    """Refuse to upload a model if there are such sources, and name them."""
    if sources:
        raise UserError(
            f"{model.folder} is not uploaded, because the licences of its sources forbid publishing it or leave it open: "
            f"{', '.join(sources)}; ask their owners, then correct the licences in the settings, or add --publish-anyway"
        )


def classes(params: Params, model: PipelineModel) -> list[str]:
    """The classes of transformers with which a user may want to load the model."""
    return [kind_named(params.active_tasks[model.task].kind).AUTO, "AutoModel"] if model.task else list(CLASSES)


def new_weights(name: str, folder: Path) -> str:
    """Which weights transformers makes up when it loads the folder with this class."""
    auto = getattr(transformers, name)
    if checkpoint.outline(auto, folder) is None:
        return ""
    missing = sorted(checkpoint.from_folder(auto, folder, seed=0)[1]["missing_keys"])
    return f"new: {', '.join(missing)}" if missing else "complete"
