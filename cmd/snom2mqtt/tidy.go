package main

import (
	"context"
	"runtime/debug"
	"time"
)

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
