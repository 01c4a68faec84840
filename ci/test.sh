#!/usr/bin/env bash
# The gate: all four rooms of tests, and each rule broken on purpose. Those that need the cluster wait for it in the background, while
# the others run.
#
#   ci/test.sh [--full]      --full: every scenario and count
#
# Ends with a table of where the time went.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

marks=(-m "not full")
[ "${1:-}" = "--full" ] && marks=()

# For signatures, certificates, a real Redis and real clients; a minimal Debian lacks them. Not redis-server,
# whose package would start one: the same program is in redis-tools by another name.
missing=()
for pair in gpg:gnupg openssl:openssl redis-check-rdb:redis-tools skopeo:skopeo podman:podman; do
    command -v "${pair%%:*}" >/dev/null || missing+=("${pair#*:}")
done
if [ "${#missing[@]}" -gt 0 ]; then
    printf 'installing %s with apt-get\n' "${missing[*]}" >&2
    apt-get update -q >&2 && apt-get install -y -q --no-install-recommends "${missing[@]}" >&2
fi
venv=$(ci/venv.sh)
work=$(mktemp -d)
background=
# shellcheck disable=SC2329  # called by the trap
finish() {
    # Only what this script started, and by its id.
    [ -z "$background" ] || kill "$background" 2>/dev/null || true
    rm -rf "$work"
}
trap finish EXIT

# Run a command and note its seconds under a name, in a file: some run in the background.
timed() {
    local name=$1 began=$SECONDS status=0
    shift
    "$@" || status=$?
    printf '%6d s  %s\n' "$((SECONDS - began))" "$name" >>"$work/times"
    return "$status"
}

# Three at a time: they mostly wait for the cluster.
cluster_and_e2e() {
    timed "cluster" python3 ci/cluster.py up || return
    timed "images" python3 ci/cluster.py images || return
    # Here, so that the table shows how long it took where it cannot be pulled.
    timed "making traefik" python3 ci/services.py image traefik >/dev/null || return
    local status=0
    # They share one edge, or the one ConfigMap of KEP-1755.
    local one_by_one=(edges endpoint endpoint_edges uninstall)
    # shellcheck disable=SC2046  # words, on purpose
    timed "e2e" "$venv/bin/pytest" -q -n 3 --dist loadgroup "${marks[@]}" --ignore tests/e2e/alone \
        $(printf -- '--ignore tests/e2e/test_%s.py ' "${one_by_one[@]}") tests/e2e || status=1
    # shellcheck disable=SC2046  # words, on purpose
    timed "e2e, one by one" "$venv/bin/pytest" -q -n 0 "${marks[@]}" \
        $(printf -- 'tests/e2e/test_%s.py ' "${one_by_one[@]}") || status=1
    # What stops a part of the cluster that all others need.
    [ "${#marks[@]}" -gt 0 ] ||
        timed "e2e, alone" "$venv/bin/pytest" -q -n 0 tests/e2e/alone || status=1
    return "$status"
}

printf '== the cluster, the images and the tests on it: in the background, shown at the end\n'
cluster_and_e2e >"$work/e2e.log" 2>&1 &
background=$!

# Each is made once and kept; here, so that the table below shows how long that took.
for program in crane registry registry-2.8 registry-3.0; do
    timed "making $program" python3 ci/cluster.py tool "$program" >/dev/null
done

status=0
printf '\n== unit and chart\n'
timed "unit and chart" "$venv/bin/pytest" -q -n 2 "${marks[@]}" tests/unit tests/chart \
    tests/helm_chart_test || status=1
printf '\n== each rule broken on purpose\n'
timed "mutants" "$venv/bin/python" tests/mutants/run.py "$@" || status=1
printf '\n== a real registry process\n'
timed "registry" "$venv/bin/pytest" -q -n 2 --dist loadfile "${marks[@]}" tests/registry || status=1

printf '\n== a real cluster\n'
wait "$background" || status=1
background=
cat "$work/e2e.log"

printf '\n== where the time went (side by side; what took less than a second is left out)\n'
sort -rn "$work/times" | awk '$1 > 0'
printf '%6d s  in all\n' "$SECONDS"
exit "$status"
