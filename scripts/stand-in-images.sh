#!/usr/bin/env bash
# Makes stand-ins for images of registries, of what is installed here, in the Docker daemon of DOCKER_HOST:
#
#   stand-in-images.sh go=NAME          a shell, certificates, the Go toolchain, and the modules, so that no network is needed
#   stand-in-images.sh mosquitto=NAME   Mosquitto with its clients, started as its own image starts it
set -euo pipefail
cd "$(dirname "$0")/.."
PATH=$PATH:/usr/sbin

root=$(mktemp -d)
trap 'chmod -R u+w "$root"; rm -rf "$root"' EXIT

# program PATH [AS]: a program with the libraries that it loads.
program() {
	install -D "$(readlink -f "$1")" "$root/${2:-bin/$(basename "$1")}"
	{ ldd "$1" || true; } | grep -o '/[^ ]*' | while read -r lib; do install -D "$(readlink -f "$lib")" "$root$lib"; done
}

go_image() {
	mkdir -p "$root"/{bin,tmp,etc/ssl/certs,usr/local/go}
	tar -c -C "$(go env GOROOT)" --exclude=src/cmd --exclude='*_test.go' --exclude=testdata bin lib pkg src go.env VERSION |
		tar -x -C "$root/usr/local/go"
	program /bin/sh
	program "$(command -v mkdir)"
	install -m 644 "${SSL_CERT_FILE:-/etc/ssl/certs/ca-certificates.crt}" "$root/etc/ssl/certs/ca-certificates.crt"
	GOPROXY="file://$(go env GOMODCACHE)/cache/download,$(go env GOPROXY)" \
		GOMODCACHE=$root/go/pkg/mod GOFLAGS=-modcacherw go mod download
	tar -c -C "$root" . | docker import --change 'ENV PATH=/usr/local/go/bin:/bin GOPATH=/go GOTOOLCHAIN=local' - "$1"
}

mosquitto_image() {
	mkdir -p "$root"/{etc,tmp,mosquitto/config,mosquitto/data,mosquitto/log}
	echo 'mosquitto:x:1883:1883::/:/bin/sh' >"$root/etc/passwd"
	echo 'mosquitto:x:1883:' >"$root/etc/group"
	local one
	for one in sh mosquitto mosquitto_pub mosquitto_sub mosquitto_passwd; do program "$(command -v $one)"; done
	chown -R 1883:1883 "$root/mosquitto"
	tar -c -C "$root" . | docker import --change 'ENV PATH=/bin' --change 'VOLUME ["/mosquitto/data", "/mosquitto/log"]' \
		--change 'CMD ["/bin/mosquitto", "-c", "/mosquitto/config/mosquitto.conf"]' - "$1"
}

for wish in "$@"; do
	"${wish%%=*}_image" "${wish#*=}" >/dev/null
	chmod -R u+w "$root"
	find "$root" -mindepth 1 -delete
done
