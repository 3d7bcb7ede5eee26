#!/usr/bin/env bash
# Runs the bridge against every broker that docs/brokers.md speaks of: `make test-brokers`. RabbitMQ and NATS are
# installed through apt-get where that may be. The brokers run as processes of the tests, on ports and in folders of
# their own, and end with them; one that runs on this machine already is not touched.
set -euo pipefail
cd "$(dirname "$0")/.."

packages=()
PATH=$PATH:/usr/sbin command -v nats-server >/dev/null || packages+=(nats-server)
scripts/tools.sh "${packages[@]}"
go test -v -count=1 -timeout 30m -run '^TestBrokers' ./e2e -brokers
