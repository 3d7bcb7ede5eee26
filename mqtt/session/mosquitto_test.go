package session_test

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/snom2mqtt/snom2mqtt/mqtt"
	"github.com/snom2mqtt/snom2mqtt/mqtt/paho3"
	"github.com/snom2mqtt/snom2mqtt/mqtt/session"
)

// inFlight is the number of messages that may be sent again, out of order, when a broker is killed.
const inFlight = 32

// A mosquitto is a real one, reached over a Unix socket so that no port is needed.
type mosquitto struct {
	t      *testing.T
	path   string
	conf   string
	socket string
	cmd    *exec.Cmd
}

// newMosquitto starts a Mosquitto with these lines in its configuration. The test is skipped where there is none.
func newMosquitto(t *testing.T, lines ...string) *mosquitto {
	t.Helper()
	path, err := exec.LookPath("mosquitto")
	if err != nil {
		path = "/usr/sbin/mosquitto" // where Debian puts it, out of the way of ordinary users
		if _, err := os.Stat(path); err != nil {
			t.Skip("mosquitto is not installed")
		}
	}
	dir, err := os.MkdirTemp("", "mosquitto") //nolint:usetesting // t.TempDir is too long a path for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	m := &mosquitto{t: t, path: path, conf: filepath.Join(dir, "conf"), socket: filepath.Join(dir, "socket")}
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	lines = append(lines, "listener 0 "+m.socket, "user "+me.Username)
	if err := os.WriteFile(m.conf, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	m.start()
	t.Cleanup(m.kill)
	return m
}

// start starts the broker. It may take a moment to answer.
func (m *mosquitto) start() {
	m.t.Helper()
	m.cmd = exec.Command(m.path, "-c", m.conf)
	if err := m.cmd.Start(); err != nil {
		m.t.Fatal(err)
	}
}

// kill ends the broker without a goodbye.
func (m *mosquitto) kill() {
	_ = m.cmd.Process.Kill() // may have ended
	_ = m.cmd.Wait()         // says that it was killed
}

// session runs a session until the test ends, and returns it with a note each time it is online.
func (m *mosquitto) session(handle func(mqtt.Message)) (s *session.Session, online <-chan struct{}) {
	m.t.Helper()
	tree, err := mqtt.NewTree("snom", "")
	if err != nil {
		m.t.Fatal(err)
	}
	notes := make(chan struct{}, 100)
	s, err = session.New(session.Config{
		URL:      "tcp://localhost",
		ClientID: "snom2mqtt-test",
		Tree:     tree,
		Driver:   paho3.Driver{},
		Log:      slog.New(slog.DiscardHandler),
		Open: func(ctx context.Context) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", m.socket)
		},
	})
	if err != nil {
		m.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background()) // t.Context ends before the cleanups that need it
	ended := make(chan error, 1)
	h := funcs{tree: tree, message: handle, online: func() { notes <- struct{}{} }}
	go func() { ended <- s.Run(ctx, h) }()
	m.t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			m.t.Errorf("Run() = %v, expected nil", err)
		}
	})
	return s, notes
}

// atMost is how long anything may take that is only waited for. It is never a measure.
const atMost = 2 * time.Minute

// within fails the test when nothing comes in time.
func within[T any](t *testing.T, limit time.Duration, c <-chan T) T {
	t.Helper()
	select {
	case got := <-c:
		return got
	case <-time.After(limit):
		t.Fatalf("nothing within %v", limit)
		panic("not reached")
	}
}

// Mosquitto is killed again and again under load. Nothing is dropped or out of order here, and what is sent at the end
// arrives. (What it had acknowledged and not delivered when it was killed is lost with it.)
func TestMosquittoKilled(t *testing.T) {
	t.Parallel()
	m := newMosquitto(t, "allow_anonymous true")
	const n = 3000 // fewer than may wait
	done := make(chan struct{})
	last := -1
	s, online := m.session(func(msg mqtt.Message) {
		var i int
		if _, err := fmt.Sscan(string(msg.Payload), &i); err != nil || i < last-inFlight {
			t.Errorf("%s came after %d", msg.Payload, last)
		}
		last = max(last, i)
		if i == n {
			close(done)
		}
	})
	within(t, atMost, online)
	// On a topic that the session takes for a command, so that it comes back and shows what arrives.
	publish := func(i int) {
		if !s.Publish(mqtt.Message{Topic: "snom/kitchen/dial", Payload: fmt.Append(nil, i)}) {
			t.Errorf("message %d was not taken", i)
		}
	}
	for i := range n {
		publish(i)
		if i%1000 == 500 {
			m.kill()
			m.start()
			within(t, atMost, online)
		}
	}
	publish(n)
	within(t, atMost, done)
	if st := s.Status(); st.Dropped != 0 || st.TakenOver || st.Reconnects < 3 {
		t.Errorf("status is %+v, expected 3 reconnects at least and nothing dropped", st)
	}
}

// With an acl_file, Mosquitto grants every subscription and delivers only what the file allows to be read.
func TestMosquittoGrantsAndDeliversNothing(t *testing.T) {
	t.Parallel()
	acl := filepath.Join(t.TempDir(), "acl")
	if err := os.WriteFile(acl, []byte("topic write snom/#\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	m := newMosquitto(t, "allow_anonymous true", "acl_file "+acl)
	s, online := m.session(func(mqtt.Message) {})
	for late := time.After(atMost); !strings.Contains(s.Status().LastError, "delivers nothing"); {
		select {
		case <-online:
			t.Fatal("online, although nothing is delivered")
		case <-late:
			t.Fatalf("status is %+v after %v, expected an error that says what is the matter", s.Status(), atMost)
		case <-time.After(10 * time.Millisecond):
		}
	}
	if st := s.Status(); !st.Connected || st.Proven {
		t.Errorf("status is %+v, expected connected and not proven", st)
	}
}
