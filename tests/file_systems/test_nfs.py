"""A folder on NFS, seen by two nodes."""

import re
import shutil
from pathlib import Path

import pytest

from dapt.core.files import sha256
from nfs import missing, on_nfs
from repositories import ground_in
from trainings import Forked

APPEND = """
import sys
from pathlib import Path
from dapt.telling.events import append
for number in range(100):
    append(Path(sys.argv[1]) / "events", {"event": "step", "who": sys.argv[1], "text": "x" * number})
"""
LOCK = "from dapt.core.files import lock_taken; file = open('/mnt/{node}/lock', 'a'); print('{node}', lock_taken(file), flush=True)"


@pytest.fixture(autouse=True)
def possible() -> None:
    if why := missing():
        pytest.skip(why)


def test_two_nodes_write_to_the_same_events_and_respect_the_same_locks(tmp_path):
    (tmp_path / "append.py").write_text(APPEND)
    said = on_nfs(
        tmp_path,
        f"""
        for node in a b; do python {tmp_path}/append.py /mnt/$node & done
        wait
        cat /mnt/a/events > {tmp_path}/events
        python -c "{LOCK.format(node="a")}; __import__('time').sleep(20)" & holder=$!
        until [ -e /mnt/export/lock ]; do sleep 0.1; done
        sleep 2
        python -c "{LOCK.format(node="b")}"
        kill -9 $holder
        wait $holder || true
        python -c "{LOCK.format(node="b")}"
        """,
        megabytes=800,
        seconds=300,
    )
    assert re.findall(r"^[ab] \w+$", said, re.M) == ["a True", "b False", "b True"]
    lines = (tmp_path / "events").read_bytes().splitlines()
    assert len(lines) == 200 and not [line for line in lines if not (line.startswith(b"{") and line.endswith(b"}"))]


@pytest.mark.slow
def test_a_training_killed_on_one_node_resumes_on_another_with_the_same_bits(tmp_path, model_folder, tokens, special):
    settings = {"train.steps": 60, "train.valid_every": 30, "train.save_every": 5, "train.keep": []}
    ground = ground_in(tmp_path / "ground", model_folder, tokens, special, settings)
    on_this_machine = shutil.copytree(ground, tmp_path / "run")
    assert Forked(on_this_machine).end()[0] == 0
    said = on_nfs(
        tmp_path,
        f"""
        cp -r {ground} /mnt/a/run
        cd /mnt/a/run
        DAPT_STATE=/mnt/a/state python -m dapt.stages.train biomed & training=$!
        until ls -d /mnt/export/state/*/step-* > /dev/null 2>&1; do sleep 0.1; done
        kill -9 $training
        wait $training || true
        cd /mnt/b/run
        DAPT_STATE=/mnt/b/state python -m dapt.stages.train biomed
        cp -r models {tmp_path}/models
        find /mnt/b/state -type f
        """,
        megabytes=3000,
        seconds=570,
    )
    assert "resumed at step" in said and "/mnt/b/state" not in said
    weights = Path("biomed/model.safetensors")
    assert sha256(tmp_path / "models" / weights) == sha256(on_this_machine / "models" / weights)
