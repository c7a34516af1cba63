# Two commands matter: `make demo` and `make test`. Both set up everything they need.
#
#   make demo                           simulate, train, serve, and watch alerts fire: no server needed
#   make demo KAFKA=1                   the same on a real broker, started here and stopped again
#   make demo ARGS='--autoencoder transformer --seed 3'
#   make test                           lint, types, arrows between rooms, every test
#   make real                           recorded machines through a real topic, held against their labels
#   make accuracy                       how well anomalies are found on labelled series, beside baselines
#   make family                         every kind of autoencoder: trained, exported, measured, held against labels
#   make uses                           cleaning, filling, generating on recorded series, beside simple means
#   make faults                         faults by the hundred on three real brokers, an hour; resumable
#   make soak                           an hour at half load, a fault a minute: memory, descriptors, lag
#   make hostile                        a million records, good ones among hostile ones, on a real broker
#   make fuzz ARGS='--minutes 60'       changed bytes against every format that is read; goes on where it ended
#   make guards                         every guard against a fault of Kafka is taken out, and a test has to notice
#   make bench                          what serving costs beside its parts, on a real broker started here

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
PYTHON ?= python3
BIN := .venv/bin

# A real broker beside a command, which finds it at $$address; it ends with the recipe.
define with_broker
coproc broker { exec $(BIN)/python tests/kafka/broker.py; }; pid=$$broker_PID; \
	trap "kill $$pid || true; wait $$pid || true" EXIT; \
	read -r address <&"$${broker[0]}"
endef

.PHONY: setup demo test lint real accuracy family uses faults soak fuzz hostile guards bench
setup: .venv/.done

.venv/.done: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install -q 'uv>=0.5'
	$(BIN)/uv pip install -q --python $(BIN)/python -e '.[train,tune,serve,cpu,bench,dev]'
	touch $@

demo: setup
ifdef KAFKA
	@$(with_broker); \
	$(BIN)/streamae demo --store "kafka://$$address" $(ARGS); \
	if test -t 0; then read -r -p "The broker stays at $$address until you press Enter. "; fi
else
	@$(BIN)/streamae demo $(ARGS)
endif

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

test: lint
	$(BIN)/pytest --numprocesses auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder $(ARGS)

real: setup
	$(BIN)/python -m tests.real $(ARGS)

accuracy: setup
	$(BIN)/python -m tests.accuracy $(ARGS)

family: setup
	$(BIN)/python -m tests.family --out build/family.json $(ARGS)
	$(BIN)/python -m tests.family --real --out build/family_real.json $(ARGS)

uses: setup
	$(BIN)/python -m tests.benefits --out build/uses.json $(ARGS)

faults: setup
	$(BIN)/python -m tests.faults --out build/faults.jsonl $(ARGS)

soak: setup
	$(BIN)/python -m tests.soak --out build/soak.jsonl $(ARGS)

hostile: setup
	$(BIN)/python -m tests.hostile $(ARGS)

fuzz: setup
	$(BIN)/uv pip install -q --python $(BIN)/python -e '.[fuzz]'
	$(BIN)/python -m tests.hostile.fuzz $(ARGS)

guards: setup
	$(BIN)/python -m tests.guards $(ARGS)

bench: setup
	@$(with_broker); \
	$(BIN)/streamae bench --store "kafka://$$address" $(ARGS)
