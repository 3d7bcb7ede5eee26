package main

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// A pipe that is full: writes to it wait until it is opened.
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
