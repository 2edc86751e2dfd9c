# What the scripts share. Sourced, never run.
# shellcheck shell=bash

# The oldest Rust that will do; also `rust-version` in Cargo.toml.
readonly MIN_RUST=1.92
readonly CARGO_BIN=${CARGO_HOME:-$HOME/.cargo}/bin

say() {
  printf '%s\n' "$*"
}

# Ends the script with a sentence that says what to do.
fail() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}

# A heading over what follows.
heading() {
  printf '\n== %s\n' "$*"
}

has() {
  command -v "$1" >/dev/null
}

# Whether version $1 is at least version $2.
at_least() {
  [[ $(printf '%s\n%s\n' "$1" "$2" | sort -V | head -n 1) == "$2" ]]
}

# Lets this run use a Rust that was installed a moment ago or whose folder is not on the PATH yet.
use_rust() {
  if rust_is_new_enough; then return; fi
  if [[ -x $CARGO_BIN/cargo ]]; then PATH=$CARGO_BIN:$PATH; fi
  # The user's default toolchain may be an older one, and stays what it is.
  if ! rust_is_new_enough && has rustup; then export RUSTUP_TOOLCHAIN=stable; fi
  rust_is_new_enough || fail "Rust $MIN_RUST or newer is needed: run scripts/setup"
}

rust_is_new_enough() {
  local version
  version=$(cargo --version 2>/dev/null | cut -d ' ' -f 2) || return 1
  at_least "$version" "$MIN_RUST"
}

# Installs exactly what the lock file of folder $1 names, unless that is there already.
install_node_modules() {
  local marker=$1/node_modules/.package-lock.json
  if [[ -e $marker && $marker -nt $1/package-lock.json ]]; then return; fi
  npm ci --prefix "$1" --no-audit --no-fund
}

# Installs exactly what file $2 names into a Python of its own in folder $1, unless that is there already.
install_python_packages() {
  local marker=$1/.installed
  if cmp --silent "$2" "$marker"; then return; fi
  python3 -m venv --clear "$1"
  "$1/bin/pip" install --quiet --disable-pip-version-check --only-binary :all: --require-hashes --requirement "$2"
  cp "$2" "$marker"
}
