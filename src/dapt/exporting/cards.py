"""README.md of an exported model: the hub's metadata, the project's own card of the model, how to load it, and what its sources
say about publishing it."""

from typing import Any

from huggingface_hub import EvalResult, ModelCard

from dapt.core.config import Params
from dapt.exporting import licences, origins
from dapt.exporting.origins import Origin, PipelineModel
from dapt.reporting import model_cards
from dapt.reporting.markdown import as_text, rows
from dapt.reporting.metrics import Figures
from dapt.reporting.tables import mean_sd
from dapt.reporting.task_sections import best_baseline
from dapt.tasks.kinds import kind as kind_named

EXAMPLE = """
```python
from transformers import pipeline

fill = pipeline("fill-mask", model="the path of this folder, or its name on the hub")
print(fill(f"The cause is {fill.tokenizer.mask_token}.", top_k=3))
```
"""


def card(
    params: Params, model: PipelineModel, figures: Figures, made_of: list[Origin], loads: dict[str, str]
) -> ModelCard:
    """`loads` says for each class of transformers which weights the folder lacks."""
    found = ModelCard(_own_card(params, model, figures))
    data: Any = found.data
    data.license = licences.of_all(origin.licence for origin in made_of)
    data.license_name = "of-its-sources" if data.license == "other" else None
    data.language = model_cards.languages(figures.validate, origins.corpora(model, params, figures)) or None
    data.datasets = sorted({origin.dataset for origin in made_of if origin.dataset}) or None
    data.model_name = "-".join(filter(None, (model.task, model.name)))
    data.eval_results = (data.eval_results or []) + task_results(params, model, figures)
    parts = [found.text.rstrip(), _loading(loads, model, figures), *[_licences(made_of)] * bool(model.task)]
    found.text = "\n\n".join([*parts, _publication(made_of)]) + "\n"
    return found


def _own_card(params: Params, model: PipelineModel, figures: Figures) -> str:
    """The text that the project has about a model, with its metadata: the card of reports/cards, or the README of a fine-tuned
    model followed by its figures and by how the model under it was made."""
    if not model.task:
        return model_cards.card(params, model.name, figures)
    readme = ModelCard.load(model.folder / "README.md")
    cells = figures.comparison["tasks"][model.task]
    results = {cell["metric"]: cell for cell in (cells[model.name],)} | cells[model.name]["others"]
    lines = [[metric, mean_sd(cell)] for metric, cell in results.items()]
    base = params.bases[params.active.model.base].hub
    readme.data.base_model = base.repo if base else None
    readme.text += f"""
## Figures on the test side

Mean ± standard deviation over seeds. The best baseline without a neural network: {best_baseline(cells)}.

{rows(lines, ["metric", model.name])}

## The model that was fine-tuned

{model_cards.made(params, model.name, figures.train, figures.base)}
"""
    return str(readme)


def task_results(params: Params, model: PipelineModel, figures: Figures) -> list[EvalResult]:
    """The figures of the fine-tuned model on its task, or of a model on all tasks on which it was fine-tuned."""
    found = []
    for task, cells in figures.comparison["tasks"].items():
        if model.name not in cells or task not in figures.tasks or model.task not in (None, task):
            continue
        cell, seeds = cells[model.name], len(figures.tasks[task][model.name]["seeds"])
        tag = kind_named(params.active_tasks[task].kind).CARD["pipeline_tag"]
        found += [
            EvalResult(
                task_type=tag,
                dataset_type=task,
                dataset_name=f"{task}, test side, after fine-tuning (mean over {seeds} seeds)",
                metric_type=metric,
                metric_value=result["mean"],
            )
            for metric, result in ({cell["metric"]: cell} | cell["others"]).items()
        ]
    return found


def _loading(loads: dict[str, str], model: PipelineModel, figures: Figures) -> str:
    table = rows([[f"`{name}`", new] for name, new in loads.items()], ["class of transformers", "weights"])
    pooler = (
        "\n\nThe base came without a pooler. Where transformers makes up a new one, it is random until you train it."
        if any("pooler." in new for new in loads.values())
        else ""
    )
    return f"## Load it\n\n{table}{pooler}\n{'' if model.task else EXAMPLE}".rstrip()


def _licences(made_of: list[Origin]) -> str:
    listed = (f"- {origin.name}: {as_text(origin.licence) or 'not stated'}" for origin in made_of)
    return "\n".join(["## Licences of what it was made from", "", *listed])


def _publication(made_of: list[Origin]) -> str:
    unclear = [origin.name for origin in made_of if not licences.allowing(origin.licence)]
    told = (
        f"The licences of {', '.join(unclear)} are not known to allow that a model made from them is published: ask their "
        "owners first."
        if unclear
        else "The licences of all sources allow that a model made from them is published, under their conditions."
    )
    personal = [origin.name for origin in made_of if origin.personal]
    warning = (
        f"\n\n**Personal data:** the text of {', '.join(personal)} may hold personal data. A masked language model can give away "
        "what it has read: names, places and figures can come back as predictions for a masked word."
        if personal
        else ""
    )
    return f"## Publication\n\n{told}{warning}"
