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
log=$(mktemp)
trap 'rm -f "$log"' EXIT
# run tests the packages that it reads.
run() { xargs go test -v $race -shuffle=on -timeout 15m | tee "$log" | "${report[@]}" -f scripts/report.awk; }
if go list ./... | grep -v '/e2e\(/browser\)\?$' | run; then exit; fi

# The race detector's own runtime can end a test program at a check of its own, whatever is tested (seen with Go 1.26:
# tsan_rtl.cpp:346). Such packages are run once more. Any other failure stands.
again=$(awk '/ThreadSanitizer: CHECK failed/ { crashed = 1 }
	/^(ok|FAIL|\?) *\t/ { if ($1 == "FAIL" && crashed) print $2; else if ($1 == "FAIL") failed = 1; crashed = 0 }
	END { exit failed }' "$log") && [ -n "$again" ] || exit 1
echo "the race detector crashed; once more:" $again >&2
run <<<"$again"
