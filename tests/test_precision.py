import pytest

from dapt.errors import UserError
from dapt.precision import Device, decide

TURING = Device("cuda", "NVIDIA GeForce RTX 2080 Ti", bf16=False, fp16=True)
HOPPER = Device("cuda", "NVIDIA H100", bf16=True, fp16=True)
NEW_CPU = Device("cpu", "this processor", bf16=True, fp16=False)
OLD_CPU = Device("cpu", "this processor", bf16=False, fp16=False)


@pytest.mark.parametrize("device, precision", [(TURING, "fp16"), (HOPPER, "bf16"), (NEW_CPU, "bf16"), (OLD_CPU, "fp32")])
def test_auto_is_the_best_that_the_device_has(device, precision):
    assert decide("auto", device) == precision
    assert decide("fp32", device) == "fp32"


@pytest.mark.parametrize("asked, device", [("bf16", TURING), ("bf16", OLD_CPU), ("fp16", NEW_CPU)])
def test_what_the_device_lacks_is_refused_with_its_name(asked, device):
    with pytest.raises(UserError, match=f"{asked}.*{device.name}"):
        decide(asked, device)
