#!/usr/bin/env bash
# Sees to it that what the tests need besides Go is here: Mosquitto with its clients, RabbitMQ, Node.js with npm,
# chromium, systemd-analyze, AppArmor's parser, strace, and a C compiler, without which Go has no race detector. What is missing it
# installs through apt-get, as root or by a sudo that asks for no password. Where it cannot, it says so and why, and leaves it at that.
# No service of what it installs is started. Its arguments are further packages to install.
set -euo pipefail

# Debian keeps the broker where only root's PATH leads.
PATH=$PATH:/usr/sbin
has() { command -v "$1" >/dev/null; }

packages=("$@")
has mosquitto || packages+=(mosquitto)
has mosquitto_pub && has mosquitto_sub || packages+=(mosquitto-clients)
[ -x /usr/lib/rabbitmq/bin/rabbitmq-server ] || packages+=(rabbitmq-server)
has node && has npm || packages+=(nodejs npm)
has systemd-analyze || packages+=(systemd)
has chromium || packages+=(chromium)
if [ "$(uname)" = Linux ]; then
	has apparmor_parser || packages+=(apparmor)
	has strace || packages+=(strace)
fi
has "$(go env CC)" || packages+=(gcc libc6-dev)
[ ${#packages[@]} -gt 0 ] || exit 0

missing() {
	echo "MISSING: ${packages[*]}, and cannot be installed: $1" >&2
	exit 0
}
root=()
has apt-get || missing "there is no apt-get"
if [ "$(id -u)" != 0 ]; then
	has sudo && sudo -n true 2>/dev/null || missing "this is not root, and sudo requires a password or is not there"
	root=(sudo -n)
fi
echo "installing ${packages[*]}" >&2
log=$(mktemp)
trap 'rm -f "$log"' EXIT
policy=/usr/sbin/policy-rc.d # asked by every package before it starts its service
if [ ! -e $policy ]; then
	trap 'rm -f "$log"; "${root[@]}" rm -f $policy' EXIT
	printf '#!/bin/sh\nexit 101\n' | "${root[@]}" tee $policy >/dev/null
	"${root[@]}" chmod 755 $policy
fi
if ! "${root[@]}" apt-get update >"$log" 2>&1 ||
	! "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "${packages[@]}" >>"$log" 2>&1; then
	tail -n 20 "$log" >&2
	missing "apt-get says why above"
fi
