#!/usr/bin/env bash
# Installs axe-core, whose rules the pages of the console are checked by, into the folder for caches, as
# scripts/node-red.sh does. What cannot be installed is named together with the reason.
set -euo pipefail

cache=${XDG_CACHE_HOME:-$HOME/.cache}
[ "$(uname)" != Darwin ] || cache=$HOME/Library/Caches
into=$cache/snom2mqtt-test/axe-core # e2e/browser looks in os.UserCacheDir
release=4.14.1

[ ! -e "$into/$release" ] || exit 0
command -v npm >/dev/null || { echo "MISSING: axe-core, and cannot be installed: there is no npm" >&2; exit 0; }
echo "installing axe-core $release from npm into $into" >&2
mkdir -p "$into"
if npm install --prefix "$into" --no-save --no-audit --no-fund --no-update-notifier --loglevel=error "axe-core@$release" >/dev/null; then
	touch "$into/$release" # last: it says that the installation is complete
else
	echo "MISSING: axe-core, and cannot be installed: npm says above why" >&2
fi
