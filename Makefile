# The two commands of the README. Both work in a fresh clone and need nothing but Python 3.11+.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Tests run in this many processes, each in one thread: networks this small gain nothing from two.
WORKERS ?= $(shell $(PYTHON) -c 'import os; print(min(4, os.cpu_count() or 1))')

.PHONY: quickstart test speed by-heart slow memory clean

quickstart: $(VENV)/installed
	$(BIN)/hdeocc quickstart

test: $(VENV)/installed-dev
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile

# Samples a second and core beside the limit of the machine, both networks at 256 px beside their
# baselines (on CUDA where there is a device), what each row costs at small, and the page;
# OUT=FOLDER keeps speed.json there.
speed: $(VENV)/installed-dev
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -s -m speed --durations=0 tests/speed \
		tests/leaderboards/page/test_page_speed.py

# Every method that learns, on eight people of photos until it knows them: IoU 0.95, or 26 dB in the
# holes. Half an hour on one core.
by-heart: $(VENV)/installed-dev
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -v -n $(WORKERS) -m slow tests/test_by_heart.py

# All other tests that take minutes, or packages that nobody needs who uses the suite.
slow: $(VENV)/installed-dev
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -v -m slow --ignore tests/test_by_heart.py

# Peak memory of building and checking 200 and 20,000 samples.
memory: $(VENV)/installed-dev
	$(BIN)/python -m pytest -q -s -m slow tests/synth/test_memory.py

$(VENV)/installed: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	touch $@

$(VENV)/installed-dev: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

clean:
	rm -rf $(VENV)
