package main

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// A fullPipe is a pipe that is full: writes to it wait until it is opened.
type fullPipe struct {
	open chan struct{}
	mu   sync.Mutex
	bytes.Buffer
}

func (p *fullPipe) Write(b []byte) (int, error) {
	<-p.open
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.Buffer.Write(b)
}

func (p *fullPipe) String() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.Buffer.String()
}

// Lines of a log that is not read are dropped and counted, without a wait; when it is read again, their number is logged.
func TestSpoolerDropsAndCounts(t *testing.T) {
	t.Parallel()
	for _, format := range []string{"text", "json"} {
		synctest.Test(t, func(t *testing.T) {
			pipe := &fullPipe{open: make(chan struct{})}
			s := newSpooler(pipe)
			log := s.logger(format, slog.LevelInfo)
			start := time.Now()
			const lines = 10_000
			for i := range lines {
				log.Info("line", slog.String("id", fmt.Sprintf("%05d", i)), slog.String("err", strings.Repeat("x", 100)))
			}
			if took := time.Since(start); took > 0 {
				t.Errorf("logging took %v, expected no time", took)
			}
			dropped := s.droppedWrites()
			if dropped == 0 || len(s.waiting) > maxUnwritten {
				t.Fatalf("%d lines dropped, %d bytes wait", dropped, len(s.waiting))
			}
			s.flush()
			if took := time.Since(start); took != flushTimeout {
				t.Errorf("flush took %v, expected %v", took, flushTimeout)
			}
			close(pipe.open)
			s.flush()
			text := pipe.String()
			if n := strings.Count(text, "\n"); n != lines-int(dropped)+1 {
				t.Errorf("%d lines were written, expected %d and one more", n, lines-int(dropped))
			}
			last := text[strings.LastIndex(strings.TrimSuffix(text, "\n"), "\n")+1:]
			if !strings.Contains(last, "log lines dropped") || !strings.Contains(last, fmt.Sprint(dropped)) {
				t.Errorf("the last line is %s", last)
			}
			if strings.Contains(text, "xline") || !strings.Contains(text, "00000") {
				t.Error("a line was cut, or the first one is missing")
			}
			log.Info("goes on")
			s.flush()
			if !strings.Contains(pipe.String(), "goes on") || strings.Count(pipe.String(), "log lines dropped") != 1 {
				t.Errorf("afterwards: %s", pipe.String()[len(text):])
			}
		})
	}
}

// What is logged before the end is written at the end.
func TestSpoolerFlushes(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	s := newSpooler(&out)
	for i := range 1000 {
		fmt.Fprintln(s, i)
	}
	s.flush()
	if n := strings.Count(out.String(), "\n"); n != 1000 || !strings.HasPrefix(out.String(), "0\n1\n") {
		t.Errorf("%d lines, expected 1000 in order", n)
	}
}

// A fault of each of thousands of phones was longer than what may wait, and check ended with exit code 2 and no text.
func TestFaultsOfThousandsOfPhonesAreShown(t *testing.T) {
	t.Parallel()
	var file strings.Builder
	file.WriteString("phones:\n")
	const phones = 10_000
	for i := range phones {
		fmt.Fprintf(&file, "  p%d: {url: \"http://192.0.2.1:%d\", keys: {P1: {label: A}}}\n", i, i+1)
	}
	path := filepath.Join(t.TempDir(), "phones.yml")
	if err := os.WriteFile(path, []byte(file.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	var out, log bytes.Buffer
	code := run(t.Context(), []string{"check"}, []string{"SNOM2MQTT_PHONES_FILE=" + path}, &out, &log)
	lines := strings.Split(strings.TrimSuffix(log.String(), "\n"), "\n")
	if code != exitUsage || len(lines) < 3 {
		t.Fatalf("exit code %d, %d lines of faults: %.200q", code, len(lines), log.String())
	}
	if last, expected := lines[len(lines)-1], fmt.Sprintf("and %d more faults", phones-len(lines)+2); last != expected {
		t.Errorf("the last line is %q, expected %q", last, expected)
	}
	if !strings.HasPrefix(lines[1], "phone p0: keys") {
		t.Errorf("the first fault is %q", lines[1])
	}
}

// Warnings that come faster than they are read are complete, and a write longer than the bound is taken, too. Where nothing
// is read, it is waited for once, or twice where the first write to the pipe took all that waited until then.
func TestSpoolerOfACommandWaitsForItsReader(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		pipe := &fullPipe{open: make(chan struct{})}
		s := newSpooler(pipe)
		time.AfterFunc(flushTimeout/2, func() { close(pipe.open) })
		const lines = 6000
		for i := range lines {
			fmt.Fprintf(s, "%05d %s\n", i, strings.Repeat("x", 100))
		}
		long := strings.Repeat("y", 2*maxUnwritten) + "\n"
		fmt.Fprint(s, long)
		s.flush()
		if text := pipe.String(); strings.Count(text, "\n") != lines+1 || !strings.HasSuffix(text, long) {
			t.Errorf("%d lines, expected %d; %d writes dropped", strings.Count(text, "\n"), lines+1, s.droppedWrites())
		}
	})
	synctest.Test(t, func(t *testing.T) {
		pipe := &fullPipe{open: make(chan struct{})}
		s, start := newSpooler(pipe), time.Now()
		for range 10_000 {
			fmt.Fprintln(s, strings.Repeat("x", 100))
		}
		if took := time.Since(start); took < flushTimeout || took > 2*flushTimeout || s.droppedWrites() == 0 || len(s.waiting) > maxUnwritten {
			t.Errorf("%v, %d writes dropped, %d bytes wait", took, s.droppedWrites(), len(s.waiting))
		}
		close(pipe.open)
		s.flush()
	})
}
