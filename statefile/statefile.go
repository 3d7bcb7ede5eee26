// Package statefile keeps across restarts what the bridge has learned about its phones: the identifier by which Home
// Assistant knows each one, its model, firmware and MAC address, and the authentication scheme it has asked for.
//
// The file has one JSON object on each line, so that a damaged line costs one phone and not all of them. It is replaced
// as a whole: a reader sees the old file or the new one. Nothing in it is a secret.
package statefile

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/snom2mqtt/snom2mqtt/internal/textfile"
)

const (
	// FileName is the name of the file in the state directory.
	FileName = "phones.jsonl"
	// maxRecords and maxText bound what is kept: phones, and bytes of one text of a record.
	maxRecords = 100_000
	maxText    = 256
	// maxFile bounds the file, in bytes, when it is read.
	maxFile = 64 << 20

	gather      = time.Second     // from a change to the write, so that many changes are one write
	retry       = time.Minute     // after a write that failed
	stopTimeout = 2 * time.Second // for the last write: a disk that does not answer must not delay the stop
)

// A Record is what is known of one phone. An empty text is not known.
type Record struct {
	ID       string `json:"id,omitempty"`       // Home Assistant's identifier of the device; belongs to the name
	URL      string `json:"url,omitempty"`      // where the phone was when it reported the rest
	Model    string `json:"model,omitempty"`    // as the phone named it
	Firmware string `json:"firmware,omitempty"` // likewise
	MAC      string `json:"mac,omitempty"`      // 12 small hex digits
	Auth     string `json:"auth,omitempty"`     // the authentication scheme it asked for
	Address  string `json:"address,omitempty"`  // the IP address and port at which it did so
}

// line is one line of the file.
type line struct {
	Name string `json:"name"`
	Record
}

// A Store holds the records of the phones by their names. Its methods may be called by several goroutines; none of them
// but Run waits for the disk.
type Store struct {
	path    string // empty: nothing is written
	log     *slog.Logger
	changed chan struct{} // capacity 1: there is something to write

	mu      sync.Mutex
	records map[string]Record // guarded by mu
	used    map[string]bool   // names asked for or changed since the start; guarded by mu
	dirty   bool              // the file lacks a change; guarded by mu
	full    bool              // a record was refused, which was logged; guarded by mu
	damaged bool              // the file holds lines that were not understood; guarded by mu
}

// Lasting reports whether records are kept across restarts.
func (s *Store) Lasting() bool { return s.path != "" }

// Open reads the records in directory dir, which is made if it does not exist. With an empty dir the Store keeps records
// in memory only, which it logs. A file that is damaged is read as far as possible; a copy of it is kept beside it when it
// is replaced. The error says that the directory or the file cannot be used at all.
func Open(dir string, log *slog.Logger) (*Store, error) {
	s := &Store{log: log, changed: make(chan struct{}, 1), records: map[string]Record{}, used: map[string]bool{}}
	if dir == "" {
		log.Info("no state directory: model, MAC and Home Assistant id of phones are not kept across restarts; see SNOM2MQTT_STATE_DIRECTORY")
		return s, nil
	}
	type content struct {
		data []byte
		err  error
	}
	opened := make(chan content, 1)
	go func() { // waited for below, but for a disk that does not answer
		data, err := open(dir)
		opened <- content{data, err}
	}()
	select {
	case c := <-opened:
		if c.err != nil {
			return nil, c.err
		}
		s.path = filepath.Join(dir, FileName)
		s.read(c.data)
		return s, nil
	case <-time.After(textfile.Timeout):
		return nil, errors.New("state directory: the disk does not answer")
	}
}

// open makes the directory, checks that it can be written, and reads the file, if there is one.
func open(dir string) ([]byte, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("state directory: %w", err)
	}
	removeLeftovers(dir)
	probe, err := os.CreateTemp(dir, FileName+".*")
	if err != nil {
		return nil, fmt.Errorf("state directory: %w", err)
	}
	if err := errors.Join(probe.Close(), os.Remove(probe.Name())); err != nil {
		return nil, fmt.Errorf("state directory: %w", err)
	}
	path := filepath.Join(dir, FileName)
	switch info, err := os.Stat(path); {
	case errors.Is(err, fs.ErrNotExist), err == nil && info.Mode().IsRegular() && info.Size() == 0:
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("state file: %w", err)
	}
	data, err := new(textfile.Reader).Read(context.Background(), path, maxFile)
	if err != nil {
		return nil, fmt.Errorf("state file %s: %w", path, err)
	}
	return data, nil
}

// read takes the records in data, as far as they are understood.
func (s *Store) read(data []byte) {
	bad := 0
	for text := range bytes.Lines(data) {
		text = bytes.TrimSpace(text)
		var l line
		switch {
		case len(text) == 0:
		case json.Unmarshal(text, &l) != nil || !validName(l.Name):
			bad++
		case len(s.records) < maxRecords:
			s.records[l.Name] = l.Record.bounded()
		}
	}
	if bad > 0 {
		s.damaged = true
		s.log.Warn("state file damaged", slog.Int("damaged", bad), slog.Int("phones", len(s.records)))
	}
}

func validName(name string) bool { return name != "" && len(name) <= 64 && bounded(name) == name }

// bounded returns a record whose texts are of bounded length and can be shown; others are dropped.
func (r Record) bounded() Record {
	for _, text := range []*string{&r.ID, &r.URL, &r.Model, &r.Firmware, &r.MAC, &r.Auth, &r.Address} {
		*text = bounded(*text)
	}
	return r
}

func bounded(text string) string {
	if len(text) > maxText || !utf8.ValidString(text) || strings.ContainsFunc(text, unicode.IsControl) {
		return ""
	}
	return text
}

// Get returns the record of the phone of that name; the zero Record where nothing is known.
func (s *Store) Get(name string) Record {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, ok := s.records[name]
	if ok {
		s.used[name] = true
	}
	return r
}

// All returns the records of all phones by name, also of names that the settings no longer have.
func (s *Store) All() map[string]Record {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.records)
}

// Any reports whether a record is as match says, which must not call the Store.
func (s *Store) Any(match func(Record) bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.records {
		if match(r) {
			return true
		}
	}
	return false
}

// Put replaces the record of a phone; the zero Record removes it.
func (s *Store) Put(name string, r Record) {
	s.Update(name, func(old *Record) { *old = r })
}

// Update lets change alter the record of a phone, while no other goroutine does. It must not call the Store.
func (s *Store) Update(name string, change func(*Record)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.records[name]
	r := old
	change(&r)
	r = r.bounded()
	if r == old || !validName(name) {
		return
	}
	switch _, known := s.records[name]; {
	case r == Record{}:
		delete(s.records, name)
		delete(s.used, name)
	case known || len(s.records) < maxRecords || s.evict():
		s.records[name] = r
		s.used[name] = true
	default:
		if !s.full {
			s.log.Warn("state file full", slog.Int("phones", len(s.records)))
		}
		s.full = true
		return
	}
	s.dirty = true
	s.notify()
}

// evict removes a record that was not used since the start, and reports whether there was one.
func (s *Store) evict() bool {
	if len(s.used) == len(s.records) {
		return false
	}
	for name := range s.records {
		if !s.used[name] {
			delete(s.records, name)
			return true
		}
	}
	return false
}

// Run writes changes to the disk until ctx ends, and then what is left. A write that fails is logged once and tried again.
func (s *Store) Run(ctx context.Context) error {
	if s.path == "" {
		<-ctx.Done()
		return nil
	}
	failing := false
	for {
		select {
		case <-s.changed:
			pause(ctx, gather)
		case <-ctx.Done():
		}
		err := s.write(ctx)
		switch {
		case err == nil && failing:
			s.log.Info("state file written again")
		case err != nil && !failing:
			s.log.Warn("state file not written", slog.Any("err", err))
		}
		if ctx.Err() != nil {
			return nil
		}
		if failing = err != nil; failing {
			pause(ctx, retry)
			s.notify()
		}
	}
}

// notify does a non-blocking send on the one-slot channel that Run waits for.
func (s *Store) notify() {
	select {
	case s.changed <- struct{}{}:
	default:
	}
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// write writes the records if the file lacks a change. It returns at the latest stopTimeout after the end of ctx.
func (s *Store) write(ctx context.Context) error {
	data, damaged, ok := s.content()
	if !ok {
		return nil
	}
	done := make(chan error, 1)
	go func() { done <- replace(s.path, data, damaged) }() // waited for below, but for a disk that does not answer
	var err error
	select {
	case err = <-done:
	case <-ctx.Done():
		select {
		case err = <-done:
		case <-time.After(stopTimeout):
			err = errors.New("the disk does not answer")
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		s.dirty = true
	} else {
		s.damaged = false
	}
	return err
}

// content returns what the file should hold, if it lacks a change, and whether what it holds now is damaged.
func (s *Store) content() (data []byte, damaged, dirty bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.dirty {
		return nil, false, false
	}
	s.dirty = false
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	for _, name := range slices.Sorted(maps.Keys(s.records)) {
		_ = e.Encode(line{name, s.records[name]}) // texts into memory: there is nothing to fail
	}
	return b.Bytes(), s.damaged, true
}

// replace puts data in the place of the file at path: a crash leaves the one or the other.
func replace(path string, data []byte, keepOld bool) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), FileName+".*") // mode 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(f.Name()) // a leftover is removed at the next start as well
		}
	}()
	_, err = f.Write(data)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if keepOld {
		if err := os.Rename(path, path+".damaged"); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

// syncDir makes the new name of a file last through a power failure, where the system can.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return nil //nolint:nilerr // the file is written; its name lasts a little less surely
	}
	defer d.Close()
	_ = d.Sync() // some file systems cannot; the file itself is written
	return nil
}

// removeLeftovers removes temporary files of processes that were ended while they wrote.
func removeLeftovers(dir string) {
	old, _ := filepath.Glob(filepath.Join(dir, FileName+".[0-9]*")) // the pattern is valid, or dir holds a bracket
	for _, path := range old {
		if info, err := os.Stat(path); err == nil && time.Since(info.ModTime()) > time.Hour {
			_ = os.Remove(path) // it takes some room, and nothing else
		}
	}
}
