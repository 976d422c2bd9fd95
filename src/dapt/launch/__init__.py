"""Where a stage runs: on GPUs of this machine or through Slurm. Nothing in dvc.yaml knows."""
