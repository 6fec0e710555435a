#!/usr/bin/env bash
# Kills a training run repeatedly, fills its disk, and checks that it still ends with the same bytes.
#
#   scripts/kill-test.sh [KILLS]        default: 50; about a minute on 2 cores
#
# 1. The example `compact` trains uninterrupted, with a checkpoint every 5 steps.
# 2. The same training run is killed with -9 at KILLS random moments, and started again with --resume each time. Every
#    start must find no checkpoint yet, or a valid one that is not older than the one before. A training run that ends
#    between two kills is compared, and a new one is started. The posterior at the end must be that of step 1, byte for
#    byte.
# 3. The disk is full: a small tmpfs if the system permits one, and always a limit on the size of files. The training run
#    must end with an error that names file, epoch and step. The earlier checkpoint must be untouched, and resuming from
#    it must give the same bytes once there is room.
set -eu
cd "$(dirname "$0")/.."

kills=${1:-50}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cargo build --release --quiet --example compact
compact=${CARGO_TARGET_DIR:-target}/release/examples/compact
[ "${compact:0:1}" = / ] || compact=$PWD/$compact

die() { echo "kill-test: $*" >&2; exit 1; }
train() { exec "$compact" --epochs 40 --seed 3 --checkpoint-every 5 --resume --out "$1"; } # call it in a subshell: exec replaces that
# The number of steps in a checkpoint; 0 without one.
steps() { [ ! -e "$1" ] && echo 0 || { grep -aom1 '\\"steps\\":[0-9]*' "$1" || die "no steps in $1"; } | grep -o '[0-9]*$'; }
same() { cmp "$work/whole/posterior.safetensors" "$1/posterior.safetensors" || die "$2: another posterior"; }
temporaries() { find "$1" -name '.*.tmp' 2>/dev/null | wc -l; } # 0 without a folder
now() { date +%s%N; }

start=$(now)
(train "$work/whole") >/dev/null 2>&1
millis=$((($(now) - start) / 1000000))
echo "uninterrupted: $(steps "$work/whole/training.safetensors") steps in $millis ms"

# The time to a kill is uniform, from 0 to twice the time of the training run divided by KILLS. Every fifth kill comes in
# the first 20 ms, and the first three in the first 10 ms, when the first checkpoint is written.
killed=0 rounds=0 early=0 stale=0 before=0
while [ "$killed" -lt "$kills" ]; do
  train "$work/killed" >/dev/null 2>"$work/stderr" &
  pid=$!
  longest=$((killed % 5 == 0 ? 20 : 2 * millis / kills + 1))
  [ "$killed" -ge 3 ] || longest=10
  sleep "$(awk -v r="$RANDOM" -v ms="$longest" 'BEGIN { printf "%.4f", r / 32768 * ms / 1000 }')"
  kill -9 "$pid" 2>/dev/null || true
  status=0
  wait "$pid" 2>/dev/null || status=$?
  case $status in
    137) killed=$((killed + 1)) ;;
    0) ;;
    *) die "the run after $killed kills ended with $status: $(cat "$work/stderr")" ;;
  esac
  after=$(steps "$work/killed/training.safetensors")
  [ "$after" -ge "$before" ] || die "the checkpoint went back from step $before to $after"
  [ "$after" -gt 0 ] || early=$((early + 1))
  leftovers=$(temporaries "$work/killed")
  stale=$((stale + leftovers))
  [ "$leftovers" -le 1 ] || die "$leftovers temporary files: earlier ones were not removed"
  before=$after
  if [ "$status" -eq 0 ]; then
    same "$work/killed" "round $rounds"
    rm -rf "$work/killed"
    rounds=$((rounds + 1)) before=0
  fi
done
(train "$work/killed") >/dev/null 2>&1 || die "the last run failed"
same "$work/killed" "after the last kill"
[ "$(temporaries "$work/killed")" -eq 0 ] || die "a temporary file is left at the end"
echo "killed: $killed times ($early before the first checkpoint, $stale temporary files left behind); training runs that reached their end: $((rounds + 1)), all with the same posterior"

# A training run into $1 that must fail, with an error that names file, epoch and step.
fails() {
  local status=0
  (train "$1") >/dev/null 2>"$work/stderr" || status=$?
  [ "$status" -eq 1 ] || die "$2: ended with $status"
  grep -q "error: the checkpoint before epoch [0-9]*, step [0-9]*: cannot write $1/training.safetensors" "$work/stderr" ||
    die "$2: $(cat "$work/stderr")"
  [ "$(temporaries "$1")" -eq 0 ] || die "$2: a temporary file is left"
}

# A disk with room for one checkpoint, but not for two.
full_disk() {
  mkdir "$work/disk"
  mount -t tmpfs -o size=2m tmpfs "$work/disk"
  fails "$work/disk/out" "full disk"
  local reached
  reached=$(steps "$work/disk/out/training.safetensors")
  [ "$reached" -eq 5 ] || die "full disk: the checkpoint is of step $reached"
  mount -o remount,size=64m "$work/disk"
  (train "$work/disk/out") >/dev/null 2>&1 || die "full disk: cannot resume"
  same "$work/disk/out" "full disk"
  echo "full disk: $(sed -n 's/^error: //p' "$work/stderr"); resumed from step $reached, with the same posterior"
}

# A limit on the size of a file, below that of a checkpoint.
limited() {
  mkdir -p "$work/limit"
  train "$work/limit" >/dev/null 2>&1 &
  local pid=$!
  until [ -e "$work/limit/training.safetensors" ]; do sleep 0.02; done
  kill -9 "$pid" 2>/dev/null || true
  wait "$pid" 2>/dev/null || true
  find "$work/limit" -name '.*.tmp' -delete
  cp "$work/limit/training.safetensors" "$work/copy"
  (trap '' XFSZ && ulimit -f 500 && fails "$work/limit" "size limit")
  cmp "$work/copy" "$work/limit/training.safetensors" || die "size limit: the checkpoint has changed"
  (train "$work/limit") >/dev/null 2>&1 || die "size limit: cannot resume"
  same "$work/limit" "size limit"
  echo "size limit: $(sed -n 's/^error: //p' "$work/stderr"); the checkpoint of step $(steps "$work/copy") was untouched, and resuming gave the same posterior"
}

if unshare -rm true 2>/dev/null; then
  export -f full_disk fails train steps same die temporaries
  export compact work
  unshare -rm bash -eu -c full_disk
else
  echo "full disk: not tried; the system does not permit a tmpfs here"
fi
limited
