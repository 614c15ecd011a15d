# `make help` lists the targets. Each version is written in one place only, the file that its tool reads:
#   go.mod                                Go and the module's libraries
#   hack/tools/go.mod                     Go linters
#   hack/requirements.txt                 ansible, its linters and moto
#   hack/compose.txt                      docker compose
#   hack/tools/sbom/go.mod                the bill of materials
#   galaxy.yml                            this collection

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

RELEASE := $(shell sed -n 's/^version: //p' galaxy.yml)
VERSION ?= $(RELEASE)+$(shell git describe --always --dirty --abbrev=12 --exclude='*' 2>/dev/null || echo unknown)
LIMIT := 12000000
PLATFORMS := linux_amd64 linux_arm64 darwin_arm64 darwin_amd64
# Inlining costs 0.77 MB, so it is off. It stays on where it saves time (the key derivation) and where it saves space: the linker
# drops OpenTelemetry's thousand variables only if no call sets them (docs/decisions/0005-binary-size.md).
SMALLER := -gcflags=all=-l $(foreach kept,crypto/... internal/... hash/... runtime/... slices github.com/seqera-tools/... go.opentelemetry.io/...,-gcflags=$(kept)=)
# Tests and linters use the release's flags: they see the same code, and it is compiled only once.
FLAGS := -trimpath -buildvcs=false -tags=nethttpomithttp2 $(SMALLER)
override export GOFLAGS := $(filter-out $(FLAGS),$(GOFLAGS)) $(FLAGS)
export CGO_ENABLED := 0
BINARY := library/seqera_crypto_rotation
DIST := build/dist
COLLECTION := build/seqera_tools-crypto_rotation-$(RELEASE).tar.gz
PACKAGES := ./module/... ./molecule/...
VISIBLY := hack/tools/visibly

# Tests that use module/internal start an SSM stand-in or a database. The tests of all other packages require only Go.
tests_of = $(shell go list -f '{{.ImportPath}} {{.TestImports}} {{.XTestImports}}' $(PACKAGES) | grep $(1) /module/internal/ | cut -d' ' -f1)
# Packages that start goroutines or use locks, and the two packages that run all of them.
racing = ./module ./module/control $(shell go list -f '{{.ImportPath}} {{.Imports}}' ./module/... | grep -w sync | grep -v /module/internal/ | cut -d' ' -f1)

# After `make deps`, everything that a test may need is installed. With this, a test that misses something fails and is not skipped.
REAL := REAL_PARTS=required ANSIBLE_PYTHON=$(CURDIR)/.venv/bin/python PATH="$(CURDIR)/.venv/bin:$$PATH"

# Container images often set these. Python would then compile Ansible's sources in each run, and read a pipelined module byte by byte.
unexport PYTHONDONTWRITEBYTECODE PYTHONUNBUFFERED

.PHONY: FORCE $(shell awk -F: '/^[a-z-]+:/ { print $$1 }' Makefile)

##@ Use

help: ## show this list
	@awk -F ':.*## ' '/^##@ / { printf "\n%s\n", substr($$0, 5) } /^[a-z-]+:.*## / { printf "  make %-20s %s\n", $$1, $$2 }' Makefile

deps: ## install what the other targets need: .venv, linters, Docker Engine, compose, the sandbox's database image
	@hack/deps
	@hack/tools/install

compose: # only downloads or builds docker compose, which deps installs
	@hack/deps compose-binary

tools:
	@hack/tools/install

demo: deps build ## rotate a stand-in Platform: a dry run, the rotation, and a second run (KEEP=1 leaves it up)
	@hack/demo

# compile FILE: builds one binary. The build's place and time do not change it.
define compile
$(VISIBLY) "build $(1) $(VERSION)" go build -ldflags "-s -w -funcalign=16 -X main.version=$(VERSION)" -o $(1) ./module; \
size=$$(wc -c <$(1)); echo "   $(1): $$((size)) of at most $(LIMIT) bytes"; \
[ "$$size" -le $(LIMIT) ] || { rm -f $(1); echo "$(1) is too big. Look for a new dependency (docs/decisions/0005-binary-size.md)." >&2; exit 1; }
endef

build: ## build the binary under its two names in library/ (for another machine: make build GOOS=linux GOARCH=arm64)
	@rm -f $(BINARY) $(BINARY)_info $(PLATFORMS:%=$(BINARY)_%) $(PLATFORMS:%=$(BINARY)_info_%)
	@$(call compile,$(BINARY))
	@cp -f $(BINARY) $(BINARY)_info

dist: $(PLATFORMS:%=$(DIST)/seqera_crypto_rotation_%) ## build the binaries of all platforms in library/ and build/dist, with SHA256SUMS and a bill of materials
	@hack/dist $(DIST) $(RELEASE) $(PLATFORMS)

$(DIST)/seqera_crypto_rotation_%: FORCE
	@mkdir -p $(DIST)
	@export GOOS=$(firstword $(subst _, ,$*)) GOARCH=$(lastword $(subst _, ,$*)); $(call compile,$@)

collection: dist ## build the collection's file in build/, with the binaries of all platforms
	@PATH="$(CURDIR)/.venv/bin:$$PATH" hack/collection $(COLLECTION)

release: collection ## put the files of a release page into build/release; KEY=<GPG key> signs them
	@hack/release build/release $(COLLECTION) $(DIST) "$(KEY)"

##@ Develop: test

# Two at a time, in a make of its own; each target's output is shown when it ends. test-sandbox is first because it takes longest.
# compose, tools and test-cuts require only Go, so they can run at the same time as deps, which mostly downloads.
REST := test-race test-molecule-short lint lint-collection test-docs test-unit test-plugin test-module test-pages

test: ## run the tests that CI runs, in about 20 minutes
	@$(MAKE) --no-print-directory --keep-going --jobs=2 --output-sync=target test-sandbox compose tools test-cuts $(REST)

ifeq ($(MAKELEVEL),0)
.NOTPARALLEL:
else
test-sandbox $(REST): deps
endif

test-docs: build ## check the pages: links, names, commands and figures; quick
	@$(VISIBLY) "documentation" .venv/bin/python -m pytest --quiet hack/docs

test-unit: ## test the packages that require only Go, in seconds
	@[ ! -x .venv/bin/python ] || export ANSIBLE_PYTHON=$(CURDIR)/.venv/bin/python; \
	  $(VISIBLY) "unit tests" go test -count=1 $(call tests_of,-v)

test-plugin: ## run ansible-test units on the action plugin, in seconds
	@$(VISIBLY) "unit tests of the action plugin" hack/test-plugin

# The race detector is off in Go's crypto packages: a fingerprint's 200,000 rounds would take six times as long. TestInterleave_ is
# skipped: it uses one goroutine and would be ten times slower; `make test-cuts` runs it.
test-race: ## test the packages with goroutines under the race detector, with SSM in memory
	@export CGO_ENABLED=1 GOFLAGS=; if command -v "$$(go env CC)" >/dev/null; then \
	  $(filter-out REAL_PARTS=required,$(REAL)) $(VISIBLY) "tests under the race detector" go test -race '-gcflags=crypto/...=-race=false' -count=1 -timeout 30m -skip '^TestInterleave_' $(racing); \
	else \
	  echo "== tests under the race detector: SKIPPED, they require a C compiler (apt-get install gcc libc6-dev)"; \
	fi

test-module: build ## test the module with moto_server, MySQL and a Docker Engine
	@$(REAL) $(VISIBLY) "module tests" hack/test-module $(call tests_of,)

test-databases: ## test the scan of the records on MySQL and on MariaDB
	@hack/deps mariadb mysql
	@TEST_DATABASES=all $(REAL) $(VISIBLY) "records on MySQL and MariaDB" go test -count=1 -v ./module/records

fuzz: ## give random input to every hand-written parser, 20 s each (FUZZ=2m)
	@for package in $$(go list ./module/...); do \
	  targets=$$(go test -list '^Fuzz' $$package | awk '/^Fuzz/'); \
	  for target in $$targets; do \
	    $(VISIBLY) "$$target" go test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(or $(FUZZ),20s) $$package; \
	  done; \
	done

test-cuts: ## kill a run at each write to SSM (in memory) and at every third read; start two operators at once, 30 times
	@$(filter-out REAL_PARTS=required,$(REAL)) $(VISIBLY) "cuts" hack/test-cuts some

test-cuts-all: build ## the same on moto_server, at every call, and 200 times; also kill the playbook at each of its steps on the VM
	@$(REAL) $(VISIBLY) "all cuts" hack/test-cuts all
	@CUTS=all $(REAL) $(VISIBLY) "cuts on the VM" hack/test-sandbox -s -n 3 --dist worksteal -k test_a_cut_at_every_step

test-pages: ## test the report and status pages in a browser
	@$(REAL) $(VISIBLY) "pages" .venv/bin/python -m pytest --quiet molecule/sandbox/pages

test-sandbox: build ## test role and playbooks in the sandbox
	@hack/deps ssh
	@$(REAL) $(VISIBLY) "sandbox tests" hack/test-sandbox

test-layouts: build ## test both layouts and the installer's own files with every login, and as an ordinary user
	@hack/deps ssh
	@LAYOUTS=all $(REAL) $(VISIBLY) "layouts" hack/test-sandbox -s -rs -k test_layouts

test-sandbox-all: build ## run every sandbox test, including the long ones that `make test` skips
	@hack/deps ssh
	@SANDBOX_TESTS=all $(REAL) $(VISIBLY) "all sandbox tests" hack/test-sandbox

test-fleet: build ## rotate three whole Platforms and 197 light ones, five of them broken, in one run (FLEET=197)
	@FLEET=$(or $(FLEET),197) $(REAL) $(VISIBLY) "a fleet" hack/test-sandbox -s -k test_scale

test-matrix: build ## test module, role and playbooks with each ansible-core of hack/matrix.txt (CORE=2.16)
	@hack/deps ssh
	@$(REAL) hack/test-matrix $(CORE)

# As root with CI=true or MAY_ADD_USER=yes, the tests of become add a user to this machine for a minute. Otherwise they are skipped.
test-connections: build ## test module, role and playbooks over ssh: a terminal, a bastion, become with a password, a login that prints text
	@hack/deps ssh
	@$(REAL) $(VISIBLY) "connections" .venv/bin/python -m pytest --verbose --tb=short -rs --durations=3 molecule/sandbox/tests/connections

test-engines: build ## rotate on Docker Engine 20.10 and 28.5 with compose 2.24, 2.40 and 5.5 (ENGINE=28.5 COMPOSE=5)
	@hack/deps venv db-image
	@$(REAL) hack/test-engines "$(ENGINE)" "$(COMPOSE)"

test-dist: dist ## test the binaries of all platforms: a second build elsewhere, checksums, bill of materials, arm64 under emulation
	@hack/deps qemu
	@$(REAL) $(VISIBLY) "binaries of all platforms" .venv/bin/python -m pytest --verbose --durations=3 molecule/sandbox/release/test_dist.py

test-collection: collection ## test the collection, installed from its file into a fresh virtual environment
	@hack/deps qemu
	@$(REAL) $(VISIBLY) "collection" .venv/bin/python -m pytest --verbose --durations=5 molecule/sandbox/release/test_collection.py

test-sanity: collection ## run ansible-test sanity on the collection
	@$(VISIBLY) "sanity" hack/test-sanity $(COLLECTION)

lint-collection: ## check the collection's documentation and changelog with antsibull-docs and antsibull-changelog
	@$(VISIBLY) "documentation of the collection" hack/lint-collection

test-molecule: build ## run the molecule scenarios (only some: make test-molecule SCENARIO="abort reverse")
	@$(VISIBLY) "molecule scenarios" hack/test-molecule $(SCENARIO)

test-molecule-short: build ## run the two molecule scenarios of `make test`: default and restore
	@$(VISIBLY) "molecule: default, restore" hack/test-molecule default restore

# Targets that take too long for `make test`, one per line.
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

test-all: test $(LONG) ## run `make test` and all longer tests

##@ Develop: write

lint: build ## run golangci-lint, yamllint and ansible-lint
	@hack/deps venv
	@hack/tools/install
	@hack/lint

fmt: ## format the Go files with gofumpt and gci
	@hack/tools/install
	@.tools/golangci-lint fmt $(PACKAGES)

generate: ## generate from the options' structs: ansible-doc pages, the roles' specs and defaults, schemas, tables of docs/
	@go run ./module/generate

hooks: ## install a git hook that runs the linters before each commit (pre-commit)
	@.venv/bin/pre-commit install

recording: deps build ## record make demo again: docs/demo.svg
	@hack/record

##@ Develop: measure

bench-records: deps ## measure speed, memory and polls of the scan, compared with OpenSSL and bare SQL
	@BENCH_RECORDS=1 $(REAL) go test -count=1 -timeout 30m -v -run '^TestHow' ./module/records | grep -v '^=== RUN'

bench: deps build ## measure speed and size, compared with stock modules
	@hack/bench

bench-fleet: deps build ## measure many installations: SSM's quota, and a run with nothing due (HOSTS=200)
	@hack/bench-fleet

bench-outage: deps build ## measure the seconds of each outage, compared with bare compose, and the module calls in it (TRIES=3)
	@hack/bench-outage

##@ Develop: clean up

clean: ## end every sandbox; remove builds and reports
	@for name in $$(molecule/sandbox/sandbox list); do molecule/sandbox/sandbox down "$$name"; done
	@molecule/sandbox/sandbox engine-stop
	rm -rf build reports .ansible $(BINARY) $(BINARY)_info $(PLATFORMS:%=$(BINARY)_%) $(PLATFORMS:%=$(BINARY)_info_%)

distclean: clean ## like clean; also remove what `make deps` installed in this clone
	rm -rf .venv .tools
