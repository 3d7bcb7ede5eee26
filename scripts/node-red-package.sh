#!/usr/bin/env bash
# Packs the flows of examples/node-red for Node-RED's flow library, as an npm package whose flows are in the editor's Import dialog under
# Examples, into the folder of the first argument, and prints its path. It asks no registry.
set -euo pipefail
cd "$(dirname "$0")/.."

into=$(realpath -m "${1:?usage: node-red-package.sh FOLDER}")
stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
mkdir -p "$into" "$stage/examples"
cp packaging/node-red/* LICENSE "$stage/"
cp examples/node-red/*.json "$stage/examples/"
cd "$stage"
echo "$into/$(npm pack --silent --offline --pack-destination "$into")"
