#!/usr/bin/env bash
# What `make test-go` runs: gofmt, go vet, and every test outside e2e in random order, with the argument -race under the race
# detector, as `make test` calls it. It installs nothing, and names at the end what was skipped and why. With CI=true, as in
# continuous integration, a skip is a failure: the tests see to that, and this script for the race detector.
set -euo pipefail
cd "$(dirname "$0")/.."
# mawk otherwise waits for 4 KiB of input before it prints anything.
report=(awk)
if awk -W version 2>&1 </dev/null | grep -q mawk; then report+=(-W interactive); fi

unformatted=$(gofmt -l .)
if [ -n "$unformatted" ]; then
	echo "gofmt would change:" $unformatted >&2
	exit 1
fi
go vet ./...

race=${1:-}
if [ -n "$race" ] && ! why=$(go build -race -o /dev/null ./internal/pipenet 2>&1); then
	race=
	echo "SKIPPED: the race detector: ${why##*$'\n'}" >&2
	[ "${CI:-}" != true ] || exit 1
fi
go list ./... | grep -v '/e2e\(/browser\)\?$' | xargs go test -v $race -shuffle=on -timeout 15m | "${report[@]}" -f scripts/report.awk
