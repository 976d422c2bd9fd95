from pathlib import Path

import pytest

from dapt import config
from dapt.check import check
from dapt.errors import UserError

TEXT = (Path(__file__).parents[1] / "params.yaml").read_text()


def test_committed_params_pass():
    check(config.parse(TEXT))


@pytest.mark.parametrize("old, new, message", [
    ("cleaner: tweets", "cleaner: twets", "biomed_mlm_2.0.cleaner: unknown cleaner 'twets'; known: .*tweets"),
    ("options: {select: finance}", "options: {choose: finance}", "finance_mlm1.0.options: .*no option 'choose'; it takes: select"),
])
def test_a_cleaner_or_option_that_is_not_there_is_refused(old, new, message):
    with pytest.raises(UserError, match=message):
        check(config.parse(TEXT.replace(old, new, 1)))
