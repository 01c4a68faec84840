#!/usr/bin/env bash
# Check the workflows of hosted CI: actionlint, which gives their shell to shellcheck.
#
#   ci/workflows.sh
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

venv=$(ci/venv.sh)
actionlint=$(python3 ci/cluster.py tool actionlint)
exec "$actionlint" -no-color -shellcheck "$venv/bin/shellcheck" -pyflakes= .github/workflows/*.yml
