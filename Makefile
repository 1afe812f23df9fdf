# Thin on purpose: each target is one or two commands that also work by hand (see README.md, Windows).
# PYTHON is the first of these that is 3.11, 3.12 or 3.13; choose another with `make run PYTHON=...`.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
  $$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null && echo $$p && break; done)
PROFILE ?= $(or $(GANUTILS_PROFILE),laptop)
ONLY ?=
PART ?= 1
LAB ?=
TORCH_PYTHON ?=
TORCH = $(if $(TORCH_PYTHON),--torch-python $(TORCH_PYTHON))
VENV = .venv/bin

.PHONY: run test test-full lab record release address bench clean

run: .venv/ready
	$(VENV)/python tools/run_notebooks.py --profile "$(PROFILE)" --part "$(PART)" --only "$(ONLY)"

test: .venv/ready
	$(VENV)/python tools/run_tests.py

# What `make test` leaves out: grading a class, and the reference solutions on a busy machine.
test-full: .venv/ready
	$(VENV)/python tools/run_tests.py grading
	$(VENV)/python tools/run_tests.py busy

lab: .venv/ready
	$(VENV)/jupyter lab --notebook-dir . --LabApp.default_url=/lab/tree/notebooks/00_start_here.ipynb $(LAB)

# Run all lessons and keep their costs and pictures in the repository.
record: .venv/ready
	$(VENV)/python tools/run_notebooks.py --part all --profile smoke --record
	$(VENV)/python tools/run_notebooks.py --part all --profile laptop --record

# Make the student versions of the exercises from instructor/source: exercises/ and build/exercises/*.zip.
release: .venv/ready
	$(VENV)/python tools/release_exercises.py

# Point badges and links to the remote `origin`, or to ADDRESS=https://... . Once, after publishing a copy.
address: .venv/ready
	$(VENV)/python tools/address.py $(ADDRESS)

# Two and a half hours on an otherwise idle machine. TORCH_PYTHON names an interpreter that has PyTorch.
bench: .venv/ready
	mkdir -p benchmarks/results
	$(VENV)/python benchmarks/throughput.py $(TORCH) --json benchmarks/results/throughput.json
	$(VENV)/python benchmarks/startup.py --json benchmarks/results/startup.json
	$(VENV)/python benchmarks/scaling.py --json benchmarks/results/scaling.json
	$(VENV)/python benchmarks/cost.py --json benchmarks/results/cost.json
	$(VENV)/python benchmarks/quality.py --all $(TORCH)
	$(VENV)/python benchmarks/report.py

clean:
	rm -rf build .venv

# The environment is rebuilt if a different Python is requested, if its Python is gone, or if the folder was moved or
# copied: its scripts, and the installed course, would still point to the old place.
VERSION = -c 'import sys; print(*sys.version_info[:3])' 2>/dev/null
WANTED = $(if $(filter file,$(origin PYTHON)),$(shell $(VENV)/python $(VERSION)),$(shell $(PYTHON) $(VERSION)))
ifneq ($(wildcard .venv/ready),)
ifneq ($(shell $(VENV)/python $(VERSION)) $(shell cat .venv/ready),$(or $(WANTED),none) $(CURDIR))
$(info .venv belongs to a different Python or folder and is rebuilt)
.venv/ready: again
endif
endif
.PHONY: again

.venv/ready: pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "no Python 3.11, 3.12 or 3.13 found; install one, or name it: make $(MAKECMDGOALS) PYTHON=/path/to/python3"; exit 1; }
	@echo "Installing the course's environment into .venv: about 2.4 GB, a few minutes."
	test ! -L .venv || rm .venv  # the target of a link is not ours to clear
	$(PYTHON) -m venv --clear .venv
	$(VENV)/python -m pip install --quiet -c constraints.txt -e ".[cpu,notebooks,test]"
	echo "$(CURDIR)" > .venv/ready
