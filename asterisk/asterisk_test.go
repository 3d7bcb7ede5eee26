package asterisk_test

import (
	"bufio"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/snom2mqtt/snom2mqtt/asterisk"
	"github.com/snom2mqtt/snom2mqtt/internal/pbxtest"
	"github.com/snom2mqtt/snom2mqtt/snom"
)

// A manager is a manager interface that says what Asterisk 22 does; the tests in e2e have Asterisk itself.
type manager struct {
	l      net.Listener
	mu     sync.Mutex
	got    []string // actions, their lines joined by |; guarded by mu
	cut    bool     // PJSIPNotify is answered by the end of the connection; guarded by mu
	logins int      // guarded by mu
}

func newManager(t *testing.T) *manager {
	t.Helper()
	m := &manager{}
	m.l = pbxtest.Serve(t, m.serve)
	return m
}

func (m *manager) serve(conn net.Conn) {
	defer conn.Close()
	say := func(lines ...string) { _, _ = io.WriteString(conn, strings.Join(lines, "\r\n")+"\r\n\r\n") }
	_, _ = io.WriteString(conn, "Asterisk Call Manager/11.0.0\r\n")
	in := bufio.NewReader(conn)
	for {
		var lines []string
		id := ""
		for {
			line, err := in.ReadString('\n')
			if err != nil {
				return
			}
			if line = strings.TrimSuffix(line, "\r\n"); line == "" {
				break
			}
			if len(line) > 1023 {
				say("Response: Error", "Message: Failed to parse message: line too long")
			}
			if strings.HasPrefix(line, "ActionID: ") {
				id = line
			}
			lines = append(lines, line)
		}
		m.mu.Lock()
		m.got = append(m.got, strings.Join(lines, "|"))
		cut := m.cut && lines[0] == "Action: PJSIPNotify"
		if lines[0] == "Action: Login" {
			m.logins++
		}
		m.mu.Unlock()
		text := strings.Join(lines, "\n")
		switch {
		case cut:
			return
		case lines[0] == "Action: Login" && strings.Contains(text, "Secret: right"):
			say("Response: Success", "Message: Authentication accepted")
			say("Event: FullyBooted", "Privilege: system,all", "Status: Fully Booted")
		case lines[0] == "Action: Login":
			say("Response: Error", "Message: Authentication failed")
			return
		case lines[0] == "Action: PJSIPShowContacts":
			say("Response: Success", id, "EventList: start", "Message: A listing of Contacts follows, presented as ContactList events")
			say("Event: ContactList", id, "ObjectType: contact", "ObjectName: 27;@ab", "Uri: sip:27@192.0.2.20:5060;line=x", "UserAgent: snomD862/10.1.226.13 0004130DD7C9", "Endpoint: 27", "Status: NonQualified")
			say("Event: ContactList", id, "ObjectType: contact", "ObjectName: 28;@ab", "Uri: sip:28@192.0.2.21:5060", "UserAgent: snomD865/10.1", "Endpoint: 28", "Status: Unreachable")
			say("Event: ContactListComplete", id, "EventList: Complete", "ListItems: 2")
		case strings.Contains(text, "Endpoint: 99"):
			say("Response: Error", id, "Message: Unable to retrieve endpoint 99")
		default:
			say("Response: Success", id, "Message: NOTIFY sent")
		}
	}
}

func (m *manager) asked(begin string) (n int, last string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, one := range m.got {
		if strings.HasPrefix(one, begin) {
			n, last = n+1, one
		}
	}
	return n, last
}

func serverOf(t *testing.T, m *manager, password string) *asterisk.Server {
	t.Helper()
	s, err := asterisk.New(asterisk.Config{Address: m.l.Addr().String(), Username: "snom", Password: password, Timeout: 5 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func stepOf(t *testing.T, p *asterisk.Phone, command string) snom.Step {
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
	m := newManager(t)
	s := serverOf(t, m, "right")
	p := s.Phone("27")
	if reply, err := p.Send(t.Context(), stepOf(t, p, "dial +4930123")); err != nil || reply.Requests != 1 {
		t.Fatalf("Send = %+v, %v", reply, err)
	}
	n, asked := m.asked("Action: PJSIPNotify")
	for _, part := range []string{"|Endpoint: 27|", "|Variable: Event=xml|", "|Variable: Content-Type=application/snomxml|", `|Variable: Content=<?xml version=\"1.0\"`, "numberdial=+4930123"} {
		if n != 1 || !strings.Contains(asked, part) || strings.Contains(asked, "Subscription-State") {
			t.Errorf("%d actions, %s, expected one with %s", n, asked, part)
		}
	}
	info, err := p.Probe(t.Context())
	if err != nil || info.Model != "D862" || info.MAC != "0004130dd7c9" {
		t.Errorf("Probe = %+v, %v", info, err)
	}
	if err := p.Ping(t.Context()); err != nil {
		t.Error(err)
	}
	for endpoint, says := range map[string]string{"28": "Unreachable", "29": "no contact"} {
		if err := s.Phone(endpoint).Ping(t.Context()); !errors.Is(err, snom.ErrUnreachable) || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: Ping = %v, expected ErrUnreachable and %q", endpoint, err, says)
		}
	}
	if n, _ := m.asked("Action: PJSIPShowContacts"); n != 1 {
		t.Errorf("the list was fetched %d times, expected once", n)
	}
	q := s.Phone("99")
	if _, err := q.Send(t.Context(), stepOf(t, q, "answer")); !errors.Is(err, snom.ErrRefused) || !strings.Contains(err.Error(), "Unable to retrieve endpoint 99") {
		t.Errorf("an endpoint that is not there: %v", err)
	}
}

// TestShow: a document of several lines, with commas and quotes, arrives in lines that Asterisk takes.
func TestShow(t *testing.T) {
	t.Parallel()
	m := newManager(t)
	p := serverOf(t, m, "right").Phone("27")
	document := `<?xml version="1.0"?>` + "\n<SnomIPPhoneText><Title>a, \"b\" \\</Title>" + strings.Repeat("<Text>x</Text>", 40) + "</SnomIPPhoneText>"
	step, fetches, err := p.ShowStep(snom.Display{URL: "http://192.0.2.5/page", Document: []byte(document)})
	if err != nil || fetches {
		t.Fatal(fetches, err)
	}
	if _, err := p.Send(t.Context(), step); err != nil {
		t.Fatal(err)
	}
	_, asked := m.asked("Action: PJSIPNotify")
	if !strings.Contains(asked, `<Title>a\, \"b\" \\</Title>`) {
		t.Errorf("%s", asked)
	}
}

// TestLostConnection: a connection that is lost in the middle of a command is an outcome that is not known, and not a second command;
// one that was lost before is made anew.
func TestLostConnection(t *testing.T) {
	t.Parallel()
	m := newManager(t)
	m.cut = true
	p := serverOf(t, m, "right").Phone("27")
	if reply, err := p.Send(t.Context(), stepOf(t, p, "dial 1")); !errors.Is(err, snom.ErrOutcomeUnknown) || reply.Requests != 1 {
		t.Errorf("Send = %+v, %v, expected ErrOutcomeUnknown", reply, err)
	}
	m.mu.Lock()
	m.cut = false
	m.mu.Unlock()
	if _, err := p.Send(t.Context(), stepOf(t, p, "dial 2")); err != nil {
		t.Errorf("after that: %v", err)
	}
	if n, last := m.asked("Action: PJSIPNotify"); n != 2 || !strings.Contains(last, "numberdial=2") {
		t.Errorf("%d actions, the last %s", n, last)
	}
}

func TestARevokedStepIsNotSent(t *testing.T) {
	t.Parallel()
	m := newManager(t)
	p := serverOf(t, m, "right").Phone("27")
	var revoked atomic.Bool
	revoked.Store(true)
	step := stepOf(t, p, "dial 1")
	step.Revoked = &revoked
	if reply, err := p.Send(t.Context(), step); !errors.Is(err, snom.ErrRevoked) || reply.Requests != 0 {
		t.Errorf("Send = %+v, %v, expected ErrRevoked", reply, err)
	}
	if n, _ := m.asked("Action: PJSIPNotify"); n != 0 {
		t.Errorf("%d actions, expected none", n)
	}
}

func TestWrongPassword(t *testing.T) {
	t.Parallel()
	m := newManager(t)
	p := serverOf(t, m, "geheim").Phone("27")
	for range 3 {
		if _, err := p.Send(t.Context(), stepOf(t, p, "answer")); !errors.Is(err, snom.ErrUnauthorized) || strings.Contains(err.Error(), "geheim") {
			t.Errorf("Send = %v, expected ErrUnauthorized without the password", err)
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.logins != 1 {
		t.Errorf("%d logins, expected one", m.logins)
	}
}
