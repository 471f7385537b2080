# The one list of commands. Each one sets up .venv by itself.
PYTHON ?= python3
BIN := .venv/bin
.DEFAULT_GOAL := help

.PHONY: help install demo demo-detection demo-segmentation test test-fast format lint types check clean

help:  ## Show the commands
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 20

install: .venv/installed  ## Set up .venv with everything that tests and demos need

.venv/installed: setup.py tests/oracle-requirements.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --upgrade "pip>=23.1"
	$(BIN)/pip install --quiet -e ".[dev]"
	$(BIN)/pip install --quiet --no-deps -r tests/oracle-requirements.txt
	@touch $@

demo: install  ## Train a spiking classifier on 5,000 real digits, test it, save a picture (CPU, minutes)
	$(BIN)/python tools/demo.py

demo-detection: install  ## Train a spiking Mask R-CNN on real microscopy, test it, save a picture (CPU, minutes)
	$(BIN)/python tools/demo.py --data scratch-assay \
		configs/quick/mask-rcnn_meta-spikeformer-tiny_t4_1xb2-4e_scratch-assay.py

demo-segmentation: install  ## Train a spiking Semantic-FPN on real microscopy, test it, save a picture (CPU, minutes)
	$(BIN)/python tools/demo.py --data scratch-assay \
		configs/quick/semantic-fpn_meta-spikeformer-tiny_t4_1xb2-4e_scratch-assay.py

test: install  ## Run all tests: two processes of one thread each, then those of Ray, which starts its own
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile --ignore tests/cluster
	$(BIN)/python -m pytest tests/cluster

test-fast: install  ## Run the tests that take less than ten seconds each
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile -m "not slow"

format: install  ## Format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lint: install  ## Check style
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: install  ## Check types
	$(BIN)/mypy

check: lint types test  ## What CI runs

clean:  ## Remove caches, not data and not runs
	rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis *.egg-info
