"""The README of a model's folder, as the hub's own client reads it."""

import pytest
from huggingface_hub import ModelCard

from dapt.model import readme


@pytest.mark.parametrize("name", ["biomed", "on", "2024", "a: b"])
def test_the_hub_reads_what_was_written_whatever_the_name(tmp_path, name):
    readme.write(tmp_path, name, "How it was made.\n", library_name="transformers", tags=["masked-lm", name])
    found = ModelCard.load(tmp_path / "README.md")
    assert found.data.to_dict() == {"library_name": "transformers", "model_name": name, "tags": ["masked-lm", name]}
    assert found.text.strip() == f"# {name}\n\nHow it was made."
    assert readme.name_in(tmp_path) == name


def test_a_folder_without_a_name_is_called_as_it_is(tmp_path):
    assert readme.name_in(tmp_path) == tmp_path.name
    (tmp_path / "README.md").write_text("# A model of someone else's\n")
    assert readme.name_in(tmp_path) == tmp_path.name
