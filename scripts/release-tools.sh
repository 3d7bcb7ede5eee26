#!/usr/bin/env bash
# Prints a folder with the programs that build releases, built from source with the Go toolchain: GoReleaser, what
# lists the modules of a program, and actionlint. They are no dependencies of the module: each has hundreds of its own. The
# first call takes some minutes. The folder is in the one for caches, outside the tree; its name has the versions.
set -euo pipefail

goreleaser=v2.15.1
cyclonedx=v1.9.0
actionlint=v1.7.12

cache=${XDG_CACHE_HOME:-$HOME/.cache}
[ "$(uname)" != Darwin ] || cache=$HOME/Library/Caches
into=$cache/snom2mqtt-test/release-$goreleaser-$cyclonedx-$actionlint # e2e looks in os.UserCacheDir

mkdir -p "$into"
if command -v flock >/dev/null; then
	exec 9>"$into/lock"
	flock 9
fi
# install NAME MODULE@VERSION: in a place of its own first, so that what is there is complete.
install() {
	[ ! -x "$into/$1" ] || return 0
	echo "building $2 into $into" >&2
	GOFLAGS=-mod=mod GOBIN="$into/new" go install "$2" >&2 || { echo "MISSING: $1, and cannot be built: go says why above" >&2; return 0; }
	mv "$into/new/$1" "$into/$1"
}
install goreleaser github.com/goreleaser/goreleaser/v2@$goreleaser
install cyclonedx-gomod github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod@$cyclonedx
install actionlint github.com/rhysd/actionlint/cmd/actionlint@$actionlint
echo "$into"
