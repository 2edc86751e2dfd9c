# A network namespace of this run alone, with one address to which everything in it can connect: ICE
# gathers no loopback addresses, so the two ends of a call need another one. Sourced, never run.
# shellcheck shell=bash

# One a run, so that two runs on one machine do not meet.
NAMESPACE=aldis-$$
readonly NAMESPACE

# The process group of what runs inside, while it does.
INSIDE_PID=

# Makes the namespace, and sees to it that it is gone whatever happens.
with_namespace() {
  keep_sudo_awake
  trap remove_namespace EXIT
  trap 'exit 129' HUP
  trap 'exit 130' INT
  trap 'exit 143' TERM
  privileged ip netns add "$NAMESPACE" || fail "this machine lets us make no network namespace, \
and the tests run in one: run them as root, or with sudo, outside of a container that forbids it"
  privileged ip -n "$NAMESPACE" link set lo up
  # Both ends inside: a network of one machine, whose address is real and leads nowhere.
  privileged ip -n "$NAMESPACE" link add aldis0 type veth peer name aldis1
  privileged ip -n "$NAMESPACE" address add 10.77.0.1/24 dev aldis0
  privileged ip -n "$NAMESPACE" link set aldis0 up
  privileged ip -n "$NAMESPACE" link set aldis1 up
  # Firefox asks the kernel which address of ours leads there, sends nothing, and without an answer has
  # no candidates.
  privileged ip -n "$NAMESPACE" route add 8.8.8.8/32 dev aldis0
  wait_for_addresses
}

# An address of IPv6 is usable only after a second or two, and when it becomes so Chromium drops what it
# is loading: the network has changed.
wait_for_addresses() {
  local tries
  for ((tries = 0; tries < 50; tries += 1)); do
    if [[ -z $(privileged ip -n "$NAMESPACE" -6 address show tentative) ]]; then return; fi
    sleep 0.1
  done
}

# Runs a command inside, as the user who started us. It runs as a job in a process group of its own:
# the shell acts on a signal at once instead of after the command, and then ends the whole group.
inside() {
  local as_user=() status=0
  if ((EUID != 0)); then as_user=(runuser -u "$(id -un)" --); fi
  set -m
  privileged ip netns exec "$NAMESPACE" "${as_user[@]}" env "${ENVIRONMENT[@]}" "$@" </dev/null &
  INSIDE_PID=$!
  set +m
  wait "$INSIDE_PID" || status=$?
  INSIDE_PID=
  return "$status"
}

# What sudo would not let through.
ENVIRONMENT=("PATH=$PATH" "HOME=$HOME")
for name in CARGO_HOME RUSTUP_HOME RUSTUP_TOOLCHAIN CARGO_TARGET_DIR CHROMIUM FIREFOX; do
  if [[ -v $name ]]; then ENVIRONMENT+=("$name=${!name}"); fi
done

privileged() {
  if ((EUID == 0)); then "$@"; else sudo "$@"; fi
}

# The tests last longer than sudo remembers the password, and the namespace has to go at the end.
keep_sudo_awake() {
  if ((EUID == 0)); then return; fi
  sudo --validate || fail "the tests need root for a network namespace: run them as root or with sudo"
  set -m
  while sleep 60 && kill -0 $$ 2>/dev/null; do sudo --non-interactive --validate; done &>/dev/null &
  AWAKE_PID=$!
  set +m
}

remove_namespace() {
  # One step that fails does not keep the others from being done.
  set +e
  trap '' HUP INT TERM
  # The runner first, so that it ends in order what it started.
  if [[ -n $INSIDE_PID ]]; then privileged kill -TERM -- "-$INSIDE_PID" 2>/dev/null; fi
  end_processes
  privileged ip netns delete "$NAMESPACE" 2>/dev/null
  if [[ -n ${AWAKE_PID:-} ]]; then kill -- "-$AWAKE_PID" 2>/dev/null; fi
}

# What still runs inside: it is all ours, nobody else knows this namespace.
end_processes() {
  local signal pids tries
  for signal in TERM KILL; do
    for ((tries = 0; tries < 20; tries += 1)); do
      pids=$(privileged ip netns pids "$NAMESPACE" 2>/dev/null) || return 0
      if [[ -z $pids ]]; then return 0; fi
      # shellcheck disable=SC2086 # one word for each process
      if ((tries == 0)); then privileged kill "-$signal" $pids 2>/dev/null; fi
      sleep 0.1
    done
  done
}
