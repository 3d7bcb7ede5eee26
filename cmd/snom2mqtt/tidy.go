package main

import (
	"context"
	"runtime/debug"
	"slices"
	"strings"
	"time"
)

// manyPhones are so many that what is kept of them is most of the memory there is.
const manyPhones = 2000

// frugal has Go collect garbage when it is half as much as what is kept, rather than as much, where that saves
// tens of MiB. Whoever sets GOGC knows better.
func (p *program) frugal(phones int) {
	if phones > manyPhones && !slices.ContainsFunc(p.environ, func(e string) bool { return strings.HasPrefix(e, "GOGC=") }) {
		debug.SetGCPercent(50)
	}
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
		leaveCode()
	case <-ctx.Done():
	}
}
