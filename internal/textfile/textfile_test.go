package textfile_test

import (
	"bytes"
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/snom2mqtt/snom2mqtt/internal/textfile"
)

// utf16Bytes is text as Windows writes it.
func utf16Bytes(text string, bigEndian, mark bool) []byte {
	units := utf16.Encode([]rune(text))
	if mark {
		units = append([]uint16{0xFEFF}, units...)
	}
	var b []byte
	for _, u := range units {
		if bigEndian {
			b = append(b, byte(u>>8), byte(u))
		} else {
			b = append(b, byte(u), byte(u>>8))
		}
	}
	return b
}

func TestSecretsAsEditorsAndShellsWriteThem(t *testing.T) {
	t.Parallel()
	le := func(s string) string { return string(utf16Bytes(s, false, true)) }
	be := func(s string) string { return string(utf16Bytes(s, true, true)) }
	tests := []struct{ name, data, want, fault string }{
		{"plain", "secret", "secret", ""},
		{"one line end", "secret\n", "secret", ""},
		{"line end of Windows", "secret\r\n", "secret", ""},
		{"line end of old Macs", "secret\r", "secret", ""},
		{"byte order mark", "\xef\xbb\xbfsecret\n", "secret", ""},
		{"Notepad", "\xef\xbb\xbfsecret\r\n", "secret", ""},
		{"PowerShell 5", le("secret\r\n"), "secret", ""},
		{"UTF-16, big end first", be("secret\n"), "secret", ""},
		{"UTF-16 with letters beyond", le("sücret😀\r\n"), "sücret😀", ""},
		{"letters", "påsswörd 中文\n", "påsswörd 中文", ""},
		{"blanks inside", "a b  c", "a b  c", ""},
		{"quotes", `"secret"`, `"secret"`, ""}, // a warning of its own

		{"two line ends", "secret\n\n", "", "ends with an empty line"},
		{"two line ends of Windows", "secret\r\n\r\n", "", "ends with an empty line"},
		{"a line end and blanks", "secret\n  ", "", "ends with an empty line"},
		{"an empty line first", "\nsecret\n", "", "begins with an empty line"},
		{"two lines", "user\nsecret\n", "", "more than one line"},
		{"a carriage return inside", "sec\rret\n", "", "more than one line"},
		{"carriage return twice", "secret\r\r\n", "", "ends with an empty line"},
		{"only a line end", "\r\n", "", "an empty line only"},
		{"only a mark", "\xef\xbb\xbf", "", "an empty line only"},
		{"UTF-16 of nothing", le(""), "", "an empty line only"},
		{"blank at the end (echo of cmd.exe)", "secret \r\n", "", "ends with a blank, U+0020 SPACE"},
		{"blank at the beginning", " secret\n", "", "begins with a blank, U+0020 SPACE"},
		{"tab at the end", "secret\t\n", "", "ends with an invisible character, U+0009 TAB"},
		{"NUL", "secret\x00\n", "", "U+0000 NUL"},
		{"UTF-16 without a mark", string(utf16Bytes("secret\r\n", false, false)), "", "UTF-16"},
		{"UTF-16 of half a unit", le("secret") + "x", "", "half a character"},
		{"UTF-16 of half a pair", string(append([]byte{0xFF, 0xFE}, 'a', 0, 0x3D, 0xD8, 'b', 0)), "", "half a character"},
		{"UTF-32", "\xff\xfe\x00\x00s\x00\x00\x00", "", "UTF-32"},
		{"Latin-1", "p\xe4ssword\n", "", "byte 0xE4 is not UTF-8"},
		{"no-break space", "secret\u00a0\n", "", "ends with an invisible character, U+00A0 NO-BREAK SPACE"},
		{"no-break space inside", "sec\u00a0ret\n", "", "contains an invisible character, U+00A0 NO-BREAK SPACE"},
		{"direction mark", "\u200esecret\n", "", "begins with an invisible character, U+200E LEFT-TO-RIGHT MARK"},
		{"direction override", "sec\u202eret\n", "", "U+202E RIGHT-TO-LEFT OVERRIDE"},
		{"zero width space", "sec\u200bret", "", "U+200B ZERO WIDTH SPACE"},
		{"a second mark", "\xef\xbb\xbf\xef\xbb\xbfsecret", "", "U+FEFF ZERO WIDTH NO-BREAK SPACE"},
		{"soft hyphen", "sec\u00adret", "", "U+00AD SOFT HYPHEN"},
		{"ideographic space", "\u3000secret", "", "U+3000 IDEOGRAPHIC SPACE"},
		{"line separator", "secret\u2028", "", "U+2028 LINE SEPARATOR"},
		{"escape", "\x1b[Dsecret", "", "U+001B ESCAPE"},
		{"end of a DOS file", "secret\x1a", "", "U+001A SUBSTITUTE"},
		{"control of C1", "secret\u0099", "", "U+0099"},
		{"a character that was lost", "se\ufffdcret", "", "U+FFFD REPLACEMENT CHARACTER"},
	}
	for _, tt := range tests {
		got, err := textfile.Line([]byte(tt.data))
		switch {
		case tt.fault == "" && (got != tt.want || err != nil):
			t.Errorf("%s: %q, %v, expected %q", tt.name, got, err, tt.want)
		case tt.fault != "" && (err == nil || got != "" || !strings.Contains(err.Error(), tt.fault)):
			t.Errorf("%s: %q, %v, expected an error with %q", tt.name, got, err, tt.fault)
		case err != nil && strings.Contains(err.Error(), "secret"+"x"):
			t.Errorf("%s: the error shows the secret: %v", tt.name, err)
		}
	}
}

func TestTextNamesThePlace(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		data         string
		line, column int
	}{
		{"a\nä\xe4", 2, 2}, {"\xef\xbb\xbfa\r\nbc\x00\n", 2, 3}, {string(utf16Bytes("a\nb", false, true)) + "x", 2, 2},
	} {
		_, err := textfile.Text([]byte(tt.data))
		var e *textfile.Error
		if !errors.As(err, &e) || e.Line != tt.line || e.Column != tt.column {
			t.Errorf("%q: %v, expected line %d, column %d", tt.data, err, tt.line, tt.column)
		}
	}
	got, err := textfile.Text([]byte("\xef\xbb\xbfa\r\nb\rc\n\td"))
	if want := "a\nb\nc\n\td"; got != want || err != nil {
		t.Errorf("Text = %q, %v, expected %q", got, err, want)
	}
}

// FuzzLine: what is taken for a secret is one line without what cannot be seen, and means the same in every encoding.
func FuzzLine(f *testing.F) {
	for _, s := range []string{"secret\r\n", "\xef\xbb\xbfsecret", "\xff\xfes\x00", "a\u00a0b", "\xfe\xff\x00a\x00\n", "a\ufffd"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := textfile.Line(data)
		if err != nil {
			if got != "" {
				t.Fatalf("%q came with the error %v", got, err)
			}
			return
		}
		if got == "" || !utf8.ValidString(got) || strings.ContainsAny(got, "\r\n\x00\uFEFF") || strings.TrimSpace(got) != got {
			t.Fatalf("%q of %q", got, data)
		}
		for _, other := range [][]byte{
			[]byte(got), []byte("\uFEFF" + got + "\r\n"), utf16Bytes(got+"\r\n", false, true), utf16Bytes(got+"\n", true, true),
		} {
			if again, err := textfile.Line(other); again != got || err != nil {
				t.Fatalf("%q, %v of %q, expected %q", again, err, other, got)
			}
		}
	})
}

func read(t *testing.T, path string, limit int64) ([]byte, error) {
	t.Helper()
	var r textfile.Reader
	return r.Read(t.Context(), path, limit)
}

func TestOnlyRegularFilesAreRead(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	file := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(at(name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	file("file", "secret")
	file("empty", "")
	file("large", strings.Repeat("x", 101))
	for _, err := range []error{
		syscall.Mkfifo(at("pipe"), 0o600), os.Symlink("file", at("link")), os.Symlink("pipe", at("link-to-pipe")),
		os.Symlink("loop", at("loop")), os.Mkdir(at("folder"), 0o700),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	l, err := net.Listen("unix", at("socket"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for name, want := range map[string]string{
		"pipe": "it is a named pipe", "link-to-pipe": "it is a named pipe", "folder": "it is a directory", "socket": "it is a socket",
		"none": "no such file", "loop": "too many levels", "empty": "is empty", "large": "too large", "file/below": "not a directory", "a\x00b": "invalid argument",
	} {
		data, err := read(t, at(name), 100)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), dir) {
			t.Errorf("%s: %q, %v, expected an error with %q and without the path", name, data, err, want)
		}
	}
	for _, device := range []string{"/dev/zero", "/dev/null", "/dev/tty"} {
		if data, err := read(t, device, 100); err == nil {
			t.Errorf("%s: %q, expected an error", device, data)
		}
	}
	for _, name := range []string{"file", "link"} {
		if data, err := read(t, at(name), 6); string(data) != "secret" || err != nil {
			t.Errorf("%s: %q, %v", name, data, err)
		}
	}
	if data, err := read(t, "/proc/self/status", 1<<20); err != nil || !bytes.Contains(data, []byte("Pid:")) { // its size is said to be 0
		t.Errorf("/proc/self/status: %q, %v", data, err)
	}
}

// A context that ended is enough to come back, whatever the file.
func TestReadEndsWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancelCause(t.Context())
	stopped := errors.New("stopped")
	cancel(stopped)
	var r textfile.Reader
	path := filepath.Join(t.TempDir(), "none")
	for range 100 {
		if _, err := r.Read(ctx, path, 1); err == nil {
			t.Fatal("no error")
		}
	}
}

// A file system that does not answer costs 5 s, and one thread for a path however often it is asked.
func TestReadsThatBlock(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var r textfile.Reader
		release := make(chan struct{})
		for range 3 {
			started := time.Now()
			_, err := textfile.ReadBlocked(&r, t.Context(), "hung", release)
			if took := time.Since(started); !errors.Is(err, textfile.ErrTimeout) || took != textfile.Timeout {
				t.Fatalf("%v after %v, expected a timeout after 5 s", err, took)
			}
		}
		if n := textfile.Blocked(&r); n != 1 {
			t.Errorf("%d reads are under way, expected 1", n)
		}
		var all sync.WaitGroup
		for i := range 100 {
			all.Go(func() {
				if _, err := textfile.ReadBlocked(&r, t.Context(), string(rune('a'+i)), release); err == nil {
					t.Error("no error")
				}
			})
		}
		all.Wait()
		if n := textfile.Blocked(&r); n != 16 {
			t.Errorf("%d reads are under way, expected 16", n)
		}
		close(release)
		synctest.Wait()
		if _, err := textfile.ReadBlocked(&r, t.Context(), "hung", release); err != nil {
			t.Errorf("after the file system has answered: %v", err)
		}
		synctest.Wait()
		if n := textfile.Blocked(&r); n != 0 {
			t.Errorf("%d reads are under way, expected none", n)
		}
	})
}

func TestCharName(t *testing.T) {
	t.Parallel()
	for r, want := range map[rune]string{0xA0: "U+00A0 NO-BREAK SPACE", 0xD: "U+000D CARRIAGE RETURN", 0xE0041: "U+E0041", 'a': "U+0061"} {
		if got := textfile.CharName(r); got != want {
			t.Errorf("CharName(%#x) = %q, expected %q", r, got, want)
		}
	}
}
