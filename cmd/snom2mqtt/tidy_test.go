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

// These tests are about the whole process, so nothing may run beside them: they are not parallel.

func TestSuit(t *testing.T) {
	processors := runtime.GOMAXPROCS(0)
	percent := debug.SetGCPercent(100)
	t.Cleanup(func() {
		runtime.GOMAXPROCS(processors)
		debug.SetGCPercent(percent)
	})
	for _, tt := range []struct {
		phones     int
		environ    []string
		processors int
		percent    int
	}{
		{phones: 1, processors: 1, percent: 100},
		{phones: fewPhones, processors: 1, percent: 100},
		{phones: fewPhones + 1, processors: 4, percent: 150},
		{phones: manyPhones, processors: 4, percent: 150},
		{phones: manyPhones + 1, processors: 4, percent: 50},
		{phones: 1, environ: []string{"GOMAXPROCS=4"}, processors: 4, percent: 100},
		{phones: manyPhones, environ: []string{"GOGC=100"}, processors: 4, percent: 100},
		{phones: manyPhones + 1, environ: []string{"GOGC=100"}, processors: 4, percent: 100},
	} {
		runtime.GOMAXPROCS(4)
		debug.SetGCPercent(100)
		(&program{environ: tt.environ}).suit(tt.phones)
		if got := runtime.GOMAXPROCS(0); got != tt.processors {
			t.Errorf("%d phones, %q: %d processors, want %d", tt.phones, tt.environ, got, tt.processors)
		}
		if got := debug.SetGCPercent(100); got != tt.percent {
			t.Errorf("%d phones, %q: garbage of %d %%, want %d", tt.phones, tt.environ, got, tt.percent)
		}
	}
}

// What the start needed is given back, and the program goes on without.
func TestTidy(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("skipped: only Linux is asked to forget pages, and tells how many there are")
	}
	before := filePages(t)
	synctest.Test(t, func(t *testing.T) { tidy(t.Context()) })
	after := filePages(t)
	t.Logf("%d kB of the program in memory, then %d", before, after)
	if after > before*2/3 {
		t.Errorf("%d kB of the program are in memory after it, %d before; want at most two thirds", after, before)
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
