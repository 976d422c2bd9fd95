# make repro · make test · make test-full · make bench · make table · make smoke PROFILE=sample DOMAIN=biomed
# pip's own settings (index, proxy, constraints) are honoured; docs/install.md tells how to get another build of torch.
PYTHON ?= python3
PROFILE ?= sample
DOMAIN ?= biomed
BIN := .venv/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: repro test test-full bench smoke table

repro: .venv/ready
	dvc repro
	@echo; dapt compare --print; echo; echo "Report: $(CURDIR)/reports/index.html"

table: .venv/ready
	@dapt compare --print

test: .venv/ready-dev
	python -m pytest -q

# Everything in its long form: 10,000 mutated raw files, a training killed 20 times and ten interrupted by Slurm, one on
# 2 GB of tokens.
test-full: .venv/ready-dev
	DAPT_FUZZ=10000 DAPT_KILLS=20 DAPT_TOKENS_MB=2000 DAPT_PREEMPTIONS=10 python -m pytest -q

bench: .venv/ready-bench
	@dapt bench clean
	@dapt bench train

# The original project's smoke run: ten steps of any profile, in a temporary copy; the models of this workspace stay as they are.
smoke: .venv/ready
	dvc exp run --temp -S profile=$(PROFILE) $(foreach s,steps=10 warmup=2 valid_every=5 keep=[],-S 'profiles.$(PROFILE).train.$s') \
	  train@$(DOMAIN)

.venv/ready: requirements.txt requirements-dvc.txt pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --disable-pip-version-check -q -r requirements.txt -r requirements-dvc.txt
	$(BIN)/pip install --disable-pip-version-check -q --no-deps -e .
	@touch $@

.venv/ready-bench: .venv/ready requirements-bench.txt
	$(BIN)/pip install --disable-pip-version-check -q -r requirements-bench.txt
	@touch $@

.venv/ready-dev: .venv/ready requirements-dev.txt requirements-bench.txt
	$(BIN)/pip install --disable-pip-version-check -q -r requirements-dev.txt
	@touch $@
