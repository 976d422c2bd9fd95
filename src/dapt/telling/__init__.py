"""Communication of a run: errors, progress, events and signals. It does not affect results, so no stage depends on it."""
