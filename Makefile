# `make demo` and `make test` need Python 3.11 or newer and make; all else is installed into .venv.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help demo test test-fast crash bench bench-guard lint lab sandbox down lock notebooks clean

help:
	@echo "make demo       the whole sequence on a made-up clinic: dev, then prod"
	@echo "make test       the whole test suite"
	@echo "make test-fast  what needs no server: about half of the suite, in a minute"
	@echo "make crash      the crash matrix: every step times every fault, about an hour"
	@echo "make oracle     random edits on both sides, each run compared with a second implementation"
	@echo "make bench      measure against the same work by hand: SCALE=1,10; writes docs/performance.md"
	@echo "make bench-guard  fail if a count, or a ratio to the work by hand, has become much worse: two minutes"
	@echo "make lint       ruff, mypy, and that imports run one way"
	@echo "make lab        JupyterLab on copies of the pages, with the sandbox running"
	@echo "make notebooks  execute the runbook's notebooks on the sandbox and keep their outputs"
	@echo "make lock       resolve the dependencies anew (needs uv)"

$(READY): requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed")'
	$(PYTHON) -m venv $(VENV)
	@echo "Installing the libraries into $(VENV), once: 1.1 GB, a few minutes."
	$(BIN)/python -m pip install --require-hashes --requirement requirements.lock
	@echo "Installing this package."
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@# Before a disk is full: of a module that it compiles then, Python keeps half, and stops at it for ever.
	$(BIN)/python -m compileall -q nexus_reimport nexus_sandbox
	@touch $@

demo: $(READY)
	$(BIN)/nexus-reimport demo

test: $(READY)
	$(BIN)/python -m pytest -n 4 --dist worksteal

test-fast: $(READY)
	$(BIN)/python -m pytest -n 2 tests/unit

crash: $(READY)
	PYTHONPATH=tests $(BIN)/python -m crash $(if $(ONLY),--only "$(ONLY)") $(if $(SEED),--seed $(SEED))

oracle: $(READY)
	ORACLE_FIRST=$(or $(FIRST),1) ORACLE_SEEDS=$(or $(SEEDS),20) $(BIN)/python -m pytest -n 2 tests/oracle

bench: $(READY)
	$(BIN)/python -m benchmarks --scales $(if $(SCALE),$(SCALE),1)

bench-guard: $(READY)
	$(BIN)/python -m benchmarks.guard

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

lab: $(READY)
	$(BIN)/nexus-reimport sandbox up
	$(BIN)/nexus-reimport lab $(if $(ENV),$(ENV),sandbox-dev)

sandbox: $(READY)
	$(BIN)/nexus-reimport sandbox up

down: $(READY)
	$(BIN)/nexus-reimport sandbox down

notebooks: $(READY)
	$(BIN)/python tools/keep_notebooks.py

lock:
	uv pip compile --universal --generate-hashes --python-version 3.11 --extra sandbox \
	  --extra dev --no-emit-index-url --no-header --no-annotate --quiet \
	  --output-file requirements.lock pyproject.toml

clean: down
	rm -rf $(VENV) .sandbox
