#!/usr/bin/env bash
# The gate: all four rooms of tests, with the cluster being built while the first three run.
#
#   ci/test.sh [--full]      --full: every scenario and count
#
# Ends with a table of where the time went.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

marks=(-m "not full")
[ "${1:-}" = "--full" ] && marks=()

venv=$(ci/venv.sh)
work=$(mktemp -d)
cluster_pid=
# shellcheck disable=SC2329  # called by the trap
finish() {
    # Only what this script started, and by its id.
    [ -z "$cluster_pid" ] || kill "$cluster_pid" 2>/dev/null || true
    rm -rf "$work"
}
trap finish EXIT

declare -A seconds
timed() {
    local name=$1 began=$SECONDS status=0
    shift
    printf '\n== %s\n' "$name"
    "$@" || status=$?
    seconds[$name]=$((SECONDS - began))
    return "$status"
}

printf '== cluster and images: in the background, log at the end if they fail\n'
(
    python3 ci/cluster.py up >"$work/kubeconfig" 2>"$work/cluster.log"
    python3 ci/cluster.py images >>"$work/cluster.log" 2>&1
) &
cluster_pid=$!

status=0
timed "unit and chart" "$venv/bin/pytest" -q -n 2 "${marks[@]}" tests/unit tests/chart \
    tests/helm_chart_test || status=1
timed "registry" "$venv/bin/pytest" -q -n 2 --dist loadfile "${marks[@]}" tests/registry || status=1

# shellcheck disable=SC2329  # called by its name, through timed
wait_for_cluster() {
    local result=0
    wait "$cluster_pid" || result=$?
    cluster_pid=
    [ "$result" -eq 0 ] || cat "$work/cluster.log"
    return "$result"
}
if timed "waiting for cluster" wait_for_cluster; then
    timed "e2e" "$venv/bin/pytest" -q -n 2 --dist loadgroup "${marks[@]}" tests/e2e || status=1
else
    status=1
fi

printf '\n== where the time went\n'
for name in "${!seconds[@]}"; do
    printf '%6d s  %s\n' "${seconds[$name]}" "$name"
done | sort -rn
sed -n '/where the time went/,$p' "$work/cluster.log" 2>/dev/null || true
exit "$status"
