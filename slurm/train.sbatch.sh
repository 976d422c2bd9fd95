#!/usr/bin/env bash
# One training as a batch job, which may wait for days:   mkdir -p logs && sbatch slurm/train.sbatch.sh biomed
# Submit it in the repository's root. When asked to stop (preempted, time nearly over) it saves and is requeued until it
# is done, but not endlessly; then `dvc commit train@biomed` records the model in dvc.lock.
#SBATCH --job-name=train
#SBATCH --partition=gpu-preempt
#SBATCH --gpus=1
#SBATCH --constraint=2080ti
#SBATCH --cpus-per-task=2
#SBATCH --mem=64G
#SBATCH --time=3:00:00
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --signal=B:USR1@120
#SBATCH --output=logs/%x-%j.log
domain=${1:?usage: sbatch slurm/train.sbatch.sh DOMAIN}
: "${SLURM_JOB_ID:?not in a Slurm job; submit it with: sbatch slurm/train.sbatch.sh $domain}"
echo "train-$domain: job $SLURM_JOB_ID on $SLURM_JOB_NODELIST, restart ${SLURM_RESTART_COUNT:-0}"
. slurm/again.sh
again srun --cpus-per-task="$SLURM_CPUS_PER_TASK" --kill-on-bad-exit=1 python -m dapt.launch.node "$domain"
