# ggufprune. `make demo` and `make test` do everything that they need: see docs/TESTING.md.
SHELL := /bin/bash

# Tools, pinned; Go fetches them on first use.
gofumpt     := mvdan.cc/gofumpt@v0.12.0
actionlint  := github.com/rhysd/actionlint/cmd/actionlint@v1.7.12
staticcheck := honnef.co/go/tools/cmd/staticcheck@v0.8.2

# How tests are run; .ci/run has them counted. The time limit is for a package, on a slow machine.
GOTEST      ?= go test
GOTESTFLAGS ?= -timeout 30m
# The packages that know no llama.cpp: they are built and tested without cgo, and the race detector can watch them.
PURE  = $(shell go list -f '{{.ImportPath}} {{join .Deps " "}}' ./... | grep -v /llamabind | cut -d ' ' -f 1)
# For how long each fuzz target runs in `make fuzz`.
FUZZTIME ?= 10s
# Flags for make dist
DISTFLAGS ?=
# Flags for make bench-search, such as: -parts kill,strategies -seeds 2
SEARCHBENCH ?=
# The texts that the small model was made for, where they are; they are not part of this repository.
shared      := ../shared/data
SEARCHTEXT ?= $(if $(wildcard $(shared)/calib_instruct.txt),-calib $(shared)/calib_instruct.txt -heldout $(shared)/heldout_instruct.txt)

# Flags for make bench-repair, and the other kind of text.
REPAIRBENCH ?=
REPAIROTHER ?= $(if $(wildcard $(shared)/wiki_valid_part.txt),-other $(shared)/wiki_valid_part.txt)

# Flags for make bench-width: these make it minutes on the small model, which was trained on 256 tokens. And the texts that it judges on.
WIDTHBENCH ?= -c 256 -tokens 16384 -chunks 64
comma      := ,
WIDTHTEXT  ?= -label default $(if $(wildcard $(shared)/heldout_instruct.txt),-judge $(shared)/heldout_instruct.txt$(comma)$(shared)/wiki_valid_part.txt -names instr$(comma)wiki)

# Flags for make bench-paper: these make it minutes on the small model. And the text: cut into documents of full length. A Python of one's
# own is named in PAPERPYTHON.
PAPERBENCH  ?= -n 16 -c 256 -steps 8
PAPERTEXT   ?= $(if $(wildcard $(shared)/calib_instruct.txt),-f $(shared)/calib_instruct.txt)
PAPERPYTHON ?=

# Flags for make bench-faults, such as: -parts kill -kills 50 -jobs repair
FAULTBENCH ?=
# Flags for make bench-real, such as: -m gemma.gguf -label gemma -time 30m -text wiki.test.raw -parts table,plot
REALBENCH ?=

.PHONY: help setup build demo peers test test-pure test-go test-race test-asan test-tsan test-archs test-layouts test-ollama samebits bench bench-search bench-repair bench-width bench-real bench-paper bench-faults chromium shells test-report lint fuzz dist clean distclean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## fetch and build llama.cpp (LLAMA_CMAKE_FLAGS="-DGGML_CUDA=ON" for a GPU)
	@bash scripts/build-llama.sh

build: setup ## ./ggufprune
	go build -o ggufprune .

demo: build ## prune the small model in testdata, and show every step
	./ggufprune demo

peers: ## llama.cpp's own tools and architecture fixtures, which the tests compare with
	@bash scripts/build-llama.sh peers

# OpenMP's threads spin while they wait for each other. Several test programs on few processors then spend their time
# spinning: the tests took 20 times longer. Results do not depend on it.
test-go test-archs test-layouts test-ollama: export OMP_WAIT_POLICY := passive

test: test-go ## all Go tests

test-pure: ## the packages that know no llama.cpp, without cgo and without building it
	@echo "CGO_ENABLED=0 go vet, go test: $(words $(PURE)) packages"
	@CGO_ENABLED=0 go vet $(PURE)
	@CGO_ENABLED=0 $(GOTEST) $(GOTESTFLAGS) $(PURE)

test-go: peers
	$(GOTEST) $(GOTESTFLAGS) ./...

# What peertest holds against each other are programs, in processes of their own.
RACED = $(filter-out %/internal/peertest,$(PURE))

test-race: peers ## those of packages that know no llama.cpp once more, under the race detector
	@echo "$(GOTEST) $(GOTESTFLAGS) -race: $(words $(RACED)) packages"
	@$(GOTEST) $(GOTESTFLAGS) -race $(RACED)

# llama.cpp itself is not instrumented, but what the shim gives it and takes from it is. Its leaks at exit are llama.cpp's.
test-asan: setup ## those of the C++ shim under AddressSanitizer and UBSan (Linux, gcc or clang)
	@ASAN_OPTIONS=detect_leaks=0 CGO_CFLAGS="-O1 -g" CGO_CXXFLAGS="-O1 -g -fsanitize=undefined -fno-sanitize-recover=all" CGO_LDFLAGS=-fsanitize=undefined \
		$(GOTEST) $(GOTESTFLAGS) -asan ./llamabind

test-tsan: ## those that interrupt llama.cpp while it computes, under ThreadSanitizer (Linux; builds it once more, some minutes)
	@GOTEST="$(GOTEST)" bash scripts/test-tsan.sh $(GOTESTFLAGS)

chromium: ## a Chromium for the tests of the report's page: Debian's package where there is none
	@bash scripts/install-chromium.sh

shells: ## the shells and readers of manual pages that the tests of completions want
	@bash scripts/install-shells.sh

test-report: chromium ## the report's page in Chromium: it renders, asks for nothing, fits a phone, can be read in the dark
	CI=true $(GOTEST) $(GOTESTFLAGS) ./internal/reporttest

test-archs: peers ## every architecture of llama.cpp: masks against zeroed projections
	go run ./internal/sweep archs

test-layouts: peers ## every architecture and output layout, and narrower FFNs: what is written against what was measured
	go run ./internal/sweep layouts
	go run ./internal/sweep widths

test-ollama: setup ## pruned models in a real Ollama, which is built for it (once, some minutes)
	@bash scripts/build-ollama.sh
	NEED_OLLAMA=1 $(GOTEST) $(GOTESTFLAGS) ./internal/ollamatest

# The version is part of what is written, so both programs are built without one.
samebits: setup ## are the outputs those of another build? BEFORE=PROGRAM (default: the list in testdata)
	go build -buildvcs=false -o ggufprune .
	bash scripts/samebits.sh --compare $(or $(BEFORE),testdata/samebits.txt) ./ggufprune

bench: peers ## the figures of docs/BENCHMARKS.md (needs some GB of disk, and a machine at rest)
	go run ./internal/bench engine
	go run ./internal/bench engine -types

bench-search: setup ## the search's figures of docs/BENCHMARKS.md (an hour or two on two cores)
	go run ./internal/bench search $(SEARCHTEXT) $(SEARCHBENCH)

bench-repair: setup ## the repair's figures of docs/BENCHMARKS.md (an hour or more)
	go run ./internal/bench repair $(SEARCHTEXT) $(REPAIROTHER) $(REPAIRBENCH)

bench-width: setup ## what removing FFN channels costs (minutes for a small model)
	go run ./internal/bench width -parts uniform,prune,blocks $(WIDTHTEXT) $(WIDTHBENCH)

bench-paper: setup ## our search beside the paper's, which runs in PyTorch (minutes; installs that in third_party/paper once)
	$(if $(PAPERPYTHON),,@bash scripts/paper-python.sh)
	go run ./internal/bench paper $(if $(PAPERPYTHON),-python $(PAPERPYTHON)) $(PAPERTEXT) $(PAPERBENCH)

bench-faults: setup ## kills jobs at random moments, and fills their disks (half an hour; the disks want root on Linux)
	go run ./internal/bench faults $(FAULTBENCH)

bench-real: setup ## a real model by each method, beside quantisations of that size (hours; goes on where it stopped)
	go run ./internal/bench real $(REALBENCH)

lint: setup ## gofumpt, go vet, staticcheck, actionlint, and how files use each other
	@echo 'go run $(gofumpt) -l'
	@files=$$(git ls-files '*.go' | xargs go run $(gofumpt) -l) && \
		if [ -n "$$files" ]; then printf 'gofumpt would change:\n%s\nhint: go run $(gofumpt) -w FILE\n' "$$files"; exit 1; fi
	go vet ./...
	go run $(staticcheck) ./...
	go run $(actionlint)
	go run ./scripts/filecycles -max 6

fuzz: setup ## each fuzz target for ten seconds (FUZZTIME=10s)
	bash scripts/fuzz.sh $(FUZZTIME)

dist: setup ## the release archive for this platform, in dist/ (DISTFLAGS=-check makes it twice and compares)
	go run ./scripts/release $(DISTFLAGS)

clean: ## remove the program, keep llama.cpp
	rm -f ggufprune

distclean: clean ## remove llama.cpp's source and build, Ollama, and the Python of bench-paper, too
	rm -rf third_party/llama.cpp/src third_party/llama.cpp/build third_party/llama.cpp/build-tsan third_party/ollama/bin third_party/ollama/include third_party/paper llamabind/link_generated.go llamabind/_link_*.go
