"""A card for each model, in the hub's format: metadata, followed by what a reader must know."""

from collections import Counter
from collections.abc import Iterable

from huggingface_hub import EvalResult, ModelCardData

from dapt.core.config import Params, Source
from dapt.reporting.markdown import rows
from dapt.reporting.metrics import Figures
from dapt.reporting.tables import accuracy, mean_sd, signed
from dapt.reporting.task_sections import best_baseline

RARE = 0.05  # a language of fewer of a corpus' texts than this may be a mistake of the detector


def domains_read(params: Params, name: str, trained: dict, base: dict) -> list[str]:
    """The domains whose text this model's weights were trained on here: its own, and general text if the base's head was
    repaired on it or if it was replayed."""
    general = base["steps"] or trained.get(name, {}).get("replay")
    return list(dict.fromkeys([name] * (name in params.domains) + [params.control] * bool(general)))


def corpora(params: Params, name: str, trained: dict, base: dict) -> list[str]:
    """Their corpora, but for those that are not enabled."""
    found = (corpus for domain in domains_read(params, name, trained, base) for corpus in params.domains[domain])
    return [corpus for corpus in dict.fromkeys(found) if params.corpora[corpus].enabled]


def languages(validated: dict[str, dict], corpora: Iterable[str]) -> list[str]:
    """The languages that were detected in these corpora (metrics/validate.json), the most frequent first."""
    total: Counter[str] = Counter()
    for corpus in corpora:
        counts = Counter(validated[corpus]["sample"]["languages"])
        del counts["in doubt"]
        total.update({code: count for code, count in counts.items() if count >= RARE * counts.total()})
    return [code for code, _ in total.most_common()]


def in_languages(spoken: list[str]) -> str:
    if spoken == ["en"]:
        return ", in English"
    return f", in the languages of its text ({', '.join(spoken)})" if spoken else ""


def metadata(params: Params, name: str, comparison: dict, sources: list[Source], spoken: list[str]) -> str:
    """A card's YAML in the hub's format. The licence is `other`, because those of all sources apply; the card lists them."""
    base = params.bases[params.active.model.base].hub
    results = [
        EvalResult(
            task_type="fill-mask",
            dataset_type=held_out,
            dataset_name=f"held-out text: {held_out}",
            metric_type=metric,
            metric_value=cell[metric],
        )
        for held_out, cell in comparison["matrix"][name].items()
        for metric in ("loss", "perplexity", "accuracy")
    ]
    return ModelCardData(
        language=spoken[0] if len(spoken) == 1 else spoken or None,
        license="other",
        license_name="of-its-sources",
        library_name="transformers",
        pipeline_tag="fill-mask",
        tags=["domain-adaptive-pretraining", "masked-lm", name],
        base_model=base.repo if base else None,
        datasets=sorted({source.hub.repo for source in sources if source.hub}) or None,
        model_name=name,
        eval_results=results,
    ).to_yaml()


def made(params: Params, name: str, trained: dict, base: dict) -> str:
    """How the model was made, in one paragraph."""
    start = f"{params.active.model.base} ({base['parameters']:,} parameters)"
    told = f"This is the base model, {start}."
    if read := [corpus for corpus in params.domains.get(name, []) if params.corpora[corpus].enabled]:
        texts = (f"{corpus} ({', '.join(one.name for one in params.active.corpora[corpus])})" for corpus in read)
        replay = trained[name].get("replay")
        told = (
            f"Trained from {start} for {trained[name]['steps']} steps with one random seed, in which it read "
            f"{trained[name]['tokens_seen']:,} tokens of {', '.join(texts)}"
            + (f"; {replay:.0%} of the windows were replayed from the text of {params.control}." if replay else ".")
        )
    steps = f", {base['steps']} steps on general text" if base["steps"] else ""
    repair = f"Before that, the masked-LM head of the base was repaired: {base['repair']}{steps}."
    return f"{told} {repair if base['repairs'] else 'Its masked-LM head needed no repair.'}"


def licences(params: Params, sources: list[Source], base: dict) -> list[str]:
    """The licences of the text and of the models that this model was made from."""
    model = params.active.model
    models = [model.base] + ([model.donor] if model.donor and "transplant" in base["repairs"] else [])
    of_text = {f"{source.name}: {source.licence}" for source in sources}
    return sorted(of_text | {f"{name}: {params.bases[name].licence}" for name in models})


def card(params: Params, name: str, figures: Figures) -> str:
    """The card's text, from metrics/comparison.json, train/, base.json and validate.json."""
    comparison, trained, base = figures.comparison, figures.train, figures.base
    read = corpora(params, name, trained, base)
    sources = [source for corpus in read for source in params.active.corpora[corpus]]
    spoken = languages(figures.validate, read)
    tasks = [
        [
            task,
            models[name]["metric"],
            *(mean_sd(models[one]) for one in dict.fromkeys((name, "base"))),
            best_baseline(models),
        ]
        for task, models in comparison["tasks"].items()
        if name in models
    ]
    columns = ["task", "metric", *dict.fromkeys((name, "base")), "best baseline without a neural network"]
    fine_tuned = (
        f"\n## Fine-tuned on tasks\n\nMean ± standard deviation over seeds.\n\n{rows(tasks, columns)}\n"
        if tasks
        else ""
    )
    lines = [
        [held_out, f"{cell['loss']:.3f}", cell["perplexity"], accuracy(cell)]
        + [signed(cell.get(other)) for other in ("vs_base", "vs_control")]
        for held_out, cell in comparison["matrix"][name].items()
    ]
    header = [
        "held-out text",
        "loss",
        "perplexity",
        "accuracy, top 1 / top 5",
        "compared with the base",
        "compared with the control",
    ]
    return f"""---
{metadata(params, name, comparison, sources, spoken)}
---

# {name} ({params.profile})

{made(params, name, trained, base)}

## Held-out loss

The control, {params.control}, is the base trained for equally many steps on general text.

{rows(lines, header)}
{fine_tuned}
## Use and limits

Use it to predict masked tokens, or as a starting point for fine-tuning on text of this domain{in_languages(spoken)}. It reproduces what
its training text says, including errors. It is not fit for medical or financial advice.

## Licences of what it was made from

{chr(10).join(f"- {licence}" for licence in licences(params, sources, base))}

If a source shows no licence, ask its owner before you publish the model.
"""
