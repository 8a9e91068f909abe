# make demo: the built-in benchmark. make check: everything that has to hold before a merge.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PY := $(BIN)/python
# a file's tests stay in one process: those of Slurm share a cluster; tests/conftest.py says which files begin
TESTS := OMP_NUM_THREADS=1 $(PY) -m pytest -n 2 --dist loadfile --no-loadscope-reorder

.DEFAULT_GOAL := help
.PHONY: help demo check quick fuzz long clean
.DELETE_ON_ERROR:

help:
	@echo "make demo    install into $(VENV), mine labels for the built-in benchmark and score it (fit, then test)"
	@echo "make check   install into $(VENV) with tools, then ruff, mypy, the whole test suite and the documentation"
	@echo "make quick   the tests that take no more than a few seconds each and need no Slurm"
	@echo "make fuzz    ten minutes of damaged manifests, label sets, results, settings and servers' answers"
	@echo "make long    what takes minutes each: kills of whole runs, a fresh environment, scale, and make fuzz; by hand"
	@echo "make clean   remove caches and what was built; keeps $(VENV) and runs/"
	@echo "Settings: PYTHON=$(PYTHON) (3.11 or newer; makes the environment), VENV=$(VENV)"

demo: $(VENV)/.installed
	$(PY) -m ood_lightning fit --config configs/clustermine.yaml
	$(PY) -m ood_lightning test --config configs/eval.yaml

check: $(VENV)/.installed-dev
	$(PY) -m ruff check
	$(PY) -m ruff format --check
	$(PY) -m mypy
	$(TESTS) -m 'not long'
	NO_MKDOCS_2_WARNING=1 $(PY) -m mkdocs build --strict

quick: $(VENV)/.installed-dev
	$(TESTS) -m 'not slow and not slurm and not long'

fuzz: $(VENV)/.installed-dev
	FUZZ_SECONDS=600 $(PY) -m pytest tests/test_fuzz.py

long: fuzz
	$(TESTS) -m long

clean:
	rm -rf build dist site docs/sample_*.html *.egg-info .pytest_cache .mypy_cache .ruff_cache
	find ood_lightning tests scripts -name __pycache__ -type d -prune -exec rm -rf {} +

# Installed again when pyproject.toml changes; the code itself is linked, not copied.
$(VENV)/.installed: pyproject.toml | $(PY)
	@echo "Installing ood_lightning into $(VENV). PyTorch for CUDA is among it: some 6 GB, several minutes the first time."
	$(PY) -m pip install -e .
	@touch $@

$(VENV)/.installed-dev: pyproject.toml | $(PY)
	@echo "Installing ood_lightning and its tools into $(VENV). PyTorch for CUDA is among it: some 6 GB, several minutes."
	$(PY) -m pip install -e '.[dev,docs]'
	@touch $(VENV)/.installed $@

$(PY):
	@command -v $(PYTHON) >/dev/null || { echo "make: no $(PYTHON) here. Install Python 3.11 or newer, or name one: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	    echo "make: $(PYTHON) is $$($(PYTHON) -V 2>&1); 3.11 or newer is needed. Name another: make PYTHON=python3.11" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	    echo "make: $(PYTHON) cannot make virtual environments. On Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
