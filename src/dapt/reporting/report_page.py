"""The text of the report, from metrics/ alone: one function per section."""

from dapt.core.config import Params
from dapt.judging.statistics import RESAMPLES
from dapt.reporting import original_runs, task_sections
from dapt.reporting.advice import advice
from dapt.reporting.markdown import rows, share
from dapt.reporting.metrics import Figures
from dapt.reporting.tables import accuracies, differences, signed, table

HEADS = {
    "trained": "The base has a trained head (below), so this is what adaptation brings: more steps and the domain "
    "together. What more steps alone bring is the control's row.",
    "untrained": "**The base's head is untrained (below): any training on any text beats it.**",
}
TRAINING = ["model", "steps", "tokens seen", "epochs", "first loss", "last loss", "loss on valid", "precision"]


def markdown(params: Params, found: Figures) -> str:
    """The report's text."""
    about = {name: task.about.get(params.profile, "") for name, task in params.tasks.items()}
    overlap = params.active.split.overlap
    tasks = task_sections.markdown(found.comparison["tasks"], found.mistakes, found.tasks, about, overlap)
    parts = [
        overview(params, found),
        losses(params, found),
        against_others(params, found),
        tasks,
        training(params, found),
        the_base(found.base),
        corpora(params, found),
        licences(params),
        reproduce(params, found),
    ]
    return "\n".join(parts)


def overview(params: Params, found: Figures) -> str:
    choice = found.comparison["choice"]
    domains = "\n".join(f"- {advice(params, found.comparison, domain)}" for domain in params.domains)
    return f"""# Domain-adaptive pre-training: profile {params.profile}

{domains}

Of all models: **use {choice["model"]}** ({choice["rule"]}): {choice["why"]}.

A difference is called noise where another sample of text might turn it round: where its 95 % interval (bootstrap over
groups) holds 0. Each model is a single pre-training run (one seed); `dapt spread` tells how far another seed moves its
losses. Intervals are not adjusted for their number; p is.

## Which model for what

{uses(found.comparison)}

Losses are better where they are lower, the others where they are higher.
"""


def uses(comparison: dict) -> str:
    """For each figure the best model, and how far it is ahead of the next."""
    lines = [
        [figure, best["model"], f"{best['value']:.3f}", second["model"], signed(second["gap"])]
        for figure, (best, second, *_) in comparison["best"].items()
    ]
    return rows(lines, ["judged by", "best", "figure", "next", "difference"])


def losses(params: Params, found: Figures) -> str:
    settings = params.active
    sizes = ", ".join(
        f"{name}: {found.eval['base'][name]['masked_tokens']:,} masked tokens in "
        f"{found.split['sets'][name]['heldout']['groups']:,} groups"
        for name in params.heldout
    )
    unknown = ", ".join(f"{share(found.eval['base'][name]['unknown'])} of {name}" for name in params.heldout)
    resamples = f"{RESAMPLES:,} resamples; {settings.compare.resamples:,} for differences"
    return f"""## Loss on held-out text

Masked-LM loss per masked token, with its 95 % interval ({resamples}). No document of these sets, nor a near duplicate
of one (MinHash, Jaccard {settings.split.similar}), is in any training set here; what the base read before it came here
is not known. {sizes}. Tokens that the tokenizer does not know, and special ones that stand in a text, are never asked
for: {unknown}.

{table(found.comparison)}

![Loss of each model on each held-out set](matrix.svg)

Accuracy, the share of masked tokens that a model holds for the likeliest / for one of the five likeliest:

{accuracies(found.comparison)}
"""


def against_others(params: Params, found: Figures) -> str:
    comparison, control = found.comparison, params.control
    return f"""### Against the base

Paired differences; negative is better. {HEADS[found.base["head_after"]]}

{differences(comparison, "vs_base")}

### Against the control

`{control}` was trained for equally many steps on general text: this is what the *domain* brings, beyond more steps.

{differences(comparison, "vs_control")}

### Each domain on its own text

{specialists(params, comparison)}

### What was forgotten

On general text: a positive difference to the base is what a model has forgotten since; one to the control, which saw
only such text, is what the same steps would have brought there (`train.replay` mixes some of it in):

{forgotten(params, comparison)}
"""


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
    cells = {name: of_model[params.control] for name, of_model in comparison["matrix"].items()}
    lines = [
        [name, f"{cell['loss']:.3f}", signed(cell.get("vs_base")), signed(cell.get("vs_control"))]
        for name, cell in cells.items()
    ]
    return rows(lines, ["model", f"loss on {params.control}", "against the base", "against the control"])


def training(params: Params, found: Figures) -> str:
    def sources(corpus: str) -> str:
        return "; ".join(source.name for source in params.active.corpora[corpus])

    trained_on = [
        [name, ", ".join(f"{corpus} ({sources(corpus)})" for corpus in corpora)]
        for name, corpora in params.domains.items()
    ]
    trainings = [
        [name, of["steps"], f"{of['tokens_seen']:,}", of["epochs"], of["first_loss"], of["last_loss"], of["valid_loss"]]
        + [of["precision"], f"{of['parameters']:,}", f"{of['model_bytes'] / 1e6:.1f} MB"]
        for name, of in found.train.items()
    ]
    return f"""## Training

{rows(trained_on, ["model", "trained on"])}

![Loss during training](curves.svg)

{rows(trainings, [*TRAINING, "parameters", "size"])}

First and last loss are means of 10 steps on training text of the model's own domain: they can't be compared across
models; the matrix can. One seed each (`dapt spread` runs several).

Beside the runs of the original project (BERT-base, one seed; theirs first, then these):

{original_runs.table(found.train)}
"""


def the_base(base: dict) -> str:
    repair = f"{base['repair']} ({base['steps']} steps on general text, body frozen)"
    return f"""## The base

{base["parameters"]:,} parameters, pooler {base["pooler"]}. Its head was {base["head"]} as it came: a loss of
{base["probe_before"]} on the probe text ({base["probe_tokens"]:,} tokens), where token frequencies alone reach
{base["probe_unigram"]}. Repair: {repair}; then it was {base["head_after"]}, with a loss of {base["probe_after"]}.
On general validation text the loss went from {base["loss_before"]} to {base["loss_after"]}.
"""


def corpora(params: Params, found: Figures) -> str:
    of_profile = params.active.corpora
    read = [
        [name, ", ".join(source.name for source in of_profile[name]) if corpus.enabled else "not enabled"]
        + [f"{found.clean[name][key]:,}" for key in ("rows_in", "kept")]
        for name, corpus in params.corpora.items()
    ]
    after = [
        [name, counts["rows"], counts["kept"]]
        + [", ".join(f"{count} {reason}" for reason, count in counts["dropped"].items()) or "–"]
        for name, counts in found.split["corpora"].items()
    ]
    held = [
        [name, *(f"{counts['documents']:,} / {counts['groups']:,}" for counts in sides.values())]
        for name, sides in found.split["sets"].items()
    ]
    sources = [source for of_corpus in of_profile.values() for source in of_corpus]
    notes = dict.fromkeys(f"{source.name}: {source.note}.\n\n" for source in sources if source.note)
    unpinned = ", ".join(params.unpinned())
    not_pinned = f"Not pinned, so another run may read other text: {unpinned}.\n\n" if unpinned else ""
    return f"""## Corpora

{rows(read, ["corpus", "sources", "rows in", "kept"])}

What was dropped and repaired, lengths, languages, and what the corpora hold of each other: data.html, the data card.

{"".join(notes)}{not_pinned}De-duplicated within and across corpora, and cleared of what is held out or tested on:

{rows(after, ["corpus", "rows", "kept", "dropped"])}

Documents / groups per set:

{rows(held, ["domain", "train", "valid", "held-out"])}
"""


def licences(params: Params) -> str:
    settings = params.active
    of_text = {(source.name, source.licence) for sources in settings.corpora.values() for source in sources}
    of_models = {(name, params.bases[name].licence) for _, name in settings.model if name}
    return f"""## Licences

{rows([list(licence) for licence in sorted(of_text | of_models)], ["source", "licence"])}
"""


def reproduce(params: Params, found: Figures) -> str:
    """One row per figure: the command that makes it, and the hashes of what it was made from."""
    made = {
        "dvc repro validate": found.validate,
        "dvc repro split": found.split,
        "dvc repro compare": found.comparison,
        "dvc repro base": found.base,
    }
    made |= {f"dvc repro train@{name}": figures for name, figures in found.train.items()}
    made |= {f"dvc repro evaluate@{name}": found.eval[name] for name in params.models}
    made |= {f"dvc repro baseline@{name}": found.tasks[name][task.words] for name, task in params.tasks.items()}
    for task in params.tasks:
        made |= {f"dvc repro finetune@{task}-{name}": found.tasks[task][name] for name in params.finetuned}

    def inputs(figures: dict) -> str:
        return "<br>".join(f"{made['path']} `{made['sha256'][:16]}…`" for made in figures["made_from"])

    lines = [[f"`{command}`", inputs(figures)] for command, figures in made.items()]
    return f"""## Reproduce

`dvc repro` makes each figure again; `dvc pull` fetches the models. What each was made from, by SHA-256:

{rows(lines, ["command", "inputs"])}
"""
