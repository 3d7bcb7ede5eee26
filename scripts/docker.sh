#!/usr/bin/env bash
# Sees to it that Docker is here, for the test that follows README.md with Docker Compose, and prints a folder with Docker Compose
# 2.24 or newer: that of this machine, else that of the Debian package, unpacked into the folder for caches, else built from source
# with the Go toolchain, which takes some minutes. Docker itself comes through apt-get; none of its services is started. What cannot
# be had is named together with the reason.
set -euo pipefail
cd "$(dirname "$0")/.."

suite=trixie     # Debian's, with 2.26
compose=v2.40.3  # where it is built

cache=${XDG_CACHE_HOME:-$HOME/.cache}
[ "$(uname)" != Darwin ] || cache=$HOME/Library/Caches
into=$cache/snom2mqtt-test/docker-compose # e2e looks in os.UserCacheDir

PATH=$PATH:/usr/sbin
packages=()
command -v docker >/dev/null && command -v dockerd >/dev/null || packages+=(docker.io)
command -v iptables >/dev/null || packages+=(iptables)
[ ${#packages[@]} = 0 ] || scripts/tools.sh "${packages[@]}" >&2

mkdir -p "$into"
if command -v flock >/dev/null; then
	exec 9>"$into/lock"
	flock 9
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# works FILE: is this a Docker Compose that reads docker-compose.yml?
works() {
	[ -x "$1" ] && "$1" version --short 2>/dev/null | sed 's/^v//' | awk -F '[.-]' '{ exit !($1 > 2 || $1 == 2 && $2 >= 24) }'
}

installed() {
	local place
	for place in "$HOME"/.docker /usr/local/lib/docker /usr/local/libexec/docker /usr/lib/docker /usr/libexec/docker; do
		if works "$place/cli-plugins/docker-compose"; then
			cp "$place/cli-plugins/docker-compose" "$1"
			return
		fi
	done
	return 1
}

# Of the package only the program is taken, so nothing of the system changes.
packaged() {
	local mirror apt
	command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null && [ -e /usr/share/keyrings/debian-archive-keyring.gpg ] || return 1
	mirror=$(apt-get indextargets --format '$(ORIGIN) $(LABEL) $(REPO_URI)' 'Created-By: Packages' 2>/dev/null |
		awk '$1 == "Debian" && $2 == "Debian" { print $3; exit }') || return 1
	[ -n "$mirror" ] || return 1
	mkdir -p "$work"/state/lists/partial "$work"/cache/archives/partial
	echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $suite main" >"$work/sources.list"
	apt=(apt-get -qq -o Dir::State="$work/state" -o Dir::State::status=/dev/null -o Dir::Cache="$work/cache" -o APT::Sandbox::User="$(id -un)"
		-o Dir::Etc::sourcelist="$work/sources.list" -o Dir::Etc::sourceparts=/dev/null -o Acquire::Languages=none -o Acquire::Check-Valid-Until=false)
	(cd "$work" && "${apt[@]}" update && "${apt[@]}" download docker-compose && dpkg-deb -x docker-compose_*.deb unpacked) >&2 || return 1
	cp "$work/unpacked/usr/libexec/docker/cli-plugins/docker-compose" "$1" && works "$1"
}

# A module of its own, since go install takes none whose go.mod replaces others; the versions are those of Docker Compose.
built() {
	(cd "$work" && export GOWORK=off GOFLAGS=-mod=mod CGO_ENABLED=0 && go mod init compose &&
		go get "github.com/docker/compose/v2/cmd@$compose" &&
		go build -trimpath -ldflags "-s -w -X github.com/docker/compose/v2/internal.Version=$compose" -o "$1" github.com/docker/compose/v2/cmd) >&2
}

if [ ! -x "$into/docker-compose" ]; then
	echo "taking Docker Compose into $into" >&2
	if installed "$into/new" || packaged "$into/new" || built "$into/new"; then
		mv "$into/new" "$into/docker-compose" # last, so that what is there is complete
	else
		echo "MISSING: Docker Compose: it is not installed, is in no package, and cannot be built" >&2
	fi
fi
echo "$into"
