package main

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/snom2mqtt/snom2mqtt/bridge"
)

// A show is a demo in a process of its own.
type show struct {
	t     *testing.T
	cmd   *exec.Cmd
	first time.Duration // from the start to the first result
	lines chan string   // what it prints; closed at its end
	seen  []string      // of them
}

// newShow starts a demo and waits until it has printed what to try.
func newShow(t *testing.T) *show {
	t.Helper()
	s := &show{t: t, cmd: exec.Command("snom2mqtt", "demo"), lines: make(chan string, 1000)}
	s.cmd.Env = append(os.Environ(), "SNOM2MQTT_PHONE_0_URL=of no interest to a demo", "GORACE=atexit_sleep_ms=0")
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	s.cmd.Stderr = &log
	start := time.Now()
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var reading sync.WaitGroup
	reading.Go(func() {
		defer close(s.lines)
		for in := bufio.NewScanner(out); in.Scan(); {
			s.lines <- in.Text()
		}
	})
	t.Cleanup(func() {
		_ = s.cmd.Process.Kill() // it may have ended
		reading.Wait()
		_ = s.cmd.Wait() // it was killed, or waited for before
		if t.Failed() {
			t.Logf("the demo said:\n%s\n%s", strings.Join(s.seen, "\n"), log.String())
		}
	})
	s.until(`^\S+  mqtt   snom/kitchen/result +\{.*"ok":true,"code":"ok"`)
	s.first = time.Since(start)
	s.until(`^Ctrl-C ends it`)
	return s
}

// until reads on to a line like pattern.
func (s *show) until(pattern string) string {
	s.t.Helper()
	like := regexp.MustCompile(pattern)
	late := time.After(waitLimit)
	for {
		select {
		case line, more := <-s.lines:
			if !more {
				s.t.Fatalf("the demo ended before a line like %s", pattern)
			}
			s.seen = append(s.seen, line)
			if like.MatchString(line) {
				return line
			}
		case <-late:
			s.t.Fatalf("no line like %s", pattern)
		}
	}
}

// untilSeen reads on to a line like pattern, unless there was one.
func (s *show) untilSeen(pattern string) {
	s.t.Helper()
	if !slices.ContainsFunc(s.seen, regexp.MustCompile(pattern).MatchString) {
		s.until(pattern)
	}
}

// atTheDoor waits until the kitchen phone shows the page of the door, with a picture.
func (s *show) atTheDoor() {
	s.t.Helper()
	screen := strings.TrimPrefix(s.hints("curl")[1], "curl -s ")
	late := time.Now().Add(waitLimit)
	for {
		text := get(s.t, http.MethodGet, screen)
		if strings.Contains(text, "[imagefile] front: Front door (**61)\n(picture 320 x 184)\nF1: Open\nF4: Close") {
			break
		}
		if time.Now().After(late) {
			s.t.Fatalf("the phone shows %s", text)
		}
		<-time.After(50 * time.Millisecond)
	}
	picture := get(s.t, http.MethodGet, strings.TrimSuffix(screen, "screen")+"picture")
	if http.DetectContentType([]byte(picture)) != "image/jpeg" {
		s.t.Errorf("a picture of %d bytes", len(picture))
	}
	s.untilSeen(`snom/front/image +\(a picture, [0-9]+ bytes\)`)
	s.untilSeen(`snom/front/event +\{"event_type":"ring","door":"front","phone":"kitchen"`)
}

// chooses waits until the kitchen phone shows the menu, and chooses as the hints say.
func (s *show) chooses() {
	s.t.Helper()
	curl := s.hints("curl")
	choose := curl[len(curl)-2] // the last one is about the health
	for late := time.Now().Add(waitLimit); !strings.Contains(get(s.t, http.MethodGet, strings.TrimPrefix(curl[1], "curl -s ")), ">1 Open the gate"); {
		if time.Now().After(late) {
			s.t.Fatal("the phone shows no menu")
		}
		<-time.After(50 * time.Millisecond)
	}
	get(s.t, http.MethodPost, regexp.MustCompile(`'(.*)'`).FindStringSubmatch(choose)[1])
	s.until(`snom/kitchen/event +\{"event_type":"choice".*"choice":"gate"`)
}

// hints returns the lines to try that begin with a program's name.
func (s *show) hints(program string) (lines []string) {
	for _, line := range s.seen {
		if hint, ok := strings.CutPrefix(line, "  "); ok && strings.HasPrefix(hint, program+" ") {
			lines = append(lines, hint)
		}
	}
	return lines
}

// end sends a signal, and returns the exit code.
func (s *show) end(signal os.Signal) int {
	s.t.Helper()
	if err := s.cmd.Process.Signal(signal); err != nil {
		s.t.Fatal(err)
	}
	for line := range s.lines {
		s.seen = append(s.seen, line)
	}
	_ = s.cmd.Wait() // the exit code says it
	return s.cmd.ProcessState.ExitCode()
}

// tool returns where a program of the system is, or skips the test.
func tool(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil && os.Getenv("CI") == "true" {
		t.Fatalf("%s is missing, and CI=true", name)
	}
	if err != nil {
		t.Skipf("skipped: %s is missing; `make test` installs it where it can", name)
	}
	return path
}

// shell runs a line as a person who copied it would.
func shell(t *testing.T, line string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), waitLimit)
	defer cancel()
	out, err := exec.CommandContext(ctx, "sh", "-c", line).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", line, err, out)
	}
	return string(out)
}

func TestDemoIsQuick(t *testing.T) {
	t.Parallel()
	var took []time.Duration
	for range 3 { // a busy machine may be late once
		s := newShow(t)
		if code := s.end(os.Interrupt); code != exitDone {
			t.Fatalf("SIGINT: exit code %d, want 0", code)
		}
		if took = append(took, s.first); s.first < 2*time.Second {
			return
		}
	}
	t.Errorf("first result after %v, want less than 2 s", took)
}

func TestDemosSideBySide(t *testing.T) {
	t.Parallel()
	one, two := newShow(t), newShow(t)
	moved := 0
	for _, s := range []*show{one, two} {
		moved += s.moved()
		if page, ok := strings.CutPrefix(s.seen[0], "Open "); !ok {
			t.Errorf("its first line is %q, expected the console's address", s.seen[0])
		} else if page, _, _ = strings.Cut(page, " "); !strings.Contains(get(t, http.MethodGet, page), "<table id=\"phones\"") {
			t.Errorf("%s does not show the phones", page)
		}
		for _, hint := range s.hints("curl") {
			if url, ok := strings.CutPrefix(hint, "curl http://"); ok {
				if text := get(t, http.MethodGet, "http://"+url); text != "{\"status\":\"ok\"}\n" {
					t.Errorf("%s: %q", hint, text)
				}
			}
		}
		if code := s.end(syscall.SIGTERM); code != exitDone {
			t.Errorf("SIGTERM: exit code %d, want 0", code)
		}
		if last := s.seen[len(s.seen)-1]; !strings.HasSuffix(last, "snom/bridge/state          offline") {
			t.Errorf("its last line is %q, want that the bridge is offline", last)
		}
	}
	if moved == 0 {
		t.Error("two demos have the same ports")
	}
}

// moved counts the ports that were in use and of which the demo says so, and says where it is instead.
func (s *show) moved() (n int) {
	s.t.Helper()
	text := strings.Join(s.seen, "\n")
	broker := regexp.MustCompile(`an MQTT broker on (\S+),`).FindStringSubmatch(text)
	console := regexp.MustCompile(`curl http://(\S+)/readyz`).FindStringSubmatch(text)
	if broker == nil || console == nil {
		s.t.Fatal("the demo does not say where its ports are")
	}
	for _, port := range []struct{ what, usual, is string }{{"broker", "127.0.0.1:1883", broker[1]}, {"console", "127.0.0.1:8080", console[1]}} {
		said := slices.Contains(s.seen, port.usual+" is in use by another program: the "+port.what+" of this demo is on "+port.is+".")
		if said != (port.is != port.usual) {
			s.t.Errorf("the %s is on %s, and the demo says that it is not where it usually is: %t", port.what, port.is, said)
		}
		if said {
			n++
		}
	}
	return n
}

// TestDemoHintsWork does what the demo says one may try, line by line, and waits for what it
// promises.
func TestDemoHintsWork(t *testing.T) {
	t.Parallel()
	tool(t, "mosquitto_pub")
	tool(t, "mosquitto_sub")
	s := newShow(t)

	publish := s.hints("mosquitto_pub")
	wants := []struct{ topic, phone, code, says string }{
		{"snom/kitchen/key", "kitchen", "ok", ""},
		{"snom/hall/touch", "hall", "ok", ""},
		{"snom/all/ring", "all", "ok", ""},
		{"snom/kitchen/dtmf", "kitchen", "ok", ""},
		{"snom/kitchen/hangup", "kitchen", "ok", ""},
		{"snom/bridge/request/probe", "", "ok", ""},
		{"snom/kitchen/key", "kitchen", "invalid", "capitals: OFFHOOK"},
		{"snom/kitchen/answer", "kitchen", "ok", ""},
		{"snom/front/open", "front", "ok", ""},
		{"snom/kitchen/show", "kitchen", "ok", ""},
	}
	if len(publish) != len(wants) {
		t.Fatalf("%d lines of mosquitto_pub, want %d", len(publish), len(wants))
	}
	for i, want := range wants {
		if !strings.Contains(publish[i], " -t "+want.topic+" ") {
			t.Fatalf("%s: want the topic %s", publish[i], want.topic)
		}
		if want.topic == "snom/kitchen/answer" { // the call comes first
			ring := s.hints("curl")[0]
			url := regexp.MustCompile(`'(.*)'`).FindStringSubmatch(ring)[1]
			get(t, http.MethodPost, url)
			s.until(`snom/kitchen/event +\{"event_type":"incoming".*"name":"Front door"`)
		}
		if want.topic == "snom/kitchen/show" { // the soft key of the door's page comes first
			press := s.hints("curl")[2]
			get(t, http.MethodPost, regexp.MustCompile(`'(.*)'`).FindStringSubmatch(press)[1])
			s.until(`snom/front/result +\{"id":"page-.*"code":"ok"`)
		}
		if want.topic == "snom/front/open" { // in the call
			s.untilSeen(`snom/kitchen/event +\{"event_type":"connected"`)
			s.atTheDoor()
		}
		shell(t, publish[i])
		if want.phone == "" {
			s.until(`snom/bridge/response/probe +\{"id":"","action":"probe","ok":true`)
			continue
		}
		line := s.until(`snom/` + want.phone + `/result `)
		var result bridge.Result
		if err := json.Unmarshal([]byte(line[strings.IndexByte(line, '{'):]), &result); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		if string(result.Code) != want.code || !strings.Contains(result.Message, want.says) {
			t.Errorf("%s: %s %q, want %s %q", publish[i], result.Code, result.Message, want.code, want.says)
		}
	}
	s.untilSeen(`snom/front/state +\{"door":"front","state":"open"`)
	s.untilSeen(`snom/kitchen/event +\{"event_type":"choice".*"choice":"lights".*"show":"demo-menu"`)
	s.chooses()

	subscribe := s.hints("mosquitto_sub")
	if len(subscribe) != 1 {
		t.Fatalf("%d lines of mosquitto_sub, want 1", len(subscribe))
	}
	if out := shell(t, subscribe[0]+" -C 1 -W 20"); !strings.HasPrefix(out, "snom/") {
		t.Errorf("%s: %q", subscribe[0], out)
	}
}

// TestDemoPhoneIsFree begins with the call: the phone rings, and is not busy with what the demo did before.
func TestDemoPhoneIsFree(t *testing.T) {
	t.Parallel()
	s := newShow(t)
	url := regexp.MustCompile(`'(.*)'`).FindStringSubmatch(s.hints("curl")[0])[1]
	get(t, http.MethodPost, url)
	s.until(`snom/kitchen/status +\{.*"call":\{"state":"ringing"`)
}

// get makes one request and returns what came back.
func get(t *testing.T, method, url string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s %s %v", url, resp.Status, body, err)
	}
	return string(body)
}
