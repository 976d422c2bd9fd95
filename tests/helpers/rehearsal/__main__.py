"""Make the stand-ins, unless the folder has them, then serve them until the process is ended:

    PYTHONPATH=src:tests/helpers python -m rehearsal FOLDER [--scale 0.01] [--small] [--trouble] [--make-only]

The line of JSON that it prints has the address for HF_ENDPOINT and the file for data/local.
"""

import argparse
import json
import signal
from pathlib import Path

from dapt.core import config
from hub import running
from rehearsal.biomedical import BIOASQ
from rehearsal.hub import make, repositories, troubles


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m rehearsal", description="A hub with stand-ins for the profile full."
    )
    parser.add_argument("folder", type=Path, help="where the stand-ins are or will be: 1.1 GB")
    parser.add_argument("--scale", type=float, default=1.0, help="share of the rows of the real files")
    parser.add_argument("--small", action="store_true", help="models of 2 layers of 128 instead of BERT-base's size")
    parser.add_argument("--trouble", action="store_true", help="some requests are refused, some connections cut, once")
    parser.add_argument("--make-only", action="store_true", help="do not serve them")
    given = parser.parse_args()
    params = config.load(Path(__file__).parents[3])
    if not (given.folder / "record.json").exists():
        make(params, given.folder, given.scale, given.small)
    if given.make_only:
        return
    ends = {signal.SIGINT, signal.SIGTERM}
    signal.pthread_sigmask(signal.SIG_BLOCK, ends)
    with running() as hub:
        hub.repositories = repositories(params, given.folder)
        if given.trouble:
            hub.cut, hub.refused = troubles(hub.repositories)
        answer = {"address": hub.address, "local": str((given.folder / "local" / BIOASQ).absolute())}
        print(json.dumps(answer), flush=True)
        signal.sigwait(ends)


if __name__ == "__main__":
    main()
