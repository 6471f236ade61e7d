# Watching the model: the targets of the level monitored.

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
report: $(INSTALLED) ## write the page on whether the model is healthy: [VERSION=] [REPORT=FILE]
	@$(BIN)/churn-service report $${REPORT:+"$$REPORT"} $${VERSION:+--version "$$VERSION"} || [ $$? = 3 ]

.PHONY: drill
drill: $(INSTALLED) ## rehearse drift, retraining, promotion and rollback in a folder of their own
	@$(BIN)/python scripts/drill.py
