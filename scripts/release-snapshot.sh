#!/usr/bin/env bash
# Builds into dist what a release has, but for signatures and what is published: `make release-snapshot`. Its arguments go to
# GoReleaser. PACKAGES=deb DIST=folder builds the package of that format for this machine alone, into that folder, as the test
# of the packages does.
set -euo pipefail
cd "$(dirname "$0")/.."

tools=$(scripts/release-tools.sh)
PATH=$tools:$PATH
# GoReleaser takes commit and date from a clone with a remote only.
if ! git remote get-url origin >/dev/null 2>&1; then
	export GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=remote.origin.url GIT_CONFIG_VALUE_0=https://github.com/snom2mqtt/snom2mqtt.git
fi
config=.goreleaser.yaml
skip=sign
if [ -n "${PACKAGES:-}" ]; then
	config=$(mktemp --suffix=.yaml)
	trap 'rm -f "$config"' EXIT
	# The same configuration without the other systems, processors and formats.
	printf 'dist: %s\n' "${DIST:-dist}" >"$config"
	awk -v os="$(go env GOOS)" -v arch="$(go env GOARCH)" -v formats="$PACKAGES" '
		/^    goos: /    { print "    goos: [" os "]"; next }
		/^    goarch: /  { print "    goarch: [" arch "]"; next }
		/^    ignore:/   { skipping = 1; next }
		skipping && /^      /  { next }
		{ skipping = 0 }
		/^    formats: \[deb/  { print "    formats: [" formats "]"; next }
		/^source:/ { print; getline; print "  enabled: false"; next }
		{ print }' .goreleaser.yaml >>"$config"
	skip=sign,archive,sbom
fi
goreleaser release --snapshot --clean --config "$config" --skip=$skip "$@"
