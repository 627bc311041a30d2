# Each target sets up what it needs; the second time that is quick.

VENV := entrypoints/dev/venv.sh
BIN := .venv/bin

.PHONY: help demo test fault fault-long bench-relay bench-recovery test-images up check lock

help:
	@echo "make demo   show the whole flow on embedded defaults, then leave nothing running"
	@echo "make up     serve on the same defaults until Ctrl-C"
	@echo "make test   every test, on real PostgreSQL, a real Docker Engine, a real Kafka broker"
	@echo "make fault  those tests alone that let things die, with short outages as in make test"
	@echo "make fault-long  the faults at full length: 100,000 events, and the kill matrix on a real engine"
	@echo "make bench-relay how fast the relay is, beside what it is made of (BENCH_ARGS=--small: a minute)"
	@echo "make bench-recovery how soon a crash is told, and what a pass over the engine costs (as root)"
	@echo "make test-images build the Dockerfile and run its images (as root on Debian; long the first time)"
	@echo "make check  lint, format, types, import contracts, and that the lock is current"
	@echo "make lock   resolve the dependencies anew"

demo:
	@$(VENV)
	@$(BIN)/python -m entrypoints.dev.demo

up:
	@$(VENV)
	@exec $(BIN)/python -m entrypoints.dev.up

test:
	@$(VENV)
	@# Without an engine the tests that need one are skipped, or fail where CI=true.
	@$(BIN)/python -m entrypoints.dev.engine prepare || true
	@$(BIN)/python -m pytest $(PYTEST_ARGS)

fault:
	@$(VENV)
	@$(BIN)/python -m pytest tests/fault $(PYTEST_ARGS)

fault-long:
	@$(VENV)
	@FAULT_LONG=1 $(BIN)/python -m pytest tests/fault $(PYTEST_ARGS)

bench-relay:
	@$(VENV)
	@$(BIN)/python -m tests.benchmarks.relay $(BENCH_ARGS)

bench-recovery:
	@$(VENV)
	@$(BIN)/python -m entrypoints.dev.engine prepare
	@$(BIN)/python -m tests.benchmarks.recovery $(BENCH_ARGS)

test-images:
	@$(VENV)
	@TEST_IMAGES=1 $(BIN)/python -m pytest --capture=no --timeout=1800 tests/images $(PYTEST_ARGS)

check:
	@$(VENV)
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@entrypoints/dev/lock.sh --check

lock:
	@$(VENV)
	@entrypoints/dev/lock.sh --upgrade
