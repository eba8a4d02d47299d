# Two commands do everything, set-up included: `make train` and `make test`.
PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed
SITE := src/pgrad/lesson/site
PACKAGES := lesson/node_modules/.installed
# One thread each for BLAS and PyTorch: with two cores, more of them only fight.
export OMP_NUM_THREADS := 1
export OPENBLAS_NUM_THREADS := 1
export MKL_NUM_THREADS := 1

# $(call install,VENV,CONSTRAINTS,WHAT). The constraints hold for the environment in which pip builds pgrad too: as
# variables they reach it, and from pip 25.3 it has one of its own. Python compiles what is imported; pip would compile
# all there is, PyTorch among it.
install = PIP_CONSTRAINT=$(2) PIP_BUILD_CONSTRAINT=$(2) $(1)/bin/pip install --quiet --no-compile $(3)
# $(call pin_torch,VENV): PyTorch stays as locked where all else moves, since its builds are too large to try.
pin_torch = grep '^torch==' constraints.txt > $(1)/constraints.txt

TRY = $(if $(SAMPLE),--sample $(SAMPLE)) $(if $(ONLY),--only $(ONLY))

.PHONY: help train test proofs lesson lesson-test notebooks wheel faults mutants lint bench lock floors newest extras clean

help: ## Print this
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | expand -t 13

train: $(INSTALLED) ## Train 30 seeds on CartPole-v1; policies, metrics and figures go to runs/
	$(BIN)/pgrad train CartPole-v1 --seeds 30

test: ## Lint, check types, build the lesson, run the tests
	$(MAKE) --jobs 2 lint lesson
	$(BIN)/pytest -n 2

proofs: $(INSTALLED)-test ## Run the tests that take long; docs/results.md has the last results
	$(BIN)/pytest -n 2 -m slow --timeout 3600

lesson: $(INSTALLED)-test $(PACKAGES) ## Build the lesson: what `pgrad lesson` serves, and the wheel holds
	$(BIN)/python -m pgrad.lesson.build $(SITE)
	cd lesson && npm run --silent check && npm run --silent build

lesson-test: lesson ## Try the whole lesson in a browser; needs Chromium
	$(BIN)/pytest tests/lesson -m "slow or not slow" --timeout 1800

NOTEBOOKS = .[notebooks,box2d]# by a name: commas would part the arguments of a call
notebooks: ## Write the lesson's notebook from lesson/policy_gradients.py, executed (minutes)
	$(PYTHON) -m venv .venv-notebooks
	$(call install,.venv-notebooks,constraints.txt,--editable '$(NOTEBOOKS)')
	.venv-notebooks/bin/python tools/notebook.py

wheel: lesson ## Pack pgrad with the lesson, into dist/
	PIP_CONSTRAINT=constraints.txt PIP_BUILD_CONSTRAINT=constraints.txt $(BIN)/pip wheel --quiet --no-deps --wheel-dir dist .

faults: $(INSTALLED)-test ## Kill, fill, damage, deceive and fuzz pgrad; prints what held (an hour)
	$(BIN)/python -m tests.faults

mutants: $(INSTALLED)-test ## Plant errors in pgrad; some test must notice each (SAMPLE=300, ONLY=kernels/gaussian.py)
	$(BIN)/python tests/mutants $(TRY)

lint: $(INSTALLED)-test ## Check style, format and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(INSTALLED)-test ## Measure speed and learning, beside a peer
	$(BIN)/python -m benchmarks

lock: ## Refresh constraints.txt: the newest of everything but PyTorch
	$(PYTHON) -m venv --clear .venv-lock
	$(call pin_torch,.venv-lock)
	$(call install,.venv-lock,.venv-lock/constraints.txt,--upgrade setuptools --editable '.[test]')
	{ sed '/^[^#]/d; s/[0-9]*-[0-9]*-[0-9]*/'$$(date +%F)/ constraints.txt; \
	  .venv-lock/bin/pip freeze --all --exclude pip --exclude pgrad | sed 's/+cpu$$//'; } > .venv-lock/lock.txt
	mv .venv-lock/lock.txt constraints.txt

# Old packages call what newer ones deprecate; that is no failure of pgrad's.
floors: ## Run the tests on the oldest versions that pyproject.toml allows
	$(PYTHON) -m venv --clear .venv-floors
	.venv-floors/bin/python tools/floors.py > .venv-floors/constraints.txt
	$(call install,.venv-floors,.venv-floors/constraints.txt,--editable '.[test]')
	.venv-floors/bin/pytest -n 2 -W ignore::DeprecationWarning

newest: ## Run the tests on the newest versions, but for PyTorch
	$(PYTHON) -m venv --clear .venv-newest
	$(call pin_torch,.venv-newest)
	$(call install,.venv-newest,.venv-newest/constraints.txt,--editable '.[test]')
	.venv-newest/bin/pytest -n 2

EXTRAS = .[test,box2d,envpool,tensorboard,ray]# by a name: commas would part the arguments of a call
extras: ## Run the tests of EnvPool, Box2D, TensorBoard, Ray and SciPy, after installing these (about 1.2 GB)
	$(PYTHON) -m venv --clear .venv-extras
	$(call install,.venv-extras,constraints.txt,--editable '$(EXTRAS)' scipy)
	.venv-extras/bin/pytest -n 2 -k 'envpool or box2d or tensorboard or ray_cluster or scipy'

$(INSTALLED): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(call install,.venv,constraints.txt,--editable .)
	touch $@

$(INSTALLED)-test: $(INSTALLED)
	$(call install,.venv,constraints.txt,--editable '.[test]')
	touch $@

$(PACKAGES): lesson/package-lock.json
	@command -v npm > /dev/null || { echo "the lesson is built by npm, which is missing: install Node.js 20 or newer"; exit 1; }
	cd lesson && npm ci --silent --no-fund --no-audit
	touch $@

clean: ## Remove what the commands above install and cache; runs/ stays
	rm -rf .venv .venv-* build dist $(SITE) lesson/node_modules src/*.egg-info .pytest_cache .mypy_cache .ruff_cache
