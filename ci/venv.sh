#!/usr/bin/env bash
# Make the Python environment of the tests outside the checkout, keyed by the lock file.
#
#   ci/venv.sh           the last line of standard output is the environment's path
#
# Reads PYTHON (default python3) and XDG_CACHE_HOME. Needs Python 3.11 or newer with pip.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly python="${PYTHON:-python3}"
readonly cache="${XDG_CACHE_HOME:-$HOME/.cache}/docker-registry-chart"

say() { printf '%s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

command -v "$python" >/dev/null || die "python3 is missing: on Debian, apt-get install python3 python3-venv"
version=$("$python" -c 'import sys; print("%d.%d.%d" % sys.version_info[:3])')
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
    || die "Python $version is too old: this project needs 3.11 or newer (set PYTHON=python3.12, say)"

key=$(cat requirements-dev.txt <(printf '%s' "$version") | sha256sum | cut -c1-16)
readonly venv="$cache/venv/$key"
if [ ! -e "$venv/.complete" ]; then
    say "python: installing the locked packages into $venv"
    mkdir -p "$cache/venv"
    exec 9>"$cache/venv/lock"
    flock 9
    if [ ! -e "$venv/.complete" ]; then
        rm -rf "$venv"
        if ! "$python" -m venv "$venv" >/dev/null 2>&1; then
            say "python: the venv module has no pip here; installing python3-venv"
            apt-get install -y -q python3-venv >&2 || die "python3-venv is missing and apt-get cannot install it"
            rm -rf "$venv"
            "$python" -m venv "$venv"
        fi
        "$venv/bin/pip" install --quiet --require-hashes --only-binary :all: -r requirements-dev.txt >&2
        touch "$venv/.complete"
    fi
fi
printf '%s\n' "$venv"
