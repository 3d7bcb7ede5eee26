#!/usr/bin/env bash
# Measures what share of its statements the tests of each package run. The packages below are promised to
# be at 95 % or more.
set -euo pipefail
cd "$(dirname "$0")/.."

go test -cover ./... | awk '
	{ print }
	$1 == "FAIL" { bad = 1 }
	$2 ~ /\/snom2mqtt\/(snom|mqtt|config|bridge)$/ {
		for (i = 1; i < NF; i++) if ($i == "coverage:" && $(i+1) + 0 < 95) { print "below 95 %: " $2; bad = 1 }
	}
	END { exit bad }
'
