# Everything that a new machine needs besides git and make is a Python of 3.11 or later.
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
BIN := .venv/bin

.PHONY: install demo test pytest lint notebooks bench clean

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

# Types are checked beside the tests, for mypy keeps one core busy and leaves the others idle.
test: install
	$(BIN)/python -m compileall -q extractors flows heads # many tests start processes, each of which would compile them
	$(MAKE) -j 2 lint pytest

# One process more than there are cores, for many tests wait for what they started; with two more, each takes longer, so
# often is it out of the processor's caches. Each has one thread. A file stays together, for some share what takes long to
# make. Their order is that of tests/conftest.py.
pytest: install
	OMP_NUM_THREADS=1 PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -n $(shell $(BIN)/python -c "import os; print(os.cpu_count() + 1)") --dist loadfile --no-loadscope-reorder

lint: install
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

# Run again, with their outputs: after a change of what results show.
notebooks: install
	OMP_NUM_THREADS=1 $(BIN)/python tests/support/notebooks.py

bench: install
	$(BIN)/python benchmarks/bench_extract.py

clean:
	rm -rf .venv headstart-demo
