#!/bin/sh
# After removal. dpkg's purge, and no other, deletes what the service has kept.
set -e
if [ "$1" = purge ]; then
	rm -rf /var/lib/private/snom2mqtt
	rm -f /var/lib/snom2mqtt # a link of systemd's
	rm -rf /etc/snom2mqtt
fi
[ ! -d /run/systemd/system ] || systemctl daemon-reload
