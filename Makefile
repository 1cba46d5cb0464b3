# Python 3.11 or newer, and make, are all that `make demo` needs. Everything else is installed into .venv.

PYTHON ?= $(shell for p in python3.11 python3 python3.12 python3.13 python3.14; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
PIP = .venv/bin/python -m pip --disable-pip-version-check -q --retries 10 --timeout 30
LOCK = .venv/bin/uv pip compile pyproject.toml --universal --generate-hashes --no-emit-index-url --no-header -q
SECRETS = $(shell sed -n 's|.*{file: deploy/secrets/\(.*\)}.*|\1|p' docker-compose.yml)

.DEFAULT_GOAL := help
.PHONY: help demo test bench chaos check asyncapi alerts format generate lock secrets clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' Makefile

demo: .venv/.run ## run every service in one process, with a database of its own; needs Python only
	@.venv/bin/tributary demo $(ARGS)

test: .venv/.dev ## run all tests (with Java 17 and Maven also those on Apache Kafka); ARGS="-k word" for some
	@.venv/bin/pytest $(ARGS)

bench: .venv/.run ## whole budgets a second beside two peers, on Kafka (Java 17, Maven): ten minutes, 20 GB; ARGS="--people 2000" is shorter
	@.venv/bin/tributary bench $(or $(ARGS),--stored 10000 --stored 300000)

chaos: .venv/.run ## hurt a deployment of real processes in every way we know, then check it; ARGS="--seed 7", "--teeth"
	@.venv/bin/python -m deploy.chaos $(ARGS)

check: .venv/.dev ## style, types, imports between parts, generated files, deployment files
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/lint-imports
	.venv/bin/tributary generate --check
	.venv/bin/hadolint deploy/Dockerfile
	.venv/bin/check-jsonschema --builtin-schema vendor.compose-spec docker-compose.yml
	.venv/bin/python -m deploy.generate.check_k8s
	@$(MAKE) -s asyncapi
	@$(MAKE) -s alerts

# The checks that need more than Python. On a developer's machine that may be missing, in CI it may not.
asyncapi: ## check contracts/asyncapi.yaml with AsyncAPI's own parser (Node.js 18 or newer, and npm)
	@if command -v node >/dev/null && command -v npm >/dev/null; then \
		$(MAKE) -s node_modules/.run && node deploy/generate/check_asyncapi.mjs; \
	else \
		echo "NOT CHECKED: contracts/asyncapi.yaml needs Node.js 18 or newer and npm; install them for this check" >&2; \
		[ "$$CI" != true ]; \
	fi

alerts: ## check the alert rules and run their unit tests (with promtool, of Prometheus)
	@if command -v promtool >/dev/null; then \
		promtool check rules deploy/observe/alerts.yml && promtool test rules deploy/observe/alerts_test.yml; \
	else \
		echo "NOT CHECKED: deploy/observe/alerts.yml needs promtool; install Prometheus for this check" >&2; \
		[ "$$CI" != true ]; \
	fi

format: .venv/.dev ## let ruff format and repair what it can
	@.venv/bin/ruff check --fix -q . ; .venv/bin/ruff format -q .

generate: .venv/.dev ## write the generated files anew (schemas, API descriptions, diagrams)
	@.venv/bin/tributary generate

lock: .venv/.dev ## choose versions anew and write both lock files
	$(LOCK) --upgrade -o requirements.lock
	$(LOCK) --upgrade --group dev --constraint requirements.lock -o requirements-dev.lock

# The folder is private, the files are not: Compose hands them to containers with the modes they have here.
secrets: .venv/.run ## make the passwords and the token issuer's keys for docker compose, those that do not exist yet
	@mkdir -p -m 700 deploy/secrets
	@.venv/bin/tributary token --scope operations.read >/dev/null 2>&1
	@for name in $(SECRETS); do file=deploy/secrets/$$name; [ -s $$file ] || { \
		od -An -N24 -tx1 /dev/urandom | tr -d ' \n' > $$file.new && chmod 444 $$file.new && mv $$file.new $$file; }; done

clean: ## remove .venv, node_modules and caches; the demo's data and the passwords stay
	rm -rf .venv node_modules build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The stamps are written last, so an interrupted installation is simply done again. pip compiles what it installs,
# so that a start is quick even where PYTHONDONTWRITEBYTECODE is set.
.venv/.run: requirements.lock pyproject.toml | .venv/bin/python
	@echo "Installing what it needs into .venv (once; some 30 s) ..."
	@$(PIP) install --require-hashes -r requirements.lock
	@$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@

.venv/.dev: requirements-dev.lock pyproject.toml | .venv/bin/python
	@echo "Installing what it needs, and the tools for tests, into .venv (once; about a minute) ..."
	@$(PIP) install --require-hashes -r requirements-dev.lock
	@$(PIP) install --no-deps --no-build-isolation -e .
	@touch .venv/.run $@

node_modules/.run: package-lock.json package.json .npmrc
	@echo "Installing AsyncAPI's parser into node_modules (once; some 20 s) ..."
	@npm ci --silent
	@touch $@

.venv/bin/python:
	@[ -n "$(PYTHON)" ] || { echo "Python 3.11 or newer is needed: install it, or say make PYTHON=/path/to/python3" >&2; exit 1; }
	@$(PYTHON) -m venv .venv || { rm -rf .venv; \
		echo "$(PYTHON) could not make .venv: on Debian and Ubuntu, install python3-venv" >&2; exit 1; }
