#!/usr/bin/env bash
# Installs Home Assistant for the tests of its integration, from PyPI into virtual environments outside the
# tree: the newest release that each Python here can run, from the oldest on that knows discovery by device
# (2024.12). Quick when it is there already. Where there is no Python for it, it says so and leaves it at that.
#
# The releases and the Python each wants are those that its releases on PyPI name.
set -euo pipefail

cache=${XDG_CACHE_HOME:-$HOME/.cache}
[ "$(uname)" != Darwin ] || cache=$HOME/Library/Caches
cache=$cache/snom2mqtt-test # e2e looks in os.UserCacheDir
uv=0.13.9                   # ten times faster than pip

# python LEAST MOST: prints a Python from version LEAST to before version MOST.
python() {
	local p
	for p in python3.12 python3.13 python3.14 python3 "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.1[2-9].*/bin/python; do
		if "$p" -c "import sys, venv, ensurepip; sys.exit(not (($1) <= sys.version_info[:3] < ($2)))" 2>/dev/null; then
			echo "$p"
			return
		fi
	done
	return 1
}

# install RELEASE PYTHON
install() {
	local into=$cache/homeassistant-$1
	[ ! -e "$into/complete" ] || return 0
	echo "installing Home Assistant $1 from PyPI into $into" >&2
	rm -rf "$into"
	mkdir -p "$cache"
	"$2" -m venv "$into"
	"$into/bin/python" -m pip install --quiet --disable-pip-version-check "uv==$uv"
	cp "$into/bin/uv" "$into/installer" # Home Assistant brings one of its own
	packages() { UV_CACHE_DIR=$cache/uv "$into/installer" pip install --quiet --python "$into/bin/python" "$@"; }
	packages "homeassistant==$1"
	# What a release wants for its MQTT integration and its web pages stands in their manifests.
	local wants
	wants=$("$into/bin/python" -c '
import importlib.resources, json
for name in ("frontend", "mqtt"):
    manifest = importlib.resources.files("homeassistant") / "components" / name / "manifest.json"
    print(*json.loads(manifest.read_text())["requirements"], sep="\n")')
	# shellcheck disable=SC2086
	packages $wants
	touch "$into/complete"
}

mkdir -p "$cache"
exec 9>"$cache/lock"
if command -v flock >/dev/null; then flock 9; fi

found=
try() { # RELEASE LEAST MOST
	local p
	p=$(python "$2" "$3") || return 0
	found=1
	install "$1" "$p" || echo "MISSING: Home Assistant $1 cannot be installed: see above" >&2
}
try 2025.1.4 "3,12,0" "3,13,0"
if python "3,14,2" "3,15,0" >/dev/null; then
	try 2026.9.4 "3,14,2" "3,15,0"
elif python "3,13,2" "3,14,0" >/dev/null; then
	try 2026.2.3 "3,13,2" "3,14,0"
else
	try 2025.4.4 "3,13,0" "3,13,2"
fi
[ -n "$found" ] || echo "MISSING: Home Assistant, and cannot be installed: there is no Python 3.12 or newer, with venv" >&2
