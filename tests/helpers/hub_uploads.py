"""The half of the hub on loopback that takes uploads: a repository is created, its card checked, large files are sent to the
store (git LFS' batch API), and a commit names them and carries the small ones.

The hub's rules for a card are simpler than the real one's: the metadata must be YAML whose `license` it knows, with a
`license_name` where that is `other`, and a model-index whose results have a task, a data set and metrics.
"""

import base64
import hashlib
import json
import re
from urllib.parse import unquote

from ruamel.yaml import YAML

LICENCES = {"apache-2.0", "mit", "cc0-1.0", "cc-by-4.0", "cc-by-sa-3.0", "gfdl", "other", "unknown"}
SMALL = 1 << 20  # bytes; larger files, and those that hub.LARGE names by their ending, go to the store


def faults(card: str) -> list[str]:
    """What is wrong with the metadata of a README.md."""
    found = re.match(r"---\n(.*?)\n---\n", card, flags=re.S)
    data = YAML(typ="safe", pure=True).load(found[1]) if found else None
    if not isinstance(data, dict):
        return ["no metadata"]
    wrong = [] if data.get("license") in LICENCES else [f'"license" must be one of {sorted(LICENCES)}']
    if data.get("license") == "other" and not data.get("license_name"):
        wrong.append('"license_name" is required')
    for model in data.get("model-index", []):
        for result in model["results"]:
            complete = result["task"]["type"] and result["dataset"]["type"] and result["dataset"]["name"]
            if not complete or not all("value" in metric for metric in result["metrics"]):
                wrong.append("a result of the model-index is not complete")
    return wrong


class Uploads:
    """Methods of the hub's request handler."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if match := re.fullmatch(r"/lfs-verify/(\w+)", self.path):
            return self.head(200 if match[1] in self.hub.stored else 404, {})
        self.hub.sent.append(self.path)
        if self.refuses(f"hub{self.path}"):
            return
        if not self.known():
            return self.send_json({"error": "Invalid username or password."}, 401)
        if self.path == "/api/validate-yaml":
            wrong = faults(json.loads(body)["content"])
            return self.send_json(
                {"errors": [{"message": one} for one in wrong], "warnings": []}, 400 if wrong else 200
            )
        if self.path == "/api/repos/create":
            return self.create(json.loads(body))
        name, task = re.fullmatch(
            r"/(?:api/models/)?([^/]+/[^/]+?)(?:\.git)?/(preupload|info|commit)/.+", self.path
        ).groups()
        if name not in self.hub.repositories:
            return self.head(404, {"X-Error-Code": "RepoNotFound"})
        {"preupload": self.preupload, "info": self.batch, "commit": self.commit}[task](unquote(name), body)

    def do_PUT(self):
        content = self.rfile.read(int(self.headers["Content-Length"]))
        oid = hashlib.sha256(content).hexdigest()
        if self.refuses("store/upload"):
            return
        if self.path != f"/upload/{oid}":
            return self.head(400, {})
        self.hub.stored[oid] = content
        self.head(200, {})

    def known(self) -> bool:
        return self.headers.get("Authorization") == f"Bearer {self.hub.token}"

    def send_json(self, value: object, status: int = 200) -> None:
        answer = json.dumps(value).encode()
        self.head(status, {"Content-Type": "application/json", "Content-Length": len(answer)})
        self.wfile.write(answer)

    def create(self, wanted: dict) -> None:
        name = f"{wanted['organization']}/{wanted['name']}"
        if wanted["organization"] not in self.hub.owners:
            return self.send_json({"error": "You don't have the rights to create a model under this namespace"}, 403)
        exists = name in self.hub.repositories
        if not exists:
            self.hub.repositories[name] = self.hub.new_repository(wanted.get("visibility") == "private")
        self.send_json({"url": f"{self.hub.address}/{name}"}, 409 if exists else 200)

    def preupload(self, name: str, body: bytes) -> None:
        modes = [
            {"path": file["path"], "shouldIgnore": False, "uploadMode": "lfs" if self.is_large(file) else "regular"}
            for file in json.loads(body)["files"]
        ]
        self.send_json({"files": modes})

    def is_large(self, file: dict) -> bool:
        return file["path"].endswith(self.large) or file["size"] > SMALL

    def batch(self, name: str, body: bytes) -> None:
        """Where to send each large file, unless the store has it."""
        asked = json.loads(body)
        assert asked["operation"] == "upload" and "basic" in asked["transfers"]
        objects = []
        for one in asked["objects"]:
            actions = {
                "upload": {"href": f"{self.hub.store}/upload/{one['oid']}"},
                "verify": {"href": f"{self.hub.address}/lfs-verify/{one['oid']}"},
            }
            objects.append(one if one["oid"] in self.hub.stored else one | {"actions": actions})
        self.send_json({"transfer": "basic", "objects": objects})

    def commit(self, name: str, body: bytes) -> None:
        repository = self.hub.repositories[name]
        for line in map(json.loads, body.splitlines()):
            value = line["value"]
            if line["key"] == "file":
                repository.files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                repository.files[value["path"]] = self.hub.stored[value["oid"]]
        repository.commit = hashlib.sha1(body).hexdigest()
        url = f"{self.hub.address}/{name}/commit/{repository.commit}"
        self.send_json({"success": True, "commitOid": repository.commit, "commitUrl": url})
