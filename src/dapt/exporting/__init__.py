"""Copies of a model that programs outside this project load, one module per format, each with a function
`export(model, folder, options)`.

`model` is the model's folder, `folder` an empty one that takes its final name when the function returns without an error. The
function returns what it wrote as data that JSON can hold; `dapt export` prints it.
"""

from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from dapt.telling.errors import UserError

FORMATS = {  # format → module of this folder, the options that it has
    "hub": ("hub", ("push", "allow")),
    "sentence-transformers": ("embeddings", ("pooling", "tune", "steps", "text", "seed")),
    "onnx": ("onnx", ("int8",)),
}


@dataclass(frozen=True)
class Options:
    """What the command line asks for beside the format; each format has some of these."""

    push: str | None = None  # the repository of the hub, OWNER/NAME, that gets a copy
    allow: bool = False  # also if the licences of the model's sources do not allow that, or leave it open
    int8: bool = False  # write a second network with weights of eight bits
    pooling: str | None = None  # mean or cls; None: what the model was tuned for, otherwise mean
    tune: str | None = None  # tsdae or simcse: tune the model for embeddings first
    steps: int = 300  # of this tuning
    text: Path | None = None  # what it reads; None: the text of the model's own domain
    seed: int = 0


def run(name: str, model: Path, folder: Path, options: Options) -> dict[str, Any]:
    """Write `model` to `folder` in the format called `name`, completely or not at all, and upload it if asked to; return what was
    written."""
    # It imports what Windows lacks, and the command line reads FORMATS there as well.
    from dapt.core.files import whole_folder

    refuse_used(folder)
    with whole_folder(folder) as whole:
        found = import_module(f"dapt.exporting.{FORMATS[name][0]}").export(model, whole, options)
        refuse_used(folder)  # again: the export may have taken minutes
    if options.push:
        found["pushed"] = import_module("dapt.exporting.upload").run(folder, options.push)
    return found


def refuse_used(folder: Path) -> None:
    """Refuse a folder that is not new or empty: nothing of the user's is ever overwritten."""
    if folder.is_symlink():
        raise UserError(f"{folder} is a link; name the folder itself")
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise UserError(f"{folder} already exists and is not an empty folder; choose another folder")
