#!/usr/bin/env bash
# Resolve the Python dependencies of pyproject.toml into hashed lock files that name no index.
#
#   ci/lock.sh [--upgrade]
#
# Needs uv. requirements.txt is what the image gets, requirements-dev.txt what tests get.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# Releases of the last two weeks are left out: time for a bad one to be withdrawn.
newest=$(date -u -d "14 days ago" +%F)
readonly newest

compile() {
    uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --exclude-newer "$newest" \
        --no-emit-index-url --no-emit-find-links --no-header --no-annotate "$@"
}
compile pyproject.toml --output-file requirements.txt "$@"
compile pyproject.toml --group dev --output-file requirements-dev.txt "$@"
