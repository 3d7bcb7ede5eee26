package main

import (
	"fmt"
	"os"
	"reflect"
	"strings"
	"syscall"
)

// releasePages tells the kernel that this process does not need the pages of the program's file that it has used: code,
// constants, and the tables of Go's runtime. What is used again comes from the kernel's page cache, at the cost of a fault.
//
// Only mappings that cannot be written and never were are affected (a loader writes addresses before it makes a mapping
// read-only), so errors do no harm.
func releasePages() {
	all := mappings()
	here := reflect.ValueOf(releasePages).Pointer()
	var program string // path of its file
	for _, m := range all {
		if m.from <= here && here < m.to {
			program = m.file
		}
	}
	for _, m := range all {
		if m.file == program && strings.HasPrefix(m.rights, "r-") && m.written == 0 {
			_, _, _ = syscall.Syscall(syscall.SYS_MADVISE, m.from, m.to-m.from, syscall.MADV_DONTNEED)
		}
	}
}

// A mapping is a part of the address space.
type mapping struct {
	from, to uintptr
	rights   string // r, w, x and p or s, each in its place or -
	file     string // or a name in brackets; empty: anonymous memory
	written  int    // kB that differ from the file
}

// mappings returns the mappings of this process (proc(5), /proc/pid/smaps), or none where they cannot be read. A header
// line of each is followed by lines of what is in memory.
func mappings() (all []mapping) {
	smaps, err := os.ReadFile("/proc/self/smaps")
	if err != nil {
		return nil
	}
	for line := range strings.Lines(string(smaps)) {
		var m mapping
		if n, _ := fmt.Sscanf(line, "%x-%x %s", &m.from, &m.to, &m.rights); n == 3 {
			if f := strings.Fields(line); len(f) > 5 {
				m.file = strings.Join(f[5:], " ")
			}
			all = append(all, m)
		} else if len(all) > 0 {
			_, _ = fmt.Sscanf(line, "Anonymous: %d kB", &all[len(all)-1].written) // most lines say something else
		}
	}
	return all
}
