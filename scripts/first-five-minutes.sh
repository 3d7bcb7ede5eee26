#!/usr/bin/env bash
# Installs the package in an empty Debian that runs systemd, follows "FIRST STEPS" of the manual page to the first command
# at a simulated phone, then updates, removes and purges the package, and looks at what is left.
#
#   first-five-minutes.sh PACKAGE.deb
#
# Needs root, and mosquitto_pub and mosquitto_sub outside. The Debian has namespaces of its own (processes, mounts, network):
# it reaches nothing, and ends with this script.
set -euo pipefail
cd "$(dirname "$0")/.."

package=$(realpath "${1:?usage: first-five-minutes.sh PACKAGE.deb}")
archive=$(scripts/clean-root.sh)
[ -n "$archive" ] || exit 3

say() { printf '%3ds %s\n' $SECONDS "$*" >&2; }
fail() {
	say "FAIL: $*"
	[ -z "${init:-}" ] || inside journalctl --no-pager -n 40 -p info _SYSTEMD_UNIT=snom2mqtt.service + UNIT=snom2mqtt.service >&2 || true
	exit 1
}
within() { # within SECONDS COMMAND...: repeats a command until it succeeds
	local end=$((SECONDS + $1))
	shift
	until "$@" >/dev/null 2>&1; do
		[ $SECONDS -lt $end ] || return 1
		sleep 0.2
	done
}

root=$(mktemp -d)
hierarchy=/sys/fs/cgroup
[ "$(stat -f -c %T $hierarchy)" = cgroup2fs ] || hierarchy=$hierarchy/unified
group=$hierarchy/snom2mqtt-test-$$
space= init=
finish() {
	local status=$?
	trap - EXIT
	# unshare waits with signals ignored; the end of its child is the end of every process there.
	[ -z "$space" ] || { kill -KILL ${init:-} "$space" && wait "$space"; } 2>/dev/null || true
	for _ in 1 2 3 4 5; do # groups of processes that are about to end
		find "$group" -mindepth 1 -depth -type d -exec rmdir {} + 2>/dev/null || true
		rmdir "$group" 2>/dev/null && break
		sleep 0.2
	done
	rm -rf "$root"
	exit $status
}
trap finish EXIT
trap 'exit 130' INT TERM

# --- an empty Debian

tar -C "$root" -xf "$archive"
chmod 755 "$root" # it is the root directory of other users
cp "$package" "$root/root/snom2mqtt.deb"
: >"$root/etc/machine-id"
mkdir "$group" || fail "there is no hierarchy of control groups that this process may use"
# shellcheck disable=SC2016 # expanded by the inner shells
sh -euc 'echo $$ >"$0/cgroup.procs"; exec "$@"' "$group" \
	unshare --pid --mount --uts --ipc --net --cgroup --fork --kill-child --propagation private sh -euc '
		ip link set lo up
		mount --bind "$0" "$0"
		cd "$0"
		mount -t proc proc proc
		mount -t sysfs -o ro sysfs sys
		mount -t cgroup2 cgroup2 sys/fs/cgroup
		mount -t tmpfs tmpfs run
		mount -t tmpfs -o mode=1777 tmpfs tmp
		mount -t tmpfs -o mode=755 tmpfs dev
		for device in null zero full random urandom tty; do : >dev/$device; mount --bind /dev/$device dev/$device; done
		ln -s /proc/self/fd dev/fd
		ln -s pts/ptmx dev/ptmx
		mkdir outside
		pivot_root . outside
		umount -l outside
		exec env -i container=snom2mqtt-test PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd --system --show-status=no
	' "$root" >"$root/root/boot.log" 2>&1 &
space=$!
find_init() {
	local child
	child=$(cut -d ' ' -f 1 "/proc/$space/task/$space/children")
	[ "$(cat "/proc/$child/comm")" = systemd ] && init=$child
}
end=$((SECONDS + 60))
until find_init 2>/dev/null; do
	{ [ $SECONDS -lt $end ] && kill -0 "$space" 2>/dev/null; } || { cat "$root/root/boot.log" >&2; fail "systemd does not start"; }
	sleep 0.1
done
inside() { nsenter -t "$init" --pid --mount --uts --ipc --net --cgroup --root --wd env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin "$@"; }
client() { nsenter -t "$init" --net "$@"; }
running() { case "$(inside systemctl is-system-running)" in running | degraded) ;; *) return 1 ;; esac }
within 120 running || fail "systemd does not come up"
say "an empty Debian $(cat "$root/etc/debian_version") runs"

# --- a person with the package, --help and the manual page
begin=$SECONDS

inside dpkg -i /root/snom2mqtt.deb >&2
inside snom2mqtt --help >/dev/null
inside snom2mqtt version >&2
[ -s "$root/usr/share/man/man1/snom2mqtt.1.gz" ] || fail "no manual page"
gzip -dc "$root/usr/share/man/man1/snom2mqtt.1.gz" >"$root/root/page"
# The lines of the page, as a person types them; `shown` has what a terminal would show.
page() { sed -n '/^\.SH FIRST STEPS/,/^\.SH COMMANDS/{s/^  //p}' "$root/root/page" | sed -e 's/\\-/-/g' -e "s/\\\\(aq/'/g" -e 's/\\e/\\/g'; }
step() { # step TEXT: the line of the page that begins with it
	local line
	line=$(page | grep -F -- "$1" | head -n 1)
	[ -n "$line" ] || fail "the manual page has no line $1"
	say "# $line"
	printf '%s\n' "$line"
}
type_in() { local line; line=$(step "$1"); inside sh -ec "$line" >&2 || fail "$line"; }

simulated=$(step "snom2mqtt simulate")
inside sh -ec "${simulated%&}" >"$root/root/phone.log" 2>"$root/root/phone.err" &
within 30 grep -q '^kitchen ' "$root/root/phone.err" || fail "the simulated phone does not start"
type_in "echo SNOM2MQTT_BROKER_LISTEN"
type_in "echo SNOM2MQTT_PHONE_0_NAME"
type_in "echo SNOM2MQTT_PHONE_0_URL"
type_in "(set -a;"
inside systemd-analyze verify --man=no /usr/lib/systemd/system/snom2mqtt.service >&2 || fail "systemd-analyze verify"
type_in "systemctl enable --now"
healthy=$(step "snom2mqtt healthcheck")
within 30 inside sh -ec "$healthy" || fail "it is not healthy"
result=$(mktemp)
listen=$(step mosquitto_sub)
client sh -ec "exec ${listen%&}" >"$result" 2>&1 &
listener=$!
within 30 grep -q '^snom/bridge/state online' "$result" || fail "the bridge is not online"
command=$(step mosquitto_pub)
client sh -ec "$command"
within 30 grep -q '^snom/kitchen/result .*"code":"ok"' "$result" || { cat "$result" >&2; fail "no result that is ok"; }
grep -q '"executed":true' "$root/root/phone.log" || fail "the phone did nothing"
kill "$listener"
rm -f "$result"
took=$((SECONDS - begin))
say "bridge and phone work after $took s"
[ $took -lt 300 ] || fail "that is more than five minutes"

# --- update, reload, stop, removal

inside dpkg -i /root/snom2mqtt.deb >&2
within 30 inside snom2mqtt healthcheck || fail "it does not run after an update"
grep -q '^SNOM2MQTT_BROKER_LISTEN=' "$root/etc/snom2mqtt/environment" || fail "an update replaces the settings"
inside systemctl reload snom2mqtt || fail "it cannot be reloaded"
[ "$(stat -c '%a %U' "$root/etc/snom2mqtt/environment")" = "600 root" ] || fail "others can read /etc/snom2mqtt/environment"
inside dpkg -r snom2mqtt >&2
! inside systemctl is-active snom2mqtt >&2 || fail "it still runs after removal"
[ -e "$root/etc/snom2mqtt/environment" ] || fail "removal deletes the settings"
[ ! -e "$root/usr/bin/snom2mqtt" ] || fail "removal keeps the program"
inside dpkg -P snom2mqtt >&2
# Root's own folder is the one of this script.
left=$(find "$root" -xdev -path "$root/root" -prune -o -path "$root/var/log" -prune -o -name '*snom2mqtt*' -print)
[ -z "$left" ] || fail "left after purge: $left"
say "removed"
