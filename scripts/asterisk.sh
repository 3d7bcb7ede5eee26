#!/usr/bin/env bash
# Installs what the tests of phones driven by SIP need: Kamailio and baresip of this Debian, and Asterisk 22, which is in Debian's
# unstable suite only: it is unpacked into the cache folder (debootstrap, as root) and runs from there. Nothing of the system is changed
# but the packages that are installed. Takes a second when all is there. What cannot be installed is named together with the reason.
set -euo pipefail
cd "$(dirname "$0")/.."

cache=${XDG_CACHE_HOME:-$HOME/.cache}/snom2mqtt-test # e2e looks in os.UserCacheDir
root=$cache/asterisk-22

PATH=$PATH:/usr/sbin
packages=()
command -v kamailio >/dev/null || packages+=(kamailio)
command -v baresip >/dev/null || packages+=(baresip)
[ ${#packages[@]} = 0 ] || scripts/tools.sh "${packages[@]}"

missing() {
	echo "MISSING: Asterisk 22, and cannot be installed: $1" >&2
	exit 0
}
mkdir -p "$cache"
if command -v flock >/dev/null; then
	exec 8>"$cache/asterisk.lock"
	flock 8
fi
[ ! -e "$root/complete" ] || exit 0
[ "$(uname)" = Linux ] || missing "Debian's unstable suite cannot be unpacked here"
[ "$(id -u)" = 0 ] || missing "Debian's unstable suite is unpacked for it, which needs root"
unshare --mount true 2>/dev/null || missing "this process may not make a mount namespace"
command -v debootstrap >/dev/null || scripts/tools.sh debootstrap debian-archive-keyring gpgv
command -v debootstrap >/dev/null || missing "there is no debootstrap"

mirror=$(apt-get indextargets --format '$(ORIGIN) $(LABEL) $(REPO_URI)' 'Created-By: Packages' 2>/dev/null |
	awk '$1 == "Debian" && $2 == "Debian" { print $3; exit }') || mirror=
echo "unpacking Debian's unstable suite into $root, for its Asterisk" >&2
rm -rf "$root"
mkdir -p "$root"
log=$cache/asterisk.log
# A mirror may keep a state of the suite that is older than its release file says is allowed.
if ! unshare --mount --propagation private debootstrap --variant=minbase sid "$root" "${mirror:-}" >"$log" 2>&1 ||
	! unshare --mount --propagation private sh -euc '
		mount -t proc proc "$0/proc" 2>/dev/null || mount --rbind /proc "$0/proc"
		chroot "$0" apt-get -o Acquire::Check-Valid-Until=false update
		chroot "$0" env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends asterisk' "$root" >>"$log" 2>&1; then
	tail -n 20 "$log" >&2
	missing "see above"
fi
rm -rf "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/* "$log"
touch "$root/complete"
