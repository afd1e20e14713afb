# Everything that a new machine needs besides git and make is a Python of 3.11 or later.
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
BIN := .venv/bin

.PHONY: install demo test lint bench clean

install: .venv/installed

# uv resolves and installs in seconds what takes pip minutes; bytecode is compiled now and not at everybody's first import.
.venv/installed: pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "headstart needs Python 3.11 or later: install it, or run 'make PYTHON=/path/to/python3 $(MAKECMDGOALS)'"; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt uv
	$(BIN)/uv pip install --quiet --python $(BIN)/python --compile-bytecode --constraint constraints.txt --editable '.[dev]'
	@touch $@

demo: install
	@$(BIN)/headstart demo

# One process a core, each with one thread; a file stays together, for some share what takes long to make. Those that
# start processes come first: the last file to end would leave the other cores waiting.
test: install lint
	$(BIN)/python -m compileall -q extractors flows heads # many tests start processes, each of which would compile them
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n logical --maxprocesses 4 --dist loadfile --no-loadscope-reorder \
		tests/test_benchmarks.py tests/flows tests

lint: install
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

bench: install
	$(BIN)/python benchmarks/bench_extract.py

clean:
	rm -rf .venv headstart-demo
