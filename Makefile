# Two commands start the project on a fresh machine: `make demo` and `make test`.
PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed

.DEFAULT_GOAL := help
.PHONY: help install peers demo run report-phantom report test fuzz check lint types contracts format clean

help:  ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 16

$(INSTALLED): pyproject.toml constraints.txt scripts/install
	PYTHON=$(PYTHON) scripts/install
	@touch $@

install: $(INSTALLED)  ## a virtual environment in .venv with everything pinned

demo: $(INSTALLED)  ## four studies over DICOM, from the wire to a radiologist's decision
	$(BIN)/mri-guard demo

run: $(INSTALLED)  ## the demo, and then it keeps serving
	$(BIN)/mri-guard demo --keep

report-phantom: $(INSTALLED)  ## an audit report on phantoms alone, to OUT
	OMP_NUM_THREADS=1 $(MAKE) -f scripts/report.mk -j $(shell nproc) phantoms

report: $(INSTALLED)  ## the same on the development data, hours; goes on where it stopped
	OMP_NUM_THREADS=1 $(MAKE) -f scripts/report.mk -j $(shell nproc) data

peers:  ## Debian packages of the real programs that tests talk to
	scripts/install-peers

test: $(INSTALLED) peers  ## all tests
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile

fuzz: $(INSTALLED)  ## 200,000 mutated files through checks and readers; goes on where it stopped
	$(BIN)/python -m tests.fuzz.run -n 200000 --out var/fuzz

lint: $(INSTALLED)  ## ruff
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(INSTALLED)  ## mypy, strict
	$(BIN)/mypy

contracts: $(INSTALLED)  ## imports run downwards
	$(BIN)/lint-imports

check: lint types contracts test  ## what CI runs

format: $(INSTALLED)  ## let ruff rewrite
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:  ## remove the virtual environment and caches
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
