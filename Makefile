# The commands a person needs. Each does its own set-up: all it takes is python3 (3.10 or later),
# g++ and make; nvcc, where found, adds the CUDA kernels.

PYTHON ?= python3
MINUTES ?= 10
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
TESTED := $(VENV)/.tested
NATIVE := $(shell find csrc -not -name '.*')
CXX_FILES := $(shell find csrc benchmarks examples tests/codec -name '*.h' -o -name '*.cpp' -o -name '*.cu')

OLDEST_TORCH := 2.10.0
CODER := positions values predicted enhancement filter mosaic mosaic_fit

.DEFAULT_GOAL := help
.PHONY: help demo test lint format bench bench-gpu check-speed check-cuda check-coder check-install fuzz docs clean

help:  ## list these commands
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

demo: $(INSTALLED)  ## a raw file to a JPEG that carries its raw, and back
	$(BIN)/isp-meta demo

test: $(TESTED)  ## all tests
	@PYTHON=$(PYTHON) scripts/debian_packages.sh test
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist loadfile

lint: $(TESTED)  ## style and types of Python and C++
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	@$(BIN)/clang-format --dry-run -Werror $(CXX_FILES)

format: $(TESTED)  ## bring all files into that style
	$(BIN)/ruff check --fix
	$(BIN)/ruff format
	@$(BIN)/clang-format -i $(CXX_FILES)

bench: $(TESTED)  ## every benchmark: one script a question, a table each
	@set -e; for script in benchmarks/*.py; do echo "== $$script"; $(BIN)/python $$script; done

bench-gpu:  ## on a machine with an NVIDIA GPU, in the environment that is there: tests, sanitizers, figures
	PYTHON=$(PYTHON) benchmarks/gpu_run.sh

check-speed: $(BIN)/python  ## instructions of every CPU loop, against those on record
	@PYTHON=$(PYTHON) scripts/debian_packages.sh test
	$(BIN)/python benchmarks/instructions.py --check

check-cuda: $(TESTED)  ## the CUDA kernels, compiled by nvcc and run under g++, no GPU needed
	@$(MAKE) --no-print-directory build/torch-$(OLDEST_TORCH) || true  # says what is not checked then
	$(BIN)/python tests/cuda_shim/check_cuda.py

check-coder: build/sanitized/fuzz_payload build/sanitized/fuzz_mosaic build/sanitized/fuzz_enhancement build/sanitized/fuzz_filter  ## the payload's coder under sanitizers, on damaged streams
	build/sanitized/fuzz_payload 8
	build/sanitized/fuzz_mosaic 8
	build/sanitized/fuzz_enhancement 8
	build/sanitized/fuzz_filter 8

check-install:  ## the source distribution alone, in an empty environment: built, installed, at work
	PYTHON=$(PYTHON) scripts/check_install.sh

fuzz: $(VENV)/.fuzz check-coder  ## hostile files, MINUTES=10 of random ones and as many guided by coverage
	$(BIN)/python tests/fuzz/run.py --minutes $(MINUTES)
	$(BIN)/python tests/fuzz/dng_files.py --minutes $(MINUTES)
	$(BIN)/python tests/fuzz/guided.py fuzz-corpus -max_total_time=$$((60 * $(MINUTES)))

docs: $(VENV)/.docs  ## the site, in site/
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

clean:  ## remove what was built, but for the virtual environment
	rm -rf build dist site demo-output *.egg-info isp_meta/*.so $(INSTALLED) $(TESTED) $(VENV)/.docs $(VENV)/.fuzz
	rm -rf .pytest_cache .hypothesis .mypy_cache .ruff_cache
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +

# The C++ headers of the oldest PyTorch that pyproject.toml promises.
build/torch-%: | $(BIN)/python
	@mkdir -p $(@D)
	$(BIN)/python scripts/torch_headers.py $* $@

# The coder without its Python binding.
build/sanitized/%: tests/codec/%.cpp tests/codec/fuzzing.h $(wildcard csrc/payload/*)
	@PYTHON=$(PYTHON) scripts/debian_packages.sh build
	@mkdir -p $(@D)
	$(CXX) -std=c++20 -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all -pthread \
	  -Icsrc/payload $< $(addprefix csrc/payload/, $(addsuffix .cpp, $(CODER))) -o $@

$(BIN)/python:
	@PYTHON=$(PYTHON) scripts/debian_packages.sh build
	$(PYTHON) -m venv $(VENV)

# torch is left alone where there is one, and fetched once: building in isolation would fetch another.
$(INSTALLED): pyproject.toml setup.py $(NATIVE) | $(BIN)/python
	$(BIN)/python -m pip install --quiet 'setuptools>=77' wheel ninja 'pybind11>=2.13'
	$(BIN)/python -c 'import torch' 2>/dev/null || $(BIN)/python -m pip install 'torch==2.13.*'
	@rm -f isp_meta/*.so  # one of an earlier name would be loaded in place of the new
	$(BIN)/python -m pip install --quiet --no-build-isolation --editable .
	@touch $@

# The package is there already, so that these add what its extras name and build nothing.
$(TESTED): $(INSTALLED)
	$(BIN)/python -m pip install --quiet 'isp-meta[test]'
	@touch $@

$(VENV)/.fuzz: $(TESTED)
	$(BIN)/python -m pip install --quiet 'atheris>=3'
	@touch $@

$(VENV)/.docs: $(INSTALLED)
	$(BIN)/python -m pip install --quiet 'isp-meta[docs]'
	@touch $@
