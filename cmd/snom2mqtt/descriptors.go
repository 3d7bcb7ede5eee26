package main

import "github.com/snom2mqtt/snom2mqtt/internal/netlimit"

// listenerShare returns how many connections each of the three listeners (console, action server, embedded broker) may
// have open, 0 where the system has no limit: together at most half of the descriptors of the process. The other half is
// kept back for the phones, the broker, and files.
func listenerShare() int {
	all := netlimit.Descriptors()
	if all == 0 {
		return 0
	}
	return max(all/6, 4)
}
