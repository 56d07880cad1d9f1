# Every target creates .venv when it is missing and leaves it alone when it is there.
# `make update` refreshes it after a pull that changed pyproject.toml or constraints.txt.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PEERS  := .venv-peers
JOBS   ?= 2
PIP    := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
# Small networks on few cores: more OpenMP threads only spin.
export OMP_NUM_THREADS ?= 1
export TOKENIZERS_PARALLELISM ?= false

.PHONY: help demo lab test chapters site bench bench-peers lint format pins update clean distclean

help:
	@echo "make demo      measure a real domain gap, close it, write out/demo.html"
	@echo "make test      the whole test suite"
	@echo "make lab       JupyterLab on the chapters"
	@echo "make chapters  regenerate the student notebooks from notebooks/source"
	@echo "make site      executed chapters and API pages in docs/_build/html"
	@echo "make bench     speed and memory beside what comes with dakit; prints ratios"
	@echo "make bench-peers  the same for the metrics beside the other libraries, installed into $(PEERS)"
	@echo "make lint      ruff on code and notebooks;  make format repairs what it can"
	@echo "make clean     what was built;  make distclean also .venv and $(PEERS)"

$(VENV)/.core:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "dakit needs Python 3.11 or newer: $(PYTHON) is older; name one with make PYTHON=python3.12"; exit 2; }
	@$(PYTHON) -m venv $(VENV) || \
	  { echo "could not create $(VENV): on Debian or Ubuntu install the package python3-venv"; exit 2; }
	@echo "Installing dakit and its dependencies into $(VENV) (a few minutes, once)"
	$(PIP) hatchling editables
	$(PIP) --no-build-isolation -e .
	@touch $@

$(VENV)/.dev: | $(VENV)/.core
	$(PIP) --no-build-isolation -e ".[dev]"
	@touch $@

$(VENV)/.docs: | $(VENV)/.core
	$(PIP) --no-build-isolation -e ".[docs]"
	@touch $@

demo: | $(VENV)/.core
	$(BIN)/dakit demo

lab: | $(VENV)/.core
	$(BIN)/jupyter lab notebooks/00_start_here.ipynb

test: | $(VENV)/.dev
	$(BIN)/python -m pytest -n $(JOBS) --dist loadgroup

chapters: | $(VENV)/.dev
	$(BIN)/dakit chapters build

site: | $(VENV)/.dev $(VENV)/.docs
	$(BIN)/python docs/build.py

bench: | $(VENV)/.core
	$(BIN)/python benchmarks/step.py
	$(BIN)/python benchmarks/metrics.py

# A peer that does not install here is left out, and the benchmark says so.
PEERPIP := $(PEERS)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps -c $(PEERS)/constraints.txt
$(PEERS)/.ready: benchmarks/peers-requirements.txt | $(VENV)/.core
	@$(PYTHON) -m venv $(PEERS)
	@echo "Installing the libraries that dakit is compared with into $(PEERS) (minutes, once)"
	@grep -v '^torchmetrics==' constraints.txt > $(PEERS)/constraints.txt
	$(PEERPIP) -r $< || grep -vE '^(#|$$)' $< | while read -r peer; do \
	  $(PEERPIP) "$$peer" || echo "left out, for it does not install here: $$peer"; done
	@touch $@

bench-peers: $(PEERS)/.ready
	$(BIN)/python benchmarks/metrics.py $(SECTIONS)

lint: | $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: | $(VENV)/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

pins:
	@$(PYTHON) -m venv out/pins && out/pins/bin/pip install --quiet -e ".[dev,docs,sweep]" hatchling editables
	@{ echo "# Exact versions of everything that 'make' installs. Regenerate with: make pins"; \
	  out/pins/bin/pip list --format=freeze --exclude-editable | grep -viE '^(pip|setuptools)==' | sed 's/+cpu//'; } > constraints.txt

update:
	rm -f $(VENV)/.core $(VENV)/.dev $(VENV)/.docs
	$(MAKE) $(VENV)/.dev

clean:
	rm -rf out build dist docs/_build docs/generated .pytest_cache .ruff_cache .hypothesis
	find dakit tests notebooks benchmarks data -name __pycache__ -type d -prune -exec rm -rf {} +

distclean: clean
	rm -rf $(VENV) $(PEERS)
