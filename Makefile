# The contract of this project; `make help` explains each target.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.NOTPARALLEL:
MAKEFLAGS += --no-print-directory

CLUSTER ?= registry-gc
REGISTRY ?=
KEY ?=
KEYRING ?=
PASSPHRASE_FILE ?=
KEY_URL ?=
PUSH_FLAGS ?=
BENCH ?=
export CLUSTER

# Asked for where it is used, so that `make help` needs no environment.
VENV = $(shell ci/venv.sh)
SIGNING = "KEY=$(KEY)" "KEYRING=$(KEYRING)" "PASSPHRASE_FILE=$(PASSPHRASE_FILE)" "KEY_URL=$(KEY_URL)"
PYTHON_FILES := scripts tests ci bench

.PHONY: help demo test test-full e2e lint format bench stress mutants cluster images push package push-chart manual down clean venv-path lock

help: ## show this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: ## see it work: a real cluster, a registry, pushes, a deletion, a collection
	@ci/demo.sh

test: ## the gate: unit, chart, a real registry process, a real cluster
	@ci/test.sh

test-full: ## every scenario and count (long)
	@ci/test.sh --full

e2e: ## the tests on a real cluster alone
	@python3 ci/cluster.py up >/dev/null && python3 ci/cluster.py images >/dev/null
	@venv="$(VENV)"; "$$venv/bin/pytest" -q -n 3 --dist loadgroup -m "not full" tests/e2e

lint: ## ruff, mypy strict, import-linter, shellcheck, yamllint on the rendered chart
	@ci/lint.sh

format: ## let ruff format the Python files
	@venv="$(VENV)"; "$$venv/bin/ruff" format $(PYTHON_FILES); "$$venv/bin/ruff" check --fix $(PYTHON_FILES)

bench: ## our dry run against the registry's own and against find, as ratios of one run
	@venv="$(VENV)"; PYTHONPATH=scripts "$$venv/bin/python" -m bench.bench $(BENCH)

stress: ## rule 1 on real registries for as long as wished: make stress STRESS_SECONDS=600
	@venv="$(VENV)"; PYTHONPATH=scripts:tests:ci:. nice "$$venv/bin/python" tests/registry/stress_tables.py

mutants: ## break each rule on purpose and see that its test notices
	@venv="$(VENV)"; "$$venv/bin/python" tests/mutants/run.py --full

cluster: ## start the kind cluster or find it running; the last line is its kubeconfig's path
	@python3 ci/cluster.py up

images: ## build the collector's image and have the registry's, and load both into the cluster
	@python3 ci/cluster.py images

push: ## push the collector's image: make push REGISTRY=registry.example.com/tools
	@python3 ci/cluster.py push "REGISTRY=$(REGISTRY)"

package: ## package the chart: make package REGISTRY=… [KEY=… KEYRING=…], which signs it
	@python3 ci/cluster.py package "REGISTRY=$(REGISTRY)" $(SIGNING)

push-chart: ## package the chart, push it and the image: make push-chart REGISTRY=… [KEY=… KEYRING=…]
	@python3 ci/cluster.py push-chart "REGISTRY=$(REGISTRY)" $(SIGNING) "PUSH_FLAGS=$(PUSH_FLAGS)"

manual: ## make the schema, the defaults and the README table from chart/values.yaml
	@venv="$(VENV)"; PYTHONPATH=ci "$$venv/bin/python" -m manual

down: ## remove the cluster, and end the container engine if we started it
	@python3 ci/cluster.py down

clean: ## remove what tests and builds left in this checkout (the cache outside it stays)
	@rm -rf dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

venv-path: ## print the path of the Python environment, made on first use
	@ci/venv.sh

lock: ## resolve the Python dependencies anew into requirements.txt and requirements-dev.txt
	@ci/lock.sh
