"""Which files make up a published model, by the names that transformers gives them."""

from fnmatch import fnmatch
from pathlib import PurePosixPath

from dapt.telling.errors import UserError

WEIGHTS = (  # the first row that matches is taken: safetensors before pickled, one file before several
    ("model.safetensors",),
    ("model.safetensors.index.json", "model-*.safetensors"),
    ("pytorch_model.bin",),
    ("pytorch_model.bin.index.json", "pytorch_model-*.bin"),
)
OTHERS = (
    "config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
    "*.model",  # SentencePiece
)


def model_files(names: list[str], where: str) -> list[str]:
    """The weights, configuration and tokenizer among the files of a repository, a package or a folder, sorted. The
    model must be in the only folder that has both a config.json and weights.

    >>> model_files(["README.md", "config.json", "vocab.txt", "pytorch_model.bin", "tf_model.h5"], "a/b")
    ['config.json', 'pytorch_model.bin', 'vocab.txt']
    """
    folders: dict[PurePosixPath, list[str]] = {}
    for name in names:
        folders.setdefault(PurePosixPath(name).parent, []).append(PurePosixPath(name).name)
    found = {folder: weights for folder, inside in folders.items() if (weights := _weights(inside))}
    if len(found) != 1:
        places = ", ".join(sorted(str(folder) for folder in found)) or "none"
        raise UserError(
            f"{where}: files: auto needs exactly one folder with a config.json and weights (model.safetensors or "
            f"pytorch_model.bin), and found {places}; name the files instead"
        )
    [(folder, weights)] = found.items()
    others = [name for name in folders[folder] if any(fnmatch(name, pattern) for pattern in OTHERS)]
    return sorted((folder / name).as_posix() for name in (*weights, *others))


def _weights(names: list[str]) -> list[str]:
    """The weights in a folder, if it has a config.json too."""
    for patterns in WEIGHTS if "config.json" in names else ():
        if found := [name for name in names if any(fnmatch(name, pattern) for pattern in patterns)]:
            return found
    return []
