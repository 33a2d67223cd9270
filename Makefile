# Two commands do everything on a fresh machine with Python 3.11 or newer: `make demo`, `make test`.

PYTHON ?= python3
# Further arguments for pip, such as an index with CPU-only builds of torch.
PIP_ARGS ?=
VENV := .venv
BIN := $(VENV)/bin
SOURCES := app.py mmdemo training bench tests

.PHONY: demo test test-slow test-weights properties lint types fix bench mini pictures clean

demo: $(VENV)/.installed  ## start the app; its address is printed
	$(BIN)/python app.py

# Two processes: while one waits for its browser, the other computes. Whole files go to one of them,
# because their tests share pages, and those with a browser, which take longest, go first.
test: $(VENV)/.installed-dev $(VENV)/.browser  ## every test, in a real browser too
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder --durations=10

test-slow: $(VENV)/.installed-dev  ## what `make test` only samples, whole
	$(BIN)/python -m pytest -m slow

properties: $(VENV)/.installed-dev  ## new inputs of every kind, a thousand for each property
	$(BIN)/python -m pytest tests/test_properties.py --hypothesis-profile=many

# Needs MMDEMO_PUBLISHED_PICTURES, a folder with the pictures of the published values (README).
test-weights: $(VENV)/.installed-dev  ## published values, with weights from the model hub
	$(BIN)/python -m pytest -m weights

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/ruff format --check $(SOURCES)

types: $(VENV)/.installed-dev
	$(BIN)/pyright

fix: $(VENV)/.installed-dev  ## let ruff mend what it can
	$(BIN)/ruff check --fix $(SOURCES)
	$(BIN)/ruff format $(SOURCES)

bench: $(VENV)/.installed-dev  ## measure; nothing here fails
	$(BIN)/python -m bench.mini_quality
	$(BIN)/python -m bench.speed
	$(BIN)/python -m bench.load visitors
	$(BIN)/python -m bench.load visitors --visitors 64 --pause 2
	$(BIN)/python -m bench.load beside
	$(BIN)/python -m bench.load memory
	$(BIN)/python -m bench.load many-models
	$(BIN)/python -m bench.load calls
	$(BIN)/python -m bench.zero_shot
	$(BIN)/python -m bench.pair_kinds
	$(BIN)/python -m bench.visualized_bge

mini: $(VENV)/.installed-dev  ## train the embedded model again (hours), and its background set
	$(BIN)/python -m training.train_text
	$(BIN)/python -m training.features
	$(BIN)/python -m training.train_head
	$(BIN)/python -m training.calibrate
	$(BIN)/python -m training.build_mini
	$(BIN)/python -m training.build_background

pictures: $(VENV)/.installed-dev  ## make the example and background pictures again
	$(BIN)/python -m training.draw_examples
	$(BIN)/python -m training.collect_pictures

clean:
	rm -rf $(VENV)

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: requirements.txt | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet $(PIP_ARGS) -r requirements.txt
	touch $@

$(VENV)/.installed-dev: requirements.txt requirements-dev.txt | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet $(PIP_ARGS) -r requirements-dev.txt
	touch $@ $(VENV)/.installed

# A Chromium that is there is used; else Playwright's own is fetched; else the system's package.
$(VENV)/.browser: tests/browser/find_chromium.sh | $(VENV)/.installed-dev
	sh tests/browser/find_chromium.sh $(BIN)/python
	touch $@
