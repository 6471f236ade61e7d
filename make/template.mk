# Developing the engine and the template: targets that no generated project has.
CHECKS += check-engine
TESTS += test-engine
ALL_TESTS += test-all-engine

.PHONY: check-engine
check-engine: $(INSTALLED)
	cd engine && ../$(BIN)/python -m mypy && ../$(BIN)/lint-imports --no-cache && ../$(BIN)/deptry .
	$(BIN)/validate-pyproject engine/pyproject.toml

.PHONY: test-engine
test-engine: $(INSTALLED)
	cd engine && OMP_NUM_THREADS=1 ../$(BIN)/python -m pytest -n 2 --dist worksteal -m "not slow"

EVERY_TEST = cd engine && OMP_NUM_THREADS=1 ../$(BIN)/python -m pytest -n 2 --dist worksteal --all

.PHONY: test-all-engine
test-all-engine: $(INSTALLED) .venv/.boosters .venv/.mlflow .venv/.tuning
	$(EVERY_TEST)

# A third more time, as each process that a test starts is measured too.
.PHONY: coverage
coverage: $(INSTALLED) .venv/.boosters .venv/.mlflow .venv/.tuning ## every test of the engine and the template; at least 95 % of its code must run in them
	$(EVERY_TEST) --cov --cov-report=term --cov-fail-under=95

.PHONY: bench
bench: train ## measure, as ratios against named references in the same run
	@for program in train start serve; do $(BIN)/python engine/benchmarks/$$program.py || exit 1; done
