"""What a failing GPU says, of facts that are passed in: a card of 11 GB, in GB."""

import os
import re

import pytest
import torch

from dapt.telling import gpu_failures as module
from dapt.telling.errors import UserError
from dapt.telling.gpu_failures import Holder, full, gpu_failures, holders, is_cuda_error

ILLEGAL = "CUDA error: an illegal memory access was encountered\nCUDA kernel errors might be asynchronously reported"


@pytest.mark.parametrize(
    "free, ours, others, expected, theirs",
    [
        (0.2, 10.3, [], "RTX 2080 Ti has 0.2 of 11.0 GB free", False),
        (0.0, 10.0, [Holder(7, "Xorg", 0.4)], "RTX 2080 Ti has 0.0 of 11.0 GB free", False),
        (
            0.4,
            2.2,
            [Holder(4242, "python", 7.9)],
            "RTX 2080 Ti has 0.4 of 11.0 GB free, and other processes hold 7.9 GB (process 4242, python, 7.9 GB)",
            True,
        ),
        (0.4, 2.2, [], "RTX 2080 Ti has 0.4 of 11.0 GB free, and other processes hold 7.9 GB", True),
    ],
)
def test_who_fills_a_card(free, ours, others, expected, theirs):
    assert full("RTX 2080 Ti", 11.0, free, ours, others) == (expected, theirs)


def test_the_driver_s_program_names_the_processes_of_this_card(tmp_path, monkeypatch):
    program = tmp_path / "nvidia-smi"
    program.write_text(
        "#!/bin/sh\n"
        "echo 'GPU-aa-1, 4242, /opt/my, strange/python, 7534'\n"
        "echo 'GPU-bb-2, 4243, python, 100'\n"
        "echo 'GPU-aa-1, 4244, python, [N/A]'\n"
        "echo 'No running processes found'\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert holders("aa-1") == [Holder(4242, "/opt/my, strange/python", 7534 * 2**20 / 1e9), Holder(4244, "python", 0.0)]
    program.unlink()
    assert holders("aa-1") == []


def test_memory_that_others_hold_is_waited_for_and_one_s_own_is_made_smaller(monkeypatch):
    def stage() -> None:
        with gpu_failures("make evaluate.batch smaller"):
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    for others, advice in ((True, "wait for them to end"), (False, "make evaluate.batch smaller")):
        monkeypatch.setattr(module, "memory", lambda others=others: ("the card is full", others))
        with pytest.raises(UserError, match=f"^out of memory: the card is full; {advice}"):
            stage()


@pytest.mark.parametrize(
    "error, ours",
    [
        (RuntimeError(ILLEGAL), True),
        (torch.AcceleratorError("CUDA error: unspecified launch failure"), True),
        (RuntimeError("CUDA error: CUBLAS_STATUS_EXECUTION_FAILED when calling `cublasGemmEx`"), True),
        (RuntimeError("The size of tensor a (3) must match the size of tensor b (4)"), False),
        (ValueError("CUDA error"), False),
    ],
)
def test_what_cuda_reports_is_one_line_and_a_fault_of_the_program_stays_its_own(error, ours):
    assert is_cuda_error(error) == ours
    with pytest.raises(UserError if ours else type(error)) as raised, gpu_failures("", lambda: "step-40 is safe"):
        raise error
    if ours:
        assert re.match(r"CUDA error: .*: step-40 is safe; run again", str(raised.value))
        assert os.linesep not in str(raised.value)


@pytest.mark.parametrize(
    "error, message",
    [
        ("CUDA error: out of memory\nmore", "^out of memory: "),
        ("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`", "^out of memory: "),
        (
            "CUDA error: CUDA-capable device(s) is/are busy or unavailable",
            "another process has exclusive use of the GPU; wait",
        ),
    ],
)
def test_a_card_that_is_taken_is_not_called_broken(error, message):
    with pytest.raises(UserError, match=message) as raised, gpu_failures("make x smaller"):
        raise RuntimeError(error)
    assert "Xid" not in str(raised.value)


def test_the_operation_is_shown_where_it_was_asked_for(monkeypatch):
    monkeypatch.setenv("CUDA_LAUNCH_BLOCKING", "1")
    with pytest.raises(RuntimeError, match="illegal memory access"), gpu_failures("make x smaller"):
        raise RuntimeError(ILLEGAL)


def test_this_process_under_a_number_of_its_container_s_host_is_not_named():
    """It holds more than all others together."""
    text, theirs = full("A100", 40.0, 0.5, 30.0, [Holder(90210, "python", 30.4), Holder(90211, "python", 8.9)])
    assert theirs and text.endswith("other processes hold 9.0 GB (process 90211, python, 8.9 GB)")
