"""Tells whether shown results belong to the workspace's settings and code."""

from dapt.launch import pipeline
from dapt.telling.errors import UserError


def out_of_date(stage: str) -> list[str]:
    """No line, or one that names the stages up to this one that are out of date. There is no line either if this cannot be
    determined: outside a git and DVC repository, or if DVC cannot read the repository or its lock is taken."""
    try:
        return told(pipeline.stale(stage), stage)
    except (UserError, OSError):
        return []


def told(stages: list[str], target: str) -> list[str]:
    """
    >>> told(["train@biomed", "evaluate@biomed", "compare", "report"], "report")
    ['Out of date: train@biomed, evaluate@biomed and 2 more; dvc repro report brings them up to date.']
    >>> told(["report"], "report")
    ['Out of date: report; dvc repro report brings it up to date.']
    """
    if not stages:
        return []
    names = ", ".join(stages[:2]) + (f" and {len(stages) - 2} more" if len(stages) > 2 else "")
    return [f"Out of date: {names}; dvc repro {target} brings {'them' if len(stages) > 1 else 'it'} up to date."]
