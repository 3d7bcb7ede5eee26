package main

import (
	"fmt"
	"os"
	"reflect"
	"strings"
	"syscall"
)

// leavePages has the kernel forget which pages of the program's file this process has used: code, constants, and the
// tables of Go's runtime. What is used again comes from the kernel's cache of the file, at the cost of a page fault.
//
// It concerns nothing that can be written, and nothing that was written before it became read-only, as a loader does
// with addresses. So what goes wrong is of no concern either.
func leavePages() {
	all := mappings()
	here := reflect.ValueOf(leavePages).Pointer()
	var program string // the file
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
	file     string // or what else it is; empty: only memory
	written  int    // kB that are not what the file has
}

// mappings reads those of this process (proc(5), /proc/pid/smaps): for each a line that names it, and then lines of what
// is in memory. Where it cannot be read there are none.
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
