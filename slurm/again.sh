# shellcheck shell=bash
# again COMMAND…: the command of a batch job, queued again until it is done; the batch scripts source this.
# Asked to leave (preempted, time nearly over), the job passes SIGUSR1 on to all processes of the command, which saves.
WITHOUT_PROGRESS=3 # restarts that saved no further step

again() {
  local asked="" code command steps
  # A training says "resumed at step" and "asked to leave at step"; a restart's lines go to the end of the same log.
  steps=$(grep -Eo 'at step [0-9]+' "/proc/$$/fd/1" | sort -u | wc -l)
  if ((${SLURM_RESTART_COUNT:-0} > steps + WITHOUT_PROGRESS)); then
    echo "slurm: $SLURM_RESTART_COUNT restarts have saved $steps steps; see above, and the time limit"
    exit 1
  fi
  set -m # the command has a process group of its own
  trap 'asked=yes' USR1 TERM
  "$@" &
  command=$!
  while kill -0 "$command" 2>/dev/null; do
    [ -z "$asked" ] || kill -USR1 -- "-$command" # more than once: it may not have listened yet
    sleep 2
  done
  wait "$command"
  code=$?
  echo "slurm: ended with code $code"
  if ((code == 75)) || [[ $asked && $code != 0 ]]; then
    exec scontrol requeue "$SLURM_JOB_ID"
  fi
  exit "$code"
}
