"""Where a training runs: here (local.py). Nothing in dvc.yaml knows."""
