#!/usr/bin/env bash
# Prints the section of CHANGELOG.md about a version such as v1.2.3: the notes of its release.
set -euo pipefail
cd "$(dirname "$0")/.."

version=${1:?usage: release-notes.sh VERSION}
notes=$(awk -v heading="## [${version#v}]" 'index($0, "## [") == 1 { on = index($0, heading) == 1; next } on' CHANGELOG.md)
[ -n "${notes//[[:space:]]/}" ] || { echo "CHANGELOG.md has no section ${version#v}" >&2; exit 1; }
printf '%s\n' "$notes"
