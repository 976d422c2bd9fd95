"""One module per kind of task: the `kind` of a task in a profile is the name of a module here.

A kind treats a task as a choice: each row has candidates, one of which is right. A module defines

- `AUTO`: the name of the transformers class whose head is trained (a string, so that baselines need not import it);
- `METRICS`: the names of its metrics; the first is the main one, and must be the mean of `values` over the rows;
- `sequences(row, task)`: the model input for a row, a list of texts or of pairs of texts; if a row has fewer than
  others, the scores of its missing candidates are minus infinity;
- `classes(rows)`: the labels of AUTO's head, or an empty list; it reads nothing but `label` of each row;
- `right(rows, classes)`: the number of each row's right candidate, int64 [rows];
- `candidates(rows, classes)`: the names of the candidates, as many as the row with the most candidates has;
- `outputs(network, batch, count)`: the network's outputs for a padded batch of rows × `count` sequences, [rows, …];
- `loss(outputs, right)`: the loss of a batch;
- `scores(outputs, right)`: from the outputs of a whole side, log-odds of each candidate up to a constant [rows, candidates];
- `values(scores, right)`: the main metric of each row; `measures(scores, right)`: every metric of METRICS;
- `files(task, width)`: files that other libraries expect next to the checkpoint, as file name → JSON, or an empty dict; `width`
  is the size of the hidden states;
- `CARD`: the hub metadata of such a model; `use(folder, task)`: a short Python example that applies the model in `folder`;
  both are for its README;
- `BASELINES`: name → function(train, valid, test, task) → scores of the test rows: `majority` and word-count baselines, one of
  which each task selects (`words` in params.yaml).
"""

import pkgutil
from importlib import import_module
from types import ModuleType


def names() -> list[str]:
    return sorted(module.name for module in pkgutil.iter_modules(__path__))


def kind(name: str) -> ModuleType:
    return import_module(f"{__name__}.{name}")
