"""Downstream tasks: their kinds, fine-tuning, scoring and baselines without a neural network."""
