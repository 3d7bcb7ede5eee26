package main

import (
	"bytes"
	"context"
	"regexp"
	"slices"
	"testing"

	"github.com/snom2mqtt/snom2mqtt/snom/snomtest"
)

func TestEveryFaultIsExplained(t *testing.T) {
	t.Parallel()
	var explained []string
	for _, r := range faultRows() {
		explained = append(explained, r[0])
	}
	slices.Sort(explained)
	if want := snomtest.FaultNames(); !slices.Equal(explained, want) {
		t.Errorf("the help explains %q, want %q", explained, want)
	}
}

// lastWord ends a run when pattern was written to it.
type lastWord struct {
	bytes.Buffer
	pattern *regexp.Regexp
	end     context.CancelFunc
}

func (w *lastWord) Write(b []byte) (int, error) {
	n, err := w.Buffer.Write(b)
	if w.pattern.Match(w.Bytes()) {
		w.end()
	}
	return n, err
}

func TestSimulateSeveral(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), waitLimit)
	defer cancel()
	said := &lastWord{pattern: regexp.MustCompile(`(?m)^desk-1 http://127\.0\.0\.1:\d+\ndesk-2 http://127\.0\.0\.1:\d+\n$`), end: cancel}
	var out bytes.Buffer
	code := run(ctx, []string{"simulate", "--listen", "127.0.0.1:0", "--count", "2", "--name", "desk"}, nil, &out, said)
	if code != exitDone || out.Len() > 0 || !said.pattern.Match(said.Bytes()) {
		t.Errorf("exit code %d, %q, %q; want 0, nothing, and two addresses", code, &out, &said.Buffer)
	}
}
