"""The text of the report, from metrics/ alone."""

from pathlib import Path

from dapt.core.config import Params
from dapt.core.files import numbers, read_json
from dapt.judging.statistics import RESAMPLES
from dapt.reporting import original_runs, task_sections
from dapt.reporting.markdown import rows
from dapt.reporting.tables import accuracies, differences, signed, table

HEADS = {
    "trained": "The base has a trained head (below), so this is what adaptation brings: more steps and the domain "
    "together. What more steps alone bring is the control's row.",
    "untrained": "**The base's head is untrained (below): any training on any text beats it.**",
}


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


def uses(comparison: dict) -> str:
    """For each figure the best model, and how far it is ahead of the next."""
    lines = [
        [figure, best["model"], f"{best['value']:.3f}", second["model"], signed(second["gap"])]
        for figure, (best, second, *_) in comparison["best"].items()
    ]
    return rows(lines, ["judged by", "best", "figure", "next", "difference"])


def forgotten(params: Params, comparison: dict) -> str:
    if params.control not in params.heldout:
        return f"Not measured: {params.control} is not among heldout in params.yaml."
    lines = [
        [name, f"{cell['loss']:.3f}", signed(cell.get("vs_base")), signed(cell.get("vs_control"))]
        for name, cell in ((name, cells[params.control]) for name, cells in comparison["matrix"].items())
    ]
    return rows(lines, ["model", f"loss on {params.control}", "against the base", "against the control"])


def reproduce(
    params: Params, metrics: Path, comparison: dict, evaluated: dict, trained: dict, base: dict, scores: dict
) -> str:
    """A row a figure: the command that makes it, and the hashes of what it was made from, of the files as they are now."""
    split, valid = (read_json(metrics / f"{name}.json") for name in ("split", "validate"))
    made = {
        "dvc repro validate": valid,
        "dvc repro split": split,
        "dvc repro compare": comparison,
        "dvc repro base": base,
        **{f"dvc repro train@{name}": figures for name, figures in trained.items()},
        **{f"dvc repro evaluate@{name}": evaluated[name] for name in params.models},
        **{f"dvc repro baseline@{name}": scores[name][task.words] for name, task in params.tasks.items()},
        **{
            f"dvc repro finetune@{task}-{name}": scores[task][name]
            for task in params.tasks
            for name in params.finetuned
        },
    }
    return rows(
        [
            [f"`{command}`", "<br>".join(f"{made['path']} `{made['sha256'][:16]}…`" for made in figures["made_from"])]
            for command, figures in made.items()
        ],
        ["command", "inputs"],
    )


def markdown(params: Params, metrics: Path) -> str:
    """The report's text."""
    comparison, split, base = (read_json(metrics / f"{name}.json") for name in ("comparison", "split", "base"))
    cleaned, trained, evaluated = (numbers(metrics / part) for part in ("clean", "train", "eval"))
    settings, choice = params.active, comparison["choice"]
    corpora = [
        [
            name,
            ", ".join(source.name for source in settings.corpora[name]) if corpus.enabled else "not enabled",
            f"{cleaned[name]['rows_in']:,}",
            f"{cleaned[name]['kept']:,}",
        ]
        for name, corpus in params.corpora.items()
    ]
    after = [
        [
            name,
            counts["rows"],
            counts["kept"],
            ", ".join(f"{count} {reason}" for reason, count in counts["dropped"].items()) or "–",
        ]
        for name, counts in split["corpora"].items()
    ]
    held = [
        [name, *(f"{sides[side]['documents']:,} / {sides[side]['groups']:,}" for side in sides)]
        for name, sides in split["sets"].items()
    ]
    trainings = [
        [
            name,
            figures["steps"],
            f"{figures['tokens_seen']:,}",
            figures["epochs"],
            figures["first_loss"],
            figures["last_loss"],
            figures["valid_loss"],
            figures["precision"],
            f"{figures['parameters']:,}",
            f"{figures['model_bytes'] / 1e6:.1f} MB",
        ]
        for name, figures in trained.items()
    ]
    sizes = ", ".join(
        f"{name}: {evaluated['base'][name]['masked_tokens']:,} masked tokens in "
        f"{split['sets'][name]['heldout']['groups']:,} groups"
        for name in params.heldout
    )
    scores = {task: numbers(metrics / "tasks" / task) for task in params.tasks}
    about = {name: task.about.get(params.profile, "") for name, task in params.tasks.items()}
    downstream = task_sections.markdown(
        comparison["tasks"], read_json(metrics / "mistakes.json"), scores, about, settings.split.overlap
    )
    domains = [
        [
            name,
            ", ".join(
                f"{corpus} ({'; '.join(source.name for source in settings.corpora[corpus])})" for corpus in corpora
            ),
        ]
        for name, corpora in params.domains.items()
    ]
    notes = dict.fromkeys(
        f"{source.name}: {source.note}." for sources in settings.corpora.values() for source in sources if source.note
    )
    unpinned = ", ".join(params.unpinned())
    not_pinned = f"Not pinned, so another run may read other text: {unpinned}.\n\n" if unpinned else ""
    licences = sorted(
        {(source.name, source.licence) for sources in settings.corpora.values() for source in sources}
        | {(name, params.bases[name].licence) for _, name in settings.model if name}
    )
    return f"""# Domain-adaptive pre-training: profile {params.profile}

**Use {choice["model"]}** ({choice["rule"]}): {choice["why"]}.

A difference is called noise where another sample of text might turn it round: where its 95 % interval (bootstrap over groups)
holds 0. Behind each model stands one pre-training seed; `dapt spread` tells how far another one moves its losses. Intervals are
not adjusted for their number; p is.

## Which model for what

{uses(comparison)}

Losses are better where they are lower, the others where they are higher.

## Loss on held-out text

Masked-LM loss a masked token, with its 95 % interval ({RESAMPLES:,} resamples; {
        settings.compare.resamples:,} for differences).
No document of these sets, nor a near duplicate of one (MinHash, Jaccard {
        settings.split.similar
    }), is in any training set here; what
the base read before it came here is not known. {sizes}.

{table(comparison)}

![Loss of each model on each held-out set](matrix.svg)

Accuracy, the share of masked tokens that a model holds for the likeliest / for one of the five likeliest:

{accuracies(comparison)}

### Against the base

Paired differences; negative is better. {HEADS[base["head_after"]]}

{differences(comparison, "vs_base")}

### Against the control

`{params.control}` was trained as long on text of no domain: this is what the *domain* brings, beyond more steps.

{differences(comparison, "vs_control")}

### Each domain on its own text

{specialists(params, comparison)}

### What was forgotten

On general text: a positive difference to the base is what a model has forgotten since; one to the control, which saw only such
text, is what the same steps would have brought there (`train.replay` mixes some of it in):

{forgotten(params, comparison)}

{downstream}
## Training

{rows(domains, ["model", "trained on"])}

![Loss during training](curves.svg)

{
        rows(
            trainings,
            [
                "model",
                "steps",
                "tokens seen",
                "epochs",
                "first loss",
                "last loss",
                "loss on valid",
                "precision",
                "parameters",
                "size",
            ],
        )
    }

First and last loss are means of 10 steps on training text of the model's own domain: they can't be compared across
models; the matrix can. One seed each (`dapt spread` runs several).

Beside the runs of the original project (BERT-base, one seed; theirs first, then these):

{original_runs.table(trained)}

## The base

{base["parameters"]:,} parameters, pooler {base["pooler"]}. Its head was {base["head"]} as it came: a loss of {
        base["probe_before"]
    } on
the probe text ({base["probe_tokens"]:,} tokens), where token frequencies alone reach {base["probe_unigram"]}. Repair:
{base["repair"]} ({base["steps"]} steps on general text, body frozen); then it was {base["head_after"]}, with a loss of
{base["probe_after"]}. On general validation text the loss went from {base["loss_before"]} to {base["loss_after"]}.

## Corpora

{rows(corpora, ["corpus", "sources", "rows in", "kept"])}

What was dropped and repaired, lengths, languages, and what the corpora hold of each other: data.html, the data card.

{"".join(f"{note}{chr(10) * 2}" for note in notes)}{
        not_pinned
    }De-duplicated within and across corpora, and cleared of what is held out or tested on:

{rows(after, ["corpus", "rows", "kept", "dropped"])}

Documents / groups a set:

{rows(held, ["domain", "train", "valid", "held-out"])}

## Licences

{rows([list(licence) for licence in licences], ["source", "licence"])}

## Reproduce

`dvc repro` makes each figure again; `dvc pull` fetches the models. What each was made from, by SHA-256:

{reproduce(params, metrics, comparison, evaluated, trained, base, scores)}
"""
