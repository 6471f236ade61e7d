# Every recipe calls the project's own environment; nothing needs to be activated, nothing needs root.
PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed

.DEFAULT_GOAL := help

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "%-12s %s\n", $$1, $$2}' Makefile

.PHONY: install
install: $(INSTALLED) ## make .venv with everything in it (PYTHON=python3.11 picks the interpreter)

# An environment whose interpreter is gone, or was replaced by another Python, is made anew whatever the files say.
ifneq ($(shell $(BIN)/python -c 'import uv' >/dev/null 2>&1 && echo works),works)
.PHONY: .venv/.locked
endif

# A new lock makes the environment anew, so that nothing is left in it that the lock does not name.
.venv/.locked: requirements-dev.lock requirements-uv.lock
	@rm -f $@ $(INSTALLED)
	@$(PYTHON) scripts/install.py
	@touch $@

$(INSTALLED): .venv/.locked pyproject.toml
	@$(BIN)/python -m uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .
	@touch $@

# Training the same thing again keeps the version and takes seconds, so it is asked every time.
.PHONY: train
train: $(INSTALLED) ## sample a table if there is none, train
	@$(BIN)/churn-service sample --if-absent
	@$(BIN)/churn-service train

.PHONY: reproduce
reproduce: train ## train, then rebuild that version from its record: identical, or what differs
	@$(BIN)/churn-service train --reproduce newest

# floor: adoption
.PHONY: adopt
# Words of the command line only: a shell may have an ID of its own. make exports them, and the recipe's shell reads
# them there, so that a header may hold any sign.
said = $(and $(filter command%,$(origin $(1))),$($(1)),$(2)"$$$(1)")
adopt: $(INSTALLED) ## make the project that of your table: TABLE= TARGET= [ID=] [POSITIVE=] [DRY_RUN=1] [FORCE=1, without a commit before]
	@$(BIN)/python scripts/adopt.py $(if $(DRY_RUN),--dry-run) $(if $(FORCE),--uncommitted) $(call said,ID,--id=) \
		$(call said,POSITIVE,--positive=) $(call said,TARGET,--target=) $(call said,TABLE,-- )

.PHONY: settle
settle: ## take out what only served to begin, adopt and this target too [DRY_RUN=1] [FORCE=1, without a commit before]
	@$(PYTHON) -B scripts/floors.py settled . $(if $(DRY_RUN),--dry-run) $(if $(FORCE),--uncommitted)

# end floor
# floor: service
.PHONY: run
run: train ## the main job: sample a table if there is none, train, serve (PORT=8000)
	@$(BIN)/churn-service serve $(if $(PORT),--port "$$PORT")

.PHONY: demo
demo: train ## the same road, ending by itself: train, start, predict, stop
	@$(BIN)/python scripts/demo.py

.PHONY: rehearse
rehearse: $(INSTALLED) ## rehearse a release and its rollback under load, behind HAProxy, in a folder of its own
	@$(BIN)/python scripts/rehearse.py

.PHONY: up
COMPOSE = docker compose --file deploy/compose/compose.yaml
up: train ## build and start the service and what watches it, behind TLS, by Docker Compose [TAG=]
	@deploy/compose/secrets.sh
	@$(COMPOSE) up --build --detach --wait

.PHONY: down
down: ## stop what up started; the log and the figures stay
	@$(COMPOSE) down

# end floor
COVERED = 85 # percent; an object store, whose mirror is half of what is left, comes with the service
# floor: service
COVERED = 95
# end floor

.PHONY: test
# One thread each: two workers that train on two cores would wait for each other.
test: $(INSTALLED) ## every test that needs neither root nor system programs
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 -m "not slow"

.PHONY: test-all
test-all: $(INSTALLED) ## every test, with coverage; fails if a program it needs is absent (services) [LEAVE_OUT=FOLDER]
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --all --cov --cov-report=term --cov-fail-under=$(COVERED) \
		$(addprefix --ignore=,$(LEAVE_OUT))

# floor: template
.PHONY: tables
tables: $(INSTALLED) ## tables of other shapes, from file to served prediction, with their own tests
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --all tests/template/test_other_tables.py tests/template/test_adopt.py

.PHONY: floors
floors: $(INSTALLED) ## each floor, renamed and grown, with its own checks and tests
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --all tests/template --ignore-glob='*_tables.py' --ignore-glob='*_adopt.py'

# end floor
.PHONY: services
services: ## install the system programs that test-all starts (Debian, root)
	@sh scripts/services.sh

# floor: service
# What kubectl applies; the other files there say how overlays are made of it.
MANIFESTS = $(filter-out %/kustomization.yaml %.patch.yaml,$(wildcard deploy/kubernetes/*/*.yaml))

# end floor
.PHONY: check
check: $(INSTALLED) ## linters, types, contracts; changes nothing
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
# floor: service
	$(BIN)/hadolint Dockerfile
	$(BIN)/check-jsonschema --builtin-schema vendor.compose-spec deploy/compose/compose.yaml
	$(BIN)/kubernetes-validate --strict --quiet $(MANIFESTS)
	@for overlay in staging production; do \
		rendered=$$($(BIN)/kubectl kustomize deploy/kubernetes/$$overlay) && printf '%s' "$$rendered" | \
		$(BIN)/kubernetes-validate --strict --quiet /dev/stdin || exit 1; done
# end floor
	$(BIN)/python scripts/refuse_files.py --tracked # last: without git it fails, and says what was not looked at

.PHONY: format
format: $(INSTALLED) ## rewrite what check would complain about, where a tool can
	$(BIN)/python -m ruff check --fix
	$(BIN)/python -m ruff format
	$(BIN)/nbstripout notebooks/*.ipynb

.PHONY: schema
schema: $(INSTALLED) ## write config.schema.json from the section models
	$(BIN)/python -m churn_service.config_file churn_service.project:project > config.schema.json

.PHONY: bench
bench: train ## measure, as ratios against named references in the same run
	@$(BIN)/python benchmarks/train.py
	@$(BIN)/python benchmarks/start.py # floor: service
	@$(BIN)/python benchmarks/serve.py # floor: service

# floor: service
.PHONY: load
load: train ## the expected peak, and beyond what the service can do
	@$(BIN)/python benchmarks/load.py

# Docker where it answers, else buildah: docs/service/image.md. The environment's own words reach them: TAG, MODELS, …
.PHONY: image
image: ## build the images, with what models/ holds: [TARGET=serve] [MODELS=none] [IMAGE_ENGINE=] [IMAGE_BASE=]
	@$(PYTHON) scripts/image.py build $(TARGET)

.PHONY: image-size
image-size: ## print what takes how much of the images [TARGET=serve]
	@$(PYTHON) scripts/image.py size $(TARGET)

.PHONY: smoke
smoke: $(INSTALLED) ## run the images confined: answer, train, score, stop
	@$(BIN)/python scripts/smoke.py

# end floor
# floor: monitored
.PHONY: retrain
retrain: $(INSTALLED) ## train again if drift, outcomes or age ask for it, and nothing holds it back [SAID=FILE]
	@$(BIN)/churn-service retrain $(if $(SAID),> $(SAID); code=$$?; cat $(SAID); exit $$code)

.PHONY: retrained
# The report is on the version that answered before: the reason was its drift, and another may answer by now.
retrained: $(INSTALLED) ## gather the record and the report of the retraining that said SAID=FILE, in FOLDER=
	@record="$$(sed -n 's/^record: //p' $(SAID))"; [ -n "$$record" ] || exit 0; \
	mkdir -p $(FOLDER) && cp "$$record" $(FOLDER) && \
	$(MAKE) --no-print-directory report VERSION="$$(sed -n 's/ answers$$//p' $(SAID))" \
		REPORT="$(FOLDER)/$$(basename "$$record" .json).html" && \
	{ [ -z "$$GITHUB_OUTPUT" ] || echo "found=true" >> "$$GITHUB_OUTPUT"; }

.PHONY: env-file
env-file: ## write .env from the variable SERVICE_ENV, for its owner alone
	@umask 077 && printf '%s\n' "$$SERVICE_ENV" > .env

.PHONY: report
report: $(INSTALLED) ## write the page on what moved since VERSION was trained, into the file REPORT
	@$(BIN)/churn-service drift --version "$$VERSION" --report "$$REPORT" || [ $$? = 3 ]

.PHONY: drill
drill: $(INSTALLED) ## rehearse drift, retraining, promotion and rollback in a folder of their own
	@$(BIN)/python scripts/drill.py

# end floor
# floor: template
.PHONY: rename
rename: ## give the project another name: NAME= [DRY_RUN=1, which only shows] [FORCE=1, without a commit before]
	@$(PYTHON) scripts/rename.py $(if $(DRY_RUN),--dry-run) $(if $(FORCE),--uncommitted) \
		$(if $(filter command%,$(origin NAME)),-- "$$NAME")
	@[ -n "$$DRY_RUN" ] || [ ! -x $(BIN)/ruff ] || { $(BIN)/ruff check --fix-only --quiet; $(BIN)/ruff format --quiet; }

# end floor
.PHONY: notebook
notebook: $(INSTALLED) ## open the notebooks in JupyterLab
	$(BIN)/python -m jupyter lab notebooks

COMPILE = $(BIN)/python -m uv pip compile --quiet --universal --generate-hashes --no-strip-extras --no-emit-index-url \
	--python-version 3.11 --custom-compile-command "make lock" $(UPGRADE)
SERVING_EXTRAS =
# floor: service
SERVING_EXTRAS = --extra service
# end floor
# floor: monitored
SERVING_EXTRAS += --extra monitoring
# end floor
JOBS_EXTRAS = --extra train --extra dask # floor: service

.PHONY: lock
lock: $(INSTALLED) ## write the lockfiles (UPGRADE=--upgrade moves every pin)
	$(COMPILE) pyproject.toml --all-extras --group dev --output-file requirements-dev.lock
	echo uv | $(COMPILE) --no-annotate - --constraint requirements-dev.lock --output-file requirements-uv.lock
	$(COMPILE) pyproject.toml $(SERVING_EXTRAS) --constraint requirements-dev.lock --output-file requirements.lock
# floor: service
	$(COMPILE) pyproject.toml $(SERVING_EXTRAS) $(JOBS_EXTRAS) --constraint requirements-dev.lock --output-file requirements-jobs.lock
# end floor

.PHONY: sbom
sbom: $(INSTALLED) ## write dist/sbom.cdx.json: what the image installs, as CycloneDX
	@mkdir -p dist
	$(BIN)/cyclonedx-py requirements --output-reproducible --of JSON -o dist/sbom.cdx.json requirements.lock

.PHONY: unchanged
unchanged: ## fail if anything that git tracks is not as it was committed, or git cannot tell
	@$(PYTHON) scripts/git_status.py

# floor: service
.PHONY: source-date
source-date: ## tell a workflow's later steps the time of the commit, which its images get
	@seconds=$$(git log -1 --format=%ct) && echo "SOURCE_DATE_EPOCH=$$seconds" >> "$${GITHUB_ENV:-/dev/stdout}"

.PHONY: release-notes
release-notes: ## write dist/release-notes.md: what CHANGELOG.md says of the version of TAG=vX.Y.Z
	@mkdir -p dist
	@$(PYTHON) scripts/release_notes.py "$$TAG" > dist/release-notes.md

# end floor
.PHONY: clean
clean: ## remove what can be made again; data, models and .venv stay
	rm -rf .coverage .hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache dist
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +
