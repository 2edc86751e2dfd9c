#!/usr/bin/env bash
# Lets calls and rooms come and go for a long time and says whether the relay stays as small as it was.
# See --help.

set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/lib.sh
source scripts/lib.sh

usage() {
  cat <<END
Usage: bench/soak.sh [--minutes 10] [--every 30]

Starts a relay and puts calls and rooms on it, one round after the other, each of so many seconds.
After a round, when all of them are gone, it prints what the relay takes: memory, descriptors, threads.
At the end it compares the last third of the rounds with the first: more than 5 % above it is a leak,
which is exit code 1. Of memory it has to be more than 1 MiB too, for tables grow by doubling, whenever
more happened in a few seconds than ever before. One round before them all is not counted.
ALDIS_BIN is the folder of the programs; without it they are built.
END
}

MINUTES=10
EVERY=30
# How long connections that are closed may take to be gone, in tenths of a second.
readonly REST=100

main() {
  while [[ $# -gt 0 ]]; do
    case $1 in
      --minutes) MINUTES=$(number "${2:-}") ;;
      --every) EVERY=$(number "${2:-}") ;;
      -h | --help) usage && exit ;;
      *) usage >&2 && exit 2 ;;
    esac
    shift 2
  done
  if [[ -z ${ALDIS_BIN:-} ]]; then
    use_rust
    cargo build --release --locked -p signalling -p relay-bench
    ALDIS_BIN=$(realpath "${CARGO_TARGET_DIR:-target}")/release
  fi
  # Each connection is a file, on either side.
  ulimit -n "$(ulimit -Hn)"
  FILES=$(mktemp -d)
  RELAY=
  trap end EXIT
  start_relay
  soak
}

number() {
  [[ $1 =~ ^[1-9][0-9]*$ ]] || { usage >&2 && exit 2; }
  printf '%s' "$1"
}

end() {
  if [[ -n $RELAY ]]; then kill "$RELAY" 2>/dev/null || true; fi
  rm -rf "$FILES"
}

start_relay() {
  "$ALDIS_BIN/signalling" --listen 127.0.0.1:0 --log warn >"$FILES/ready" &
  RELAY=$!
  for _ in $(seq "$REST"); do
    URL=$(grep --only-matching 'ws://.*/' "$FILES/ready") && return
    sleep 0.1
  done
  fail "the relay does not start"
}

soak() {
  local round rounds=$((MINUTES * 60 / EVERY)) idle
  if ((rounds < 3)); then fail "three rounds are the least: --minutes longer or --every shorter"; fi
  idle=$(descriptors)
  one_round
  printf '%8s %12s %12s %8s\n' seconds memory-KiB descriptors threads
  for round in $(seq "$rounds"); do
    one_round
    come_to_rest "$idle"
    printf '%8d %12d %12d %8d\n' $((round * EVERY)) "$(resident)" "$(descriptors)" "$(threads)" |
      tee -a "$FILES/samples"
  done
  verdict
}

# Calls and rooms at once. A load fails when anything it sends is lost.
one_round() {
  local load loads=()
  "$ALDIS_BIN/relay-bench" calls --url "$URL" --concurrency 16 --seconds "$EVERY" >"$FILES/calls" &
  loads+=($!)
  "$ALDIS_BIN/relay-bench" rooms --url "$URL" --rate 2000 --seconds "$EVERY" >"$FILES/rooms" &
  loads+=($!)
  for load in "${loads[@]}"; do
    wait "$load" || fail "a load did not get through"
  done
}

come_to_rest() {
  for _ in $(seq "$REST"); do
    if (($(descriptors) <= $1)); then return; fi
    sleep 0.1
  done
}

resident() {
  awk '$1 == "VmRSS:" { print $2 }' "/proc/$RELAY/status"
}

descriptors() {
  local all=("/proc/$RELAY/fd"/*)
  printf '%d' "${#all[@]}"
}

threads() {
  awk '$1 == "Threads:" { print $2 }' "/proc/$RELAY/status"
}

verdict() {
  awk '
    { for (column = 2; column <= 4; column++) value[NR, column] = $column }
    END {
      split("- memory descriptors threads", name, " ")
      slack[2] = 1024
      third = int(NR / 3)
      for (column = 2; column <= 4; column++) {
        first = last = 0
        for (row = 1; row <= third; row++) {
          first += value[row, column]
          last += value[NR + 1 - row, column]
        }
        grown = (last / first - 1) * 100
        is_flat = grown <= 5 || (last - first) / third <= slack[column]
        printf "%s: %+.1f %% from the first third to the last: %s\n", name[column], grown, is_flat ? "flat" : "GROWING"
        leaks += !is_flat
      }
      exit leaks > 0
    }' "$FILES/samples"
}

main "$@"
