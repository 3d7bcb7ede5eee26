package main

import (
	"context"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/snom2mqtt/snom2mqtt/broker"
)

const (
	// fewPhones are so few that their commands come one at a time. A command passes through several goroutines, and when
	// each is on another processor, most of its time is spent waking that up (make bench).
	fewPhones = 16
	// somePhones are so many that the memory that garbage takes counts, too, and not only the time to collect it.
	somePhones = 500
	// manyPhones are so many that their data is most of the memory in use.
	manyPhones = 2000
	// softLimitFew and softLimit are how much memory Go uses with few and with up to manyPhones before it collects garbage
	// more often. A bridge needs a third of that; under attack, garbage would otherwise double what the bounds of queues
	// and buffers allow.
	softLimitFew = 48 << 20
	softLimit    = 96 << 20
)

// tuneRuntime sets how Go uses processors and memory for a number of phones: one processor for few of them; garbage is
// collected when the heap has grown to three times its size, for more phones to 2.3 times, or for many phones to 1.4
// times, which saves tens of MiB. GOMAXPROCS, GOGC and GOMEMLIMIT in the environment take precedence.
func (p *program) tuneRuntime(phones int) {
	if phones <= fewPhones && !p.isSet("GOMAXPROCS") {
		runtime.GOMAXPROCS(1)
	}
	switch {
	case p.isSet("GOMEMLIMIT") || phones > manyPhones:
	case phones > fewPhones:
		debug.SetMemoryLimit(softLimit)
	default:
		debug.SetMemoryLimit(softLimitFew)
	}
	if p.isSet("GOGC") {
		return
	}
	switch {
	case phones > manyPhones:
		debug.SetGCPercent(40)
	case phones > somePhones:
		debug.SetGCPercent(130)
	case phones > fewPhones:
		debug.SetGCPercent(200)
	}
}

// isSet reports whether a variable is in the environment.
func (p *program) isSet(name string) bool {
	return slices.ContainsFunc(p.environ, func(e string) bool { return strings.HasPrefix(e, name+"=") })
}

// startupGrace is the time after which memory that only the start needed is released.
const startupGrace = 7 * time.Second

// releaseMemory returns memory to the system that only the start needed. A phones file with ten thousand phones takes many
// times the memory of what is kept of it; and with one phone, most of the resident memory that tools show is pages of the
// program that ran once.
func releaseMemory(ctx context.Context) {
	select {
	case <-time.After(startupGrace):
		broker.ReleaseTestData()
		debug.FreeOSMemory()
		releasePages()
	case <-ctx.Done():
	}
}
