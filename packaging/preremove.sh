#!/bin/sh
# Before removal and, by dpkg and rpm, also before an update, which keeps the service running until the new files are there.
set -e
case "$1" in
upgrade | 1) exit 0 ;;
esac
[ -d /run/systemd/system ] || exit 0
systemctl disable --now snom2mqtt.service
