"""Where a stage runs: on this machine or through Slurm. dvc.yaml does not depend on it."""
