#!/bin/sh
# After installation and after an update, by dpkg ("configure" and the old version), rpm (1 or 2 packages) or pacman (a
# version). The service is not started at first: it has no settings yet. One that runs is restarted.
set -e
[ -d /run/systemd/system ] || exit 0
systemctl daemon-reload
systemctl try-restart snom2mqtt.service
