# Thin on purpose: every target is one command that also works by hand.
PY := .venv/bin/python
WITH_PATH := PATH="$$(cat .venv/path):$$PATH"

.DEFAULT_GOAL := help
.PHONY: help run test fast soak bench format lock clean

help: ## list the targets
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/  make \1\t\2/' | expand -t 18

run: ## set everything up and serve the product on http://127.0.0.1:8080
	@python3 deploy/bootstrap.py run
	@exec $(PY) -m signaling dev

test: ## set everything up and run every check (what CI runs)
	@python3 deploy/bootstrap.py test
	@$(WITH_PATH) $(PY) -m tests.run_all

fast: ## linters, type checks and the tests that need no browser
	@python3 deploy/bootstrap.py test
	@$(WITH_PATH) $(PY) -m tests.run_all --fast

soak: ## the long runs: kill loops, long fuzz, many histories and cuts
	@python3 deploy/bootstrap.py test
	@$(WITH_PATH) $(PY) -m tests.soak

bench: ## measure and print the table of benchmarks/
	@python3 deploy/bootstrap.py test
	@$(WITH_PATH) $(PY) -m benchmarks

format: ## format Python and Rust
	@.venv/bin/ruff check --fix -q . ; .venv/bin/ruff format -q .
	@cd engine && cargo fmt

lock: ## pin the Python dependencies anew (needs uv)
	@uv pip compile pyproject.toml --universal --python-version 3.11 --extra server --group dev \
		--generate-hashes --no-annotate --no-header -q -o requirements-dev.lock
	@echo 'maturin>=1.9,<2' | uv pip compile pyproject.toml - -c requirements-dev.lock --universal \
		--python-version 3.11 --extra server --generate-hashes --no-annotate --no-header -q \
		-o requirements.lock

clean: ## remove what builds made; data in var/ stays
	@rm -rf .venv web/node_modules web/dist engine/target sfu/_engine*.so
