# make repro   the whole pipeline in its own environment
# make test    tests in the same environment
# make lint    ruff and mypy
# make weights get the weights behind FID, once per machine; check those of LPIPS
# make bench   measure speed and memory on this CPU, at most five minutes
# make deps    write the stages' code dependencies into dvc.yaml
# make clean   delete what the stages wrote here; DVC's cache keeps its copies
PYTHON ?= python3
BIN := $(CURDIR)/.venv/bin
export PATH := $(BIN):$(PATH)
INSTALLED := .venv/.installed
PIP := -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: env repro test lint bench weights deps constraints clean
.DEFAULT_GOAL := repro

env: $(INSTALLED)

# torch first and alone: it is pinned to one exact version.
$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "superres needs Python 3.11 or newer; try: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@existed=$$(test -e .venv && echo yes); $(PYTHON) -m venv .venv \
		&& "$(BIN)/python" $(PIP) torch \
		&& "$(BIN)/python" $(PIP) --editable '.[dev]' \
		&& touch $@ \
		|| { test -n "$$existed" || rm -rf .venv; echo "the environment could not be built" >&2; exit 1; }

repro: $(INSTALLED)
	dvc repro
	@PYTHONPATH=src python -m superres.reporting

test: $(INSTALLED)
	OMP_NUM_THREADS=1 python -m pytest -n 2 --dist loadgroup

lint: $(INSTALLED)
	ruff check .
	ruff format --check .
	mypy

bench: $(INSTALLED)
	TQDM_DISABLE=1 PYTHONPATH=src python -m benchmarks.cpu

weights: $(INSTALLED)
	PYTHONPATH=src python -m superres.metrics.weights

deps: $(INSTALLED)
	python tools/code_dependencies.py
	python tools/metrics_table.py

constraints: $(INSTALLED)
	{ echo "# Exact versions that the Makefile installs with; \`make constraints\` writes them anew."; \
	  python -m pip freeze --exclude-editable | sed 's/+cpu$$//'; } > constraints.txt

clean:
	git clean -fdxq data models reports
