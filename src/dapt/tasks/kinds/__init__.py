"""One module a kind of task: the `kind` of a task in a profile is the module's name.

A kind sees a task as a choice: each row has candidates, one of which is right. It has

- `AUTO`, the name of the transformers class whose head it trains (a baseline need not import it);
- `METRICS`: names of its figures; the first is the main one, and must be a mean of `values` over the rows;
- `sequences(row, task)`: what a model reads of a row, a list of texts or of pairs of texts; where a row has fewer than
  others, the scores of the candidates that it lacks are minus infinity;
- `classes(rows)`: the labels of AUTO's head, or none;
- `right(rows, classes)`: the number of each row's right candidate, int64 [rows];
- `candidates(rows, classes)`: the names of the candidates, those of the row that has the most;
- `outputs(network, batch, count)`: what a network makes of a padded batch of rows × `count` sequences, [rows, …];
- `loss(outputs, right)` of a batch;
- `scores(outputs, right)`: the outputs of a whole side → log-odds of each candidate up to a constant [rows, candidates];
- `values(scores, right)`: the main figure of each row; `measures(scores, right)`: every figure of METRICS;
- `files(task, width)`: what other libraries read beside the checkpoint, file name → JSON, or none; `width` is that of the
  hidden states;
- `CARD`: the hub's metadata of such a model; `use(folder, task)`: the Python code of a small example that applies the model in
  `folder`; both are for its README;
- `BASELINES`: name → function(train, valid, test, task) → scores of the test rows: `majority` and counts of words, one of
  which a task names as its own.
"""

import pkgutil
from importlib import import_module
from types import ModuleType


def names() -> list[str]:
    return sorted(module.name for module in pkgutil.iter_modules(__path__))


def kind(name: str) -> ModuleType:
    return import_module(f"{__name__}.{name}")
