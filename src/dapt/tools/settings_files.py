"""params.yaml, the profiles and dvc.yaml while a command edits them: comments stay, and nothing is written that is not right.

The files are written as DVC writes them (docs/pipeline.md), so that a change is the lines that it adds or takes.
"""

import difflib
import io
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.nodes import MappingNode

from dapt.core import config
from dapt.core.files import whole_file
from dapt.core.paths import PARAMS, profile_path
from dapt.telling.errors import UserError

PIPELINE = Path("dvc.yaml")


def round_trip() -> YAML:
    yaml = YAML()
    yaml.preserve_quotes, yaml.width = True, 4096
    return yaml


def on_one_line(**values: object) -> CommentedMap:
    """A mapping in braces."""
    found = CommentedMap(values)
    found.fa.set_flow_style()
    return found


def put(mapping: CommentedMap, name: str, value: object) -> None:
    """A new entry, before the last one: a comment behind a mapping belongs to its last entry, and would be torn off."""
    mapping.insert(max(0, len(mapping) - 1), name, value)


def put_item(items: CommentedSeq, value: object, at: int | None = None) -> None:
    """A new item, before the last one or at a place."""
    items.insert(max(0, len(items) - 1) if at is None else at, value)


class SettingsFiles:
    """The settings of the repository in the current folder, to be changed in place and then saved."""

    def __init__(self) -> None:
        self.active = config.load()
        self.before = {path: _read(path) for path in (PARAMS, *map(profile_path, self.active.profiles), PIPELINE)}
        self.values = {path: round_trip().load(text) for path, text in self.before.items() if path != PIPELINE}
        self.pipeline = self.before[PIPELINE]

    @property
    def params(self) -> CommentedMap:
        return self.values[PARAMS]

    def profiles(self, names: list[str]) -> dict[str, CommentedMap]:
        """Those that are named, all where none is."""
        there = self.active.profiles
        for name in names:
            if name not in there:
                known = f"there are: {', '.join(there)}"
                raise UserError(f"there is no profile {name!r}{config.instead(name, there, known)}")
        return {name: self.values[profile_path(name)] for name in names or there}

    def add_artifact(self, name: str, path: str, about: str) -> None:
        """A model that `dvc artifacts get` finds, behind the others."""
        entry = f"  {name}:\n    path: {path}\n    type: model\n    desc: {about}\n"
        artifacts = _entry(self.pipeline, "artifacts")
        if artifacts is None:
            self.pipeline = f"{self.pipeline.rstrip()}\n\nartifacts:\n{entry}"
            return
        end = _line_end(self.pipeline, artifacts.value[-1][1].value[-1][1].end_mark.index)
        self.pipeline = self.pipeline[:end] + entry + self.pipeline[end:]

    def remove_artifact(self, name: str) -> None:
        artifacts = _entry(self.pipeline, "artifacts")
        for key, value in artifacts.value if artifacts else ():
            if key.value == name:
                start = self.pipeline.rindex("\n", 0, key.start_mark.index) + 1
                end = _line_end(self.pipeline, value.value[-1][1].end_mark.index)
                self.pipeline = self.pipeline[:start] + self.pipeline[end:]
                return

    def after(self) -> dict[Path, str]:
        """The files' texts as they would be."""
        texts = {path: _written(values) for path, values in self.values.items()}
        return texts | {PIPELINE: self.pipeline}

    def save(self, dry_run: bool) -> None:
        """Check the settings, show what changes, and write it unless `dry_run`."""
        texts = self.after()
        for path, text in texts.items():
            lost = [line.strip() for line in self.before[path].splitlines() if line.strip().startswith("#")]
            if gone := next((line for line in lost if line not in text), None):
                raise UserError(f"{path}: the comment {gone!r} would be lost; make the change by hand")
        profiles = {name: texts[profile_path(name)] for name in self.active.profiles}
        config.parse_params(texts[PARAMS], profiles)
        for path, text in texts.items():
            old, new = self.before[path].splitlines(keepends=True), text.splitlines(keepends=True)
            print("".join(difflib.unified_diff(old, new, str(path), str(path), n=1)), end="")
        if dry_run:
            return
        for path, text in texts.items():
            if text != self.before[path]:
                with whole_file(path) as file:
                    file.write(text)


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def _written(values: CommentedMap) -> str:
    text = io.StringIO()
    round_trip().dump(values, text)
    return text.getvalue()


def _entry(text: str, name: str) -> MappingNode | None:
    found: Any = YAML(pure=True).compose(text)
    return next((value for key, value in found.value if key.value == name), None)


def _line_end(text: str, at: int) -> int:
    """Behind the end of the line."""
    end = text.find("\n", at)
    return len(text) if end < 0 else end + 1
