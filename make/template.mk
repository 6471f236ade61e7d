# Making projects of this one: targets that no generated project has.

.PHONY: tables
tables: $(INSTALLED) ## tables of other shapes, from file to served prediction, with their own tests
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --all tests/template/test_other_tables.py tests/template/test_adopt.py

.PHONY: levels
levels: $(INSTALLED) ## each level, renamed and grown, with its own checks and tests
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --all tests/template --ignore-glob='*_tables.py' --ignore-glob='*_adopt.py'
