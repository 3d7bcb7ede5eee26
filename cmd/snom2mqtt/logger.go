package main

import (
	"io"
	"log/slog"
	"sync"
	"time"
)

// logger writes to w as the settings say.
func logger(w io.Writer, format string, level slog.Leveler) *slog.Logger {
	o := &slog.HandlerOptions{Level: level}
	if format == "json" {
		o.ReplaceAttr = forPrograms
		return slog.New(slog.NewJSONHandler(w, o))
	}
	return slog.New(slog.NewTextHandler(w, o))
}

// forPrograms writes moments in UTC with milliseconds, as the topics do, and durations in seconds.
func forPrograms(_ []string, a slog.Attr) slog.Attr {
	switch a.Value.Kind() {
	case slog.KindTime:
		a.Value = slog.StringValue(a.Value.Time().UTC().Format("2006-01-02T15:04:05.000Z07:00"))
	case slog.KindDuration:
		a.Value = slog.Float64Value(a.Value.Duration().Seconds())
	}
	return a
}

// Bounds of what waits to be written to standard error.
const (
	maxUnwritten = 256 << 10       // bytes
	flushTimeout = time.Second / 2 // at the end of the program
)

// A spooler writes to another writer without waiting for it. Where that does not take what it is given, as a pipe that
// nothing reads, up to 256 KiB wait, and further writes are dropped and counted: whatever happens to the log, the bridge
// goes on. A longer write is taken where nothing else waits. Before the bridge has its logger, a write without room waits
// for it as long as flush does, until one was dropped: what a command tells its user is complete where that is read. Make
// one with newSpooler; its methods are safe for concurrent use.
type spooler struct {
	w io.Writer

	mu       sync.Mutex
	waiting  []byte        // not written yet; guarded by mu
	dropped  uint64        // writes, in all; guarded by mu
	reported uint64        // of them, those that were logged; guarded by mu
	notice   *slog.Logger  // logs to this spooler; nil: none; guarded by mu
	kept     io.Writer     // gets every line, too, at once; nil: none; guarded by mu
	idle     chan struct{} // closed when the goroutine that writes has ended; nil: there is none; guarded by mu
}

func newSpooler(w io.Writer) *spooler { return &spooler{w: w} }

// keep has every line written to w, too, at once. It must not block.
func (s *spooler) keep(w io.Writer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kept = w
}

// Write takes p to write it soon, or drops it. It never fails.
func (s *spooler) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.kept != nil {
		_, _ = s.kept.Write(p) // a journal takes everything
	}
	if s.full(p) && s.notice == nil && s.dropped == 0 {
		s.mu.Unlock()
		s.flush()
		s.mu.Lock()
	}
	if s.full(p) {
		s.dropped++
		return len(p), nil
	}
	s.waiting = append(s.waiting, p...)
	if s.idle == nil {
		s.idle = make(chan struct{})
		go s.drain(s.idle)
	}
	return len(p), nil
}

// full reports whether there is no room for p. The caller holds mu.
func (s *spooler) full(p []byte) bool {
	return len(s.waiting) > 0 && len(s.waiting)+len(p) > maxUnwritten
}

// drain writes what waits, and ends when nothing does.
func (s *spooler) drain(idle chan struct{}) {
	defer close(idle)
	for {
		s.mu.Lock()
		p := s.waiting
		s.waiting = nil
		if len(p) == 0 {
			s.idle = nil
			s.mu.Unlock()
			return
		}
		s.mu.Unlock()
		_, _ = s.w.Write(p) // there is nowhere to report that standard error is closed
		s.report()
	}
}

// report logs how many writes were dropped, once there is room for that line.
func (s *spooler) report() {
	const room = 1 << 10
	s.mu.Lock()
	count, notice := s.dropped-s.reported, s.notice
	if count == 0 || notice == nil || len(s.waiting)+room > maxUnwritten {
		s.mu.Unlock()
		return // where there is no room, more is written, and this is called again
	}
	s.reported = s.dropped
	s.mu.Unlock()
	notice.Warn("log lines dropped: standard error is not read", slog.Uint64("count", count))
}

// logger returns a logger that writes here, and logs how many lines were dropped.
func (s *spooler) logger(format string, level slog.Leveler) *slog.Logger {
	log := logger(s, format, level)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.notice = log
	return log
}

// droppedWrites returns how many writes were dropped.
func (s *spooler) droppedWrites() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.dropped
}

// flush waits until all is written, for flushTimeout at most.
func (s *spooler) flush() {
	s.mu.Lock()
	idle := s.idle
	s.mu.Unlock()
	if idle == nil {
		return
	}
	select {
	case <-idle:
	case <-time.After(flushTimeout):
	}
}
