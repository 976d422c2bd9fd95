"""`dapt report`: reports/, made from metrics/ alone: a page (index.html), its Markdown twin (report.md), the pictures
as SVG, a card for each model, and the data card (data.html).

The page is the twin rendered by markdown-it, with the pictures inside: one text, and nothing to fetch.
"""

from pathlib import Path

from huggingface_hub import EvalResult, ModelCardData

from dapt import config, datacard, firstruns, taskreport
from dapt.compare import table
from dapt.config import Params
from dapt.files import numbers, read_json, whole_file, whole_folder
from dapt.markdown import page, rows
from dapt.paths import METRICS, REPORTS
from dapt.plots import figures, svg


HEADS = {"trained": "The base has a trained head (below), so this is what adaptation brings.",
         "untrained": "**The base's head is untrained (below): any training on any text beats it.**"}


def signed(cell: dict | None) -> str:
    if cell is None:
        return "–"
    sure = cell["ci95"][1] < 0 or cell["ci95"][0] > 0
    return f"{cell['diff']:+.3f} [{cell['ci95'][0]:+.3f}, {cell['ci95'][1]:+.3f}]" + ("" if sure else " (noise)")


def differences(comparison: dict, key: str) -> str:
    matrix = comparison["matrix"]
    sets = list(next(iter(matrix.values())))
    lines = [[name, *(signed(cells[held_out].get(key)) for held_out in sets)]
             for name, cells in matrix.items() if any(key in cell for cell in cells.values())]
    return rows(lines, ["model", *sets])


def specialists(params: Params, comparison: dict) -> str:
    """Each domain on its own text against every other model: what a domain brings, pair by pair."""
    lines = []
    for domain in params.domains:
        if domain == params.control or domain not in params.heldout:
            continue
        cell = comparison["matrix"][domain][domain]
        pairs = {"base": cell["vs_base"], params.control: cell["vs_control"], **cell["vs"]}
        lines += [[domain, domain, other, signed(pair)] for other, pair in pairs.items()]
    return rows(lines, ["model", "held-out text", "against", "difference of the loss"])


def forgotten(params: Params, comparison: dict) -> str:
    if params.control not in params.heldout:
        return f"Not measured: {params.control} is not among heldout in params.yaml."
    lines = [[name, f"{cell['loss']:.3f}", signed(cell.get("vs_base")), signed(cell.get("vs_control"))]
             for name, cell in ((name, cells[params.control]) for name, cells in comparison["matrix"].items())]
    return rows(lines, ["model", f"loss on {params.control}", "against the base", "against the control"])


def accuracy(cell: dict) -> str:
    return f"{cell['accuracy']:.3f} / {cell['accuracy_top5']:.3f}"


def accuracies(comparison: dict) -> str:
    matrix = comparison["matrix"]
    return rows([[name, *map(accuracy, cells.values())] for name, cells in matrix.items()],
                ["model", *next(iter(matrix.values()))])


def reproduce(params: Params, comparison: dict, evaluated: dict, trained: dict, base: dict, scores: dict) -> str:
    """A row a figure: the command that makes it, and the hashes of what it was made from, of the files as they are now."""
    made = {"dvc repro compare": comparison, "dvc repro base": base,
            **{f"dvc repro train@{name}": figures for name, figures in trained.items()},
            **{f"dvc repro evaluate@{name}": evaluated[name] for name in params.models},
            **{f"dvc repro baseline@{name}": scores[name][task.words] for name, task in params.tasks.items()},
            **{f"dvc repro finetune@{task}-{name}": scores[task][name] for task in params.tasks for name in params.finetuned}}
    return rows([[f"`{command}`", "<br>".join(f"{line.split()[1]} `{line[:16]}…`" for line in figures["made_from"])]
                 for command, figures in made.items()], ["command", "inputs"])


def markdown(params: Params, metrics: Path) -> str:
    """The report's text."""
    comparison, split, base = (read_json(metrics / f"{name}.json") for name in ("comparison", "split", "base"))
    cleaned, trained, evaluated = (numbers(metrics / part) for part in ("clean", "train", "eval"))
    settings, choice = params.active, comparison["choice"]
    corpora = [[name, ", ".join(source.name for source in settings.corpora[name]) if corpus.enabled else "not enabled",
                f"{cleaned[name]['rows_in']:,}", f"{cleaned[name]['kept']:,}"] for name, corpus in params.corpora.items()]
    after = [[name, counts["rows"], counts["kept"],
              ", ".join(f"{count} {reason}" for reason, count in counts["dropped"].items()) or "–"]
             for name, counts in split["corpora"].items()]
    held = [[name, *(f"{sides[side]['documents']:,} / {sides[side]['groups']:,}" for side in sides)]
            for name, sides in split["sets"].items()]
    trainings = [[name, figures["steps"], f"{figures['tokens_seen']:,}", figures["epochs"], figures["first_loss"],
                  figures["last_loss"], figures["valid_loss"], figures["precision"], f"{figures['parameters']:,}",
                  f"{figures['model_bytes'] / 1e6:.1f} MB"] for name, figures in trained.items()]
    sizes = ", ".join(f"{name}: {evaluated['base'][name]['masked_tokens']:,} masked tokens in "
                      f"{split['sets'][name]['heldout']['groups']:,} groups" for name in params.heldout)
    scores = {task: numbers(metrics / "tasks" / task) for task in params.tasks}
    downstream = taskreport.markdown(comparison["tasks"], read_json(metrics / "mistakes.json"), scores)
    unpinned = ", ".join(params.unpinned())
    not_pinned = f"Not pinned, so another run may read other text: {unpinned}.\n\n" if unpinned else ""
    licences = sorted({(source.name, source.licence) for sources in settings.corpora.values() for source in sources} |
                      {(name, params.bases[name].licence) for _, name in settings.model if name})
    return f"""# Domain-adaptive pre-training: profile {params.profile}

**Use {choice['model']}** ({choice['rule']}): {choice['why']}.

## Loss on held-out text

Masked-LM loss a masked token, with its 95 % interval (bootstrap over groups, {settings.compare.resamples:,} resamples).
No document of these sets, nor a near duplicate of one, is in any training set. {sizes}.

{table(comparison)}

![Loss of each model on each held-out set](matrix.svg)

Accuracy, the share of masked tokens that a model holds for the likeliest / for one of the five likeliest:

{accuracies(comparison)}

### Against the base

Paired differences; negative is better. {HEADS[base['head_after']]}

{differences(comparison, 'vs_base')}

### Against the control

`{params.control}` was trained as long on text of no domain: this is what the *domain* brings, beyond more steps.

{differences(comparison, 'vs_control')}

### Each domain on its own text

{specialists(params, comparison)}

### What was forgotten

General text is what the base was made for. Against the control, which saw only such text, a positive difference is what an
adapted model gave up there (`train.replay` mixes some of it in):

{forgotten(params, comparison)}

{downstream}
## Training

![Loss during training](curves.svg)

{rows(trainings, ['model', 'steps', 'tokens seen', 'epochs', 'first loss', 'last loss', 'loss on valid', 'precision',
                  'parameters', 'size'])}

First and last loss are means of 10 steps on training text of the model's own domain: they can't be compared across
models; the matrix can. One seed each (`dapt spread` runs several).

Beside the runs that this pipeline came from (BERT-base, one seed; theirs first, then these):

{firstruns.table(trained)}

## The base

{base['parameters']:,} parameters, pooler {base['pooler']}. Its head was {base['head']} as it came: a loss of {base['probe_before']} on
the probe text ({base['probe_tokens']:,} tokens), where token frequencies alone reach {base['probe_unigram']}. Repair:
{base['repair']} ({base['steps']} steps on general text, body frozen); then it was {base['head_after']}, with a loss of
{base['probe_after']}. On general validation text the loss went from {base['loss_before']} to {base['loss_after']}.

## Corpora

{rows(corpora, ['corpus', 'sources', 'rows in', 'kept'])}

What was dropped and repaired, lengths, languages, and what the corpora hold of each other: data.html, the data card.

{not_pinned}De-duplicated within and across corpora, and cleared of what is held out or tested on:

{rows(after, ['corpus', 'rows', 'kept', 'dropped'])}

Documents / groups a set:

{rows(held, ['domain', 'train', 'valid', 'held-out'])}

## Licences

{rows([list(licence) for licence in licences], ['source', 'licence'])}

## Reproduce

`dvc repro` makes each figure again; `dvc pull` fetches the models. What each was made from, by SHA-256:

{reproduce(params, comparison, evaluated, trained, base, scores)}
"""


def metadata(params: Params, name: str, comparison: dict) -> str:
    """A card's YAML in the hub's format. The licence is `other`: it is that of all sources together, named below it."""
    settings = params.active
    sources = [source for corpus in params.domains.get(name, []) for source in settings.corpora[corpus]]
    base = params.bases[settings.model.base].hub
    results = [EvalResult(task_type="fill-mask", dataset_type=held_out, dataset_name=f"held-out text: {held_out}",
                          metric_type=metric, metric_value=cell[metric])
               for held_out, cell in comparison["matrix"][name].items() for metric in ("loss", "perplexity", "accuracy")]
    return ModelCardData(
        language="en", license="other", license_name="of-its-sources", library_name="transformers", pipeline_tag="fill-mask",
        tags=["domain-adaptive-pretraining", "masked-lm", name], base_model=base.repo if base else None,
        datasets=sorted({source.hub.repo for source in sources if source.hub}) or None, model_name=name,
        eval_results=results).to_yaml()


def card(params: Params, name: str, comparison: dict, trained: dict, base: dict) -> str:
    """A model card in the hub's format: metadata, then what a reader must know."""
    settings = params.active
    corpora = params.domains.get(name, [])
    licences = sorted({f"{source.name}: {source.licence}" for corpus in corpora for source in settings.corpora[corpus]} |
                      {f"{settings.model.base}: {params.bases[settings.model.base].licence}"})
    cells = comparison["matrix"][name]
    told = (f"Trained for {trained[name]['steps']} steps on {trained[name]['tokens_seen']:,} tokens of "
            f"{', '.join(corpora)}, starting from the base. " if corpora else "The base itself. ")
    told += f"Repair of the base's head: {base['repair']}."
    tasks = [[task, models[name]["metric"], f"{models[name]['mean']:.3f} ± {models[name]['sd']:.3f}"]
             for task, models in comparison["tasks"].items() if name in models]
    fine_tuned = f"\n## Fine-tuned\n\n{rows(tasks, ['task', 'figure', 'mean ± sd over seeds'])}\n" if tasks else ""
    lines = [[held_out, f"{cell['loss']:.3f}", cell["perplexity"], accuracy(cell), signed(cell.get("vs_base")),
              signed(cell.get("vs_control"))] for held_out, cell in cells.items()]
    return f"""---
{metadata(params, name, comparison)}
---

# {name} ({params.profile})

{told}

## Held-out loss

{rows(lines, ['held-out text', 'loss', 'perplexity', 'accuracy, top 1 / top 5', 'against the base', 'against the control'])}
{fine_tuned}
## Use and limits

Fill-mask, or a start for fine-tuning on text of this domain. English. It says what its training text says, errors
included; nothing here makes it fit for medical or financial advice.

## Licences of what it was made from

{chr(10).join(f'- {licence}' for licence in licences)}

Where no licence is shown, ask before you publish the model.
"""


def run() -> None:
    params = config.load()
    text = markdown(params, METRICS)
    comparison, base = read_json(METRICS / "comparison.json"), read_json(METRICS / "base.json")
    trained = numbers(METRICS / "train")
    data = datacard.markdown(params, METRICS)
    pictures = {name: svg(spec) for name, spec in figures().items()}
    files = {f"{name}.svg": picture for name, picture in pictures.items()}
    files |= {"report.md": text, "index.html": page(text, pictures), "data.md": data, "data.html": page(data, {})}
    files |= {f"cards/{name}.md": card(params, name, comparison, trained, base) for name in params.models}
    with whole_folder(REPORTS) as folder:
        for name, content in files.items():
            with whole_file(folder / name) as file:
                file.write(content)
    print(f"report: {(REPORTS / 'index.html').resolve()}")
