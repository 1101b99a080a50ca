# `make` lists the targets.
VENV := .venv
# faiss-cpu and faiss-gpu are one module to Python, and so are the two of ONNX Runtime: what runs on GPUs has a VENV of its own.
DEVICE := cpu
PYTHON ?= python3
BIN := $(VENV)/bin
UV := $(BIN)/uv pip install --quiet --python $(BIN)/python --constraint constraints.txt

# Without bytecode each process that imports TensorFlow compiles it anew, for 15 s.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help install demo test lint format protos serve bench bench-models gpu-check device-check clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: $(VENV)/.installed ## Make .venv with everything that development needs

# torch goes first and through pip, which honours the machine's own choice between its CPU and CUDA builds.
$(VENV)/.installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Audotics needs Python 3.11 or later: make PYTHON=/path/to/python3.11")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing into $(VENV) (once; about a minute on a fast network)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt uv torch
	@$(UV) --group dev --editable '.[server,$(DEVICE),train,tensorflow,audio,text,postgres,redis]'
	@touch $@

demo: install ## Synthetic catalogue to recommendations, end to end; leaves ./demo/repository
	@$(BIN)/audotics demo --output demo

test: lint ## Lint, types, import law, generated code, and every test
	@$(BIN)/pytest

lint: install ## Lint, types, import law, generated code
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo
	@$(BIN)/python protos/generate.py --check
	@if command -v npx >/dev/null; then cd protos && npx --yes --loglevel=error @bufbuild/buf@1.75.0 lint; else echo "npm is absent: buf lint left out"; fi

format: install ## Format the code and sort imports
	@$(BIN)/ruff check --fix-only .
	@$(BIN)/ruff format .

protos: install ## Generate clients/audotics/v1 from protos/
	@$(BIN)/python protos/generate.py

serve: install ## Serve ./demo/repository
	@$(BIN)/audotics serve --repository demo/repository

bench: install ## The claims of speed, printed as ratios of one run
	@for script in recommend_latency swap batcher memory feedback small_catalogue model_infer; do echo "== $$script"; $(BIN)/python benchmarks/$$script.py || exit 1; done

bench-models: install ## Every table of docs/models.md, from DATA=folder of data sets; takes hours
	@$(BIN)/python benchmarks/models_page.py --data $(DATA)

gpu-check: ## The suites of retrieval and runtimes on a GPU, with timings; on the CPU where there is none
	@if nvidia-smi -L 2>/dev/null; then $(MAKE) --no-print-directory device-check VENV=.venv-gpu DEVICE=gpu; else $(MAKE) --no-print-directory device-check; fi

# Not listed: gpu-check says where.
device-check: install
	@$(BIN)/pytest -rs tests/contracts/test_retrieval.py tests/contracts/test_runtimes.py tests/server/devices tests/server/retrieval/test_backends.py
	@$(BIN)/python benchmarks/gpu_retrieval.py

clean: ## Remove the environment and caches
	@rm -rf $(VENV) .venv-gpu .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
