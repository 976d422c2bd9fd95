"""A real `dapt serve` on loopback, stopped by its pid."""

import json
import os
import re
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import httpx

DAPT = str(Path(sys.executable).parent / "dapt")


@dataclass
class Server:
    """`dapt serve` in a folder, with a client that speaks to it."""

    folder: Path
    words: tuple[str, ...] = ()
    variables: dict[str, str] = field(default_factory=dict)

    def __enter__(self) -> "Server":
        self.log = open(self.folder / "server.log", "w+")
        self.process = subprocess.Popen(
            [DAPT, "serve", "--port", "0", *self.words],
            cwd=self.folder,
            env=os.environ | self.variables,
            stdout=subprocess.PIPE,
            stderr=self.log,
            text=True,
        )
        assert self.process.stdout
        line = self.process.stdout.readline()
        found = re.search(r"serving (http\S+)", line)
        assert found, line + self.said()
        self.address = found[1].replace("0.0.0.0", "127.0.0.1")
        self.client = httpx.Client(base_url=self.address, timeout=60, trust_env=False)
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(60) in (0, -signal.SIGTERM), self.said()
        self.log.close()

    def said(self) -> str:
        return (self.folder / "server.log").read_text()

    def logged(self) -> list[dict]:
        return [json.loads(line) for line in self.said().splitlines() if line.startswith("{")]

    def post(self, path: str, **body: object) -> httpx.Response:
        return self.client.post(f"/v1/{path}", json=body)

    def results(self, path: str, **body: object) -> list:
        answer = self.post(path, **body)
        assert answer.status_code == 200, answer.text
        return answer.json()["results"]
