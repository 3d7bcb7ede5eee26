package statefile_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/snom2mqtt/snom2mqtt/statefile"
)

func open(t *testing.T, dir string) *statefile.Store {
	t.Helper()
	s, err := statefile.Open(dir, slog.New(slog.NewTextHandler(t.Output(), nil)))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// save runs the store until everything is written.
func save(t *testing.T, s *statefile.Store) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Run(ctx); err != nil {
		t.Fatal(err)
	}
}

func content(t *testing.T, dir string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, statefile.FileName))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func names(t *testing.T, dir string) (all []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return all
}

func kitchen() statefile.Record {
	return statefile.Record{ID: "snom_000413aabbcc", URL: "http://192.0.2.10", Model: "D735", Firmware: "10.1.184.14", MAC: "000413aabbcc", Auth: "digest"}
}

func TestRecordsSurviveARestart(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "a", "b")
	s := open(t, dir)
	s.Put("kitchen", kitchen())
	s.Update("hall", func(r *statefile.Record) { r.Auth = "basic" })
	s.Update("hall", func(r *statefile.Record) { r.ID = "hall" })
	s.Put("gone", kitchen())
	s.Put("gone", statefile.Record{})
	save(t, s)
	const want = `{"name":"hall","id":"hall","auth":"basic"}
{"name":"kitchen","id":"snom_000413aabbcc","url":"http://192.0.2.10","model":"D735","firmware":"10.1.184.14","mac":"000413aabbcc","auth":"digest"}
`
	if got := content(t, dir); got != want {
		t.Errorf("the file holds\n%s\nexpected\n%s", got, want)
	}
	again := open(t, dir)
	if got := again.Get("kitchen"); got != kitchen() {
		t.Errorf("kitchen = %+v, expected %+v", got, kitchen())
	}
	if got := again.Get("hall"); got != (statefile.Record{ID: "hall", Auth: "basic"}) {
		t.Errorf("hall = %+v", got)
	}
	if got := again.Get("gone"); got != (statefile.Record{}) {
		t.Errorf("gone = %+v", got)
	}
	if got := names(t, dir); len(got) != 1 {
		t.Errorf("files %q, expected one", got)
	}
	info, err := os.Stat(filepath.Join(dir, statefile.FileName))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v, expected 0600", info.Mode(), err)
	}
}

// What does not change a record does not wear the disk.
func TestNothingIsWrittenWithoutAChange(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir)
	s.Put("kitchen", kitchen())
	save(t, s)
	path := filepath.Join(dir, statefile.FileName)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	s.Put("kitchen", kitchen())
	s.Get("hall")
	s.Update("hall", func(*statefile.Record) {})
	save(t, s)
	if _, err := os.Stat(path); err == nil {
		t.Error("the file was written without a change")
	}
}

// A file that a crash, a disk or an editor has damaged costs the damaged lines only.
func TestDamagedFiles(t *testing.T) {
	t.Parallel()
	good := `{"name":"kitchen","id":"k","model":"D735"}` + "\n"
	for name, text := range map[string]string{
		"cut":           good + `{"name":"hall","id":"h`,
		"zeros":         good + strings.Repeat("\x00", 4096),
		"zeros first":   strings.Repeat("\x00", 512) + "\n" + good,
		"not JSON":      "<html>\n" + good,
		"other types":   `{"name":1}` + "\n[1]\n" + good,
		"no name":       `{"id":"x"}` + "\n" + good,
		"long name":     `{"name":"` + strings.Repeat("a", 100) + `"}` + "\n" + good,
		"long line":     `{"name":"hall","id":"` + strings.Repeat("a", 1<<20) + "\n" + good,
		"deep":          strings.Repeat("[", 100_000) + "\n" + good,
		"carriage ends": strings.ReplaceAll("x\n"+good, "\n", "\r\n"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, statefile.FileName), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			var log bytes.Buffer
			s, err := statefile.Open(dir, slog.New(slog.NewTextHandler(&log, nil)))
			if err != nil {
				t.Fatal(err)
			}
			if got := s.Get("kitchen"); got != (statefile.Record{ID: "k", Model: "D735"}) {
				t.Errorf("kitchen = %+v", got)
			}
			if !strings.Contains(log.String(), "state file damaged") {
				t.Errorf("the log says %q", log.String())
			}
			s.Put("door", kitchen())
			save(t, s)
			old, err := os.ReadFile(filepath.Join(dir, statefile.FileName+".damaged"))
			if err != nil || string(old) != text {
				t.Errorf("no copy of the damaged file: %v", err)
			}
			if got := open(t, dir).Get("kitchen"); got.ID != "k" {
				t.Errorf("kitchen = %+v after the file was replaced", got)
			}
		})
	}
}

// An empty file, as a crash may leave it, and unknown keys of another version are no damage.
func TestFilesThatAreNotDamaged(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "\n", `{"name":"kitchen","id":"k","later":{"a":[1]}}` + "\n"} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, statefile.FileName), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		var log bytes.Buffer
		if _, err := statefile.Open(dir, slog.New(slog.NewTextHandler(&log, nil))); err != nil || log.Len() > 0 {
			t.Errorf("%q: %v, log %s", text, err, log.String())
		}
	}
}

func TestDirectoriesThatCannotBeUsed(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	pipe := t.TempDir()
	if err := syscall.Mkfifo(filepath.Join(pipe, statefile.FileName), 0o600); err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	if err := os.Mkdir(filepath.Join(folder, statefile.FileName), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{file, file + "/below", pipe, folder, "/proc/nothing"} {
		if s, err := statefile.Open(dir, slog.New(slog.DiscardHandler)); err == nil {
			t.Errorf("%s: no error, store %p", dir, s)
		}
	}
}

// Without a directory nothing is written, and the log says so.
func TestWithoutADirectory(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	s, err := statefile.Open("", slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	s.Put("kitchen", kitchen())
	save(t, s)
	if got := s.Get("kitchen"); got != kitchen() {
		t.Errorf("kitchen = %+v", got)
	}
	if !strings.Contains(log.String(), "STATE_DIRECTORY") {
		t.Errorf("the log says %q", log.String())
	}
}

// Whatever is put in, each record and the number of them are bounded, and a phone in use is not displaced.
func TestRecordsAreBounded(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir)
	for _, text := range []string{strings.Repeat("x", 257), "a\nb", "\xff", "\x1b[31m"} {
		s.Put("kitchen", statefile.Record{ID: "k", Model: text})
		if got := s.Get("kitchen"); got != (statefile.Record{ID: "k"}) {
			t.Errorf("%q is kept: %+v", text, got)
		}
	}
	for _, name := range []string{"", strings.Repeat("a", 65), "a\nb"} {
		s.Put(name, kitchen())
		if got := s.Get(name); got != (statefile.Record{}) {
			t.Errorf("%q is kept: %+v", name, got)
		}
	}
	for i := range 110_000 {
		s.Put(fmt.Sprint("phone", i), statefile.Record{Model: "D735"})
	}
	if got := s.Get("kitchen"); got.ID != "k" {
		t.Errorf("kitchen = %+v", got)
	}
	save(t, s)
	if got := strings.Count(content(t, dir), "\n"); got != 100_000 {
		t.Errorf("%d records, expected 100000", got)
	}
	again := open(t, dir) // none of them is in use now
	again.Put("new", kitchen())
	if got := again.Get("new"); got != kitchen() {
		t.Errorf("a new phone gets no room: %+v", got)
	}
}

// A disk that fails costs a line in the log, once, and what was to be written is written when it works again.
func TestADiskThatFails(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "state")
	var log bytes.Buffer
	s, err := statefile.Open(dir, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	s.Put("kitchen", kitchen())
	save(t, s)
	if got := strings.Count(log.String(), "state file not written"); got != 1 {
		t.Errorf("the log says it %d times:\n%s", got, log.String())
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	save(t, s)
	if got := open(t, dir).Get("kitchen"); got != kitchen() {
		t.Errorf("kitchen = %+v", got)
	}
}

func TestManyGoroutines(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir)
	ctx, cancel := context.WithCancel(t.Context())
	running := make(chan error, 1)
	go func() { running <- s.Run(ctx) }()
	var writers sync.WaitGroup
	for i := range 8 {
		writers.Go(func() {
			for j := range 200 {
				name := fmt.Sprint("phone", j)
				s.Update(name, func(r *statefile.Record) { r.Model = fmt.Sprint(i) })
				s.Get(name)
			}
		})
	}
	writers.Wait()
	cancel()
	if err := <-running; err != nil {
		t.Fatal(err)
	}
	if got := strings.Count(content(t, dir), "\n"); got != 200 {
		t.Errorf("%d records, expected 200", got)
	}
}

// FuzzOpen: whatever stands in the file, the store opens, and what it keeps is bounded and can be written and read again.
func FuzzOpen(f *testing.F) {
	f.Add([]byte(`{"name":"kitchen","id":"k"}` + "\n" + `{"name":"hall"`))
	f.Add([]byte("\x00\x00"))
	f.Fuzz(func(t *testing.T, data []byte) {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, statefile.FileName), data, 0o600); err != nil {
			t.Fatal(err)
		}
		s := open(t, dir)
		s.Put("kitchen", kitchen())
		save(t, s)
		if got := open(t, dir).Get("kitchen"); got != kitchen() {
			t.Fatalf("kitchen = %+v", got)
		}
	})
}
