package freeswitch_test

import (
	"bufio"
	"errors"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/snom2mqtt/snom2mqtt/freeswitch"
	"github.com/snom2mqtt/snom2mqtt/internal/pbxtest"
	"github.com/snom2mqtt/snom2mqtt/snom"
)

// The answers of FreeSWITCH below are written after its documentation (mod_event_socket, "show registrations as json", "sofia
// xmlstatus"): there is no FreeSWITCH where these tests run.
const (
	registrations = `{"row_count":1,"rows":[{"reg_user":"27","realm":"pbx.example","token":"3c26-ab@192.0.2.20","url":"sofia/internal/sip:27@192.0.2.20:5060;line=x1","expires":"1764273000","network_ip":"192.0.2.20","network_port":"5060","network_proto":"udp","hostname":"pbx","metadata":""}]}`
	status        = `<?xml version="1.0" encoding="ISO-8859-1"?>
<profile><registrations><registration><call-id>3c26-ab@192.0.2.20</call-id><user>27@pbx.example</user><contact>sip:27@192.0.2.20:5060</contact><agent>snomD862/10.1.226.13 0004130DD7C9</agent><status>Registered(UDP)(unknown) exp(2026-11-27 20:10:00) expsecs(3000)</status></registration></registrations></profile>
`
)

// A server is an event socket that says what FreeSWITCH does.
type server struct {
	l        net.Listener
	password string
	mu       sync.Mutex
	got      []string // what was asked for; guarded by mu
	cut      bool     // sendevent is answered by the end of the connection; guarded by mu
	logins   int      // guarded by mu
}

func newServer(t *testing.T) *server {
	t.Helper()
	s := &server{password: "ClueCon"}
	s.l = pbxtest.Serve(t, s.serve)
	return s
}

func (s *server) serve(conn net.Conn) {
	defer conn.Close()
	say := func(text string) { _, _ = io.WriteString(conn, text) }
	say("Content-Type: auth/request\n\n")
	in := bufio.NewReader(conn)
	for {
		var lines []string
		length := 0
		for {
			line, err := in.ReadString('\n')
			if err != nil {
				return
			}
			if line = strings.TrimSuffix(line, "\n"); line == "" {
				break
			}
			if n, ok := strings.CutPrefix(line, "content-length: "); ok {
				length, _ = strconv.Atoi(n)
			}
			lines = append(lines, line)
		}
		body := make([]byte, length)
		if _, err := io.ReadFull(in, body); err != nil {
			return
		}
		s.mu.Lock()
		s.got = append(s.got, strings.Join(lines, "|")+"|"+string(body))
		cut := s.cut && strings.HasPrefix(lines[0], "sendevent")
		if strings.HasPrefix(lines[0], "auth") {
			s.logins++
		}
		s.mu.Unlock()
		api := func(text string) {
			say("Content-Type: api/response\nContent-Length: " + strconv.Itoa(len(text)) + "\n\n" + text)
		}
		switch {
		case cut:
			return
		case lines[0] == "auth "+s.password:
			say("Content-Type: command/reply\nReply-Text: +OK accepted\n\n")
		case strings.HasPrefix(lines[0], "auth"):
			say("Content-Type: command/reply\nReply-Text: -ERR invalid\n\n")
			return
		case lines[0] == "api show registrations as json":
			api(registrations)
		case strings.HasPrefix(lines[0], "api sofia xmlstatus"):
			api(status)
		case lines[0] == "sendevent NOTIFY":
			say("Content-Type: command/reply\nReply-Text: +OK 5b3f\n\n")
		}
	}
}

func (s *server) asked(begin string) (n int, last string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, one := range s.got {
		if strings.HasPrefix(one, begin) {
			n, last = n+1, one
		}
	}
	return n, last
}

func phoneOf(t *testing.T, s *server, password, user string) *freeswitch.Phone {
	t.Helper()
	f, err := freeswitch.New(freeswitch.Config{Address: s.l.Addr().String(), Password: password, Timeout: 5 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f.Phone(user, "pbx.example")
}

func stepOf(t *testing.T, p *freeswitch.Phone, command string) snom.Step {
	t.Helper()
	c, err := snom.ParseCommand(command)
	if err != nil {
		t.Fatal(err)
	}
	steps, _, err := p.Plan(c, snom.Model{})
	if err != nil {
		t.Fatal(err)
	}
	return steps[0]
}

func TestSend(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	p := phoneOf(t, s, "ClueCon", "27")
	if reply, err := p.Send(t.Context(), stepOf(t, p, "dial +4930123")); err != nil || reply.Requests != 1 {
		t.Fatalf("Send = %+v, %v", reply, err)
	}
	n, asked := s.asked("sendevent")
	for _, part := range []string{"|profile: internal|", "|event-string: xml|", "|user: 27|", "|host: pbx.example|", "|call-id: 3c26-ab@192.0.2.20|", "|content-type: application/snomxml|", "numberdial=+4930123"} {
		if n != 1 || !strings.Contains(asked, part) {
			t.Errorf("%d events, %s, expected one with %s", n, asked, part)
		}
	}
	info, err := p.Probe(t.Context())
	if err != nil || info.Model != "D862" || info.Firmware != "10.1.226.13" || info.MAC != "0004130dd7c9" {
		t.Errorf("Probe = %+v, %v", info, err)
	}
	if err := p.Ping(t.Context()); err != nil {
		t.Error(err)
	}
	if n, _ := s.asked("api show"); n != 1 {
		t.Errorf("the list was fetched %d times, expected once", n)
	}
}

func TestNotRegistered(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	p := phoneOf(t, s, "ClueCon", "99")
	if reply, err := p.Send(t.Context(), stepOf(t, p, "answer")); !errors.Is(err, snom.ErrUnreachable) || reply.Requests != 0 {
		t.Errorf("Send = %+v, %v, expected ErrUnreachable", reply, err)
	}
}

// TestLostConnection: a connection that is lost in the middle of a command is an outcome that is not known, and not a second command.
func TestLostConnection(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.cut = true
	p := phoneOf(t, s, "ClueCon", "27")
	if reply, err := p.Send(t.Context(), stepOf(t, p, "dial 1")); !errors.Is(err, snom.ErrOutcomeUnknown) || reply.Requests != 1 {
		t.Errorf("Send = %+v, %v, expected ErrOutcomeUnknown", reply, err)
	}
	s.mu.Lock()
	s.cut = false
	s.mu.Unlock()
	if _, err := p.Send(t.Context(), stepOf(t, p, "dial 2")); err != nil {
		t.Errorf("after that: %v", err)
	}
	if n, last := s.asked("sendevent"); n != 2 || !strings.Contains(last, "numberdial=2") {
		t.Errorf("%d events, the last %s", n, last)
	}
}

func TestWrongPassword(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	p := phoneOf(t, s, "geheim", "27")
	for range 3 {
		if _, err := p.Send(t.Context(), stepOf(t, p, "answer")); !errors.Is(err, snom.ErrUnauthorized) || strings.Contains(err.Error(), "geheim") {
			t.Errorf("Send = %v, expected ErrUnauthorized without the password", err)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.logins != 1 {
		t.Errorf("%d logins, expected one", s.logins)
	}
}
