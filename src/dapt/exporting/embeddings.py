"""`--format sentence-transformers`: a sentence encoder, as sentence-transformers and text-embeddings-inference load it.

The vector of a text is the mean of its tokens' last hidden states, or that of [CLS] if the model was tuned so, scaled to
length 1. With `--tune` the encoder is first tuned on text without labels (tuning.py), and the ranking tasks of the repository
are measured before and after it (zero_shot.py).

sentence-transformers 6 reads two forms of 1_Pooling/config.json and sentence_bert_config.json, and itself saves the newer one.
text-embeddings-inference reads the older one alone (`pooling_mode_mean_tokens`, `max_seq_length`), so that is what is written
here.
"""

import math
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError
from transformers import AutoModel, PreTrainedModel

from dapt.core.files import read_json, write_json
from dapt.core.paths import MODELS, SPLIT
from dapt.exporting import Options, zero_shot
from dapt.exporting.libraries import refuse_missing
from dapt.judging.inputs import texts
from dapt.judging.statistics import apart
from dapt.model import checkpoint, readme
from dapt.model.architectures import usable_positions
from dapt.model.tokenizer import load_tokenizer, write_tokenizer
from dapt.telling.errors import UserError

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

MODULES, POOLING, LENGTH = "modules.json", "1_Pooling/config.json", "sentence_bert_config.json"
PROMPTS = "config_sentence_transformers.json"
NO_PROMPTS: dict[str, Any] = {"prompts": {}, "default_prompt_name": None, "similarity_fn_name": "cosine"}
KEYS = {
    "mean": "pooling_mode_mean_tokens",
    "cls": "pooling_mode_cls_token",
}  # pooling → its key in 1_Pooling/config.json
FIGURES = "figures.json"
WORDS = {"mean": "the mean of the last hidden states over its tokens", "cls": "the last hidden state of [CLS]"}


@dataclass(frozen=True)
class Layout:
    """How the vector of a text is computed from the hidden states of its tokens."""

    pooling: str  # mean or cls
    normalised: bool  # scaled to length 1
    longest: int  # tokens of a text, [CLS] and [SEP] included; a longer one is cut
    lower: bool  # sentence-transformers makes texts lower-case, whatever the tokenizer does
    # What it puts before a text, which of these if none is asked for, and how it compares vectors.
    prompts: dict[str, Any]


def layout(model: Path, network: PreTrainedModel, asked: str | None) -> Layout:
    """What the files of a sentence encoder say; for any other model the mean, vectors of length 1, and the longest text that
    the encoder and its tokenizer can take. `asked` is the pooling to use instead."""
    kinds = modules(model)
    of_texts, of_all = (read_json(model / name) if (model / name).is_file() else {} for name in (LENGTH, PROMPTS))
    limits = (usable_positions(network), load_tokenizer(model)[1].longest, of_texts.get("max_seq_length"), 1 << 20)
    return Layout(
        asked or pooling(model),
        not kinds or "Normalize" in kinds,
        int(min(limit or math.inf for limit in limits)),
        bool(of_texts.get("do_lower_case")),
        {name: of_all.get(name) or other for name, other in NO_PROMPTS.items()},
    )


def modules(model: Path) -> list[str]:
    """The kinds of modules of a sentence encoder, none for any other model; another kind of module is refused."""
    path = model / MODULES
    found = [str(module["type"]).rsplit(".")[-1] for module in read_json(path)] if path.is_file() else []
    if lost := [kind for kind in found if kind not in ("Transformer", "Pooling", "Normalize")]:
        raise UserError(f"{path} has the module {lost[0]}, which an export would lose; copy the folder as it is")
    return found


def pooling(model: Path) -> str:
    """The pooling that a sentence encoder was tuned for; mean for any other model."""
    path = model / POOLING
    if not path.is_file():
        return "mean"
    found = read_json(path)
    used = [key for key in found if key.startswith("pooling_mode_") and found[key]]
    named = [found["pooling_mode"]] if "pooling_mode" in found else used
    for name, key in KEYS.items():
        if named in ([name], [key]):
            return name
    raise UserError(f"{path} names another pooling than mean and cls; choose one of them with --pooling")


def files(of: Layout, width: int) -> dict[str, object]:
    """The configuration of a sentence encoder with vectors of `width` numbers, by the path of each file."""
    kinds = {"": "Transformer", "1_Pooling": "Pooling"} | ({"2_Normalize": "Normalize"} if of.normalised else {})
    poolings = dict.fromkeys(("max_tokens", "mean_sqrt_len_tokens", "weightedmean_tokens", "lasttoken"), False)
    return {
        MODULES: [
            {"idx": number, "name": str(number), "path": path, "type": f"sentence_transformers.models.{kind}"}
            for number, (path, kind) in enumerate(kinds.items())
        ],
        POOLING: {"word_embedding_dimension": width}
        | {key: name == of.pooling for name, key in KEYS.items()}
        | {f"pooling_mode_{name}": used for name, used in poolings.items()}
        | {"include_prompt": True},
        LENGTH: {"max_seq_length": of.longest, "do_lower_case": of.lower},
        PROMPTS: {"model_type": "SentenceTransformer"} | of.prompts,
    }


def export(model: Path, folder: Path, options: Options) -> dict[str, Any]:
    """Write a sentence encoder to `folder`; the figures that are returned are also in its figures.json and README.md."""
    network, info = checkpoint.from_folder(AutoModel, model, options.seed)
    of = layout(model, network, options.pooling)
    saved(network, folder)
    write_tokenizer(model, folder)
    for name, content in files(of, network.config.hidden_size).items():
        write_json(folder / name, content)
    found: dict[str, Any] = {"pooling": of.pooling, "normalised": of.normalised, "longest": of.longest}
    found |= {"width": network.config.hidden_size, "parameters": network.num_parameters()}
    if options.tune:
        found |= tuned(model, folder, options)
    write_json(folder / FIGURES, found)
    write_readme(folder, readme.name_in(model), found, pooler_drawn="pooler.dense.weight" in info["missing_keys"])
    return found


def tuned(model: Path, folder: Path, options: Options) -> dict[str, Any]:
    """Tune the encoder in `folder`, which was exported from `model`; return the figures of the tuning, and of each ranking task
    before and after it."""
    refuse_missing("sentence_transformers")
    from dapt.exporting import tuning

    tasks = zero_shot.ranking_tasks()
    source = options.text or own_text(model)
    read = [row["text"] for row in texts(source, None)]
    kept = zero_shot.unseen(read, tasks)
    tuning.check(model, options, source, kept)
    encoder = opened(folder)
    before = {name: zero_shot.scores(encoder, rows) for name, rows in tasks.items()}
    how = tuning.tune(encoder, model, kept, options)
    saved(encoder.transformers_model, folder)  # type: ignore[arg-type]
    found: dict[str, Any] = {
        "tuning": {"text": name_of(source), "texts_read": len(read), "texts_used": len(kept)} | how
    }
    for name, rows in tasks.items():
        figures = zero_shot.figures(before[name], zero_shot.scores(encoder, rows), rows)
        warn_if_worse(name, figures["difference"])
        found |= {f"{name}_{key}": value for key, value in figures.items()}
    return found


def name_of(text: Path) -> str:
    """Its path in the repository; of a file elsewhere only the name, since the rest is of this machine."""
    path, here = text.absolute(), Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else path.name


def saved(network: PreTrainedModel, folder: Path) -> None:
    try:
        network.save_pretrained(folder)
    except SafetensorError as error:
        raise UserError(f"cannot write {folder}: {error}; free disk space there, then run again") from error


def warn_if_worse(task: str, difference: dict[str, Any]) -> None:
    metric, change = next(iter(difference.items()))
    if change < 0 and apart(difference["ci95"]):
        print(
            f"warning: the tuned encoder is significantly worse on {task} ({metric} {change:+.3f}); export the model without "
            "--tune, or compare other --steps and --text",
            file=sys.stderr,
        )


def opened(folder: Path) -> "SentenceTransformer":
    from sentence_transformers import SentenceTransformer

    device = "cuda" if torch.cuda.is_available() else "cpu"
    return SentenceTransformer(str(folder), device=device, local_files_only=True)


def own_text(model: Path) -> Path:
    """The training text of the domain whose model this is."""
    path = SPLIT / model.name / "train.jsonl"
    if model.parent != MODELS or not path.is_file():
        raise UserError(f"{model} has no text of its own in {SPLIT}; name a text to tune it on with --text")
    return path


def write_readme(folder: Path, name: str, found: dict[str, Any], pooler_drawn: bool) -> None:
    length = (
        "scaled to length 1, so that the product of two vectors is their cosine"
        if found["normalised"]
        else "not scaled"
    )
    unused = (
        "\n- The pooler in the weights is not used; the model that this is a copy of has none, so it is random."
        * pooler_drawn
    )
    text = f"""A sentence encoder, made from {name} (`dapt export --format sentence-transformers`).

- The vector of a text has {found["width"]} numbers. It is {WORDS[found["pooling"]]}, {length}.
- What is longer than {found["longest"]} tokens is cut.{unused}
{tuning_text(found)}
## Use

```python
from sentence_transformers import SentenceTransformer

model = SentenceTransformer(".")  # this folder
vectors = model.encode(["Shares fell after the report.", "The stock lost value."])
print(model.similarity(vectors[:1], vectors[1:]))
```

text-embeddings-inference reads the same folder (`--model-id FOLDER`). {FIGURES} has the figures of this page as data. Read the
licences of what the model was made from before you pass it on.
"""
    tags = ["sentence-transformers", "feature-extraction", name]
    readme.write(
        folder,
        f"{name}, sentence embeddings",
        text,
        library_name="sentence-transformers",
        pipeline_tag="sentence-similarity",
        tags=tags,
    )


def tuning_text(found: dict[str, Any]) -> str:
    """How the encoder was tuned, and a table of the ranking tasks before and after it."""
    if "tuning" not in found:
        return "- It was not tuned for embeddings: it was trained to predict masked words.\n"
    how = found["tuning"]
    told = ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in how.items() if key not in ("method", "text"))
    text = f"- It was tuned for embeddings by {how['method']} on {how['text']}, without labels: {told}.\n"
    for task in (key.removesuffix("_difference") for key in found if key.endswith("_difference")):
        before, after, change = (found[f"{task}_{key}"] for key in ("before", "after", "difference"))
        names = [key for key in before if key != "ci95"]
        rows = [f"| {name} | {before[name]:.3f} | {after[name]:.3f} |" for name in names]
        interval = f", 95 % interval [{change['ci95'][0]:+.3f}, {change['ci95'][1]:+.3f}]" if change["ci95"] else ""
        text += f"""
## {task}

The ranking task {task} by the cosine of question and answer. No row of its test side was in the text of the tuning. The
difference of {names[0]} is {change[names[0]]:+.3f}{interval}.

| | before the tuning | after it |
|---|---|---|
{chr(10).join(rows)}
"""
    return text
