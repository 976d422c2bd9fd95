"""Which trainings have CUDA graphs as steps. (What they compute: test_loop.py, and on a card test_on_gpu.py.)"""

import pytest

from dapt.core import config
from dapt.telling.errors import UserError
from dapt.training.graphs import wanted
from repositories import committed_params

TRAIN = committed_params().profiles["full"].train


def settings(**changes: object) -> config.Train:
    return TRAIN.model_copy(update=changes)


@pytest.mark.parametrize(
    "device, processes, packed, changes, why",
    [
        ("cpu", 1, True, {}, "there is no GPU"),
        ("cuda", 2, True, {}, "several processes"),
        ("cuda", 1, False, {}, "no fixed shape"),
        ("cuda", 1, True, {"compile": True}, "train.compile"),
        ("cuda", 1, True, {"gradient_checkpointing": True}, "train.gradient_checkpointing"),
    ],
)
def test_what_cannot_be_a_graph_is_not_and_asking_for_it_is_refused(device, processes, packed, changes, why, capsys):
    assert not wanted(device, processes, packed, settings(graphs="auto", **changes))
    assert (why in capsys.readouterr().err) == (device == "cuda")
    with pytest.raises(UserError, match=f"train.graphs is on, but .*{why}"):
        wanted(device, processes, packed, settings(graphs="on", **changes))


def test_auto_takes_graphs_on_a_gpu_and_off_does_not():
    assert wanted("cuda", 1, True, settings(graphs="auto")) and wanted("cuda", 1, True, settings(graphs="on"))
    assert not wanted("cuda", 1, True, settings(graphs="off"))
