"""The report and its pictures, made from the committed figures."""

import contextlib

import pytest

from dapt.reporting import plots
from dapt.reporting.metrics import Figures
from dapt.reporting.report_page import markdown
from repositories import committed_params

PARAMS = committed_params()


@pytest.fixture(scope="module")
def twin(committed_metrics) -> str:
    return markdown(PARAMS, Figures.read(PARAMS, committed_metrics))


@pytest.fixture(scope="module")
def charts(committed_run) -> dict[str, dict]:
    with contextlib.chdir(committed_run):
        return plots.figures()
