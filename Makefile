# Two commands do everything, set-up included: `make train` and `make test`.
PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed
# One thread each for BLAS and PyTorch: with two cores, more of them only fight.
export OMP_NUM_THREADS := 1
export OPENBLAS_NUM_THREADS := 1
export MKL_NUM_THREADS := 1

.PHONY: train test proofs lint bench clean

train: $(INSTALLED)
	$(BIN)/pgrad train CartPole-v1 --seeds 30

test: $(INSTALLED)-test
	$(MAKE) lint
	$(BIN)/pytest -n 2

# What takes too long for every test run; docs/results.md has the last results.
proofs: $(INSTALLED)-test
	$(BIN)/pytest -n 2 -m slow

lint: $(INSTALLED)-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(INSTALLED)-test
	$(BIN)/python -m benchmarks

$(INSTALLED): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --constraint constraints.txt --editable .
	touch $@

# PyTorch comes first and pinned, so that nothing else chooses a build of it.
$(INSTALLED)-test: $(INSTALLED)
	$(BIN)/pip install --quiet --constraint constraints.txt torch
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[test]'
	touch $@

clean:
	rm -rf .venv build src/*.egg-info .pytest_cache .mypy_cache .ruff_cache
