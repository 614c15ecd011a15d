# `make help` lists what there is. Every version stands in one place, the one its own tool reads: go.mod for Go and the
# module's libraries, hack/tools/go.mod for the Go linters, hack/requirements.txt for ansible, its linters and moto, the go.mod
# files of molecule/sandbox/compose for docker compose, hack/tools/sbom/go.mod for the bill of materials, galaxy.yml for our own.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.NOTPARALLEL:

RELEASE := $(shell sed -n 's/^version: //p' galaxy.yml)
VERSION ?= $(RELEASE)+$(shell git describe --always --dirty --abbrev=12 --exclude='*' 2>/dev/null || echo unknown)
LIMIT := 12000000
PLATFORMS := linux_amd64 linux_arm64 darwin_arm64 darwin_amd64
# Inlining costs half a megabyte; it stays where time is spent, in the key derivation, and where it saves: the linker drops
# OpenTelemetry's thousand variables only if they need no call to be set (docs/decisions/0005-binary-size.md).
SMALLER := -gcflags=all=-l $(foreach kept,crypto/... internal/... hash/... runtime/... slices github.com/seqera-tools/... go.opentelemetry.io/...,-gcflags=$(kept)=)
BINARY := library/seqera_crypto_rotation
DIST := build/dist
COLLECTION := build/seqera_tools-crypto_rotation-$(RELEASE).tar.gz
PACKAGES := ./module/... ./molecule/...
VISIBLY := hack/tools/visibly

# Packages whose tests use module/internal bring an SSM stand-in or a database up; the others need nothing but Go.
tests_of = $(shell go list -f '{{.ImportPath}} {{.TestImports}} {{.XTestImports}}' $(PACKAGES) | grep $(1) /module/internal/ | cut -d' ' -f1)
# Packages that start goroutines or guard something from them, and what runs all of them.
racing = ./module ./module/control $(shell go list -f '{{.ImportPath}} {{.Imports}}' ./module/... | grep -w sync | grep -v /module/internal/ | cut -d' ' -f1)

# What a test may need is there once `make deps` has run; then a test that misses it fails instead of being skipped.
REAL := REAL_PARTS=required ANSIBLE_PYTHON=$(CURDIR)/.venv/bin/python PATH="$(CURDIR)/.venv/bin:$$PATH"

.PHONY: FORCE $(shell awk -F: '/^[a-z-]+:/ { print $$1 }' Makefile)

##@ Use

help: ## this list
	@awk -F ':.*## ' '/^##@ / { printf "\n%s\n", substr($$0, 5) } /^[a-z-]+:.*## / { printf "  make %-20s %s\n", $$1, $$2 }' Makefile

deps: ## set up what the rest needs: .venv, linters, Docker Engine, compose, the sandbox's database image
	@hack/deps
	@hack/tools/install

demo: deps build ## a stand-in Platform, its key rotated as a dry run, for real, and again (KEEP=1: leaves it up)
	@hack/demo

# compile FILE: one binary. Nothing of where or when it is built gets into it.
define compile
CGO_ENABLED=0 $(VISIBLY) "build $(1) $(VERSION)" go build -trimpath -buildvcs=false -tags nethttpomithttp2 $(SMALLER) \
  -ldflags "-s -w -funcalign=16 -X main.version=$(VERSION)" -o $(1) ./module; \
size=$$(wc -c <$(1)); echo "   $(1): $$((size)) of at most $(LIMIT) bytes"; \
[ "$$size" -le $(LIMIT) ] || { rm -f $(1); echo "$(1) is too big: a dependency came in that should not have" >&2; exit 1; }
endef

build: ## the binary under its two names into library/ (for another machine: make build GOOS=linux GOARCH=arm64)
	@rm -f $(BINARY) $(BINARY)_info $(PLATFORMS:%=$(BINARY)_%) $(PLATFORMS:%=$(BINARY)_info_%)
	@$(call compile,$(BINARY))
	@cp -f $(BINARY) $(BINARY)_info

dist: $(PLATFORMS:%=$(DIST)/seqera_crypto_rotation_%) ## all platforms' binaries into library/ and build/dist, with SHA256SUMS and a bill of materials
	@hack/dist $(DIST) $(RELEASE) $(PLATFORMS)

$(DIST)/seqera_crypto_rotation_%: FORCE
	@mkdir -p $(DIST)
	@export GOOS=$(firstword $(subst _, ,$*)) GOARCH=$(lastword $(subst _, ,$*)); $(call compile,$@)

collection: dist ## the collection's file, with all platforms' binaries, into build/
	@PATH="$(CURDIR)/.venv/bin:$$PATH" hack/collection $(COLLECTION)

release: collection ## what a release page carries, into build/release; KEY=<GPG key> signs it
	@hack/release build/release $(COLLECTION) $(DIST) "$(KEY)"

##@ Develop: test

test: deps build lint lint-collection test-docs test-unit test-plugin test-race test-module test-cuts test-pages test-sandbox test-molecule-short ## everything but what takes very long

test-docs: build ## the pages: links, names, commands and figures; quick
	@$(VISIBLY) "documentation" .venv/bin/python -m pytest --quiet hack/docs

test-unit: ## the packages that need nothing but Go, in seconds
	@[ ! -x .venv/bin/python ] || export ANSIBLE_PYTHON=$(CURDIR)/.venv/bin/python; \
	  $(VISIBLY) "unit tests" go test -count=1 $(call tests_of,-v)

test-plugin: ## ansible-test units on the action plugin, in seconds
	@$(VISIBLY) "unit tests of the action plugin" hack/test-plugin

# The detector leaves Go's ciphers out: a fingerprint's 200,000 rounds take six times as long with it. TestInterleave_ is one
# goroutine, and ten times slower under the detector; `make test-cuts` runs it.
test-race: ## the packages with goroutines, under the race detector, with SSM in memory
	@if [ "$$(go env CGO_ENABLED)" = 1 ] && command -v "$$(go env CC)" >/dev/null; then \
	  $(filter-out REAL_PARTS=required,$(REAL)) $(VISIBLY) "tests under the race detector" go test -race '-gcflags=crypto/...=-race=false' -count=1 -timeout 30m -skip '^TestInterleave_' $(racing); \
	else \
	  echo "== tests under the race detector: SKIPPED, they need a C compiler (apt-get install gcc libc6-dev)"; \
	fi

test-module: build ## the module against moto_server, MySQL and a Docker Engine
	@$(REAL) $(VISIBLY) "module tests" hack/test-module $(call tests_of,)

test-databases: ## what reads the records, on MySQL and on MariaDB
	@hack/deps mariadb mysql
	@TEST_DATABASES=all $(REAL) $(VISIBLY) "records on MySQL and MariaDB" go test -count=1 -v ./module/records

fuzz: ## random input to every hand-written parser, 20 s each (FUZZ=2m)
	@for package in $$(go list ./module/...); do \
	  targets=$$(go test -list '^Fuzz' $$package | awk '/^Fuzz/'); \
	  for target in $$targets; do \
	    $(VISIBLY) "$$target" go test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(or $(FUZZ),20s) $$package; \
	  done; \
	done

test-cuts: ## a run dies at each write to SSM (in memory) and at every third read; two operators begin at once, 30 times
	@$(filter-out REAL_PARTS=required,$(REAL)) $(VISIBLY) "cuts" hack/test-cuts some

test-cuts-all: build ## the same on moto_server, at every call and 200 times; and the playbook dies at each of its steps on the VM
	@$(REAL) $(VISIBLY) "all cuts" hack/test-cuts all
	@CUTS=all $(REAL) $(VISIBLY) "cuts on the VM" hack/test-sandbox -s -k test_the_playbook_may_die

test-pages: ## the pages of reports and status, in a browser
	@$(REAL) $(VISIBLY) "pages" .venv/bin/python -m pytest --quiet molecule/sandbox/pages

test-sandbox: build ## the playbook in the sandbox
	@hack/deps ssh
	@$(REAL) $(VISIBLY) "sandbox tests" hack/test-sandbox

test-layouts: build ## both layouts and the installer's own files by every login, and what only an ordinary user meets
	@hack/deps ssh
	@LAYOUTS=all $(REAL) $(VISIBLY) "layouts" hack/test-sandbox -s -rs -k test_layouts

test-sandbox-all: build ## every sandbox test, those too that `make test` skips for their length
	@hack/deps ssh
	@SANDBOX_TESTS=all $(REAL) $(VISIBLY) "all sandbox tests" hack/test-sandbox

test-fleet: build ## three whole Platforms and 197 light ones, five of them broken, rotated in one run (FLEET=197)
	@FLEET=$(or $(FLEET),197) $(REAL) $(VISIBLY) "a fleet" hack/test-sandbox -s -k test_scale

test-matrix: build ## module, role and playbooks under each ansible-core of hack/matrix.txt
	@$(REAL) hack/test-matrix $(CORE)

test-connections: build ## the same over ssh: with a terminal, a bastion, become with a password, a noisy login
	@hack/deps ssh
	@$(REAL) $(VISIBLY) "connections" hack/test-connections

test-engines: build ## a whole rotation on Docker Engine 20.10 and 28.5 with compose 2.24, 2.40 and 5.5 (ENGINE=28.5 COMPOSE=5)
	@hack/deps venv db-image
	@$(REAL) hack/test-engines "$(ENGINE)" "$(COMPOSE)"

test-dist: dist ## all platforms: built a second time elsewhere, checksums, bill of materials, arm64 under emulation
	@hack/deps qemu
	@$(REAL) $(VISIBLY) "binaries of all platforms" .venv/bin/python -m pytest --verbose --durations=3 molecule/sandbox/release/test_dist.py

test-collection: collection ## the collection, installed from its file into a fresh virtual environment
	@hack/deps qemu
	@$(REAL) $(VISIBLY) "collection" .venv/bin/python -m pytest --verbose --durations=5 molecule/sandbox/release/test_collection.py

test-sanity: collection ## ansible-test sanity on the collection
	@$(VISIBLY) "sanity" hack/test-sanity $(COLLECTION)

lint-collection: ## the collection's documentation and changelog, with antsibull-docs and antsibull-changelog
	@$(VISIBLY) "documentation of the collection" hack/lint-collection

test-molecule: build ## the molecule scenarios (some: make test-molecule SCENARIO="abort reverse")
	@$(VISIBLY) "molecule scenarios" hack/test-molecule $(SCENARIO)

test-molecule-short: build ## the three molecule scenarios of `make test`: default, check-mode and restore
	@$(VISIBLY) "molecule: default, check-mode, restore" hack/test-molecule default check-mode restore

# What takes longer than `make test` should. One line a target.
LONG += test-sandbox-all
LONG += test-molecule
LONG += test-cuts-all
LONG += test-layouts
LONG += test-fleet
LONG += test-dist
LONG += test-collection
LONG += test-sanity
LONG += test-matrix
LONG += test-connections
LONG += test-engines

test-all: test $(LONG) ## everything, and what takes longer

##@ Develop: write

lint: build ## go vet, gofumpt, golangci-lint, yamllint, ansible-lint
	@hack/deps venv
	@hack/tools/install
	@hack/lint

fmt: ## write the Go files as gofumpt and gci want them
	@hack/tools/install
	@.tools/golangci-lint fmt $(PACKAGES)

generate: ## what is made of the options' structs: pages of ansible-doc, role's specs and defaults, schemas, tables of docs/
	@go run ./module/generate

hooks: ## the linters before each commit, as in CI (pre-commit)
	@.venv/bin/pre-commit install

recording: deps build ## record make demo again: docs/demo.cast and docs/demo.svg
	@hack/record

##@ Develop: measure

bench-records: deps ## speed, memory and polls of the scan, compared with OpenSSL and bare SQL, in one run
	@BENCH_RECORDS=1 $(REAL) go test -count=1 -timeout 30m -v $(SMALLER) -run '^TestHow' ./module/records | grep -v '^=== RUN'

bench: deps build ## speed and size as ratios, in one run
	@hack/bench

bench-fleet: deps build ## many installations: SSM's quota, nothing due (HOSTS=200)
	@hack/bench-fleet

bench-outage: deps build ## seconds without an answer, compared with bare compose, and module calls in them (TRIES=3)
	@hack/bench-outage

##@ Develop: clean up

clean: ## end every sandbox; remove what was built and reported
	@for name in $$(molecule/sandbox/sandbox list); do molecule/sandbox/sandbox down "$$name"; done
	@molecule/sandbox/sandbox engine-stop
	rm -rf build reports .ansible $(BINARY) $(BINARY)_info $(PLATFORMS:%=$(BINARY)_%) $(PLATFORMS:%=$(BINARY)_info_%)

distclean: clean ## clean, and what `make deps` set up in this clone
	rm -rf .venv .tools
