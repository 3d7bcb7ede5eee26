#!/usr/bin/env bash
# Installs Home Assistant for the tests of its integration, from PyPI, outside the tree: the oldest release that reads
# one discovery document per device (2024.12 and later) and that a common Python runs, one that Python 3.13 runs, and the
# newest. Takes a second when all are installed. What cannot be installed is named together with the reason, and is no failure here: with
# CI=true the tests fail for it.
#
# The newest release needs a Python that few systems have. Where there is none, Debian's next suite is unpacked into the
# cache folder (debootstrap, as root), and Home Assistant runs in it. Mounts are made in a mount namespace of their own,
# which ends with the process: nothing stays mounted, and nothing of the system is changed but that debootstrap is installed.
#
# Which release runs on which Python is what the releases declare on PyPI.
set -euo pipefail
cd "$(dirname "$0")/.."

oldest=2025.1.4
middle=2025.4.4
newest=2026.11.0
suite=forky # Debian's, with Python 3.14.2 or newer
uv=0.13.9   # ten times faster than pip

cache=${XDG_CACHE_HOME:-$HOME/.cache}
[ "$(uname)" != Darwin ] || cache=$HOME/Library/Caches
cache=$cache/snom2mqtt-test # e2e looks in os.UserCacheDir
debian=$cache/debian-$suite

skipped() { echo "MISSING: Home Assistant $1, and cannot be installed: $2" >&2; }

# python LEAST BELOW: prints a Python of version LEAST or newer, and older than BELOW.
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

# inside COMMAND...: runs a command in the unpacked Debian. The folder for temporary files is the one outside, for the
# tests have their files there.
inside() {
	# shellcheck disable=SC2016 # expanded by the inner shell
	unshare --mount --propagation private sh -euc '
		mkdir -p "$0/proc" "$0/dev" "$0$1"
		mount -t proc proc "$0/proc" || mount --rbind /proc "$0/proc"
		mount --rbind /dev "$0/dev"
		mount --bind "$1" "$0$1"
		root=$0
		shift
		exec chroot "$root" "$@"' "$debian" "$(realpath "${TMPDIR:-/tmp}")" "$@"
}

# directly COMMAND...: runs a command as it is.
directly() { "$@"; }

# install WHAT RELEASE RUN PYTHON INTO: makes a virtual environment INTO, or, where WHAT is "speech", adds to the one that is
# there what text-to-speech by a Wyoming server needs. RUN, inside or directly, is where these paths are.
# It is called where set -e has no effect, hence the many returns.
install() {
	# shellcheck disable=SC2086 # $more and $requirements are lists
	local what=$1 release=$2 run=$3 python=$4 into=$5 requirements
	local uv_env=(env UV_NO_PROGRESS=1 UV_LINK_MODE=copy)
	[ "$run" = inside ] || uv_env+=(UV_CACHE_DIR="$cache/uv")
	if [ "$what" = all ]; then
		$run "$python" -m venv "$into" || return 1
		$run "$into/bin/python" -m pip install --quiet --disable-pip-version-check "uv==$uv" || return 1
		$run cp "$into/bin/uv" "$into/installer" || return 1 # Home Assistant brings another version
	fi
	packages() { $run "${uv_env[@]}" "$into/installer" pip install --quiet --python "$into/bin/python" "$@"; }
	[ "$what" != all ] || packages "homeassistant==$release" || return 1
	# What the MQTT integration and the web pages need stands in the manifests: theirs, those of the integrations that
	# they depend on, and those of the integrations whose entities MQTT has. The newest release always loads some more,
	# and names releases of two packages that have no wheel for its Python; newer ones have.
	local more="wyoming zeroconf"
	[ "$release" != $newest ] || more="wyoming zeroconf ai_task assist_satellite radio_frequency stream"
	requirements=$($run "$into/bin/python" -c '
import importlib.resources, json, re, sys
components = importlib.resources.files("homeassistant") / "components"
todo, done = ["frontend", "mqtt"] + sys.argv[1:], set()
for module in (components / "mqtt").iterdir():
    if module.name.endswith(".py"):
        text = module.read_text()
        todo += re.findall(r"^ *from homeassistant\.components\.(\w+) import", text, re.M)
        for names in re.findall(r"^ *from homeassistant\.components import (\([^)]*\)|.*)", text, re.M):
            todo += re.findall(r"(\w+)(?: as \w+)?[,)\n]?", names)
while todo:
    name = todo.pop()
    manifest = components / name / "manifest.json"
    if name in done or not manifest.is_file():
        continue
    done.add(name)
    manifest = json.loads(manifest.read_text())
    todo += manifest.get("dependencies", [])
    for requirement in manifest.get("requirements", []):
        print(re.sub(r"^(pymicro-vad|pyspeex-noise)==.*", r"\1", requirement))' $more) || return 1
	packages $requirements || return 1
	# Home Assistant makes MP3 of what is spoken, by ffmpeg. scripts/speech.sh installs that of this machine.
	[ "$run" != inside ] || inside sh -c 'command -v ffmpeg >/dev/null' ||
		inside sh -ec 'apt-get -o Acquire::Check-Valid-Until=false update -qq
			DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends ffmpeg >/dev/null
			rm -rf /var/cache/apt/archives/*.deb /var/lib/apt/lists/*'
}

# speech RELEASE: adds text-to-speech to a release that an older form of this script installed.
speech() {
	local into=$cache/homeassistant-$1 run=directly
	[ ! -e "$into/wyoming" ] || return 0
	[ -e "$into/installer" ] || run=inside
	echo "adding what Home Assistant $1 needs to speak to $into" >&2
	if [ $run = inside ]; then
		SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt install speech "$1" inside python3 "/homeassistant-$1"
	else
		install speech "$1" directly python3 "$into"
	fi && touch "$into/wyoming"
}

# ready RELEASE: reports whether a release is installed.
ready() { [ -e "$cache/homeassistant-$1/complete" ]; }

# install_directly RELEASE PYTHON
install_directly() {
	local into=$cache/homeassistant-$1
	rm -rf "$into"
	echo "installing Home Assistant $1 from PyPI into $into" >&2
	install all "$1" directly "$2" "$into" && touch "$into/wyoming" "$into/complete"
}

# why_not_debian prints why Debian cannot be unpacked here, and nothing where it can.
why_not_debian() {
	if [ "$(uname)" != Linux ]; then
		echo "it needs Python 3.14.2 or newer"
	elif [ "$(id -u)" != 0 ]; then
		echo "it needs Python 3.14.2 or newer; as root, Debian's $suite is unpacked for it"
	elif ! unshare --mount true 2>/dev/null; then
		echo "it needs Python 3.14.2 or newer, and this process may not make a mount namespace to unpack Debian's $suite"
	else
		command -v debootstrap >/dev/null || scripts/tools.sh debootstrap debian-archive-keyring gpgv >&2
		command -v debootstrap >/dev/null || echo "it needs Python 3.14.2 or newer, and there is no debootstrap to unpack Debian's $suite"
	fi
}

# unpack unpacks Debian, from the mirror that this machine uses if it is a Debian.
unpack() {
	[ ! -e "$debian/complete" ] || return 0
	local mirror script log
	mirror=$(apt-get indextargets --format '$(ORIGIN) $(LABEL) $(REPO_URI)' 'Created-By: Packages' 2>/dev/null |
		awk '$1 == "Debian" && $2 == "Debian" { print $3; exit }') || mirror=
	script=
	[ -e "/usr/share/debootstrap/scripts/$suite" ] || script=/usr/share/debootstrap/scripts/sid # older than the suite
	log=$cache/debootstrap.log
	echo "unpacking Debian's $suite into $debian, for its Python" >&2
	rm -rf "$debian"
	mkdir -p "$debian"
	# debootstrap leaves proc mounted: not in this namespace.
	if ! unshare --mount --propagation private debootstrap --variant=minbase --force-check-gpg \
		--include=python3,python3-venv,ca-certificates "$suite" "$debian" "${mirror:-}" $script >"$log" 2>&1; then
		tail -n 20 "$log" >&2
		return 1
	fi
	rm -rf "$debian"/var/cache/apt/archives/*.deb "$debian"/var/lib/apt/lists/* "$log"
	# The certificates that this machine trusts.
	local bundle=${SSL_CERT_FILE:-/etc/ssl/certs/ca-certificates.crt}
	[ ! -e "$bundle" ] || cp "$bundle" "$debian/etc/ssl/certs/ca-certificates.crt"
	touch "$debian/complete"
}

# install_inside RELEASE: as install_directly, in the unpacked Debian. bin/python is a script that enters it.
install_inside() {
	local into=$cache/homeassistant-$1
	unpack || return 1
	rm -rf "$into" "$debian/homeassistant-$1"
	echo "installing Home Assistant $1 from PyPI into $debian" >&2
	SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt PIP_CERT=/etc/ssl/certs/ca-certificates.crt PIP_FIND_LINKS= \
		install all "$1" inside python3 "/homeassistant-$1" || return 1
	rm -rf "$debian/root/.cache"
	mkdir -p "$into/bin"
	{
		echo '#!/usr/bin/env bash'
		echo "# Runs the Python of Home Assistant $1 in $debian."
		printf 'debian=%q\n' "$debian"
		declare -f inside | sed 's/^    unshare /    exec unshare /'
		printf 'inside %q "$@"\n' "/homeassistant-$1/bin/python"
	} >"$into/bin/python"
	chmod 755 "$into/bin/python"
	"$into/bin/python" -c 'import homeassistant.const' && touch "$into/wyoming" "$into/complete"
}

mkdir -p "$cache"
if command -v flock >/dev/null; then
	exec 9>"$cache/lock"
	flock 9
fi

# oldest
if ! ready $oldest; then
	if p=$(python 3,12,0 3,13,0); then
		(install_directly $oldest "$p") || skipped $oldest "see above"
	else
		skipped $oldest "there is no Python 3.12 with venv"
	fi
fi

# middle
if ! ready $middle; then
	if p=$(python 3,13,0 3,14,0); then
		(install_directly $middle "$p") || skipped $middle "see above"
	else
		skipped $middle "there is no Python 3.13 with venv"
	fi
fi

# newest
if ! ready $newest; then
	if p=$(python 3,14,2 3,15,0); then
		(install_directly $newest "$p") || skipped $newest "see above"
	else
		why=$(why_not_debian)
		[ -n "$why" ] || (install_inside $newest) || why="see above"
		[ -z "$why" ] || skipped $newest "$why"
	fi
fi

for release in $oldest $newest; do
	! ready $release || (speech $release) || echo "MISSING: speech in Home Assistant $release: see above" >&2
done
