#!/usr/bin/env bash
# One training through srun by hand:   slurm/train.srun.sh biomed [further options of srun]
# `DAPT_LAUNCHER=slurm dapt train biomed` does the same with slurm/cluster.yaml, and restarts an interrupted training.
set -euo pipefail
domain=${1:?usage: slurm/train.srun.sh DOMAIN [options of srun]}
cd "$(dirname "$0")/.."
mkdir -p logs
srun --job-name="train-$domain" --partition=gpu --gpus=1 --constraint=2080ti --cpus-per-task=2 --mem=64G \
  --time=3:00:00 --signal=USR1@120 "${@:2}" python -m dapt.launch.node "$domain" 2>&1 | tee "logs/train-$domain-by-hand.log"
