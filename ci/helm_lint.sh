#!/usr/bin/env bash
# `helm lint --strict` with both Helms: the defaults, a collector, everything exposed.
#
#   ci/helm_lint.sh
#
# That every scenario renders, and to what, tests/chart shows.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

for name in helm helm3; do
    helm=$(python3 ci/cluster.py tool "$name")
    for values in /dev/null ci/values/collected.yaml ci/values/exposed.yaml; do
        "$helm" lint --strict --quiet --values "$values" chart || {
            printf 'failed: %s lint --strict --values %s chart\n' "$name" "$values" >&2
            exit 1
        }
    done
done
