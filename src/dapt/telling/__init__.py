"""How a run speaks: errors, progress, events and signals. Decides no byte: no stage depends on it."""
