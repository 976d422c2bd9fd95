"""The README.md of models/base and of models/DOMAIN."""

from pathlib import Path
from typing import Any

from transformers import PreTrainedModel

from dapt.core.config import Train
from dapt.model import readme

TOLD = (  # the settings that decide the weights, beside the steps and the precision
    *("batch", "window", "lr", "schedule", "warmup", "weight_decay", "clip", "mask", "whole_words", "replay"),
    *("dropout", "seed"),
)
LOSS = "Loss per masked token on validation text"


def write(folder: Path, place: str, name: str, made: str) -> None:
    """The README of the model in models/PLACE, which is called `name`: how it was made, and how to use it."""
    text = f"""{made}

## Use

```python
from transformers import pipeline

fill = pipeline("fill-mask", model="models/{place}")
for found in fill(f"The cause is {{fill.tokenizer.mask_token}}.", top_k=3):
    print(found["token_str"], round(found["score"], 3))
```

`models/{place}` is this folder; write where your copy of it is.

The vector of a text is the mean of the last hidden states over its tokens (mean pooling), which is also what
`SentenceTransformer("models/{place}")` computes. The model was trained to predict tokens: no vector of a single token, such
as that of [CLS], was trained to stand for a text.

docs/use.md of the repository has more examples. reports/cards/{place}.md there has the losses on held-out text, the figures
on downstream tasks, and the licences of what the model was made from: read them before you pass it on.
"""
    tags = ["domain-adaptive-pretraining", "masked-lm", place]
    readme.write(folder, name, text, library_name="transformers", pipeline_tag="fill-mask", tags=tags)


def kind_of(network: PreTrainedModel) -> str:
    return f"masked language model of type {network.config.model_type} with {network.num_parameters():,} parameters"


def of_base(network: PreTrainedModel, figures: dict[str, Any], control: str) -> str:
    """How the base was made, from the figures of metrics/base.json."""
    general = f", {figures['steps']} steps on text of {control}" if figures["steps"] else ""
    return f"""A {kind_of(network)}, from which every training of the repository starts (`dapt base`).

- Its masked-LM head was {figures["head"]} as it came. Repair: {figures["repair"]}{general}.
- {LOSS} of {control}: {figures["loss_before"]:.3f} as it came, {figures["loss_after"]:.3f} now."""


def of_domain(network: PreTrainedModel, base: str, settings: Train, figures: dict[str, Any]) -> str:
    """How the model of a domain was made, from the figures of metrics/train/DOMAIN.json."""
    told = {name: getattr(settings, name) for name in TOLD} | {"precision": figures["precision"]}
    return f"""A {kind_of(network)}: {base}, pre-trained further on text of {figures["domain"]} \
(`dapt train {figures["domain"]}`).

- Its text: {figures["documents"]:,} documents, {figures["tokens"]:,} tokens.
- Trained for {figures["steps"]} steps, in which it read {figures["tokens_seen"]:,} tokens and predicted \
{figures["tokens_predicted"]:,} of them.
- {LOSS}: {figures["valid_loss_before"]:.3f} before the training, {figures["valid_loss"]:.3f} after it.
- Settings: {", ".join(f"{name} {value}" for name, value in told.items())}."""
