"""The loss curve of a training."""

from pathlib import Path

from dapt.core.files import whole_file
from dapt.training.loop import Course

EVERY = 10  # each point of the curve is the mean of so many steps


def mean(values: list[float | None]) -> float | None:
    """The mean of the losses of some steps; None if no step has one."""
    known = [value for value in values if value is not None]
    return round(sum(known) / len(known), 4) if known else None


def write_curve(path: Path, domain: str, course: Course) -> None:
    """Write the training loss, as means over EVERY steps, and the loss on valid."""
    with whole_file(path) as file:
        file.write("step,loss,model,set\n")
        for stop in range(EVERY, len(course.train) + 1, EVERY):
            if (loss := mean(course.train[stop - EVERY : stop])) is not None:
                file.write(f"{stop},{loss},{domain},train\n")
        for step, value in course.valid:
            file.write(f"{step},{value:.4f},{domain},valid\n")
