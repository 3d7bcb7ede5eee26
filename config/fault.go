package config

import (
	"fmt"
	"strings"
)

// A Fault is one thing wrong with the settings.
type Fault struct {
	Where string // the variable's name, or file:line:column and the key
	What  string // what is wrong and what is expected; never the value itself
}

// Error returns where and what.
func (f Fault) Error() string { return f.Where + ": " + f.What }

// An Error is every fault that was found: unknown names, the bridge's settings, the numbered phones, the
// phones file.
type Error struct{ Faults []Fault }

// maxFaultText is how many bytes of faults an [Error] lists: what a pipe takes before it is read, and some lines beside it.
const maxFaultText = 60_000

// Error returns one line for each fault below a first line, and for those beyond maxFaultText how many there are.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString("configuration:")
	for i, f := range e.Faults {
		line := "\n" + f.Error()
		if b.Len()+len(line) > maxFaultText && i > 0 {
			fmt.Fprintf(&b, "\nand %d more faults", len(e.Faults)-i)
			break
		}
		b.WriteString(line)
	}
	return b.String()
}

// Unwrap returns the faults.
func (e *Error) Unwrap() []error {
	errs := make([]error, len(e.Faults))
	for i, f := range e.Faults {
		errs[i] = f
	}
	return errs
}

// faults collects what is wrong, each fault once: a list may have three parts with the same one.
type faults struct{ list []Fault }

func (f *faults) add(where, format string, args ...any) {
	fault := Fault{where, fmt.Sprintf(format, args...)}
	if len(f.list) == 0 || f.list[len(f.list)-1] != fault {
		f.list = append(f.list, fault)
	}
}

// err returns what was collected as an *Error, or nil.
func (f *faults) err() error {
	if len(f.list) == 0 {
		return nil
	}
	return &Error{f.list}
}

// nearest returns the known name that name was probably meant to be, or "" when none is near: at most a
// third of the letters differ, or name is how a single known name begins.
func nearest(name string, known []string) string {
	best, least := "", len(name)/3+1
	if len(name) > 64 {
		return "" // no name of a setting, and long to compare
	}
	for _, k := range known {
		if d := distance(name, k); d < least {
			best, least = k, d
		}
	}
	if best != "" || len(name) < 3 {
		return best
	}
	for _, k := range known {
		switch {
		case !strings.HasPrefix(k, name):
		case best != "":
			return ""
		default:
			best = k
		}
	}
	return best
}

// distance counts the letters to insert, remove, replace or swap with their neighbour to make b of a.
func distance(a, b string) int {
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := range len(a) {
		row[0] = i + 1
		for j := range len(b) {
			change := 1
			if a[i] == b[j] {
				change = 0
			}
			row[j+1] = min(last[j+1]+1, row[j]+1, last[j]+change)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}
