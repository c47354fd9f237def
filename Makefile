# What a fresh machine needs: Python 3.11 or later and a C++ compiler. PYTHON=… chooses the interpreter.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test check format lint types layers soak bench docs clean

demo: $(VENV)/.demo ## run sepse_bundle on an example patient, with no model and nothing compiled
	@GEMX_HOME="$$PWD/$(VENV)/home" $(BIN)/gemx auto run sepse_bundle --input automations/cases/sepse_choque.yaml -m extractive

# Files of tests go to as many processes as there are cores.
test: $(VENV)/.dev ## every test, real llama.cpp included
	$(BIN)/python -m pytest -n auto --dist loadfile

check: $(VENV)/.dev lint types layers ## what must hold before a change lands
	$(BIN)/python docs/generate_commands.py --check
	$(BIN)/python docs/generate_safety.py --check
	$(BIN)/python docs/generate_configuration.py --check
	$(BIN)/python docs/generate_audit.py --check
	$(BIN)/python docs/generate_calculators.py --check
	$(BIN)/python -m pytest -n auto --dist loadfile

lint: $(VENV)/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(VENV)/.dev
	$(BIN)/pyright --pythonpath $(BIN)/python src

layers: $(VENV)/.dev
	$(BIN)/lint-imports

format: $(VENV)/.dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

soak: $(VENV)/.dev ## the long forms of the tests
	$(BIN)/python -m pytest -m soak

bench: $(VENV)/.dev ## start-up and completion against `import typer`; the door against a bare call; recall and false alarms of checks and guard
	$(BIN)/python benchmarks/startup.py
	$(BIN)/python benchmarks/door.py
	$(BIN)/python benchmarks/batch.py
	$(BIN)/python benchmarks/identifiers.py
	$(BIN)/python benchmarks/verification.py

docs: $(VENV)/.dev ## write the command reference, the tables of the other pages, the schemas and the picture of the README
	$(BIN)/python docs/generate_commands.py
	$(BIN)/python docs/generate_safety.py
	$(BIN)/python docs/generate_configuration.py
	$(BIN)/python docs/generate_audit.py
	$(BIN)/python docs/generate_calculators.py
	$(BIN)/python docs/generate_picture.py
	$(BIN)/python docs/generate_report.py

clean:
	rm -rf $(VENV) build dist

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.demo: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	@touch $@

# llama.cpp is built for any CPU of the architecture, so that the environment can move between machines.
$(VENV)/.dev: pyproject.toml constraints.txt | $(VENV)/bin/python
	CMAKE_ARGS="$${CMAKE_ARGS:--DGGML_NATIVE=OFF}" $(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@ $(VENV)/.demo
