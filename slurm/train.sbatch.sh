#!/usr/bin/env bash
# One training as a batch job, which may wait for days:   mkdir -p logs && sbatch slurm/train.sbatch.sh biomed
# Submit it in the repository's root. Asked to leave (preempted, time nearly over) it saves, and is queued again until
# it is done; then `dvc commit train@biomed` brings the model into dvc.lock.
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
echo "train-$domain: job $SLURM_JOB_ID on $SLURM_JOB_NODELIST, restart ${SLURM_RESTART_COUNT:-0}"
srun --cpus-per-task="$SLURM_CPUS_PER_TASK" --kill-on-bad-exit=1 python -m dapt.launch.node "$domain" &
step=$!
trap 'kill -USR1 "$step"' USR1 TERM   # srun passes USR1 on to the training
wait "$step"
code=$?
while kill -0 "$step" 2>/dev/null; do # the signal ended the wait, not the step
  wait "$step"
  code=$?
done
echo "train-$domain: ended with code $code"
case $code in
  75 | 138) exec scontrol requeue "$SLURM_JOB_ID" ;; # saved; or the signal came before the training could listen
esac
exit "$code"
