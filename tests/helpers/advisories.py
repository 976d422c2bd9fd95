"""`make audit`: known vulnerabilities of the packages of a release, as pip-audit finds them. Where their list cannot be reached, it
says so in one line. It never fails: what is published about a package is no fault of the code."""

import json
import subprocess
import sys
from pathlib import Path
from tempfile import NamedTemporaryFile

from bill import released

SECONDS = 300  # after which the network is taken to be out of reach


def told(output: str, errors: str) -> list[str]:
    """The lines to print, from the standard output of pip-audit, which is JSON unless it failed, and its errors."""
    try:
        packages = json.loads(output)["dependencies"]
    except ValueError:
        reason = next(reversed(errors.strip().splitlines()), "it said nothing")
        return [f"pip-audit was left out: {reason}"]
    skipped = [one["skip_reason"] for one in packages if "skip_reason" in one]
    audited = [one for one in packages if "vulns" in one]
    if not audited:
        return [f"pip-audit was left out: it can look up none of {len(packages)} packages ({skipped[0]})"]
    found = [
        f"{one['name']} {one['version']}: {flaw['id']}, corrected in {', '.join(flaw['fix_versions']) or 'no version yet'}"
        for one in audited
        for flaw in one["vulns"]
    ]
    return [f"pip-audit: {len(found)} known vulnerabilities in {len(audited)} packages; {len(skipped)} unknown", *found]


def run(root: Path) -> list[str]:
    program = Path(sys.executable).parent / "pip-audit"
    options = ["--disable-pip", "--no-deps", "--format", "json", "--progress-spinner", "off"]
    with NamedTemporaryFile("w", suffix=".txt") as file:
        file.writelines(f"{name}=={version}\n" for name, version in released(root).items())
        file.flush()
        try:
            command = [program, *options, "-r", file.name]
            done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS)
        except subprocess.TimeoutExpired:
            return [f"pip-audit was left out: it had no answer after {SECONDS} seconds"]
    return told(done.stdout, done.stderr)


if __name__ == "__main__":
    print("\n".join(run(Path())))
