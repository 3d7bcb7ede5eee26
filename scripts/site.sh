#!/usr/bin/env bash
# Makes the documentation site of docs/ in the folder of the first argument, bin/site without one. What makes it is installed from
# PyPI into the folder for caches. Where it cannot be installed, it says why and ends with 3.
set -euo pipefail
cd "$(dirname "$0")/.."

into=${1:-bin/site}
cache=${XDG_CACHE_HOME:-$HOME/.cache}
[ "$(uname)" != Darwin ] || cache=$HOME/Library/Caches
release=$(sed -n 's/^mkdocs-material==//p' packaging/site/requirements.txt)
tools=$cache/snom2mqtt-test/mkdocs-material-$release

missing() { echo "MISSING: MkDocs, and cannot be installed: $1" >&2; exit 3; }

mkdir -p "$tools"
if command -v flock >/dev/null; then
	exec 9>"$tools/lock"
	flock 9
fi
if [ ! -e "$tools/complete" ]; then
	python=
	for p in python3 python3.12 python3.13 "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.1[0-9].*/bin/python; do
		if "$p" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 10))' 2>/dev/null; then python=$p; break; fi
	done
	[ -n "$python" ] || missing "there is no Python 3.10 with venv"
	echo "installing MkDocs from PyPI into $tools" >&2
	"$python" -m venv "$tools" >&2 || missing "see above"
	"$tools/bin/python" -m pip install --quiet --disable-pip-version-check -r packaging/site/requirements.txt >&2 || missing "pip says why above"
	touch "$tools/complete" # last: it says that the installation is complete
fi
# Not with --quiet, which hides warnings from --strict.
NO_MKDOCS_2_WARNING=1 "$tools/bin/python" -m mkdocs build --strict --site-dir "$(realpath -m "$into")" >&2
echo "$into"
