# pip's settings (index, proxy, constraints) apply; docs/install.md shows how to get another build of torch.
# The first Python on PATH for which all pinned packages exist; PYTHON=/path/to/python3 selects another one.
PYTHON ?= $(shell for name in python3.11 python3.12 python3.13 python3.14 python3; do \
  $$name -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 14))' 2>/dev/null && echo $$name && break; done)
PROFILE ?= sample
DOMAIN ?= biomed
BIN := .venv/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)
# One locale for every caller: messages of other programs in English, text in UTF-8.
export LC_ALL := C.UTF-8
export PYTHONUTF8 := 1

.PHONY: help repro serve table lint format test test-full test-gpu rehearse bench bill audit smoke

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-11s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

repro: .venv/ready ## set up the environment, run the whole pipeline (only stages that have changed), print its tables
	dvc repro
	@echo; dapt compare --print; echo; dapt agree; echo "Report: $(CURDIR)/reports/index.html"

serve: .venv/ready-serve ## serve the models on this machine, with a web page and an API
	@dapt serve

table: .venv/ready ## print the tables of the last run
	@dapt compare --print

lint: .venv/ready-dev ## run ruff, mypy, import-linter, codespell, shellcheck and hadolint
	ruff check src tests
	ruff format --check src tests
	mypy
	lint-imports --no-logo
	codespell
	shellcheck -x slurm/*.sh .ci/run
	hadolint deploy/Containerfile

format: .venv/ready-dev ## fix what ruff can fix, and format the code
	ruff check --fix src tests
	ruff format src tests

test: .venv/ready-dev ## run all tests except the slow ones, four at a time
	python -m pytest -q -n 4 -m "not slow and not gpu" --durations=15

# In their long form the tests mutate 10,000 raw files, kill a training 20 times and interrupt it through Slurm ten times, run a
# training on 2 GB of tokens, and put the server under load for ten minutes.
test-full: .venv/ready-dev ## run all tests in their long form
	DAPT_FUZZ=10000 DAPT_KILLS=20 DAPT_TOKENS_MB=2000 DAPT_PREEMPTIONS=10 DAPT_LOAD_SECONDS=600 python -m pytest -q -n 2 -m "not gpu" --durations=25

test-gpu: ## run the GPU tests, in any environment with torch, transformers, accelerate and pytest
	PYTHONPATH=src python -m pytest -q -m gpu tests/training/test_on_gpu.py

# The hub, its files and the models are stand-ins, and the settings are turned down (docs/full-profile.md). FOLDER must be new or empty;
# it is removed at the end, unless OPTIONS=--keep.
rehearse: .venv/ready-dev ## run the whole profile full with stand-ins for its downloads: up to 45 minutes and 30 GB in FOLDER
	PYTHONPATH=src:tests/helpers python -m rehearsal.rehearse $(or $(FOLDER),$(or $(TMPDIR),/tmp)/dapt-rehearsal) $(OPTIONS)

bench: .venv/ready-bench ## measure the speed of cleaning and training, compared with common alternatives
	@dapt bench clean
	@dapt bench train

bill: .venv/ready-dev ## write what a release consists of: dist/sbom.cdx.json (CycloneDX) and dist/licences.csv
	PYTHONPATH=src:tests/helpers python -m bill dist

audit: .venv/ready-dev ## show known vulnerabilities of the packages that a release pins, if their list can be reached
	@PYTHONPATH=src:tests/helpers python -m advisories

# The smoke run of the original project. It runs in a temporary copy: the models of this workspace are not changed.
smoke: .venv/ready ## run ten training steps; defaults: PROFILE=sample DOMAIN=biomed
	dvc exp run --temp -S profile=$(PROFILE) $(foreach s,steps=10 warmup=2 valid_every=5 keep=[],-S 'profiles/$(PROFILE).yaml:train.$s') \
	  train@$(DOMAIN)

.venv/ready: requirements.txt requirements-dvc.txt pyproject.toml
	$(or $(PYTHON),$(error no Python from 3.11 to 3.14 is on PATH; install one, or give its path with PYTHON=/path/to/python3)) \
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

.venv/ready-export: .venv/ready requirements-export.txt
	$(BIN)/pip install --disable-pip-version-check -q -r requirements-export.txt
	@touch $@

.venv/ready-dev: .venv/ready requirements-dev.txt requirements-bench.txt requirements-serve.txt requirements-remotes.txt \
		requirements-export.txt
	$(BIN)/pip install --disable-pip-version-check -q -r requirements-dev.txt
	@touch $@
