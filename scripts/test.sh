#!/usr/bin/env bash
# Everything that `make test` promises: gofmt, go vet, and every test in random order with the race
# detector. It says at the end what was skipped and why. With CI=true a skip of what could be there is a
# failure: the tests see to that themselves, and this script does for the race detector.
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/tools.sh
scripts/homeassistant.sh
scripts/node-red.sh

unformatted=$(gofmt -l .)
if [ -n "$unformatted" ]; then
	echo "gofmt would change:" $unformatted >&2
	exit 1
fi
go vet ./...

race=-race
if ! why=$(go build -race -o /dev/null ./internal/pipenet 2>&1); then
	race=
	echo "SKIPPED: the race detector: ${why##*$'\n'}" >&2
	[ "${CI:-}" != true ] || exit 1
fi
go test -v $race -shuffle=on -timeout 30m ./... | awk -f scripts/report.awk
