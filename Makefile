# azs-edge. `make demo` and `make test` are all a newcomer needs; the others are for those who work here.

GO      ?= go
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
COMMIT  ?= $(shell git rev-parse --short=12 HEAD 2>/dev/null || echo unknown)
DATE    ?= $(shell git log -1 --format=%cI 2>/dev/null || echo unknown)
LDFLAGS  = -s -w -X main.version=$(VERSION) -X main.commit=$(COMMIT) -X main.date=$(DATE)
GOLANGCI = $(GO) run github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0

.PHONY: help demo test race bench fuzz screens lint build packages generate

help: ## show this list
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | sort | expand -t 12

demo: ## the whole system in one process: broker, HQ, two stations, scanners; prints the page's address
	$(GO) run -ldflags '$(LDFLAGS)' ./cmd/azs-demo

test: ## everything; installs the real parts the tests use (Debian packages) where it may
	@.ci/parts
	$(GO) vet ./...
	$(GO) test -timeout 10m ./...

race: ## the same under the race detector
	@.ci/parts
	$(GO) test -race -timeout 15m ./...

bench: ## the benchmarks, each beside its floor; minutes
	$(GO) test -run '^$$' -bench . -benchmem -timeout 60m ./...

FUZZTIME ?= 60s
fuzz: ## every fuzz target for FUZZTIME each
	@.ci/fuzz $(FUZZTIME)

screens: dist ## screenshots of the cashier's page into dist/screens
	@mkdir -p dist/screens
	AZS_SCREENS=$(CURDIR)/dist/screens AZS_TEST_REQUIRE=1 $(GO) test -count=1 ./pos/screen/...

lint: ## gofmt, vet and golangci-lint
	@test -z "$$(gofmt -l agent pos sync config cmd packaging | tee /dev/stderr)"
	$(GO) vet ./...
	GOOS=windows $(GO) vet ./cmd/azs-agent ./cmd/azs-hq ./cmd/azs-demo
	$(GO) mod tidy -diff
	$(GOLANGCI) run -c .ci/golangci.yml ./...

build: dist ## the three programs into dist/
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o dist/ ./cmd/azs-agent ./cmd/azs-hq ./cmd/azs-demo

packages: dist ## deb and rpm into dist/
	packaging/build.sh dist

generate: ## the protobuf code; needs buf, protoc-gen-go and protoc-gen-go-vtproto
	$(GO) generate ./...

dist:
	@mkdir -p dist && echo '*' > dist/.gitignore
