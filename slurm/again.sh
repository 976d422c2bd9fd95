# shellcheck shell=bash
# again COMMAND…: the command of a batch job, queued again until it is done; the batch scripts source this.
# Asked to leave (preempted, time nearly over), the job passes SIGUSR1 on to all processes of the command, which saves.
# The command's events go to DAPT_EVENTS, beside the job's log: they tell which steps were saved.
WITHOUT_PROGRESS=3 # restarts that saved no further step

again() {
  local asked="" code command steps
  export DAPT_EVENTS="${DAPT_EVENTS:-$SLURM_SUBMIT_DIR/logs/$SLURM_JOB_NAME-$SLURM_JOB_ID.jsonl}"
  steps=$(grep -Es '"event": "(resumed|left)"' "$DAPT_EVENTS" | grep -Eo '"step": [0-9]+' | sort -u | wc -l)
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
