"""params.yaml, the profiles and dvc.yaml while a command edits them; they are checked before anything is written."""

import difflib
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from dapt.core import config
from dapt.core.files import whole_file
from dapt.core.paths import PARAMS, profile_path
from dapt.telling.errors import UserError
from dapt.tools import yaml_text
from dapt.tools.yaml_text import Steps, dotted

PIPELINE = Path("dvc.yaml")


def check_there(kind: str, name: str, names: Collection[str]) -> None:
    """Refuse a name that is not among `names`."""
    if name not in names:
        known = f"choose one of: {', '.join(names)}"
        raise UserError(f"there is no {kind} {name!r}{config.instead(name, names, known)}")


class SettingsFiles:
    """The settings of the repository in the current folder; additions and removals are written by `save`."""

    def __init__(self) -> None:
        self.active = config.load()
        paths = (PARAMS, *map(profile_path, self.active.profiles), PIPELINE)
        self.before = {path: path.read_bytes().decode() for path in paths}
        self.texts = dict(self.before)

    def profiles(self, names: list[str]) -> list[Path]:
        """The files of the named profiles, which must include the active one; without names, the files of all profiles."""
        for name in names:
            check_there("profile", name, self.active.profiles)
        if names and self.active.profile not in names:
            raise UserError(
                f"--profile: {self.active.profile} is the active profile and must be included; add "
                f"--profile {self.active.profile}"
            )
        return [profile_path(name) for name in names or self.active.profiles]

    def add(self, path: Path, steps: Steps, name: str, value: Any) -> None:
        def change(there: Any) -> None:
            if name in there:
                raise UserError(f"{path}: {dotted(steps)} already has {name}; choose another name")
            there[name] = value

        self._edit(path, steps, yaml_text.with_entry(self.texts[path], path, steps, name, value), change)

    def add_item(self, path: Path, steps: Steps, value: str) -> None:
        self._edit(
            path, steps, yaml_text.with_item(self.texts[path], path, steps, value), lambda there: there.append(value)
        )

    def remove(self, path: Path, steps: Steps, name: str) -> None:
        new = yaml_text.without_entry(self.texts[path], path, steps, name)
        self._edit(path, steps, new, lambda there: there.pop(name, None))

    def remove_item(self, path: Path, steps: Steps, value: str) -> None:
        new = yaml_text.without_item(self.texts[path], path, steps, value)
        self._edit(path, steps, new, lambda there: there.remove(value) if value in there else None)

    def _edit(self, path: Path, steps: Steps, text: str, change: Callable[[Any], object]) -> None:
        """Accept the new text, if it parses to the old values with this change at the end of `steps`."""
        expected = _values(self.texts[path])
        there = expected
        for step in steps:
            there = there[step]
        change(there)
        try:
            right = _values(text) == expected
        except YAMLError:
            right = False
        if not right:
            raise UserError(
                f"{path}: {dotted(steps)} is written in a way that cannot be edited automatically; edit it by hand"
            )
        self.texts[path] = text

    def save(self, dry_run: bool) -> None:
        """Check the settings, show the changes, and write them unless `dry_run`."""
        profiles = {name: self.texts[profile_path(name)] for name in self.active.profiles}
        config.parse_params(self.texts[PARAMS], profiles)
        for path, text in self.texts.items():
            old, new = self.before[path].splitlines(keepends=True), text.splitlines(keepends=True)
            print("".join(difflib.unified_diff(old, new, str(path), str(path), n=1)), end="")
        for path, text in self.texts.items():
            if text != self.before[path] and not dry_run:
                with whole_file(path, "wb") as file:
                    file.write(text.encode())


def _values(text: str) -> Any:
    return YAML(typ="safe", pure=True).load(text)
