# Every recipe calls the project's own environment; nothing needs to be activated, nothing needs root.
PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed
# The extras that every target brings along and the jobs image holds; each has a lock of its own. If model.estimator is
# xgboost or lightgbm, write boosters behind the sign, then `make lock`.
EXTRAS ?=

.DEFAULT_GOAL := help

# What the present level adds. A make file there may change RUN, and add to CHECKS, TESTS, ALL_TESTS and LOCKS.
RUN := scored
CHECKS :=
TESTS :=
ALL_TESTS :=
LOCKS :=
-include make/*.mk

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "%-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: install
install: $(INSTALLED) ## make .venv with all it needs [EXTRAS="boosters tuning"] (PYTHON=python3.11 picks the interpreter)

# An environment whose interpreter is gone, or was replaced by another Python, is made anew whatever the files say.
ifneq ($(shell $(BIN)/python -c 'import uv' >/dev/null 2>&1 && echo works),works)
.PHONY: .venv/.locked
endif

# A new lock makes the environment anew, so that nothing is left in it that the lock does not name.
.venv/.locked: requirements-dev.lock requirements-uv.lock
	@rm -f $@ $(INSTALLED)
	@$(PYTHON) scripts/install.py
	@touch $@

# An extra has a lock of its own, and comes into the environment that is there.
.venv/.%: requirements-%.lock .venv/.locked
	@$(BIN)/python scripts/install.py --add --lock $<
	@touch $@

# The engine comes from its folder, never from an index; the lock has brought what both need.
$(INSTALLED): .venv/.locked pyproject.toml engine/pyproject.toml | $(EXTRAS:%=.venv/.%)
	@$(BIN)/python -m uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e engine -e .
	@touch $@

# Training the same thing again keeps the version and takes seconds, so it is asked every time.
.PHONY: train
train: $(INSTALLED) ## sample a table if there is none, train
	@$(BIN)/churn-service sample --if-absent
	@$(BIN)/churn-service train

.PHONY: reproduce
reproduce: train ## train, then rebuild that version from its record: identical, or what differs
	@$(BIN)/churn-service train --reproduce newest

.PHONY: run
run: $(RUN) ## the main job of this level: train and score the table, or train and serve (PORT=8000)

.PHONY: scored
scored: train
	@$(BIN)/churn-service score --overwrite

.PHONY: adopt
# DRY_RUN=1 only shows what would change; FORCE=1 goes on where nothing was committed before.
# Words of the command line only: a shell may have an ID of its own. make exports them, and the recipe's shell reads
# them there, so that a header may hold any sign.
said = $(and $(filter command%,$(origin $(1))),$($(1)),$(2)"$$$(1)")
adopt: $(INSTALLED) ## put in your table: TABLE= TARGET= [ID=] [POSITIVE=] [RECORD=] [EVENT=] [DRY_RUN=1] [FORCE=1]
	@$(BIN)/python scripts/adopt.py $(if $(DRY_RUN),--dry-run) $(if $(FORCE),--uncommitted) $(call said,ID,--id=) \
		$(call said,POSITIVE,--positive=) $(call said,RECORD,--record=) $(call said,EVENT,--event=) \
		$(call said,TARGET,--target=) $(call said,TABLE,-- )

.PHONY: rename
rename: ## another name, or other nouns: [NAME=] [RECORD=loan] [EVENT=default] [DRY_RUN=1] [FORCE=1]
	@$(PYTHON) scripts/rename.py $(if $(DRY_RUN),--dry-run) $(if $(FORCE),--uncommitted) \
		$(call said,RECORD,--record=) $(call said,EVENT,--event=) $(call said,NAME,-- )
	@[ -n "$$DRY_RUN" ] || [ ! -x $(BIN)/ruff ] || { $(BIN)/ruff check --fix-only --quiet; $(BIN)/ruff format --quiet; }

.PHONY: test
test: test-project $(TESTS) ## every test that needs neither root nor system programs

# One thread each: two workers that train on two cores would wait for each other.
.PHONY: test-project
test-project: $(INSTALLED)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --maxprocesses 2 --dist worksteal

.PHONY: test-all
test-all: test-project wheels $(ALL_TESTS) ## every test there is; fails if a program it needs is absent (`make services` installs them)

.PHONY: wheels
wheels: $(INSTALLED) ## build the wheels of engine and project into dist/wheels, and train and score by them alone
	@$(BIN)/python scripts/wheels.py $(EXTRAS:%=requirements-%.lock)

.PHONY: services
services: ## install the system programs that test-all starts (Debian, root)
	@sh scripts/services.sh

.PHONY: check
check: check-code $(CHECKS) ## linters, types, contracts; changes nothing
	$(BIN)/python scripts/refuse_files.py --tracked # last: without git it fails, and says what was not looked at

.PHONY: check-code
check-code: $(INSTALLED)
	$(BIN)/python -m ruff check
	$(BIN)/python -m ruff format --check
	$(BIN)/python -m mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/deptry .
	$(BIN)/typos
	$(BIN)/validate-pyproject pyproject.toml
	$(BIN)/nbstripout --verify notebooks/*.ipynb
	$(BIN)/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.dependabot .github/dependabot.yml
	$(BIN)/check-jsonschema --schemafile config.schema.json config.yaml
	$(BIN)/zizmor --offline --quiet .github

.PHONY: format
format: $(INSTALLED) ## rewrite what check would complain about, where a tool can
	$(BIN)/python -m ruff check --fix
	$(BIN)/python -m ruff format
	$(BIN)/nbstripout notebooks/*.ipynb

.PHONY: schema
schema: $(INSTALLED) ## write config.schema.json and docs/configuration.md, after a change of config.py
	$(BIN)/python -m skewless.core.config_reference churn_service.project:project schema > config.schema.json
	$(BIN)/python -m skewless.core.config_reference churn_service.project:project page > docs/configuration.md

.PHONY: notebook
notebook: $(INSTALLED) ## open the notebooks in JupyterLab
	$(BIN)/python -m jupyter lab notebooks

COMPILE = $(BIN)/python -m uv pip compile --quiet --universal --generate-hashes --no-strip-extras --no-emit-index-url \
	--python-version 3.11 --custom-compile-command "make lock" $(UPGRADE)
DECLARED = pyproject.toml engine/pyproject.toml
SERVING_EXTRAS = --extra service --extra postgres
# An extra with a file requirements-<extra>.lock is locked there, and every other one in requirements-dev.lock.
ALL_EXTRAS = $(sort $(shell $(BIN)/python -c 'import sys, tomllib; [print(*tomllib.load(open(name, "rb"))["project"].get( \
	"optional-dependencies", ())) for name in sys.argv[1:]]' $(DECLARED)))
APART = $(filter-out dev jobs uv,$(filter $(ALL_EXTRAS),$(patsubst requirements-%.lock,%,$(wildcard requirements-*.lock))))
ALWAYS = $(filter-out $(APART),$(ALL_EXTRAS))

.PHONY: lock
lock: lock-all $(LOCKS) ## write the lockfiles (UPGRADE=--upgrade moves every pin)

.PHONY: lock-all
lock-all: $(INSTALLED)
	$(COMPILE) $(DECLARED) $(ALWAYS:%=--extra %) --group dev --output-file requirements-dev.lock
	echo uv | $(COMPILE) --no-annotate - --constraint requirements-dev.lock --output-file requirements-uv.lock
	$(COMPILE) $(DECLARED) $(SERVING_EXTRAS) --constraint requirements-dev.lock --output-file requirements.lock
	for extra in $(APART); do $(COMPILE) $(DECLARED) --extra $$extra --constraint requirements-dev.lock \
		--output-file requirements-$$extra.lock || exit 1; done

.PHONY: sbom
sbom: $(INSTALLED) ## write dist/sbom.cdx.json: what the image installs, as CycloneDX
	@mkdir -p dist
	$(BIN)/cyclonedx-py requirements --output-reproducible --of JSON -o dist/sbom.cdx.json requirements.lock

.PHONY: unchanged
unchanged: ## fail if anything that git tracks is not as it was committed, or git cannot tell
	@$(PYTHON) scripts/git_status.py

.PHONY: clean
clean: ## remove what can be made again; data, models and .venv stay
	rm -rf .coverage .hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache dist
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +
