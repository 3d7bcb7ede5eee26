#!/usr/bin/env bash
# Writes what packages and archives contain besides the program and files of the tree: scripts for shells that complete
# commands, and the compressed manual page. GoReleaser calls it before it builds.
set -euo pipefail
cd "$(dirname "$0")/.."

mkdir -p bin/completions
program=$(mktemp)
trap 'rm -f "$program"' EXIT
# Built for this machine, whatever the release is for.
env -u GOOS -u GOARCH -u GOARM go build -o "$program" ./cmd/snom2mqtt
"$program" completion bash >bin/completions/snom2mqtt.bash
"$program" completion zsh >bin/completions/_snom2mqtt
"$program" completion fish >bin/completions/snom2mqtt.fish
gzip -9n <docs/snom2mqtt.1 >bin/snom2mqtt.1.gz
