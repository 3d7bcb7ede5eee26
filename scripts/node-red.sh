#!/usr/bin/env bash
# Installs Node-RED for the tests of the example flows, from npm into a folder outside the tree. Quick when
# it is there already. Where there is no Node.js for it, it says so and leaves it at that.
set -euo pipefail

release=4.1.15 # wants Node.js 18.5 or newer
cache=${XDG_CACHE_HOME:-$HOME/.cache}
[ "$(uname)" != Darwin ] || cache=$HOME/Library/Caches
into=$cache/snom2mqtt-test/node-red-$release # e2e looks in os.UserCacheDir

missing() {
	echo "MISSING: Node-RED $release, and cannot be installed: $1" >&2
	exit 0
}
command -v node >/dev/null || missing "there is no Node.js"
node -e 'const [a, b] = process.versions.node.split("."); process.exit(a > 18 || a == 18 && b >= 5 ? 0 : 1)' ||
	missing "Node.js is $(node --version): want 18.5 or newer"

mkdir -p "$into"
if command -v flock >/dev/null; then
	exec 9>"$into/lock"
	flock 9
fi
[ ! -e "$into/complete" ] || exit 0
command -v npm >/dev/null || missing "there is no npm"
echo "installing Node-RED $release from npm into $into" >&2
npm install --prefix "$into" --no-save --no-audit --no-fund --no-update-notifier --omit=dev --loglevel=error "node-red@$release" >/dev/null ||
	missing "npm says why above"
touch "$into/complete"
