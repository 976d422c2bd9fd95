"""`make bill`: what a release consists of, as a software bill of materials in the format CycloneDX (sbom.cdx.json) and as a list of
licences (licences.csv).

cyclonedx-py describes the environment. Of its packages the bill has those that RELEASE pins and what these need, but no test tools.
It has no time, host or path in it, so two runs write the same bytes.
"""

import csv
import json
import re
import subprocess
import sys
from collections.abc import Collection, Iterator
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

RELEASE = tuple(f"requirements{of}.txt" for of in ("", "-dvc", "-serve", "-export", "-remotes"))
VERSION = "1.6"  # of CycloneDX


def pinned(root: Path) -> dict[str, str]:
    """The packages that RELEASE pins, with their versions."""
    lines = [line.split("#")[0].strip() for name in RELEASE for line in (root / name).read_text().splitlines()]
    pins = dict(
        re.fullmatch(r"([\w.-]+)==([\w.]+)", line).groups() for line in lines if line and not line.startswith("-r ")
    )
    return {canonicalize_name(name): version for name, version in pins.items()}


def needed(name: str, extras: frozenset[str]) -> Iterator[Requirement]:
    """What an installed package needs on this machine, with these extras."""
    for line in distribution(name).requires or []:
        requirement = Requirement(line)
        if requirement.marker is None or any(requirement.marker.evaluate({"extra": one}) for one in extras | {""}):
            yield requirement


def released(root: Path) -> dict[str, str]:
    """The packages that RELEASE pins and everything that they need, with the installed versions. The pinned ones must be
    installed as they are pinned; builds of torch (2.13.0+cpu) count as their version."""
    pins = pinned(root)
    seen: set[tuple[str, frozenset[str]]] = set()
    found: dict[str, str] = {}
    waiting: list[tuple[str, frozenset[str]]] = [(name, frozenset()) for name in pins]
    while waiting:
        name, extras = waiting.pop()
        if (name, extras) in seen:
            continue
        seen.add((name, extras))
        try:
            there = distribution(name).version.split("+")[0]
        except PackageNotFoundError as error:
            raise SystemExit(f"make bill: {name} is not installed; run make .venv/ready-dev") from error
        if pins.get(name, there) != there:
            raise SystemExit(f"make bill: {name} is installed as {there}, not {pins[name]}; run make .venv/ready-dev")
        found[name] = there
        waiting += [(canonicalize_name(one.name), frozenset(one.extras)) for one in needed(name, extras)]
    return found


def described(root: Path) -> dict:
    """What cyclonedx-py says about the environment of this interpreter."""
    program = Path(sys.executable).parent / "cyclonedx-py"
    options = ["--pyproject", str(root / "pyproject.toml"), "--output-reproducible", "--no-validate", "--sv", VERSION]
    done = subprocess.run(
        [program, "environment", *options, sys.executable], capture_output=True, check=True, text=True
    )
    return json.loads(done.stdout)


def without_others(bill: dict, names: Collection[str]) -> dict:
    """The bill with these packages only, and what they depend on among them."""
    components = [one for one in bill["components"] if canonicalize_name(one["name"]) in names]
    refs = {one["bom-ref"] for one in components}
    root = bill["metadata"]["component"]["bom-ref"]
    dependencies = [
        {"ref": one["ref"]} | ({"dependsOn": inner} if (inner := sorted(refs & set(one.get("dependsOn", [])))) else {})
        for one in bill["dependencies"]
        if one["ref"] in refs | {root}
    ]
    return bill | {"components": components, "dependencies": dependencies}


def licence(component: dict) -> str:
    """What a package states: names of SPDX; otherwise its classifiers, or the first line of its own words.

    >>> licence({"licenses": [{"license": {"id": "MIT"}}, {"license": {"name": "License :: OSI Approved :: MIT License"}}]})
    'MIT'
    """
    stated = component.get("licenses", [])
    spdx = [one.get("expression") or one["license"].get("id") for one in stated]
    classifiers = [one["license"]["name"].split(" :: ")[-1] for one in stated if "name" in one.get("license", {})]
    own = (distribution(component["name"]).metadata.get("License") or "").strip().splitlines()[:1]
    names = list(filter(None, spdx)) or classifiers or own
    return "; ".join(dict.fromkeys(names)) or "not stated"


def write(root: Path, folder: Path) -> None:
    names = released(root)
    bill = without_others(described(root), names)
    text = json.dumps(bill, indent=2, ensure_ascii=False) + "\n"
    if wrong := JsonStrictValidator(SchemaVersion.from_version(VERSION)).validate_str(text):
        raise SystemExit(f"make bill: the bill is not valid: {wrong}")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "sbom.cdx.json").write_text(text, encoding="utf-8")
    with open(folder / "licences.csv", "w", encoding="utf-8", newline="") as file:
        lines = csv.writer(file, lineterminator="\n")
        lines.writerow(["package", "version", "licence"])
        lines.writerows([one["name"], one["version"], licence(one)] for one in bill["components"])
    unstated = [one["name"] for one in bill["components"] if licence(one) == "not stated"]
    print(f"{folder / 'sbom.cdx.json'}, {folder / 'licences.csv'}: {len(bill['components'])} packages")
    if unstated:
        print(f"no licence is stated by: {', '.join(unstated)}")


if __name__ == "__main__":
    write(Path(), Path(sys.argv[1]))
