# The two commands that matter are `make run` and `make test`. Both install what they need (apt, as root
# or with sudo) and then work offline but for the package registries.

SHELL := /bin/bash
STATE ?= var
CORPUS ?=
CASES ?=
FUZZTIME ?= 60s
SINCE ?=
FUZZLONGER ?= 15m
DAYS ?=
BIN := bin
DAEMONS := trustd vpnd verifyd batchd trustctl trustlink
# smallstep's own databases are not used: internal/store keeps the state.
TAGS := nobadger,nobadgerv1,nobadgerv2,nobbolt,nomysql,nopgx
FOLDERS := cmd deploy hsm internal pki verify vpn
GO = $(shell deploy/install.sh go)
GOFLAGS_BUILD := -tags $(TAGS)
# What waits for leases to end, or whose work is done by processes of its own, shows the race detector nothing more, and takes minutes.
NO_RACE := ^(TestOrderOffWhileTheGatewayIsCutOff|TestANodeIsKilled|TestNodesAreKilled|TestTableLocked|TestDatabaseLocked)$$
# One way to compile for programs, tests and linters: what one has compiled serves the others.
export GOFLAGS += -trimpath

.DEFAULT_GOAL := help
.PHONY: help build run test test-kernel offices dll lint vulncheck bench fuzz mutants endure conformance cases clean

help: ## show this help
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo "  STATE=DIR  where make run keeps its state (default ./var); CORPUS=DIR  samples for make conformance"

build: ## build bin/{trustd,vpnd,verifyd,batchd,trustctl,trustlink}, verifyd with its verifier for browsers
	@deploy/install.sh build
	@deploy/wasm.sh $(GOFLAGS_BUILD)
	$(GO) build $(GOFLAGS_BUILD) -o $(BIN)/ $(addprefix ./cmd/,$(DAEMONS))

run: ## install, build, start the appliance with a demonstration partner, keep serving
	@deploy/install.sh run
	@$(MAKE) --no-print-directory build
	$(BIN)/trustctl up --demo --state $(STATE) $(if $(CORPUS),--corpus $(abspath $(CORPUS)))

test: ## install what the tests need and run them all
	@deploy/install.sh test
	@$(MAKE) --no-print-directory build lint
	TRUSTCORE_BIN=$(CURDIR)/$(BIN) $(GO) test -tags $(TAGS) -vet=off -timeout 20m ./...
	@$(MAKE) --no-print-directory offices
	$(GO) test -tags $(TAGS) -vet=off -race -skip '$(NO_RACE)' -timeout 20m ./cmd/trustd ./internal/audit/... ./internal/store ./cmd/internal/... ./hsm/... ./verify/path

test-kernel: ## the tests of the tunnel in a virtual machine whose kernel has WireGuard
	@deploy/install.sh kernel
	@deploy/kernel.sh -tags $(TAGS)

offices: ## build trustlink for the systems that offices have
	for on in linux/amd64 windows/amd64 windows/arm64 darwin/arm64; do GOOS=$${on%/*} GOARCH=$${on#*/} CGO_ENABLED=0 $(GO) build $(GOFLAGS_BUILD) -o /dev/null ./cmd/trustlink || exit 1; done

dll: ## build bin/trustlink-pkcs11{,-32}.dll, the PKCS#11 module of Windows programs
	@deploy/install.sh dll
	@deploy/dll.sh $(BIN)

lint: ## gofmt, go vet, staticcheck, go.mod of the suites
	@for module in $$(find verify -path '*/conformance/go.mod' -printf '%h\n'); do $(GO) -C $$module list -m all >/dev/null || { echo "$$module: go mod tidy"; exit 1; }; done
	@found=$$("$$($(GO) env GOROOT)/bin/gofmt" -l $(FOLDERS)) || exit 1; test -z "$$found" || { echo "$$found"; echo "run gofmt -w on these files"; exit 1; }
	$(GO) vet -tags $(TAGS) ./...
	$(GO) tool staticcheck -tags $(TAGS) ./...

vulncheck: ## look the dependencies up in the Go vulnerability database (needs the network)
	$(GO) tool govulncheck -tags $(TAGS) ./...

bench: build ## benchmarks, as ratios to the raw cryptography of the same run
	$(GO) test -tags $(TAGS) -run '^$$' -bench . -benchtime 200ms ./...
	for what in verify chain hsm ocsp tsa vpn api batch; do $(BIN)/trustctl bench $$what --json --seconds 3 || exit 1; done

fuzz: ## fuzz every parser for FUZZTIME each, what changed SINCE=REVISION for FUZZLONGER
	@deploy/fuzz.sh $(if $(SINCE),--changed $(SINCE) $(FUZZLONGER)) $(FUZZTIME) -tags $(TAGS)

mutants: ## delete each security check, one at a time: its test must fail
	@deploy/mutants.sh -tags $(TAGS)

endure: ## drive the whole appliance over ten years by a shifted clock, a start every 30 days (as root, some two hours)
	TRUSTCORE_WALK=10000 TRUSTCORE_NODE_KILLS=300 $(GO) test -tags $(TAGS) -count 1 -timeout 120m -run '^(TestWalkOfOrders|TestNodesAreKilled)$$' -v ./cmd/trustd
	TRUSTCORE_TAKEOVER_PEERS=999 $(GO) test -tags $(TAGS) -count 1 -timeout 20m -run TestPairOfGateways -v ./cmd/vpnd
	@deploy/endure.sh $(if $(DAYS),--days $(DAYS)) -tags $(TAGS)

conformance: build ## run against public samples and suites, say how many ran: make conformance CORPUS=DIR
	@test -n "$(CORPUS)" || { echo "say where the samples are: make conformance CORPUS=DIR"; exit 2; }
	@deploy/conformance.sh $(CORPUS) -tags $(TAGS)

cases: build ## run the cases of a folder, hold them against deploy/cases.right: make cases CASES=DIR
	@test -n "$(CASES)" || { echo "say where the cases are: make cases CASES=DIR"; exit 2; }
	@deploy/cases.sh $(CASES)

clean: ## remove what was built
	rm -rf $(BIN)
