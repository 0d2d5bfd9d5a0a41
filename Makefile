# make demo   sets up .venv and CP2K, runs the main job, writes demo/report.html
# make test   sets up .venv and CP2K, checks style and types, runs the tests
# make test-programs  as root on Debian or Ubuntu: Slurm and Chromium, without which their tests are skipped with a reason
# make test-cp2k-versions  as root on Debian: newer releases of CP2K beside the installed one (1.1 GB each, in .cp2k), and
#             what is written for them run; or without root: QDIP_TEST_CP2K=2026.2=/path/to/cp2k make test-cp2k-versions.
#             With QDIP_CP2K_TESTS=2026.2=/path/to/cp2k-2026.2/tests the inputs of CP2K's own tests are checked too
# make bench  times this package and its peers in one process run and prints ratios

VENV   := .venv
BIN    := $(VENV)/bin
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
            "$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$$p" && break; done)
CORES  := $(shell nproc 2>/dev/null || echo 2)
ROOT   := $(shell [ "$$(id -u)" = 0 ] && command -v apt-get)
APT    := DEBIAN_FRONTEND=noninteractive apt-get

.PHONY: demo test test-programs test-cp2k-versions bench cp2k clean

demo: $(VENV)/ready cp2k
	$(BIN)/qdip demo -o demo

test: $(VENV)/ready-test cp2k
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pytest -n $(CORES) --dist worksteal

bench: $(VENV)/ready-test
	@for script in tests/benchmarks/bench_*.py; do echo "== $$script"; $(BIN)/python "$$script" || exit 1; done

$(VENV)/ready: pyproject.toml
	@[ -n "$(PYTHON)" ] || { echo "Python 3.11 or newer was not found; install it, or name it: make PYTHON=/path/to/python3"; exit 1; }
	@$(PYTHON) -m venv $(VENV) 2>/dev/null || { \
	  [ -n "$(ROOT)" ] || { echo "'$(PYTHON) -m venv' failed; on Debian or Ubuntu: apt-get install python3-venv"; exit 1; }; \
	  $(APT) update -qq && $(APT) install -y -qq python3-venv && $(PYTHON) -m venv --clear $(VENV); }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

$(VENV)/ready-test: $(VENV)/ready
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test]'
	@touch $@

cp2k:
	@found=$$QDIP_CP2K; for name in cp2k.psmp cp2k.popt cp2k.ssmp cp2k.sopt cp2k; do found=$$found$$(command -v $$name); done; \
	if [ -n "$$found" ]; then :; \
	elif [ -n "$(ROOT)" ]; then \
	  echo "installing Debian's cp2k and cp2k-data"; \
	  { $(APT) update -qq && $(APT) install -y -qq --no-install-recommends cp2k cp2k-data; } >/dev/null 2>&1 \
	    || echo "CP2K could not be installed; get it with: conda install -c conda-forge cp2k"; \
	else echo "CP2K was not found; get it with: conda install -c conda-forge cp2k (or, as root, apt-get install cp2k cp2k-data)"; fi

test-programs:
	@if { command -v slurmctld && command -v slurmd && command -v sbatch && command -v munged && command -v chromium; } >/dev/null; then :; \
	elif [ -n "$(ROOT)" ]; then \
	  echo "installing Debian's Slurm and Chromium"; \
	  $(APT) update -qq; \
	  $(APT) install -y -qq --no-install-recommends slurmctld slurmd slurm-client munge >/dev/null 2>&1 || echo "Slurm could not be installed; its tests are skipped"; \
	  $(APT) install -y -qq --no-install-recommends chromium >/dev/null 2>&1 || echo "Chromium could not be installed; its tests are skipped"; \
	else echo "Slurm or Chromium was not found; their tests are skipped"; fi

test-cp2k-versions: $(VENV)/ready-test cp2k
	@if [ -z "$$QDIP_TEST_CP2K" ] && [ -n "$(ROOT)" ]; then for suite in trixie experimental; do \
	  version=$$(tests/revisions/get_cp2k.sh $$suite .cp2k/$$suite) || exit 1; \
	  QDIP_TEST_CP2K=$$QDIP_TEST_CP2K$${QDIP_TEST_CP2K:+,}$$version=$(CURDIR)/.cp2k/$$suite/cp2k; done; \
	fi; \
	[ -n "$$QDIP_TEST_CP2K" ] || { echo "name the programs: QDIP_TEST_CP2K=2026.2=/path/to/cp2k"; exit 1; }; \
	export QDIP_TEST_CP2K; $(BIN)/pytest -m cp2k_versions -n $(CORES)

clean:
	rm -rf $(VENV) demo
