import pytest

from dapt.telling.errors import UserError
from dapt.training.optimization.device import Device, check_built_for, check_enough, decide

TURING = Device("cuda", "NVIDIA GeForce RTX 2080 Ti", bf16=False, fp16=True)
HOPPER = Device("cuda", "NVIDIA H100", bf16=True, fp16=True)
NEW_CPU = Device("cpu", "this processor", bf16=True, fp16=False)
OLD_CPU = Device("cpu", "this processor", bf16=False, fp16=False)


@pytest.mark.parametrize(
    "device, precision", [(TURING, "fp16"), (HOPPER, "bf16"), (NEW_CPU, "bf16"), (OLD_CPU, "fp32")]
)
def test_auto_is_the_best_that_the_device_has(device, precision):
    assert decide("auto", device) == precision
    assert decide("fp32", device) == "fp32"


@pytest.mark.parametrize("asked, device", [("bf16", TURING), ("bf16", OLD_CPU), ("fp16", NEW_CPU)])
def test_what_the_device_lacks_is_refused_with_its_name(asked, device):
    with pytest.raises(UserError, match=f"{asked}.*{device.name}"):
        decide(asked, device)


TURING_ON = ("sm_75", "sm_80", "sm_86", "sm_90", "sm_100", "compute_120")


@pytest.mark.parametrize("capability", [(7, 5), (8, 0), (8, 6), (8, 9), (9, 0), (10, 3), (12, 0), (12, 1)])
def test_cards_that_torch_has_code_for_pass(capability):
    check_built_for(Device("cuda", "a card", True, True, capability, TURING_ON))


@pytest.mark.parametrize(
    "name, capability, built_for",
    [("NVIDIA GeForce GTX 1080 Ti", (6, 1), TURING_ON), ("a later card", (13, 0), TURING_ON[:-1])],
)
def test_a_card_without_code_is_named_with_what_to_ask_for(name, capability, built_for):
    with pytest.raises(
        UserError,
        match=f"{name} has compute capability {capability[0]}.{capability[1]}, .* has no code for it.*7.5 and up.*--constraint=2080ti",
    ):
        check_built_for(Device("cuda", name, False, True, capability, built_for))


def test_a_processor_needs_no_code_for_a_card():
    check_built_for(Device("cpu", "this processor", True, False))


def test_more_processes_than_cards_are_refused_and_a_processor_takes_any_number():
    with pytest.raises(UserError, match="4 processes were started on a machine with 2 visible GPUs"):
        check_enough(4, 2)
    check_enough(2, 2)
    check_enough(4, 0)
