# Answering over HTTP: the targets of the levels service and monitored.
RUN := serve
CHECKS += check-deployment
LOCKS += lock-jobs

.PHONY: serve
serve: train
	@$(BIN)/churn-service serve $(if $(PORT),--port "$$PORT")

.PHONY: demo
demo: train ## train, start the service, ask it, stop it
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

# What kubectl applies; the other files there say how overlays are made of it.
MANIFESTS = $(filter-out %/kustomization.yaml %.patch.yaml,$(wildcard deploy/kubernetes/*/*.yaml))

.PHONY: check-deployment
check-deployment: $(INSTALLED)
	$(BIN)/hadolint Dockerfile
	$(BIN)/check-jsonschema --builtin-schema vendor.compose-spec deploy/compose/compose.yaml
	$(BIN)/kubernetes-validate --strict --quiet $(MANIFESTS)
	@for overlay in staging production; do \
		rendered=$$($(BIN)/kubectl kustomize deploy/kubernetes/$$overlay) && printf '%s' "$$rendered" | \
		$(BIN)/kubernetes-validate --strict --quiet /dev/stdin || exit 1; done

.PHONY: load
load: train ## load the service with the expected peak, and beyond
	@$(BIN)/python scripts/load.py

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

.PHONY: lock-jobs
lock-jobs: lock-all
	$(COMPILE) $(DECLARED) $(SERVING_EXTRAS) --extra train --extra monitoring --extra dask $(EXTRAS:%=--extra %) \
		--constraint requirements-dev.lock $(EXTRAS:%=--constraint requirements-%.lock) --output-file requirements-jobs.lock

.PHONY: source-date
source-date: ## tell a workflow's later steps the time of the commit, which its images get
	@seconds=$$(git log -1 --format=%ct) && echo "SOURCE_DATE_EPOCH=$$seconds" >> "$${GITHUB_ENV:-/dev/stdout}"

.PHONY: release-notes
release-notes: ## write dist/release-notes.md: what CHANGELOG.md says of the version of TAG=vX.Y.Z
	@mkdir -p dist
	@$(PYTHON) scripts/release_notes.py "$$TAG" > dist/release-notes.md
