"""The text of the report, from metrics/ alone: one function per section."""

from dapt.core.config import Params
from dapt.judging.statistics import RESAMPLES, apart
from dapt.reporting import original_runs, task_sections
from dapt.reporting.advice import advice
from dapt.reporting.markdown import folded, rows, share, telling
from dapt.reporting.metrics import Figures
from dapt.reporting.tables import accuracies, differences, signed, table

HEADS = {
    "trained": "The head of the base is trained (see Base model), so the difference to the base shows what adaptation gains: more "
    "training steps and the domain's text together. The row of the control shows what more steps alone gain.",
    "untrained": "**The head of the base is untrained (see Base model), so training on any text improves on it.**",
}
WITHOUT_CONTROL = " The control was not fine-tuned, so the tasks do not separate the effect of the domain's text from that of more training."
NOTHING_FORGOTTEN = "No model is significantly worse on general text than the base."
TRAINING = ["model", "steps", "tokens read", "epochs", "first loss", "last loss", "loss on valid", "precision", "size"]


def markdown(params: Params, found: Figures) -> str:
    """The report's text."""
    about = {name: task.about.get(params.profile, "") for name, task in params.tasks.items()}
    overlap = params.active.split.overlap
    tasks = task_sections.markdown(found.comparison["tasks"], found.mistakes, found.tasks, about, found.split, overlap)
    parts = [
        overview(params, found.comparison, found.base),
        losses(params, found),
        differences_of_losses(params, found),
        tasks,
        training(params, found),
        the_base(found.base),
        corpora(params, found),
        licences(params),
        reproduce(params, found),
    ]
    return "\n".join(parts)


def overview(params: Params, comparison: dict, base: dict) -> str:
    choice = comparison["choice"]
    domains = "\n".join(f"- {advice(params, comparison, name)}" for name in params.domains if name != params.control)
    without_control = "" if params.control in params.finetuned else WITHOUT_CONTROL
    return f"""# Domain-adaptive pre-training: profile {params.profile}

Base model: {params.active.model.base}, {base["parameters"]:,} parameters. Each model is a single pre-training run with one
random seed.

## Verdict

{domains}

If one model has to serve all of them, **use {choice["model"]}** ({choice["rule"]}): {choice["why"]}.

{task_sections.verdict(comparison["tasks"])}{without_control}

![Loss of each model on each held-out set](matrix.svg)

![Score of each model on each task](tasks.svg)

A difference of losses is significant if its 95 % interval (bootstrap over groups) does not contain 0: its sign is then
unlikely to depend on the sample of held-out text. The intervals are not adjusted for the number of comparisons; the p-values of
the tasks are. Neither covers the random seed of the pre-training: `dapt spread` measures how much the losses vary with it.

## Best models

{best(comparison)}

Lower is better for losses, higher for the metrics of tasks. The differences in this table are between the two best models, with
intervals that are not adjusted.
"""


def best(comparison: dict) -> str:
    """For each figure the best model, how far it is ahead of the next, and the best baseline of a task."""
    free = {
        f"{models['base']['metric']} on {task}": task_sections.best_baseline(models)
        for task, models in comparison["tasks"].items()
    }
    lines = [
        [figure, best["model"], f"{best['value']:.3f}", second["model"], signed(second["gap"]), free.get(figure, "–")]
        for figure, (best, second, *_) in comparison["best"].items()
    ]
    return rows(lines, ["criterion", "best model", "value", "next best", "difference", "best baseline"])


def losses(params: Params, found: Figures) -> str:
    return f"""## Loss on held-out text

Masked-language-modelling loss per masked token, with its 95 % interval; the lowest loss of each column is bold.

{table(found.comparison, bold=True)}

{folded("How the loss is measured", measured(params, found))}

{folded("Accuracy", accuracy(found.comparison))}
"""


def measured(params: Params, found: Figures) -> str:
    settings = params.active
    sizes = [
        [
            name,
            f"{found.split['sets'][name]['heldout']['groups']:,}",
            f"{found.eval['base'][name]['masked_tokens']:,}",
            share(found.eval["base"][name]["unknown"]),
        ]
        for name in params.heldout
    ]
    return f"""No training set contains a document of these held-out sets, nor a near duplicate of one (MinHash, Jaccard similarity
{settings.split.similar}). What the base model read before it was published is not known. Intervals: bootstrap over groups,
{RESAMPLES:,} resamples of each set, {settings.compare.resamples:,} of each difference. Special tokens, and tokens that the tokenizer does
not know, are never masked.

{rows(sizes, ["held-out text", "groups", "masked tokens", "unknown tokens"])}"""


def accuracy(comparison: dict) -> str:
    return f"""The share of masked tokens for which the model's most likely token is the right one / for which the right one is
among the model's five most likely tokens.

{accuracies(comparison)}"""


def differences_of_losses(params: Params, found: Figures) -> str:
    comparison, control = found.comparison, params.control
    return f"""### Compared with the base and the control

{HEADS[found.base["head_after"]]} The control, `{control}`, was trained for equally many steps on general text: the difference
to it shows what the *domain's text* gains, beyond more training steps. All differences are paired, on the same masked
tokens.

![Difference of each model's loss to the base and to the control](differences.svg)

{folded("Differences to the base", differences(comparison, "vs_base"))}

{folded("Differences to the control", differences(comparison, "vs_control"))}

{folded("Each domain's model on its own text, compared with every other model", specialists(params, comparison))}

### Forgetting

The loss on general text. A positive difference to the base means that the model has become worse on general text than the
base. The difference to the control, which was trained on such text only, shows what the same number of steps on general text
would have gained there (`train.replay` mixes some of it into the training text).

{forgetting(params, comparison)}
"""


def specialists(params: Params, comparison: dict) -> str:
    """The model of each domain on the domain's own text, against every other model."""
    lines = []
    for domain in params.domains:
        if domain == params.control or domain not in params.heldout:
            continue
        cell = comparison["matrix"][domain][domain]
        pairs = {"base": cell["vs_base"], params.control: cell["vs_control"], **cell["vs"]}
        lines += [[domain, other, signed(pair)] for other, pair in pairs.items()]
    return rows(lines, ["model, on its own text", "compared with", "difference of the loss"])


def forgetting(params: Params, comparison: dict) -> str:
    """Which models have become significantly worse on general text than the base, and all figures."""
    if params.control not in params.heldout:
        return f"Not measured: {params.control} is not among heldout in params.yaml."
    cells = {name: of_model[params.control] for name, of_model in comparison["matrix"].items()}
    lines = [
        [name, f"{cell['loss']:.3f}", signed(cell.get("vs_base")), signed(cell.get("vs_control"))]
        for name, cell in cells.items()
    ]
    pairs = {name: cell["vs_base"] for name, cell in cells.items() if "vs_base" in cell}
    worse = [name for name, pair in pairs.items() if pair["diff"] > 0 and apart(pair["ci95"])]
    said = f"**Significantly worse on general text than the base: {', '.join(worse)}.**" if worse else NOTHING_FORGOTTEN
    header = ["model", f"loss on {params.control}", "compared with the base", "compared with the control"]
    return f"{said}\n\n{rows(lines, header)}"


def training(params: Params, found: Figures) -> str:
    def sources(corpus: str) -> str:
        return "; ".join(source.name for source in params.active.corpora[corpus])

    trained_on = [
        [name, ", ".join(f"{corpus} ({sources(corpus)})" for corpus in corpora)]
        for name, corpora in params.domains.items()
    ]
    trainings = [
        [name, of["steps"], f"{of['tokens_seen']:,}", of["epochs"], of["first_loss"], of["last_loss"], of["valid_loss"]]
        + [of["precision"], f"{of['model_bytes'] / 1e6:.1f} MB"]
        for name, of in found.train.items()
    ]
    return f"""## Training

{rows(trained_on, ["model", "trained on: corpus (source)"])}

![Loss during training](curves.svg)

{rows(trainings, TRAINING)}

The first and the last loss are means of 10 steps on the training text of the model's own domain, so they cannot be compared
across models; the losses on held-out text can. With equally many steps the number of tokens differs a little, since windows are
not filled to the last token.

{folded("Compared with the runs of the original project", original(found))}
"""


def original(found: Figures) -> str:
    return f"""The original project trained BERT-base with one random seed. Its losses are training losses of a model whose head was
untrained. **Do not compare them with those here, unless base, head and corpora are the same.** The table shows how much text
each run read.

{original_runs.table(found.train)}"""


def the_base(base: dict) -> str:
    steps = f" ({base['steps']} steps on general text, with the encoder frozen)" if base["steps"] else ""
    return f"""## Base model

{base["parameters"]:,} parameters; pooler: {base["pooler"]}. As published, its masked-LM head was {base["head"]}: its loss on
the probe text ({base["probe_tokens"]:,} tokens) was {base["probe_before"]}, while token frequencies alone reach
{base["probe_unigram"]}. Repair: {base["repair"]}{steps}. After that the head was {base["head_after"]}, with a loss of {base["probe_after"]}
on the probe text; on general validation text the loss went from {base["loss_before"]} to {base["loss_after"]}.
"""


def corpora(params: Params, found: Figures) -> str:
    of_profile = params.active.corpora
    read = [
        [name, ", ".join(source.name for source in of_profile[name]) if corpus.enabled else "not enabled"]
        + [f"{found.clean[name][key]:,}" for key in ("rows_in", "kept")]
        + [f"{found.split['corpora'][name]['kept']:,}" if name in found.split["corpora"] else "–"]
        for name, corpus in params.corpora.items()
    ]
    held = [
        [name, *(f"{counts['documents']:,} / {counts['groups']:,}" for counts in sides.values())]
        for name, sides in found.split["sets"].items()
    ]
    sources = [source for of_corpus in of_profile.values() for source in of_corpus]
    notes = dict.fromkeys(f"{source.name}: {source.note}.\n\n" for source in sources if source.note)
    unpinned = ", ".join(params.unpinned())
    not_pinned = f"Not pinned, so that another run may read other text: {unpinned}.\n\n" if unpinned else ""
    return f"""## Corpora

{telling(read, ["corpus", "sources", "rows read", "kept by cleaning", "kept by the split"])}

A corpus is named after its role in the original project; the sources say what its text is. The [data card](data.html) says what
was dropped and repaired, and shows lengths, languages and how much the corpora have in common.

{"".join(notes)}{not_pinned}Documents / groups per set:

{rows(held, ["domain", "train", "valid", "held-out"])}

{folded("What the split dropped", dropped(found.split))}
"""


def dropped(split: dict) -> str:
    lines = [
        [name, f"{count:,}", reason]
        for name, counts in split["corpora"].items()
        for reason, count in sorted(counts["dropped"].items(), key=lambda pair: -pair[1])
    ]
    return f"""The split removes duplicates within and across corpora, and training text that also occurs in held-out text or in a test row of a
task. Before the colon: the side on which the dropped text was.

{rows(lines, ["corpus", "rows", "reason"])}"""


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

`dvc repro` makes every figure again, and `dvc pull` fetches the models.

{folded("What each figure was made from, by SHA-256", rows(lines, ["command", "inputs"]))}
"""
