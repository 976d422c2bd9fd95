#!/usr/bin/env bash
# One training as a batch job in its own clone on the disk of the node:   slurm/clone.sbatch.sh biomed [options]
# The job runs the current commit, whatever changes here in the meantime. The result comes back as an experiment:
# `dvc exp show` lists train-biomed-JOB, and `dvc exp apply train-biomed-JOB` applies it to this workspace.
#SBATCH --job-name=clone
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
domain=${1:?usage: slurm/clone.sbatch.sh DOMAIN [options of sbatch]}

if [ -z "${SLURM_JOB_ID:-}" ]; then # not in a job yet: submit it
  cd "$(dirname "$0")/.." || exit
  if [ -n "$(git status --porcelain)" ]; then
    echo "the job runs in a clone, which has only commits; commit these changes first:" >&2
    git status --short >&2
    exit 2
  fi
  mkdir -p logs
  exec sbatch "${@:2}" slurm/clone.sbatch.sh "$domain" "$(git rev-parse HEAD)"
fi

# shellcheck disable=SC2317,SC2329 # again calls it
train_in_clone() {
  trap '' USR1 # for git and DVC; the training has its own handler
  set -e
  cache=$(dvc cache dir)
  clone=$(mktemp -d) # in $TMPDIR
  trap 'rm -rf "$clone"' EXIT
  git clone --quiet --shared --no-checkout "$SLURM_SUBMIT_DIR" "$clone"
  cd "$clone"
  git checkout --quiet --detach "$commit"
  dvc cache dir --local "$cache" # checkpoints are next to it, or in DAPT_STATE
  DAPT_LAUNCHER=local dvc exp run --pull --allow-missing --name "$name" "train@$domain"
  if [ -n "$(dvc config core.remote)" ]; then
    dvc push "train@$domain"
  fi
  dvc exp push --no-cache origin "$name"
}

commit=${2:?run slurm/clone.sbatch.sh DOMAIN, which submits the job}
name=train-$domain-$SLURM_JOB_ID
echo "$name: commit $commit on $SLURM_JOB_NODELIST, restart ${SLURM_RESTART_COUNT:-0}"
. slurm/again.sh
again train_in_clone
