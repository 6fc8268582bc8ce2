# What a person types. Everything happens in a virtual environment in .venv and in ./demo.

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
# Warnings are errors, but for what Twisted's own SSH imports on Python 3.11 and 3.12.
STRICT := -bb -W error -W "ignore:'spwd' is deprecated" -W "ignore:'crypt' is deprecated"
TRIAL  := $(BIN)/python $(STRICT) -m twisted.trial

.PHONY: run venv test coverage check integration bench bench-quick wheel clean

run: venv  ## a demonstration site, in the foreground
	@test -e demo/config.ini || { umask 077; $(BIN)/hermes init demo --domain example.org --demo >demo.txt && mv demo.txt demo/what-next.txt; }
	@sed '/^Start it, /,+1d' demo/what-next.txt
	@$(BIN)/hermes run -c demo/config.ini

venv: $(VENV)/ready

$(VENV)/ready: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

$(VENV)/bench-ready: $(VENV)/ready
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[bench]'
	@touch $@

test: venv  ## everything that needs only Python
	$(TRIAL) --jobs=2 tests.core tests.config tests.protocols tests.net tests.spool tests.queue tests.mailbox \
	    tests.directory tests.policy tests.services tests.app tests.cli tests.crash tests.disk tests.test_protocols_page \
	    tests.test_refusals_page tests.test_guides tests.bench.test_ratios tests.bench.test_measured

coverage: venv  ## branch coverage; core and protocols must be whole
	$(BIN)/python -m coverage erase
	$(BIN)/python $(STRICT) -m coverage run -m twisted.trial --jobs=2 tests.core tests.config tests.protocols tests.net tests.spool \
	    tests.queue tests.mailbox tests.directory tests.policy tests.services tests.app tests.cli tests.disk
	$(BIN)/python -m coverage combine --quiet
	$(BIN)/python -m coverage report --include='hermes/core/*,hermes/protocols/*' --fail-under=100
	$(BIN)/python -m coverage report --fail-under=90

check: venv  ## style, types, layers, spelling
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/codespell

integration: venv  ## against software that nobody here wrote; see .ci/run for the Debian packages
	$(TRIAL) tests.integration tests.bench

bench: $(VENV)/bench-ready  ## beside Postfix, Dovecot and aiosmtpd, on loopback; writes the tables of docs/performance.md
	$(BIN)/python -m bench

bench-quick: venv  ## in under two minutes: is it as fast beside Postfix and Dovecot as it was? Fails when it is half as fast
	$(BIN)/python -m bench.quick

wheel: venv
	$(BIN)/python -m build --wheel

clean:
	rm -rf $(VENV) build dist _trial_temp* .coverage* .mypy_cache .ruff_cache .hypothesis .import_linter_cache
