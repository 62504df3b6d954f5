# Set-up and the everyday commands. A fresh machine needs Python 3.11+ and make; nothing else.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
UV     := $(shell command -v uv 2>/dev/null)
# Warnings that a package's build prints must not stop a run; nothing leaves the machine.
export PREFECT_SERVER_ANALYTICS_ENABLED := false
export DO_NOT_TRACK := 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: demo test check install format lint types floors soak dashboard lock clean

demo: install ## the main job on the embedded default: a simulated five-day promotion
	$(BIN)/steadybid simulate

test: install ## every test but the long soak runs
	$(BIN)/python -m pytest -m "not soak" -n 2 --dist loadfile

check: install format lint types floors test ## all checks

install: $(STAMP)

# The lock is complete: nothing is to be resolved, and a release of tomorrow cannot come between.
$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "SteadyBid needs Python 3.11 or newer; '$(PYTHON)' is older. Try: make PYTHON=python3.12 install"; exit 1; }
ifneq ($(UV),)
	@test -x $(BIN)/python || $(UV) venv --quiet --python $(PYTHON) $(VENV)
	$(UV) pip install --quiet --python $(BIN)/python --no-deps --require-hashes -r requirements.lock
	$(UV) pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .
else
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --no-deps --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation -e .
endif
	@touch $(STAMP)

format: install
	$(BIN)/ruff format --check .

lint: install
	$(BIN)/ruff check .

types: install
	$(BIN)/pyright

floors: install
	$(BIN)/lint-imports

soak: install ## the long runs
	$(BIN)/python -m pytest -m soak

dashboard: install
	$(BIN)/steadybid dashboard

lock: ## pin the newest set anew, without any address in it (needs uv)
	uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header -o requirements.lock

clean:
	rm -rf $(VENV) var .pytest_cache .ruff_cache build dist
