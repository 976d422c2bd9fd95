"""README.md in a model's folder: what is known when the model is saved, so that a copy of the folder explains itself.

The full card, reports/cards/X.md, is written later from figures and licences. No training may depend on these: a licence
whose wording is corrected would train a model again.
"""

from pathlib import Path
from typing import Any

from huggingface_hub import ModelCardData, metadata_load

from dapt.core.files import whole_file

FILE = "README.md"


def write(folder: Path, name: str, text: str, **metadata: Any) -> None:
    """The text under a title; above it `metadata` as YAML, in the words of the hub's ModelCardData."""
    data = ModelCardData(model_name=name, **metadata).to_yaml()
    with whole_file(folder / FILE) as file:
        file.write(f"---\n{data}\n---\n\n# {name}\n\n{text}")


def name_in(folder: Path) -> str:
    """The name that the README of a model's folder gives to it; that of the folder where no README does."""
    path = folder / FILE
    found = metadata_load(path) if path.is_file() else None
    return (found or {}).get("model_name", folder.name)
