# `make` alone prints what there is to make.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null)
REVISION ?= $(shell git rev-parse HEAD 2>/dev/null)
FUZZTIME ?= 60s

.PHONY: help test-go test bench faults test-brokers test-pbx lint fuzz cover docs site pictures build release-snapshot test-image clean

help: ## print this
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

test-go: ## gofmt, go vet and the tests that Go alone can run; installs nothing; RACE=-race adds the race detector
	@CI=$(STRICT) scripts/test-go.sh $(RACE)

test: ## everything: installs what is missing, runs test-go with the race detector, then the tests with real programs; with CI=true no skips
	@scripts/tools.sh
	@scripts/homeassistant.sh
	@scripts/node-red.sh
	@scripts/axe.sh
	@scripts/asterisk.sh
	@scripts/speech.sh
	@scripts/docker.sh >/dev/null
	@$(MAKE) --no-print-directory test-go RACE=-race STRICT=$(CI)
	@scripts/test-e2e.sh

faults: ## the fault suite at full length, with the race detector: first what runs in virtual time, then the program; 45 minutes
	@scripts/tools.sh
	go test -race -count=1 -timeout 1h ./bridge ./broker ./mqtt/... ./snom/... ./config ./phoneweb ./console
	go test -v -count=1 -timeout 3h -run '^TestFault' ./e2e -faults

test-brokers: ## the bridge against Mosquitto, RabbitMQ, NATS and the broker inside; installs them where it may
	@scripts/test-brokers.sh

test-pbx: ## phones driven by SIP with Kamailio, baresip and Asterisk 22; installs them where it may
	@scripts/asterisk.sh
	go test -v -count=1 -run '^(TestKamailio|TestBaresip|TestAsterisk)$$' ./e2e

lint: ## golangci-lint, by .golangci.yml
	@command -v golangci-lint >/dev/null || { echo "golangci-lint v2 is not installed: see CONTRIBUTING.md" >&2; exit 1; }
	golangci-lint run ./...

fuzz: ## every fuzz target for FUZZTIME=60s
	@for package in $$(go list ./...); do \
		for target in $$(go test -list '^Fuzz' $$package | grep '^Fuzz' || true); do \
			echo "$$package $$target"; \
			go test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 1s $$package; \
		done; \
	done

cover: ## statement coverage of every package; below 95 % is a failure where CONTRIBUTING.md promises more
	@scripts/cover.sh

docs: ## write the documents that are made from the code
	go test -count=1 $$(grep -rl --include='*_test.go' 'flag.Bool("update"' . | xargs -n1 dirname | sort -u) -run Document -update

site: ## the documentation site, made of docs/ with a search that runs in the browser: bin/site
	@scripts/site.sh

pictures: ## take the pictures of the documents again; needs chromium
	go test -count=1 ./e2e -run NodeRED -args -pictures
	go test -count=1 ./e2e/browser -run Pictures -args -pictures

# Without HTTP/2, which neither phones nor brokers nor Prometheus ask for, the program is half a megabyte smaller.
build: ## the program for this machine: bin/snom2mqtt
	CGO_ENABLED=0 go build -tags nethttpomithttp2 -trimpath -ldflags "-s -w -X main.version=$(VERSION) -X main.revision=$(REVISION)" -o bin/snom2mqtt ./cmd/snom2mqtt

release-snapshot: ## what a release has, into dist: archives, packages, checksums, SBOMs; nothing is signed or published
	@scripts/release-snapshot.sh

test-image: ## build the container image and run it against a Mosquitto
	scripts/test-image.sh

bench: build ## measure the bridge beside others, about an hour; BENCH_FLAGS=-short runs everything once, '-docs docs' writes docs/performance.md
	@scripts/tools.sh
	go run ./internal/bench -program bin/snom2mqtt -install -json bin/bench.json $(BENCH_FLAGS)

clean: ## remove what was built
	rm -rf bin dist coverage.out
