package main

import (
	"context"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"time"
)

const (
	// fewPhones are so few that their commands come one at a time. A command passes through many hands, and when
	// each is on another processor, most of its time is spent in waking that (make bench).
	fewPhones = 16
	// manyPhones are so many that what is kept of them is most of the memory there is.
	manyPhones = 2000
)

// suit has Go use one processor for few phones, and collect garbage when it is half as much again as what is kept, rather
// than as much, or for many phones half as much, which saves tens of MiB. Whoever sets GOMAXPROCS or GOGC knows better.
func (p *program) suit(phones int) {
	if phones <= fewPhones && !p.isSet("GOMAXPROCS") {
		runtime.GOMAXPROCS(1)
	}
	if p.isSet("GOGC") {
		return
	}
	switch {
	case phones > manyPhones:
		debug.SetGCPercent(50)
	case phones > fewPhones:
		debug.SetGCPercent(150)
	}
}

// isSet reports whether a variable is in the environment.
func (p *program) isSet(name string) bool {
	return slices.ContainsFunc(p.environ, func(e string) bool { return strings.HasPrefix(e, name+"=") })
}

// startOver is when what the start needed is not needed any more.
const startOver = 5 * time.Second

// tidy gives the memory back that only the start needed. Ten thousand phones are read from a file that takes many
// times what is kept of them; and with one phone, most of the memory that people see in their tools is pages of the
// program that ran once.
func tidy(ctx context.Context) {
	select {
	case <-time.After(startOver):
		debug.FreeOSMemory()
		leavePages()
	case <-ctx.Done():
	}
}
