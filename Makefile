# pip's own settings (index, proxy, constraints) are honoured; docs/install.md tells how to get another build of torch.
# The first Python in PATH that every pin has been found for; PYTHON=/path/to/python3 takes another one.
PYTHON ?= $(shell for name in python3.11 python3.12 python3.13 python3.14 python3; do \
  $$name -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 14))' 2>/dev/null && echo $$name && break; done)
PROFILE ?= sample
DOMAIN ?= biomed
BIN := .venv/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)
# One locale for every caller: messages of other programs in English, text in UTF-8.
export LC_ALL := C.UTF-8
export PYTHONUTF8 := 1

.PHONY: help repro serve table lint format test test-full test-gpu bench smoke

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-11s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

repro: .venv/ready ## the environment, then the whole pipeline, then its tables; only what has changed runs again
	dvc repro
	@echo; dapt compare --print; echo; dapt agree; echo "Report: $(CURDIR)/reports/index.html"

serve: .venv/ready-serve ## the models in a browser and for programs, on this machine alone
	@dapt serve

table: .venv/ready ## the tables of the last run
	@dapt compare --print

lint: .venv/ready-dev ## ruff, mypy, import-linter, codespell, shellcheck and hadolint
	ruff check src tests
	ruff format --check src tests
	mypy
	lint-imports --no-logo
	codespell
	shellcheck -x slurm/*.sh .ci/run
	hadolint deploy/Containerfile

format: .venv/ready-dev ## mend what ruff can mend, and format the code
	ruff check --fix src tests
	ruff format src tests

test: .venv/ready-dev ## every test but the slow ones, four at a time, of which three wait for Slurm
	python -m pytest -q -n 4 -m "not slow and not gpu" --durations=15

# In the long form 10,000 raw files are mutated, a training is killed 20 times and interrupted by Slurm ten times, and
# one training reads 2 GB of tokens; the server is under load for ten minutes.
test-full: .venv/ready-dev ## every test in its long form
	DAPT_FUZZ=10000 DAPT_KILLS=20 DAPT_TOKENS_MB=2000 DAPT_PREEMPTIONS=10 DAPT_LOAD_SECONDS=600 python -m pytest -q -n 2 -m "not gpu" --durations=25

test-gpu: ## what needs a GPU; works with any environment that holds torch, transformers, accelerate and pytest
	PYTHONPATH=src python -m pytest -q -m gpu tests/training/test_on_gpu.py

bench: .venv/ready-bench ## the speed of cleaning and of training, each beside the usual way
	@dapt bench clean
	@dapt bench train

# The original project's smoke run. It runs in a temporary copy: the models of this workspace stay as they are.
smoke: .venv/ready ## ten training steps; PROFILE=sample and DOMAIN=biomed, unless you name others
	dvc exp run --temp -S profile=$(PROFILE) $(foreach s,steps=10 warmup=2 valid_every=5 keep=[],-S 'profiles/$(PROFILE).yaml:train.$s') \
	  train@$(DOMAIN)

.venv/ready: requirements.txt requirements-dvc.txt pyproject.toml
	$(or $(PYTHON),$(error no Python from 3.11 to 3.14 is in PATH; install one or name one with PYTHON=/path/to/python3)) \
	  -m venv .venv
	$(BIN)/pip install --disable-pip-version-check -q -r requirements.txt -r requirements-dvc.txt
	$(BIN)/pip install --disable-pip-version-check -q --no-deps -e .
	@touch $@

.venv/ready-bench: .venv/ready requirements-bench.txt
	$(BIN)/pip install --disable-pip-version-check -q -r requirements-bench.txt
	@touch $@

.venv/ready-serve: .venv/ready requirements-serve.txt
	$(BIN)/pip install --disable-pip-version-check -q -r requirements-serve.txt
	@touch $@

.venv/ready-dev: .venv/ready requirements-dev.txt requirements-bench.txt requirements-serve.txt
	$(BIN)/pip install --disable-pip-version-check -q -r requirements-dev.txt
	@touch $@
