"""The bill of materials and the list of licences of a release, and what is known against its packages."""

import csv
import json
import subprocess
from importlib.metadata import version
from pathlib import Path

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

import advisories
import bill
from repositories import ROOT, committed_files
from requirement_files import FILES, canonical, requirements


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    bill.write(ROOT, folder)
    return folder


@pytest.fixture(scope="module")
def components(made) -> dict[str, dict]:
    found = json.loads((made / "sbom.cdx.json").read_text())["components"]
    return {canonical(one["name"]): one for one in found}


@pytest.mark.parametrize("target, program", [("bill", "python -m bill dist"), ("audit", "python -m advisories")])
def test_make_runs_it(target, program):
    """Without the environment that it needs, which another test of make looks at."""
    options = ["-n", "--no-print-directory", "-o", ".venv/ready-dev", target]
    done = subprocess.run(["make", *options], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split("helpers ", 1)[1].strip() == program


def test_the_bill_is_one_of_cyclonedx_and_names_no_machine(made):
    text = (made / "sbom.cdx.json").read_text()
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    found = json.loads(text)
    assert found["metadata"]["component"]["name"] == "dapt" and "timestamp" not in found["metadata"]
    assert "serialNumber" not in found and str(ROOT) not in text and "file://" not in text
    refs = {one["bom-ref"] for one in (*found["components"], found["metadata"]["component"])}
    assert {one["ref"] for one in found["dependencies"]} == refs
    assert all(set(one.get("dependsOn", [])) <= refs for one in found["dependencies"])


@pytest.mark.parametrize("of, least", [("", 6), ("-dvc", 6), ("-serve", 6), ("-export", 6), ("-remotes", 2)])
def test_it_has_every_pinned_package_in_its_version(components, of, least):
    pins = {name: line.split("==")[1] for name, line in requirements(f"requirements{of}.txt").items()}
    found = {name: components[name]["version"].split("+")[0] for name in pins}
    assert len(pins) >= least and found == pins


def test_it_has_what_these_need_but_no_tools_of_the_tests(components):
    assert {"scipy", "certifi", "pygit2", "pyyaml", "anyio"} <= components.keys()
    released = {name for file in bill.RELEASE for name in requirements(file)}
    tools = {name for file in FILES for name in requirements(file)} - released
    assert "pytest" in tools and not tools & components.keys()


def test_the_list_of_licences_has_the_same_packages_and_what_they_state(made, components):
    with open(made / "licences.csv", newline="") as file:
        rows = {canonical(row["package"]): row for row in csv.DictReader(file)}
    assert rows.keys() == components.keys() and all(row["version"] == version(name) for name, row in rows.items())
    stated = {name: rows[name]["licence"] for name in ("dvc", "safetensors", "transformers", "certifi")}
    assert stated == {
        "dvc": "Apache-2.0",
        "safetensors": "Apache Software License",
        "transformers": "Apache 2.0 License",
        "certifi": "MPL-2.0",
    }
    assert all(row["licence"] for row in rows.values())


def test_it_is_the_same_the_second_time(made, tmp_path):
    bill.write(ROOT, tmp_path)
    for name in ("sbom.cdx.json", "licences.csv"):
        assert (tmp_path / name).read_bytes() == (made / name).read_bytes()


def test_a_package_in_another_version_or_none_is_refused(tmp_path):
    committed_files(tmp_path, *bill.RELEASE)
    path = tmp_path / "requirements-dvc.txt"
    pins = path.read_text()
    path.write_text(pins.replace("shtab==", "shtab==0."))
    with pytest.raises(SystemExit, match=r"shtab is installed as [\d.]+, not 0\.[\d.]+; run make .venv/ready-dev"):
        bill.write(tmp_path, tmp_path)
    path.write_text(f"{pins}no-such-package==1.0\n")
    with pytest.raises(SystemExit, match="no-such-package is not installed; run make .venv/ready-dev"):
        bill.write(tmp_path, tmp_path)


def test_without_a_network_pip_audit_is_left_out_in_one_line(monkeypatch):
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    [line] = advisories.run(ROOT)
    assert line.startswith("pip-audit was left out: ") and "\n" not in line


AUDITED = {
    "dependencies": [
        {"name": "joblib", "version": "1.2.0", "vulns": []},
        {"name": "tqdm", "version": "4.66.0", "vulns": [{"id": "PYSEC-1", "fix_versions": ["4.66.3"], "aliases": []}]},
        {"name": "torch", "skip_reason": "Dependency not found: torch (2.13.0)"},
    ],
    "fixes": [],
}


def test_what_pip_audit_finds_is_told():
    """By the format of its JSON; a list in which it finds none of the packages is no list."""
    assert advisories.told(json.dumps(AUDITED), "") == [
        "pip-audit: 1 known vulnerabilities in 2 packages; 1 unknown",
        "tqdm 4.66.0: PYSEC-1, corrected in 4.66.3",
    ]
    [line] = advisories.told(json.dumps({"dependencies": AUDITED["dependencies"][2:]}), "")
    assert line.startswith("pip-audit was left out: it can look up none of 1 packages")
