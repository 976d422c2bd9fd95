# shellcheck shell=bash
# again COMMAND…: runs the command of a batch job, and requeues the job until it is done; the batch scripts source this.
# When asked to stop (preempted, time nearly over), the job passes SIGUSR1 on to all processes of the command, which saves.
# The command's events go to DAPT_EVENTS, next to the job's log; they tell which steps were saved.
WITHOUT_PROGRESS=3 # restarts without a new saved step

again() {
  local asked="" code command steps
  export DAPT_EVENTS="${DAPT_EVENTS:-$SLURM_SUBMIT_DIR/logs/$SLURM_JOB_NAME-$SLURM_JOB_ID.jsonl}"
  steps=$(grep -Es '"event": "(resumed|left)"' "$DAPT_EVENTS" | grep -Eo '"step": [0-9]+' | sort -u | wc -l)
  if ((${SLURM_RESTART_COUNT:-0} > steps + WITHOUT_PROGRESS)); then
    echo "slurm: $SLURM_RESTART_COUNT restarts have saved only $steps checkpoints; check the log above and the time limit"
    exit 1
  fi
  set -m # gives the command its own process group
  trap 'asked=yes' USR1 TERM
  "$@" &
  command=$!
  while kill -0 "$command" 2>/dev/null; do
    [ -z "$asked" ] || kill -USR1 -- "-$command" # repeatedly: it may not have a handler yet
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
