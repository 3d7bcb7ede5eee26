#!/usr/bin/env bash
# Keeps some of what `make fuzz` has found on this machine as seeds beside the tests, where `make test` replays them:
# for each target up to 20 inputs of at most 1 KiB. Their names are hashes, so the first ones are a fair choice. In the end
# it replays them all; inputs that do not fit a target any more go by `go clean -fuzzcache`, and out of testdata by hand.
set -euo pipefail
cd "$(dirname "$0")/.."

cache=$(go env GOCACHE)/fuzz
go list -f '{{.ImportPath}} {{.Dir}}' ./... | while read -r package dir; do
	for found in "$cache/$package"/Fuzz*; do
		[ -d "$found" ] || continue
		target=$(basename "$found")
		grep -qs "^func $target(" "$dir"/*_test.go || continue # there is no such target any more
		mkdir -p "$dir/testdata/fuzz/$target"
		find "$found" -type f -size -1025c | sort | awk 'NR <= 20' | while read -r input; do
			cp "$input" "$dir/testdata/fuzz/$target/"
		done
		echo "$(find "$dir/testdata/fuzz/$target" -type f | wc -l) $package $target"
	done
done
go test -count=1 -run '^Fuzz' ./...
