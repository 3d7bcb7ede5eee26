// Package report writes the zip file that goes with a bug report. What would tell who uses the phones is replaced: numbers, names and
// addresses by stand-ins such as number-1, the same text always by the same one, so that a report can still be followed; secrets by
// three stars.
package report

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// A File is one file of a report. Content is text, [Finished] text, or a value that becomes JSON.
type File struct {
	Name    string
	Content any
}

// Finished is text of another report, which has its stand-ins.
type Finished string

// Write writes files as a zip file, each with its stand-ins.
func Write(w io.Writer, s *Standins, now time.Time, files ...File) error {
	z := zip.NewWriter(w)
	for _, f := range files {
		entry, err := z.CreateHeader(&zip.FileHeader{Name: f.Name, Method: zip.Deflate, Modified: now.UTC()})
		if err != nil {
			return err
		}
		var text string
		switch content := f.Content.(type) {
		case string:
			text = s.Text(content)
		case Finished:
			text = string(content)
		default:
			if text, err = s.JSON(content); err != nil {
				return fmt.Errorf("%s: %w", f.Name, err)
			}
		}
		if _, err := io.WriteString(entry, s.masked(text)); err != nil {
			return err
		}
	}
	return z.Close()
}

// Standins replaces what must not be in a report. It is safe for concurrent use.
type Standins struct {
	mu      sync.Mutex
	by      map[string]string // text -> stand-in; guarded by mu
	count   map[string]int    // of stand-ins, by kind; guarded by mu
	ordered []string          // the texts of by, the longest first; guarded by mu
	secrets []string          // guarded by mu
}

// NewStandins returns stand-ins that know no text yet.
func NewStandins() *Standins {
	return &Standins{by: map[string]string{}, count: map[string]int{}}
}

// Secret makes three stars of a text wherever it is met, also as it stands in a URL or in quotes. Texts of one character or two are
// replaced where they are words: they are in every text.
func (s *Standins) Secret(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	quoted := strconv.Quote(text)
	for _, form := range []string{text, url.QueryEscape(text), url.PathEscape(text), quoted[1 : len(quoted)-1]} {
		if len(form) < 3 {
			s.put(form, "***")
		} else if !slices.Contains(s.secrets, form) {
			s.secrets = append(s.secrets, form)
		}
	}
	slices.SortStableFunc(s.secrets, func(a, b string) int { return len(b) - len(a) })
}

// masked returns text without secrets.
func (s *Standins) masked(text string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, secret := range s.secrets {
		text = strings.ReplaceAll(text, secret, "***")
	}
	return text
}

// Learn makes a stand-in of a kind for a text, such as the name of a phone, and returns it.
func (s *Standins) Learn(kind, text string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.learn(kind, text)
}

func (s *Standins) learn(kind, text string) string {
	if text == "" {
		return ""
	}
	if known, ok := s.by[text]; ok {
		return known
	}
	s.count[kind]++
	return s.put(text, fmt.Sprintf("%s-%d", kind, s.count[kind]))
}

func (s *Standins) put(text, standin string) string {
	if text == "" || s.by[text] == standin {
		return standin
	}
	s.by[text] = standin
	i, _ := slices.BinarySearchFunc(s.ordered, text, func(a, b string) int { return len(b) - len(a) })
	s.ordered = slices.Insert(s.ordered, i, text)
	return standin
}

// plainKeys are the attributes of log lines and the members of JSON whose values are words of the program and of phones.
func plainKeys() []string {
	return []string{"time", "since", "as_of", "started", "last_seen", "level", "msg", "version", "revision", "go", "firmware", "model", "code", "command",
		"event_type", "state", "direction", "reason", "took", "auth", "scheme", "remote_control", "dialect", "identified_by", "uptime", "features", "allow", "mask", "hook"}
}

// privateKeys are those whose values are replaced as a whole, with the kind of their stand-ins; *** for all of one.
func privateKeys() map[string]string {
	return map[string]string{"name": "name", "phone": "phone", "group": "phone", "door": "phone", "number": "number", "uri": "uri", "line": "uri", "user": "name",
		"username": "name", "mac": "mac", "call_id": "call", "id": "id", "argument": "***", "payload": "***", "text": "***", "would": "***", "extra": "***", "realm": "***"}
}

// Text returns text with its stand-ins. It reads key=value as log lines have it.
func (s *Standins) Text(text string) string {
	text = s.masked(text) // before parts of a secret are taken for something else
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text(text)
}

func (s *Standins) text(text string) string {
	var b strings.Builder
	key := "" // of the value that follows
	for i := 0; i < len(text); {
		if known := s.knownAt(text, i); known != "" {
			b.WriteString(s.by[known])
			i += len(known)
			continue
		}
		end := i
		for end < len(text) && tokenByte(text[end]) {
			end++
		}
		switch {
		case end == i:
			if text[i] == '=' && i+1 < len(text) {
				i = s.value(&b, text, i, key)
				key = ""
				continue
			}
			b.WriteByte(text[i])
			i++
		default:
			token := text[i:end]
			key = token
			b.WriteString(s.token(token))
			i = end
		}
	}
	return b.String()
}

// value writes the = at i and the value behind it, and returns where that ends.
func (s *Standins) value(b *strings.Builder, text string, i int, key string) int {
	b.WriteByte('=')
	i++
	end := i
	if text[i] == '"' {
		for end = i + 1; end < len(text) && text[end] != '"'; end++ {
			if text[end] == '\\' {
				end++
			}
		}
		end = min(end+1, len(text))
	} else {
		for end < len(text) && text[end] != ' ' && text[end] != '\n' {
			end++
		}
	}
	value := text[i:end]
	kind, private := privateKeys()[key]
	switch {
	case slices.Contains(plainKeys(), key):
		b.WriteString(value)
	case private && kind == "***":
		b.WriteString("***")
	case private:
		b.WriteString(s.learn(kind, strings.Trim(value, `"`)))
	default:
		b.WriteString(s.text(value))
	}
	return end
}

// knownAt returns the longest known text that begins at i; a word only where it does not go on.
func (s *Standins) knownAt(text string, i int) string {
	for _, known := range s.ordered {
		if !strings.HasPrefix(text[i:], known) {
			continue
		}
		end := i + len(known)
		if (i == 0 || !wordByte(text[i-1])) && (end == len(text) || !wordByte(text[end])) {
			return known
		}
	}
	return ""
}

func wordByte(b byte) bool {
	return b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || b >= '0' && b <= '9' || b == '_' || b >= 0x80
}

func tokenByte(b byte) bool { return wordByte(b) || strings.IndexByte(".:+@%*#-[]", b) >= 0 }

// token returns what stands for one word.
func (s *Standins) token(token string) string {
	bare := strings.TrimRight(token, ".:")
	rest := token[len(bare):]
	if _, err := time.Parse(time.RFC3339Nano, bare); err == nil {
		return token
	}
	if at, err := netip.ParseAddrPort(bare); err == nil {
		return s.address(at.Addr()) + fmt.Sprintf(":%d", at.Port()) + rest
	}
	if at, err := netip.ParseAddr(strings.Trim(bare, "[]")); err == nil {
		return s.address(at) + rest
	}
	hex := strings.ToLower(strings.NewReplacer(":", "", "-", "", "%3A", "").Replace(bare))
	if len(hex) == 12 && strings.Trim(hex, "0123456789abcdef") == "" {
		return s.learn("mac", hex) + rest
	}
	if strings.Contains(bare, "@") {
		return s.learn("uri", bare) + rest
	}
	digits := strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' {
			return r
		}
		return -1
	}, bare)
	if len(digits) >= 3 && !strings.ContainsAny(strings.ToLower(bare), "abcdefghijklmnopqrstuvwxyz") {
		return s.learn("number", bare) + rest
	}
	return token
}

// address returns what stands for an address; loopback says nothing of anyone.
func (s *Standins) address(a netip.Addr) string {
	if a.IsLoopback() || a.IsUnspecified() {
		return a.String()
	}
	return s.learn("address", a.String())
}

// JSON returns a value as indented JSON with its stand-ins.
func (s *Standins) JSON(v any) (string, error) {
	text, err := json.Marshal(v)
	if err != nil {
		return "", err
	}
	var plain any
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	if err := d.Decode(&plain); err != nil {
		return "", err
	}
	s.mu.Lock()
	plain = s.walk("", plain)
	s.mu.Unlock()
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	err = e.Encode(plain)
	return b.String(), err
}

// walk replaces the texts in a value that stands at a key.
func (s *Standins) walk(key string, v any) any {
	kind, private := privateKeys()[key]
	switch v := v.(type) {
	case map[string]any:
		if private && kind == "***" {
			return kind
		}
		for k, e := range v {
			delete(v, k)
			if _, known := s.by[k]; known {
				k = s.by[k]
			}
			v[k] = s.walk(k, e)
		}
	case []any:
		for i := range v {
			v[i] = s.walk(key, v[i])
		}
	case string:
		switch {
		case v == "" || slices.Contains(plainKeys(), key):
		case private && kind == "***":
			return kind
		case private:
			return s.learn(kind, v)
		default:
			return s.text(v)
		}
	}
	return v
}
