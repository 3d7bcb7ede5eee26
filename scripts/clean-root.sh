#!/usr/bin/env bash
# Prints the path of an archive with an empty Debian that has systemd, for the test of the packages: debootstrap makes it once,
# as root, in the folder for caches. Where it cannot, it says why and prints nothing.
set -euo pipefail
cd "$(dirname "$0")/.."

suite=bookworm
cache=${XDG_CACHE_HOME:-$HOME/.cache}/snom2mqtt-test
archive=$cache/debian-$suite.tar

missing() { echo "MISSING: an empty Debian for the test of the packages: $1" >&2; exit 0; }

mkdir -p "$cache"
exec 9>"$cache/clean-root.lock"
flock 9
if [ ! -e "$archive" ]; then
	[ "$(id -u)" = 0 ] || missing "only root can unpack it"
	unshare --mount true 2>/dev/null || missing "this process may not make a mount namespace"
	command -v debootstrap >/dev/null || scripts/tools.sh debootstrap debian-archive-keyring gpgv >&2
	command -v debootstrap >/dev/null || missing "there is no debootstrap"
	mirror=$(apt-get indextargets --format '$(ORIGIN) $(LABEL) $(REPO_URI)' 'Created-By: Packages' 2>/dev/null |
		awk '$1 == "Debian" && $2 == "Debian" { print $3; exit }') || mirror=
	echo "unpacking Debian $suite into $archive" >&2
	root=$(mktemp -d)
	trap 'rm -rf "$root"' EXIT
	unshare --mount --propagation private debootstrap --variant=minbase --include=systemd "$suite" "$root" "${mirror:-}" >"$cache/clean-root.log" 2>&1 ||
		{ tail -n 20 "$cache/clean-root.log" >&2; missing "debootstrap says above why"; }
	rm -rf "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/* "$root"/usr/share/locale "$root"/var/log/journal
	tar -C "$root" -cf "$archive.new" .
	mv "$archive.new" "$archive"
fi
echo "$archive"
