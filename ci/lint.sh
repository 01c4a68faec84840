#!/usr/bin/env bash
# Every static check, each with its name; all of them run, then the first failure counts.
#
#   ci/lint.sh
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1

venv=$(ci/venv.sh) || exit 1
failed=()

check() {
    local name=$1
    shift
    if output=$("$@" 2>&1); then
        printf 'lint: %-14s ok\n' "$name"
    else
        printf 'lint: %-14s FAILED\n%s\n' "$name" "$output"
        failed+=("$name")
    fi
}

mapfile -t shell_scripts < <(git ls-files -co --exclude-standard '*.sh' .ci/run)
check format "$venv/bin/ruff" format --check .
check ruff "$venv/bin/ruff" check .
check mypy "$venv/bin/mypy" scripts tests ci bench
check imports env PYTHONPATH=scripts "$venv/bin/lint-imports"
check shellcheck "$venv/bin/shellcheck" -x "${shell_scripts[@]}"
check yamllint "$venv/bin/yamllint" --strict .
check manual env PYTHONPATH=ci "$venv/bin/python" -m manual --check
check helm-lint ci/helm_lint.sh
check workflows ci/workflows.sh
check rendered "$venv/bin/pytest" -q tests/chart/test_objects.py -k rendered_text

[ "${#failed[@]}" -eq 0 ] || { printf 'lint: failed: %s\n' "${failed[*]}"; exit 1; }
