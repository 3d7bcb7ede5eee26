#!/usr/bin/env bash
# Installs Node-RED for the tests of the example flows, from npm into folders outside the tree: the release that runs on
# the Node.js of most systems, and the newest, with the Node.js that it needs where this machine's is older (npm has it as
# a package). Takes a second when both are installed. What cannot be installed is named together with the reason.
set -euo pipefail

cache=${XDG_CACHE_HOME:-$HOME/.cache}
[ "$(uname)" != Darwin ] || cache=$HOME/Library/Caches
cache=$cache/snom2mqtt-test # e2e looks in os.UserCacheDir

missing() { echo "MISSING: Node-RED $1, and cannot be installed: $2" >&2; }

# new_enough NODE MAJOR MINOR
new_enough() { "$1" -e "const [a, b] = process.versions.node.split('.'); process.exit(a > $2 || a == $2 && b >= $3 ? 0 : 1)"; }

# add NODE INTO PACKAGE: installs a package with npm run by NODE: npm takes releases that fit the Node.js it runs on.
add() {
	PATH="$(dirname "$1"):$PATH" "$1" "$(readlink -f "$(command -v npm)")" install --prefix "$2" --no-save --no-audit --no-fund \
		--no-update-notifier --omit=dev --loglevel=error "$3" >/dev/null
}

# install RELEASE MAJOR MINOR: the release needs Node.js MAJOR.MINOR or newer. The link node in its folder is what runs it.
install() {
	local into=$cache/node-red-$1 node
	[ ! -e "$into/node" ] || return 0
	command -v node >/dev/null || { missing "$1" "there is no Node.js"; return; }
	command -v npm >/dev/null || { missing "$1" "there is no npm"; return; }
	echo "installing Node-RED $1 from npm into $into" >&2
	rm -rf "$into"
	mkdir -p "$into"
	node=$(command -v node)
	if ! new_enough "$node" "$2" "$3"; then
		mkdir "$into/runtime"
		add "$node" "$into/runtime" "node@24" || { missing "$1" "it needs Node.js $2.$3 or newer, and npm says above why there is none"; return; }
		node=$into/runtime/node_modules/node/bin/node
		new_enough "$node" "$2" "$3" || { missing "$1" "it needs Node.js $2.$3 or newer, and the one of npm does not run"; return; }
	fi
	add "$node" "$into" "node-red@$1" || { missing "$1" "npm says above why"; return; }
	ln -s "$node" "$into/node" # last: it says that the installation is complete
}

mkdir -p "$cache"
if command -v flock >/dev/null; then
	exec 9>"$cache/node-red.lock"
	flock 9
fi
install 4.1.15 18 5
install 5.0.7 22 9
