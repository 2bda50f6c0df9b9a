# Everything here sets itself up: a bare Debian machine needs Go and root.
GO ?= go
export CGO_ENABLED ?= 0

.DEFAULT_GOAL := help
.PHONY: help setup build demo test check unit race race-e2e bench bench-peers fuzz soak golden clean

help: ## what there is
	@awk -F':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## install what the lab and the tests need (Debian packages)
	@.ci/setup

build: ## bin/damselfly
	$(GO) build -trimpath -o bin/damselfly ./cmd/damselfly

demo: setup build ## guests on a private bridge get their IPv6; BREAK=ra|nd|dad shows a red row, KEEP=1 leaves it up
	@$(GO) run ./cmd/demo $(if $(BREAK),-break $(BREAK)) $(if $(KEEP),-keep)

test: setup check unit race ## all of it: check, tests, those without a switch under the race detector too

check: ## format, vet, staticcheck
	@out=$$(gofmt -l $$(git ls-files --cached --others --exclude-standard '*.go')); test -z "$$out" || { echo "not gofmt'ed: $$out"; exit 1; }
	$(GO) vet ./...
	$(GO) tool staticcheck ./...

unit:
	$(GO) test -timeout 20m ./...

# Package flows, whose tests take longest there, knows no goroutines.
race:
	CGO_ENABLED=1 $(GO) test -race -timeout 30m $$($(GO) list ./... | grep -v -e /internal/e2e$$ -e /flows$$)

race-e2e: setup ## the end-to-end tests under the race detector, Damselfly included
	CGO_ENABLED=1 $(GO) test -race -timeout 30m ./internal/e2e

golden: ## rewrite golden files from what the code says now
	$(GO) test ./... -update

bench: setup ## ns and allocations a frame, answers a second through Open vSwitch, a million leases
	$(GO) test -run '^$$' -bench . -benchmem ./bench/
	$(GO) test -run '^$$' -bench Routed -benchtime 1s -v ./flows/
	$(GO) test -run '^$$' -bench Million -benchtime 1x ./internal/lease/

bench-peers: setup build ## Damselfly beside OVN, Kea, radvd, dnsmasq and bare responders, in one run; writes bench/results
	$(GO) run ./bench/peers

FUZZTIME ?= 60s
fuzz: ## every fuzz target, FUZZTIME each (60s)
	@for p in $$($(GO) list ./...); do \
	  for f in $$($(GO) test -list '^Fuzz' $$p | grep '^Fuzz'); do \
	    echo "$$p $$f"; $(GO) test -run '^$$' -fuzz "^$$f$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 10x $$p || exit 1; \
	  done; \
	done

soak: setup ## the long forms of the tests: outages of minutes, many restarts, floods of half a minute
	DAMSELFLY_SOAK=1 $(GO) test -count 1 -timeout 120m ./internal/e2e/

clean: ## what building and testing left here
	rm -rf bin
	$(GO) clean -testcache
