package speech

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/snom2mqtt/snom2mqtt/paging"
)

// wyomingServer answers each text with what answer writes. It returns its address.
func wyomingServer(t *testing.T, answer func(w io.Writer, ask map[string]any)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				d := json.NewDecoder(conn)
				var head event
				var ask map[string]any
				if d.Decode(&head) != nil || head.Type != "synthesize" || d.Decode(&ask) != nil {
					return
				}
				answer(conn, ask)
				_, _ = io.Copy(io.Discard, conn) // until the client has read enough
			}()
		}
	}()
	return l.Addr().String()
}

// say writes an event.
func say(w io.Writer, kind, data string, payload []byte) {
	fmt.Fprintf(w, `{"type":%q,"version":"1.8.0","data_length":%d,"payload_length":%d}`+"\n%s%s", kind, len(data), len(payload), data, payload)
}

const pcm = `{"rate":16000,"width":2,"channels":1,"timestamp":0}`

func TestWyoming(t *testing.T) {
	t.Parallel()
	var asked atomic.Int64
	at := wyomingServer(t, func(w io.Writer, ask map[string]any) {
		asked.Add(1)
		voice, _ := json.Marshal(ask["voice"])
		if text := ask["text"]; text == "Grüße" && string(voice) != "null" || text == "voice" && string(voice) != `{"name":"a"}` ||
			text == "speaker" && string(voice) != `{"name":"a","speaker":"b"}` {
			t.Errorf("asked %v", ask)
		}
		fmt.Fprintf(w, `{"type":"info","data":{"x":1}}`+"\n")
		say(w, "audio-start", pcm, nil)
		for range 10 {
			say(w, "audio-chunk", pcm, make([]byte, 3200))
		}
		say(w, "audio-stop", "{}", nil)
	})
	s := New(Config{Wyoming: at})
	for range 3 {
		for text, voice := range map[string]string{"Grüße": "", "voice": "a", "speaker": "a/b"} {
			b, err := s.Speak(t.Context(), text, voice)
			if err != nil || len(b) != paging.Rate {
				t.Errorf("%s: %d samples, error %v", text, len(b), err)
			}
		}
	}
	if n := asked.Load(); n != 3 {
		t.Errorf("%d texts were spoken, expected each once", n)
	}
}

// TestOddWyomingServers: each ends in bounded time with an error that says what is wrong.
func TestOddWyomingServers(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		answer func(w io.Writer)
		err    string
	}{
		"says why":        {func(w io.Writer) { say(w, "error", `{"text":"no voice \u0007called x"}`, nil) }, "no voice"},
		"a code":          {func(w io.Writer) { say(w, "error", `{"text":"x","code":"VoiceNotFoundError"}`, nil) }, "x (VoiceNotFoundError)"},
		"no sound":        {func(w io.Writer) { say(w, "audio-stop", "{}", nil) }, "no sound"},
		"no samples":      {func(w io.Writer) { say(w, "audio-start", pcm, nil); say(w, "audio-stop", "{}", nil) }, "no sound"},
		"speaks HTTP":     {func(w io.Writer) { fmt.Fprint(w, "HTTP/1.1 400 Bad Request\r\n\r\n") }, "something else"},
		"endless line":    {func(w io.Writer) { fmt.Fprint(w, strings.Repeat("a", 1<<20)) }, "too long"},
		"huge payload":    {func(w io.Writer) { fmt.Fprint(w, `{"type":"audio-chunk","payload_length":2000000000}`+"\n") }, "something else"},
		"negative length": {func(w io.Writer) { fmt.Fprint(w, `{"type":"audio-chunk","data_length":-1}`+"\n") }, "something else"},
		"odd format":      {func(w io.Writer) { say(w, "audio-start", `{"rate":16000,"width":9,"channels":1}`, nil) }, "9 bytes"},
		"odd rate":        {func(w io.Writer) { say(w, "audio-start", `{"rate":-1,"width":2,"channels":1}`, nil) }, "expected 2000"},
		"no format":       {func(w io.Writer) { say(w, "audio-start", `[]`, nil) }, "cannot be read"},
		"endless sound": {func(w io.Writer) {
			for n := 0; n < 64<<20; n += 1 << 20 {
				if _, err := w.Write([]byte{}); err != nil {
					return
				}
				say(w, "audio-chunk", pcm, make([]byte, 1<<20))
			}
		}, "paging: cannot be played"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := New(Config{Wyoming: wyomingServer(t, func(w io.Writer, _ map[string]any) { c.answer(w) })})
			b, err := s.Speak(t.Context(), "text", "")
			if err == nil || !strings.Contains(err.Error(), c.err) || !errors.Is(err, ErrRefused) && !errors.Is(err, paging.ErrInvalid) {
				t.Errorf("%d samples, error %v, expected %q", len(b), err, c.err)
			}
			if err != nil && strings.ContainsRune(err.Error(), '\a') {
				t.Error("the error has a control character")
			}
		})
	}
	t.Run("closed", func(t *testing.T) {
		t.Parallel()
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		_ = l.Close()
		if _, err := New(Config{Wyoming: l.Addr().String()}).Speak(t.Context(), "text", ""); err == nil || errors.Is(err, ErrRefused) {
			t.Errorf("error %v, expected one of the network", err)
		}
	})
	t.Run("silent", func(t *testing.T) {
		t.Parallel()
		stopped := errors.New("hangup")
		ctx, cancel := context.WithCancelCause(t.Context())
		s := New(Config{Wyoming: wyomingServer(t, func(io.Writer, map[string]any) { cancel(stopped) })})
		if _, err := s.Speak(ctx, "text", ""); !errors.Is(err, stopped) {
			t.Errorf("error %v, expected that of the context", err)
		}
	})
}

// hass is a Home Assistant as far as its API is asked.
type hass struct {
	t         *testing.T
	states    string
	services  string
	sound     []byte
	status    int // of the sound
	refuse    string
	engine    string // that was asked for last
	voice     string
	requested atomic.Int64
}

func (h *hass) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Authorization") != "Bearer s3cret" {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	switch r.URL.Path {
	case "/base/api/states":
		fmt.Fprint(w, h.states)
	case "/base/api/services":
		fmt.Fprint(w, h.services)
	case "/base/api/tts_get_url":
		var ask struct {
			Engine  string `json:"engine_id"`
			Message string
			Options struct{ Voice string }
		}
		if err := json.NewDecoder(r.Body).Decode(&ask); err != nil || ask.Message == "" {
			h.t.Errorf("asked %+v, error %v", ask, err)
		}
		h.engine, h.voice = ask.Engine, ask.Options.Voice
		if h.refuse != "" {
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprint(w, h.refuse)
			return
		}
		fmt.Fprint(w, `{"url":"http://elsewhere.example/api/tts_proxy/a.mp3","path":"/api/tts_proxy/a.mp3"}`)
	case "/base/api/tts_proxy/a.mp3":
		h.requested.Add(1)
		if h.status != 0 {
			w.WriteHeader(h.status)
		}
		_, _ = w.Write(h.sound)
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

func TestHomeAssistant(t *testing.T) {
	t.Parallel()
	sound, err := os.ReadFile("../testdata/speech.mp3")
	if err != nil {
		t.Fatal(err)
	}
	const states = `[{"entity_id":"light.a","state":"on"},{"entity_id":"tts.b","state":"unknown"},{"entity_id":"tts.a","state":"unavailable"}]`
	for name, c := range map[string]struct {
		hass          *hass
		token         string
		voice         string
		engine, spoke string // expected: the engine and the voice that were asked
		err           error
		says          string
	}{
		"first engine":         {hass: &hass{states: states, sound: sound}, engine: "tts.b"},
		"that engine":          {hass: &hass{sound: sound}, voice: "tts.c", engine: "tts.c"},
		"that engine's voice":  {hass: &hass{sound: sound}, voice: "tts.c/anna", engine: "tts.c", spoke: "anna"},
		"the first's voice":    {hass: &hass{states: states, sound: sound}, voice: "anna", engine: "tts.b", spoke: "anna"},
		"engine of the old":    {hass: &hass{states: "[]", services: `[{"domain":"tts","services":{"speak":{},"demo_say":{}}}]`, sound: sound}, engine: "demo"},
		"that one":             {hass: &hass{sound: sound}, voice: "demo/", engine: "demo"},
		"no engine":            {hass: &hass{states: "[]", services: "[]"}, err: ErrRefused, says: "no text-to-speech engine"},
		"wrong token":          {hass: &hass{}, token: "other", err: ErrUnauthorized, says: "HOMEASSISTANT_TOKEN"},
		"says why":             {hass: &hass{states: states, refuse: `{"error":"Provider x not found"}`}, engine: "tts.b", err: ErrRefused, says: "Provider x not found"},
		"no JSON":              {hass: &hass{states: "<html>"}, err: ErrRefused, says: "cannot be read"},
		"engine fails":         {hass: &hass{states: states, status: 500}, engine: "tts.b", err: ErrRefused, says: "HTTP 500"},
		"sound is none":        {hass: &hass{states: states, sound: []byte("<html>not found</html>")}, engine: "tts.b", err: paging.ErrInvalid, says: "web page"},
		"sound is interrupted": {hass: &hass{states: states, sound: sound[:100]}, engine: "tts.b", err: paging.ErrInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.hass.t = t
			server := httptest.NewServer(c.hass)
			defer server.Close()
			token := "s3cret"
			if c.token != "" {
				token = c.token
			}
			s := New(Config{HomeAssistant: server.URL + "/base", Token: token, Client: server.Client()})
			for range 2 {
				b, err := s.Speak(t.Context(), "Dinner", c.voice)
				if c.err == nil && (err != nil || len(b) < 3*paging.Rate) || !errors.Is(err, c.err) || err != nil && !strings.Contains(err.Error(), c.says) {
					t.Errorf("%d samples, error %v, expected %v with %q", len(b), err, c.err, c.says)
				}
				if err != nil && (strings.Contains(err.Error(), "s3cret") || strings.Contains(err.Error(), "tts_proxy")) {
					t.Errorf("the error shows too much: %v", err)
				}
			}
			if c.hass.engine != c.engine || c.hass.voice != c.spoke {
				t.Errorf("asked %q for %q, expected %q for %q", c.hass.engine, c.hass.voice, c.engine, c.spoke)
			}
			if n := c.hass.requested.Load(); c.err == nil && n != 1 {
				t.Errorf("the sound was fetched %d times, expected once", n)
			}
		})
	}
}

func TestWithoutEngine(t *testing.T) {
	t.Parallel()
	if _, err := New(Config{}).Speak(t.Context(), "a", ""); !errors.Is(err, ErrNone) {
		t.Errorf("error %v", err)
	}
}

// TestKeptIsBounded: texts that were spoken take a bounded amount of memory, and the one used last stays longest.
func TestKeptIsBounded(t *testing.T) {
	t.Parallel()
	var k kept
	now := time.Now()
	for i := range 1000 {
		k.put(fmt.Sprint(i), make([]byte, 100_000), now)
		if k.get("0", now) == nil {
			t.Fatalf("the text that is used all the time was dropped after %d", i)
		}
		if k.bytes > keptBytes || len(k.list) > keptTexts {
			t.Fatalf("%d bytes, %d texts", k.bytes, len(k.list))
		}
	}
	k.put("huge", make([]byte, keptBytes), now)
	if k.get("huge", now) != nil || k.get("999", now) == nil || k.get("999", now.Add(keptFor)) != nil {
		t.Error("what is too large or too old is kept, or what is not is dropped")
	}
	for i := range 10_000 {
		k.put(fmt.Sprint("small", i), []byte{1}, now)
	}
	if len(k.list) != keptTexts {
		t.Errorf("%d texts", len(k.list))
	}
}

func FuzzWyoming(f *testing.F) {
	var b bytes.Buffer
	say(&b, "audio-start", pcm, nil)
	say(&b, "audio-chunk", pcm, make([]byte, 320))
	say(&b, "audio-stop", "{}", nil)
	f.Add(b.Bytes())
	f.Add([]byte(`{"type":"error","data":{"text":"x"}}` + "\n"))
	f.Fuzz(func(t *testing.T, answer []byte) {
		client, server := net.Pipe()
		defer client.Close()
		go func() {
			_, _ = server.Write(answer)
			_ = server.Close()
		}()
		c := &wyomingConn{Conn: client, address: "a", stop: func() bool { return true }, in: newReader(client)}
		n, err := io.Copy(io.Discard, c)
		if n > int64(len(answer)) {
			t.Errorf("%d bytes of sound in %d, error %v", n, len(answer), err)
		}
	})
}
