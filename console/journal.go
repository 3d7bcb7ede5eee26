package console

import (
	"bytes"
	"log/slog"
	"strings"
	"sync"

	"github.com/snom2mqtt/snom2mqtt/internal/loglevel"
)

// Bounds of a journal.
const (
	journalBytes = 128 << 10
	journalLine  = 4 << 10 // of one line
)

// A Journal keeps the last lines of the log for the console, 128 KiB of them. It is an io.Writer for whole lines, as
// log/slog writes them, in either format. The zero value is ready to use. It is safe for concurrent use.
type Journal struct {
	mu      sync.Mutex
	lines   []Line        // the oldest first; guarded by mu
	size    int           // bytes of their texts; guarded by mu
	next    uint64        // number of the next line; guarded by mu
	changed chan struct{} // closed at the next line; nil: none waits for it; guarded by mu
}

// A Line is one line of the log.
type Line struct {
	Number uint64 `json:"number"` // counts up from 1
	Level  string `json:"level"`  // debug, info, warn or error
	Text   string `json:"text"`
}

// Write keeps p, one line. It never fails.
func (j *Journal) Write(p []byte) (int, error) {
	text := strings.TrimRight(string(p[:min(len(p), journalLine)]), "\n")
	text = strings.ToValidUTF8(text, "\uFFFD")
	j.mu.Lock()
	defer j.mu.Unlock()
	j.next++
	j.lines = append(j.lines, Line{Number: j.next, Level: levelOf(p), Text: text})
	j.size += len(text)
	drop := 0
	for ; j.size > journalBytes; drop++ {
		j.size -= len(j.lines[drop].Text)
		j.lines[drop].Text = ""
	}
	j.lines = j.lines[drop:]
	if j.changed != nil {
		close(j.changed)
		j.changed = nil
	}
	return len(p), nil
}

// levelOf reads the level of a line in either format.
func levelOf(line []byte) string {
	for _, level := range loglevel.Names() {
		upper := strings.ToUpper(level)
		if bytes.Contains(line, []byte(" level="+upper+" ")) || bytes.Contains(line, []byte(`"level":"`+upper+`"`)) {
			return level
		}
	}
	return loglevel.Name(slog.LevelInfo)
}

// A search says which lines of the journal are asked for.
type search struct {
	after uint64 // lines with a higher number
	level string // of this level or a higher one; empty: all
	text  string // that contain this text, in any case; empty: all
}

func (s search) finds(l Line) bool {
	if l.Number <= s.after || s.text != "" && !strings.Contains(strings.ToLower(l.Text), strings.ToLower(s.text)) {
		return false
	}
	for _, level := range loglevel.Names() {
		if level == l.Level {
			return level == s.level || s.level == ""
		} else if level == s.level {
			return true
		}
	}
	return true
}

// find returns the lines that a search finds, the oldest first, and the number of the last line there is.
func (j *Journal) find(s search) (found []Line, last uint64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, l := range j.lines {
		if s.finds(l) {
			found = append(found, l)
		}
	}
	return found, j.next
}

// Lines returns the lines that are kept, the oldest first.
func (j *Journal) Lines() []Line {
	all, _ := j.find(search{})
	return all
}

// wait returns a channel that is closed when a line comes after the one with this number.
func (j *Journal) wait(last uint64) <-chan struct{} {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.changed == nil {
		j.changed = make(chan struct{})
	}
	if j.next > last {
		now := make(chan struct{})
		close(now)
		return now
	}
	return j.changed
}
