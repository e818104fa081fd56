# Two commands: `make demo` shows what remediator does, `make test` proves it.
# Both set up all they need: a virtual environment here, real servers in the user's cache folder.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: demo test quick lint servers lock bench soak clean help

help:
	@sed -n 's/^\([a-z]*\):.*## /\1  /p' $(MAKEFILE_LIST) | expand -t 10

demo: $(READY) ## break a small service on this machine and watch it being repaired
	@$(BIN)/remediator demo

test: $(READY) servers ## run every test against real servers
	$(BIN)/python -m pytest -n auto --dist loadfile $(PYTEST_ARGS)

quick: $(READY) ## run the tests that need no server
	$(BIN)/python -m pytest -m "not servers" $(PYTEST_ARGS)

lint: $(READY) ## format, style, types and layers
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

servers: ## install or build the servers that the tests talk to
	@$(PYTHON) -m tests.servers.install kubernetes monitoring postgres faults models browser node editor

soak: $(READY) ## run the daemon under mixed load for half an hour and see whether anything grows
	@$(BIN)/python -m benchmarks.soak $(SOAK_ARGS)

bench: $(READY) ## measure speed and memory; writes benchmarks/results and docs/performance.md
	@$(BIN)/python -m benchmarks.run $(BENCH_ARGS)

lock: $(READY) ## pin every dependency with its hashes, and no addresses
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--no-emit-find-links --no-header pyproject.toml --extra postgres -o requirements.lock
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--no-emit-find-links --no-header pyproject.toml --group dev -c requirements.lock \
		-o requirements-dev.lock
	echo hatchling | $(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes \
		--no-emit-index-url --no-emit-find-links --no-header - -o .ci/build-requirements.lock

clean: ## remove what was set up in this folder
	rm -rf $(VENV) .cache var

$(READY): pyproject.toml requirements-dev.lock
	@sh .ci/venv "$(PYTHON)" "$(VENV)"
	@touch $@
