# Everything runs in .venv, which the first target makes (see demo/environment.py for COMFYUI_DIR and COMFYUI_PYTHON).
PYTHON ?= python3
# Processes of `make test`, the cores shared among them.
WORKERS ?= 2
SUBJECT ?=
METHOD ?=
DIFFUSERS ?=
COMFYUI ?=
KOHYA ?=
FULL ?=

VENV_PYTHON := .venv/bin/python
CHECKED := trainer machine_check nodes a1111 command_line toybase demo bench
# No run ever asks a model hub for anything.
export HF_HUB_OFFLINE := 1
export TRANSFORMERS_OFFLINE := 1

.DEFAULT_GOAL := help
.PHONY: help setup demo pictures bench bench-quality faults lock lint format test test-all test-matrix clean

help: ## print the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: ## make .venv and fetch a ComfyUI (3 GB, once); PYTHON= chooses the interpreter
	@$(PYTHON) demo/environment.py

demo: setup ## train on an example subject in a real ComfyUI, into demo_output/ (SUBJECT=, METHOD=lora or full)
	@$(VENV_PYTHON) . demo $(if $(SUBJECT),--subject "$(SUBJECT)") $(if $(METHOD),--method $(METHOD))

pictures: setup ## run every template in a real ComfyUI, and make the pictures of gallery, registry and README anew
	@$(VENV_PYTHON) . demo --pictures

bench: setup ## speed, memory and the distance to the limit (DIFFUSERS=, COMFYUI=1 and KOHYA= add rivals)
	@$(VENV_PYTHON) . bench-speed $(if $(DIFFUSERS),--diffusers "$(DIFFUSERS)") $(if $(COMFYUI),--comfyui) $(if $(KOHYA),--kohya "$(KOHYA)")

bench-quality: setup ## likeness and prompt fidelity by row (DIFFUSERS= adds their scripts, COMFYUI=1 core's TrainLoraNode, FULL=1 all)
	@$(VENV_PYTHON) -m bench.quality $(if $(DIFFUSERS),--diffusers "$(DIFFUSERS)") $(if $(COMFYUI),--comfyui) $(if $(FULL),--full)

faults: setup ## deaths, bad inputs, a full disk, two jobs, twenty trainings: what survives; status 1 where something does not
	@$(VENV_PYTHON) -m tests.faults

lock: setup ## choose anew the exact version of every package that setup and the tests install (the newest that fit)
	@$(VENV_PYTHON) -m demo.lock

lint: setup ## ruff and mypy
	$(VENV_PYTHON) -m ruff check .
	$(VENV_PYTHON) -m ruff format --check .
	@# Relative imports reach the root package, so mypy has to see the root under an importable name.
	@mkdir -p .cache/types && ln -sfn ../.. .cache/types/dreambooth_nodes
	MYPYPATH=.cache/types $(VENV_PYTHON) -m mypy -m dreambooth_nodes $(CHECKED:%=-p dreambooth_nodes.%)

format: setup ## let ruff rewrite the code
	$(VENV_PYTHON) -m ruff check --fix .
	$(VENV_PYTHON) -m ruff format .

test: lint ## lint, types and tests, the real ComfyUI among them (WORKERS= processes at once)
	$(VENV_PYTHON) -m pytest -n $(WORKERS)

test-all: lint ## the same with the slow tests
	$(VENV_PYTHON) -m pytest -m ""

test-matrix: ## the trainer's tests on the oldest and the newest libraries (PYTHON_FLOOR=, PYTHON_NEWEST=)
	@$(PYTHON) tests/matrix.py

clean: ## remove what setup and demo made
	rm -rf .venv .comfyui .cache .mypy_cache .pytest_cache .ruff_cache demo_output
