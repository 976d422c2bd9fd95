"""`--format onnx`: model.onnx, which onnxruntime runs without torch, and with `--int8` a smaller network beside it (int8.py).

The network computes what the model is for, as its files say: a masked language model the logits of its tokens, a sentence
encoder (an export to sentence-transformers, for instance) the last hidden states and the vector of each text, any other
encoder the last hidden states, a classifier the logits of its classes. For embeddings of a masked language model, export it to
sentence-transformers first: a network with both would compute the logits, most of its work, for every vector.

The exporter is torch's default, on torch.export (`dynamo=True`, which needs onnxscript). The older one, on TorchScript, is
several times as fast but deprecated: it keeps the branch that the example inputs take, where torch.export refuses one that
depends on the values. Each network is compared with torch before it is kept.
"""

import inspect
import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import nn
from transformers import AutoModel, AutoModelForSequenceClassification, AutoTokenizer, PreTrainedModel

from dapt.core.files import write_json
from dapt.exporting import Options, embeddings
from dapt.exporting.libraries import quiet, refuse_missing
from dapt.model import checkpoint, readme
from dapt.model.architectures import usable_positions
from dapt.model.tokenizer import write_tokenizer
from dapt.serving.engine import kind_of
from dapt.telling.errors import UserError, short

if TYPE_CHECKING:
    from dapt.exporting import int8

FILE, MASKED = "model.onnx", "masked language model"
PURPOSES = {  # what a model is for → the outputs of its network
    MASKED: ("logits",),
    "encoder": ("last_hidden_state",),
    "sentence encoder": ("last_hidden_state", "sentence_embedding"),
    "classifier": ("logits",),
}
INPUTS = ("input_ids", "attention_mask", "token_type_ids")
SHAPES = ((1, 2), (1, 9), (3, 16), (2, 48), (1, 512))  # texts and tokens on which the network is compared with torch
TOLERANCE = 1e-4  # the largest difference that is accepted, as a share of the largest output or of 1
AXES = {0: torch.export.Dim("batch"), 1: torch.export.Dim("sequence")}


@dataclass(frozen=True)
class Parts:
    """A model that is exported: what it is for, its network, and how a sentence encoder pools."""

    purpose: str  # a key of PURPOSES
    network: PreTrainedModel
    layout: embeddings.Layout | None


class Graph(nn.Module):
    """The network with its inputs and outputs by position, as they are in the file."""

    def __init__(self, parts: Parts):
        super().__init__()
        self.purpose, self.network, self.layout = parts.purpose, parts.network, parts.layout

    def forward(
        self, input_ids: torch.Tensor, attention_mask: torch.Tensor, token_type_ids: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, ...]:
        types = {} if token_type_ids is None else {"token_type_ids": token_type_ids}
        found = self.network(input_ids=input_ids, attention_mask=attention_mask, **types)
        if "logits" in PURPOSES[self.purpose]:
            return (found.logits,)
        hidden = found.last_hidden_state
        return (hidden,) if self.layout is None else (hidden, vectors(hidden, attention_mask, self.layout))


def vectors(hidden: torch.Tensor, mask: torch.Tensor, of: embeddings.Layout) -> torch.Tensor:
    """The vector of each text [texts, width] from the hidden states of its tokens [texts, tokens, width]."""
    weights = mask[:, :, None].to(hidden.dtype)
    found = hidden[:, 0] if of.pooling == "cls" else (hidden * weights).sum(1) / weights.sum(1)
    return F.normalize(found, dim=-1) if of.normalised else found


def parts(model: Path) -> Parts:
    """Load a model as what it is for; one that scores the options of a question is refused."""
    kind = kind_of(model)
    if kind == "classification":
        return Parts("classifier", checkpoint.from_folder(AutoModelForSequenceClassification, model, 0)[0], None)
    if kind == "multiple_choice":
        raise UserError(
            f"{model} scores the options of a question, and such a model is not exported to ONNX; use dapt serve"
        )
    if kind == "masked-lm":
        network, audit = checkpoint.load(model)
        if not audit.head_missing:
            return Parts(MASKED, network, None)
    network, _ = checkpoint.from_folder(AutoModel, model, 0)
    if kind == "ranking":
        return Parts("sentence encoder", network, embeddings.layout(model, network, None))
    return Parts("encoder", network, None)


def export(model: Path, folder: Path, options: Options) -> dict[str, Any]:
    """Write the network to `folder`, with the tokenizer and configuration; the figures that are returned are also in its
    figures.json and README.md."""
    refuse_missing("onnx", "onnxscript", "onnxruntime")
    of = parts(model)
    write_tokenizer(model, folder)
    of.network.config.save_pretrained(folder)
    if of.layout:
        for name, content in embeddings.files(of.layout, of.network.config.hidden_size).items():
            write_json(folder / name, content)
    measured = measured_on(model, folder, of) if options.int8 else None
    graph = Graph(of).eval()
    given = inputs(of.network, folder)
    write_network(graph, given, folder / FILE, model)
    difference = compared(graph, given, folder / FILE)
    found: dict[str, Any] = {
        "purpose": of.purpose,
        "inputs": list(given),
        "outputs": list(PURPOSES[of.purpose]),
        "longest": longest(of.network),
        "bytes": sum(path.stat().st_size for path in folder.glob(f"{FILE}*")),
        "largest_difference": difference,
    }
    if measured:
        found["int8"] = quantized(folder, *measured, masked=of.purpose == MASKED)
    write_json(folder / embeddings.FIGURES, found)
    write_readme(folder, readme.name_in(model), found)
    return found


def longest(network: PreTrainedModel) -> int | None:
    """The longest text in tokens that it takes; None if any."""
    found = usable_positions(network)
    return None if math.isinf(found) else int(found)


def measured_on(model: Path, folder: Path, of: Parts) -> tuple[str, "int8.Text"]:
    """The text on which int8 is measured, and its name. One that would say nothing is refused before anything is computed."""
    from dapt.exporting import int8

    name, rows = int8.held_out(model)
    return name, int8.text(folder, rows, usable_positions(of.network), of.purpose == MASKED)


def quantized(folder: Path, name: str, text: "int8.Text", masked: bool) -> dict[str, Any]:
    """Write the network with weights of 8 bits; its size, and how it differs from the other one."""
    from dapt.exporting import int8

    path = int8.write(folder / FILE)
    about = {"bytes": path.stat().st_size, "text": name, "texts": len(text.tokens)}
    return about | int8.compared(opened(folder / FILE), opened(path), text, masked)


def inputs(network: PreTrainedModel, folder: Path) -> dict[str, torch.Tensor]:
    """Example inputs: those of INPUTS that the tokenizer makes and the network takes, int64 [2, 8], with padding."""
    made = AutoTokenizer.from_pretrained(str(folder)).model_input_names
    taken = inspect.signature(network.forward).parameters
    return {name: value for name, value in random(2, 8).items() if name in made and name in taken}


def random(texts: int, tokens: int) -> dict[str, torch.Tensor]:
    """Random tokens for every input; all texts but the first have padding at the end."""
    chosen = torch.Generator().manual_seed(texts * tokens)
    mask = torch.ones(texts, tokens, dtype=torch.int64)
    mask[1:, -(tokens // 3) :] = 0
    ids = torch.randint(10, 90, mask.shape, generator=chosen)
    return dict(zip(INPUTS, (ids, mask, torch.zeros_like(ids))))


def write_network(graph: Graph, given: dict[str, torch.Tensor], path: Path, model: Path) -> None:
    """Write a network that takes any number of texts and tokens."""
    try:
        with quiet():
            torch.onnx.export(
                graph,
                kwargs=given,
                f=path,
                dynamo=True,
                external_data=False,
                verbose=False,
                input_names=list(given),
                output_names=list(PURPOSES[graph.purpose]),
                dynamic_shapes=dict.fromkeys(given, AXES),
            )
    except torch.onnx.OnnxExporterError as error:
        kind = graph.network.config.model_type
        raise UserError(
            f"torch cannot write {model}, which is of the type {kind}, as ONNX ({short(error)}); use another format"
        ) from error


@torch.inference_mode()
def compared(graph: Graph, given: dict[str, torch.Tensor], path: Path) -> float:
    """The largest difference between the outputs of onnxruntime and torch, without those at padding, which mean nothing; one
    above TOLERANCE is refused."""
    session, largest, scale = opened(path), 0.0, 1.0
    for texts, tokens in SHAPES:
        size = min(tokens, longest(graph.network) or tokens)
        batch = {name: value for name, value in random(texts, size).items() if name in given}
        used = batch["attention_mask"].bool()
        theirs = session.run(None, {name: value.numpy() for name, value in batch.items()})
        for ours, other in zip(graph(**batch), map(torch.from_numpy, theirs)):
            ours, other = (ours[used], other[used]) if ours.ndim == 3 else (ours, other)
            largest = max(largest, float((ours - other).abs().max()))
            scale = max(scale, float(ours.abs().max()))
    if not largest <= TOLERANCE * scale:
        raise UserError(
            f"the outputs of onnxruntime, of up to {scale:.2g}, differ from those of torch by {largest:.2g}, more than "
            f"{TOLERANCE * scale:.2g}; use another format"
        )
    return float(f"{largest:.2g}")


def opened(path: Path) -> Any:
    """A session of onnxruntime on the processor, with as many threads as torch has."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3  # errors alone
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def write_readme(folder: Path, name: str, found: dict[str, Any]) -> None:
    first, most = found["outputs"][-1], found["longest"]
    limit, cut = (f"; at most {most} tokens", f"truncation=True, max_length={most}, ") if most else ("", "")
    beside = f" Its weights are in {FILE}.data, beside it." if (folder / f"{FILE}.data").exists() else ""
    text = f"""A {found["purpose"]} for onnxruntime, made from {name} (`dapt export --format onnx`).

- {FILE} takes {", ".join(found["inputs"])} (int64, texts × tokens{limit}).{beside}
- It gives {" and ".join(found["outputs"])}.
- Its outputs differ from those of torch by at most {found["largest_difference"]:.1e} on random texts with and without padding.
{int8_text(found.get("int8"))}
## Use

```python
import onnxruntime
from transformers import AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained(".")  # this folder
session = onnxruntime.InferenceSession("{FILE}")
texts = ["Shares fell after the report.", "The stock lost value."]
batch = tokenizer(texts, padding=True, {cut}return_tensors="np")
given = {{one.name: batch[one.name] for one in session.get_inputs()}}
[{first}] = session.run(["{first}"], given)
print({first}.shape)
```

{embeddings.FIGURES} has the figures of this page as data. Read the licences of what the model was made from before you pass it
on.
"""
    readme.write(folder, f"{name}, ONNX", text, library_name="onnx", tags=["onnx", name])


def int8_text(found: dict[str, Any] | None) -> str:
    """What the network with weights of 8 bits loses."""
    if found is None:
        return ""
    text = f"""- model_quantized.onnx is the same network with weights of 8 bits: {found["bytes"] / 1e6:.1f} MB.
- On {found["texts"]} texts ({found["text"]}) its outputs differ by at most {found["largest_difference"]}.
  The mean cosine to those of {FILE} is {found["cosine"]}.
"""
    if "loss" in found:
        ci95 = found["loss_difference_ci95"]
        interval = f", 95 % interval [{ci95[0]:+.3f}, {ci95[1]:+.3f}]" if ci95 else ""
        text += f"""- Its loss per masked token there is {found["loss_int8"]:.3f} instead of {found["loss"]:.3f}.
- That is a difference of {found["loss_difference"]:+.3f}{interval}.
"""
    return text
