package main

import (
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
	"testing/synctest"
)

// These tests are about the whole process, so no other test may run at the same time: they are not parallel.

func TestTuneRuntime(t *testing.T) {
	processors := runtime.GOMAXPROCS(0)
	percent := debug.SetGCPercent(100)
	limit := debug.SetMemoryLimit(-1)
	t.Cleanup(func() {
		debug.SetMemoryLimit(limit)
		runtime.GOMAXPROCS(processors)
		debug.SetGCPercent(percent)
	})
	for _, tt := range []struct {
		phones     int
		environ    []string
		processors int
		percent    int
		unlimited  bool // memory
	}{
		{phones: 1, processors: 1, percent: 100},
		{phones: fewPhones, processors: 1, percent: 100},
		{phones: fewPhones + 1, processors: 4, percent: 200},
		{phones: somePhones, processors: 4, percent: 200},
		{phones: somePhones + 1, processors: 4, percent: 130},
		{phones: manyPhones, processors: 4, percent: 130},
		{phones: manyPhones + 1, processors: 4, percent: 40, unlimited: true},
		{phones: 1, environ: []string{"GOMEMLIMIT=1GiB"}, processors: 1, percent: 100, unlimited: true},
		{phones: 1, environ: []string{"GOMAXPROCS=4"}, processors: 4, percent: 100},
		{phones: manyPhones, environ: []string{"GOGC=100"}, processors: 4, percent: 100},
		{phones: manyPhones + 1, environ: []string{"GOGC=100"}, processors: 4, percent: 100, unlimited: true},
	} {
		debug.SetMemoryLimit(limit)
		runtime.GOMAXPROCS(4)
		debug.SetGCPercent(100)
		(&program{environ: tt.environ}).tuneRuntime(tt.phones)
		if got := debug.SetMemoryLimit(-1); (got == limit) != tt.unlimited {
			t.Errorf("%d phones, %q: a limit of %d bytes", tt.phones, tt.environ, got)
		}
		if got := runtime.GOMAXPROCS(0); got != tt.processors {
			t.Errorf("%d phones, %q: %d processors, expected %d", tt.phones, tt.environ, got, tt.processors)
		}
		if got := debug.SetGCPercent(100); got != tt.percent {
			t.Errorf("%d phones, %q: garbage of %d %%, expected %d", tt.phones, tt.environ, got, tt.percent)
		}
	}
}

// Memory that the start needed is returned to the system, and the program goes on without it.
func TestReleaseMemory(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("skipped: pages are released, and counted, on Linux only")
	}
	before := filePages(t)
	synctest.Test(t, func(t *testing.T) { releaseMemory(t.Context()) })
	after := filePages(t)
	t.Logf("%d kB of the program in memory, then %d", before, after)
	if after > before*2/3 {
		t.Errorf("%d kB of the program are in memory after it, %d before; expected at most two thirds", after, before)
	}
}

// filePages is how much of this process in memory comes from files, in kB.
func filePages(t *testing.T) (kb int) {
	t.Helper()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(status), "RssFile:")
	if _, err := fmt.Sscan(after, &kb); err != nil {
		t.Fatal(err)
	}
	return kb
}
