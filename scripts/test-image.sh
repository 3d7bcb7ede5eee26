#!/usr/bin/env bash
# Builds the image for real and runs it against a Mosquitto: `make test-image`.
#
# Wants Linux, go, mosquitto with its clients, and docker. Where no docker daemon answers it starts one
# of its own (as root), which needs neither bridge nor iptables. It asks no image registry: unless
# GO_IMAGE names the build image, one is made of the Go toolchain of this machine.
set -euo pipefail # hence no grep -q behind a pipe: what it cuts off while it writes has failed
cd "$(dirname "$0")/.."

say() { printf '%3ds %s\n' $SECONDS "$*" >&2; }
fail() { say "FAIL: $*"; exit 1; }

for tool in go docker mosquitto mosquitto_passwd mosquitto_pub mosquitto_sub; do
	command -v "$tool" >/dev/null || fail "$tool is not installed (Debian: docker.io mosquitto mosquitto-clients)"
done

tmp=$(mktemp -d)
image=snom2mqtt-test-$$ # begins the name of every image and container of this run
started=()              # the processes of this run, the daemon first

finish() {
	local status=$? i
	trap - EXIT
	if [ $status -ne 0 ]; then
		docker logs "$image-bridge" >"$tmp/bridge.log" 2>&1 || true
		tail -n 20 "$tmp"/*.log >&2 || true
	fi
	docker rm -f "$image-bridge" "$image-phone" >/dev/null 2>&1 || true
	docker image rm -f "$image" "$image-arm64" "$image-armv7" "$image-go" >/dev/null 2>&1 || true
	for ((i = ${#started[@]} - 1; i >= 0; i--)); do
		kill "${started[i]}" 2>/dev/null || true
		wait "${started[i]}" 2>/dev/null || true
	done
	umount "$tmp"/exec/netns/* 2>/dev/null || true # what the daemon of this script leaves of host networking
	rm -rf "$tmp"
	exit $status
}
trap finish EXIT
trap 'exit 130' INT TERM

# within SECONDS COMMAND...: repeats the command until it succeeds.
within() {
	local end=$((SECONDS + $1))
	shift
	until "$@" >/dev/null 2>&1; do
		[ $SECONDS -lt $end ] || return 1
		sleep 0.2
	done
}

free_port() {
	local port
	while port=$((20000 + RANDOM % 12000)) && (: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do :; done
	echo $port
}

# --- the docker daemon

if ! docker info >/dev/null 2>&1; then
	say "no docker daemon answers: starting one"
	export DOCKER_HOST=unix://$tmp/docker.sock
	dockerd ${STORAGE_DRIVER:+--storage-driver "$STORAGE_DRIVER"} --iptables=false --bridge=none --log-level=warn \
		--data-root "$tmp/data" --exec-root "$tmp/exec" --pidfile "$tmp/docker.pid" \
		-H "$DOCKER_HOST" >"$tmp/dockerd.log" 2>&1 &
	started+=($!)
	within 30 docker info || fail "dockerd does not come up"
fi

# --- the build image

if [ -z "${GO_IMAGE:-}" ]; then
	say "making the build image of $(go version)"
	GO_IMAGE=$image-go
	scripts/stand-in-images.sh "go=$GO_IMAGE"
fi

# --- the image, for three processors

# build NAME [ARG...] builds the image and copies the program and the list of files out of it.
build() {
	local name=$1 id
	shift
	say "building $name $*"
	docker build --build-arg "GO_IMAGE=$GO_IMAGE" --build-arg VERSION=0.0.0-test "$@" -t "$name" . >"$tmp/build.log" 2>&1
	id=$(docker create "$name")
	docker cp "$id:/snom2mqtt" - | tar -x -C "$tmp"
	docker export "$id" | tar -t >"$tmp/files"
	docker rm "$id" >/dev/null
}
built_with() { go version -m "$tmp/snom2mqtt" | grep -E "build\s+$1$" >/dev/null || fail "the program is not built with $1"; }

build "$image-arm64" --build-arg TARGETARCH=arm64
built_with GOARCH=arm64
build "$image-armv7" --build-arg TARGETARCH=arm --build-arg TARGETVARIANT=v7
built_with GOARCH=arm
built_with GOARM=7
build "$image"
built_with CGO_ENABLED=0
built_with -trimpath=true

# Folders, and what docker itself puts into every container, do not count.
files=$(grep -vE '/$|^(\.dockerenv|dev/console|etc/(hostname|hosts|mtab|resolv\.conf))$' "$tmp/files" | sort | xargs)
[ "$files" = "etc/ssl/certs/ca-certificates.crt licenses/LICENSE licenses/THIRD_PARTY_LICENSES.txt snom2mqtt" ] || fail "not an empty base: $files"
size=$(docker image inspect -f '{{.Size}}' "$image")
[ "$size" -lt 30000000 ] || fail "the image has $size bytes"
say "the image has $((size / 1000)) kB: the program, the certificates and the licences"
docker run --rm --network=none "$image" version | grep 0.0.0-test >/dev/null || fail "the program does not know its version"

# --- a Mosquitto, as the examples set it up, with passwords

mqtt=$(free_port)
mosquitto_passwd -b -c "$tmp/passwords" snom2mqtt bridge-secret
mosquitto_passwd -b "$tmp/passwords" automation automation-secret
install -m 644 examples/mosquitto/acl "$tmp/acl"
chmod 755 "$tmp" # mosquitto is a user of its own
chmod 644 "$tmp/passwords"
install -d -m 777 "$tmp/retained"
sed -e "s|^listener .*|listener $mqtt 127.0.0.1|" -e 's|^allow_anonymous true|allow_anonymous false|' \
	-e "s|^#\(.*_file\) /mosquitto/config/|\1 $tmp/|" -e "s|/mosquitto/data/|$tmp/retained/|" examples/mosquitto/mosquitto.conf >"$tmp/mosquitto.conf"
mosquitto -c "$tmp/mosquitto.conf" >"$tmp/mosquitto.log" 2>&1 &
started+=($!)
automation=(-h 127.0.0.1 -p "$mqtt" -u automation -P automation-secret)
within 10 mosquitto_pub "${automation[@]}" -t nowhere -n || fail "mosquitto does not come up"

# --- a simulated phone and the bridge, each in a container

phone=$(free_port) console=$(free_port)
hard=(--network=host --read-only --cap-drop=ALL --security-opt=no-new-privileges)
docker run -d --name "$image-phone" "${hard[@]}" --no-healthcheck "$image" \
	simulate --listen "127.0.0.1:$phone" --auth digest --username admin --password phone-secret >/dev/null
docker run -d --name "$image-bridge" "${hard[@]}" --health-interval=1s \
	-e SNOM2MQTT_MQTT_URL="tcp://127.0.0.1:$mqtt" \
	-e SNOM2MQTT_MQTT_USERNAME=snom2mqtt -e SNOM2MQTT_MQTT_PASSWORD=bridge-secret \
	-e SNOM2MQTT_CONSOLE_LISTEN="127.0.0.1:$console" \
	-e SNOM2MQTT_PHONE_0_NAME=kitchen -e SNOM2MQTT_PHONE_0_URL="http://127.0.0.1:$phone" \
	-e SNOM2MQTT_PHONE_0_USERNAME=admin -e SNOM2MQTT_PHONE_0_PASSWORD=phone-secret \
	"$image" >/dev/null

state() { mosquitto_sub "${automation[@]}" -t snom/bridge/state -C 1 -W 2; }
healthy() { [ "$(docker inspect -f '{{.State.Health.Status}}' "$image-bridge")" = healthy ]; }
is_state() { [ "$(state)" = "$1" ]; }
within 20 is_state online || fail "the bridge is not online"
within 20 healthy || fail "HEALTHCHECK says $(docker inspect -f '{{json .State.Health}}' "$image-bridge")"
docker top "$image-bridge" -eo uid,pid,args | grep -E '^ *65532 +[0-9]+ +/snom2mqtt' >/dev/null || fail "the bridge does not run as user 65532"
say "the bridge is online, healthy, and runs as user 65532"

stdbuf -oL mosquitto_sub "${automation[@]}" -d -t snom/kitchen/result -C 1 -W 10 >"$tmp/result.log" 2>&1 &
subscriber=$!
started+=("$subscriber")
within 10 grep -q Subscribed "$tmp/result.log" || fail "no subscription"
mosquitto_pub "${automation[@]}" -q 1 -t snom/kitchen/result -m forged # the ACL must hold it back
mosquitto_pub "${automation[@]}" -q 1 -t snom/kitchen/dial -m '{"id":"image","number":"+4930123"}'
wait "$subscriber" || fail "no result came"
grep -q '^{.*"id":"image".*"code":"ok"' "$tmp/result.log" || fail "the result is not ok"
docker logs "$image-phone" 2>/dev/null | grep -F '/command.htm?number=%2B4930123"' >/dev/null || fail "the phone was not asked to dial"
say "a command reached the phone, and its result came back"

docker stop "$image-bridge" >/dev/null
status=$(docker inspect -f '{{.State.ExitCode}}' "$image-bridge")
[ "$status" = 0 ] || fail "the bridge ended with exit code $status"
within 5 is_state offline || fail "the bridge did not say offline"
say "the bridge said offline and ended with exit code 0"
