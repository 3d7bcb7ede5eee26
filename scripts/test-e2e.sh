#!/usr/bin/env bash
# The second half of `make test`: the built program with real brokers, Home Assistant and Node-RED, as processes. A line
# for each test as soon as it ends. With CI=true a skip is a failure.
set -euo pipefail
cd "$(dirname "$0")/.."
# mawk otherwise waits for 4 KiB of input before it prints anything.
report=(awk)
if awk -W version 2>&1 </dev/null | grep -q mawk; then report+=(-W interactive); fi

go test -v -p 1 -shuffle=on -timeout 30m ./e2e/... | "${report[@]}" -v each=1 -f scripts/report.awk
