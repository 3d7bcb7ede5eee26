package main

import (
	"sync"
	"time"
)

// epoch is when the clock began.
var epoch = sync.OnceValue(time.Now)

// now is the time in nanoseconds on the one clock of all measurements. It never goes back.
func now() int64 { return int64(time.Since(epoch())) }
