// Package freeswitch has FreeSWITCH send the NOTIFYs of phones that are registered there, by its event socket.
//
// A [Server] is one FreeSWITCH, with one connection for all its phones. Nothing here was tried at a FreeSWITCH: what is said follows the
// documentation of mod_event_socket and mod_sofia and the program nemerald-voip/fspbx, which runs this way.
package freeswitch

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/snom2mqtt/snom2mqtt/internal/pbx"
	"github.com/snom2mqtt/snom2mqtt/snom"
	"github.com/snom2mqtt/snom2mqtt/snom/notify"
)

// Port is the usual port of the event socket.
const Port = "8021"

// Config configures a [Server].
type Config struct {
	Address  string // host:port
	TLS      *tls.Config
	Password string
	Timeout  time.Duration // for one request
	Dial     func(ctx context.Context, network, address string) (net.Conn, error)
}

const (
	registrationsLast = 5 * time.Second // how long the list is used: one request serves the polls of many phones
	maxBody           = 64 << 20        // bytes of an answer
)

// A Server is one FreeSWITCH.
type Server struct {
	link *pbx.Link

	mu            sync.Mutex // guards what follows; held while the list is fetched: once for all that ask
	registrations map[string]registration
	fetched       time.Time
}

// A registration is what FreeSWITCH knows of a phone.
type registration struct{ profile, callID string }

// New returns a Server. It does not connect. The error does not repeat the password.
func New(c Config) (*Server, error) {
	if !pbx.OneLine(c.Password) {
		return nil, errors.New("snom: freeswitch: password: expected no control characters")
	}
	return &Server{link: pbx.NewLink(pbx.LinkConfig{
		Address: c.Address, TLS: c.TLS, Timeout: c.Timeout, Dial: c.Dial, Read: read,
		Login: func(w *pbx.Wire) error { return login(w, c.Password) },
	})}, nil
}

// Close ends the connection.
func (s *Server) Close() error { return s.link.Close() }

// read reads a message: headers, and as much of a body as they say.
func read(in *bufio.Reader) (pbx.Message, error) {
	headers, err := pbx.ReadHeaders(in)
	if err != nil || len(headers) == 0 {
		return pbx.Message{}, err
	}
	m := pbx.Message{Headers: headers}
	if text := headers["content-length"]; text != "" {
		length, err := strconv.ParseUint(text, 10, 31)
		if err != nil || length > maxBody {
			return m, errors.New("content-length: expected a number of at most 64 MiB")
		}
		body, err := io.ReadAll(io.LimitReader(in, int64(length)))
		if err == nil && uint64(len(body)) < length {
			err = io.ErrUnexpectedEOF
		}
		if m.Body = string(body); err != nil {
			return m, err
		}
	}
	return m, nil
}

// login answers the challenge at the beginning of a connection.
func login(w *pbx.Wire, password string) error {
	m, err := answer(context.Background(), w, "auth/request") // the wire has a deadline
	if err != nil {
		return err
	}
	if err := w.Send("auth " + password + "\n\n"); err != nil {
		return err
	}
	if m, err = answer(context.Background(), w, "command/reply"); err != nil {
		return err
	}
	if text := m.Headers["reply-text"]; !strings.HasPrefix(text, "+OK") {
		return fmt.Errorf("%w: FreeSWITCH: %s", snom.ErrUnauthorized, snom.Foreign(text))
	}
	return nil
}

// answer waits for a message of a kind.
func answer(ctx context.Context, w *pbx.Wire, kind string) (pbx.Message, error) {
	for {
		m, err := w.Receive(ctx)
		switch is := m.Headers["content-type"]; {
		case err != nil:
			return m, err
		case is == kind:
			return m, nil
		case is == "text/rude-rejection":
			return m, fmt.Errorf("%w: FreeSWITCH does not allow this address (event_socket.conf, apply-inbound-acl)", snom.ErrUnauthorized)
		case is == "text/disconnect-notice":
			return m, errors.New("FreeSWITCH ends the connection")
		}
	}
}

// api runs a command and returns its output.
func (s *Server) api(ctx context.Context, command string) (output string, err error) {
	err = s.link.Do(ctx, snom.Step{}, func(ctx context.Context, w *pbx.Wire) error {
		if err := w.Send("api " + command + "\n\n"); err != nil {
			return err
		}
		m, err := answer(ctx, w, "api/response")
		output = m.Body
		return err
	})
	if errors.Is(err, snom.ErrOutcomeUnknown) { // it asked, and nothing comes of that
		err = fmt.Errorf("%w: FreeSWITCH does not answer", snom.ErrUnreachable)
	}
	return output, err
}

// registrationOf returns the registration of a user of a domain.
func (s *Server) registrationOf(ctx context.Context, user, domain string) (registration, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if time.Since(s.fetched) > registrationsLast {
		output, err := s.api(ctx, "show registrations as json")
		if err != nil {
			return registration{}, err
		}
		if s.registrations, err = readRegistrations(output); err != nil {
			return registration{}, err
		}
		s.fetched = time.Now()
	}
	r, ok := s.registrations[strings.ToLower(user+"@"+domain)]
	if !ok {
		return r, fmt.Errorf("%w: %s@%s is not registered at FreeSWITCH", snom.ErrUnreachable, user, domain)
	}
	return r, nil
}

// readRegistrations reads the output of "show registrations as json": by user@domain in lower case.
func readRegistrations(output string) (map[string]registration, error) {
	var list struct {
		Rows []struct {
			User  string `json:"reg_user"`
			Realm string `json:"realm"`
			Token string `json:"token"` // the Call-ID of the registration
			URL   string `json:"url"`   // sofia/PROFILE/sip:…
		} `json:"rows"`
	}
	if err := json.Unmarshal([]byte(output), &list); err != nil {
		return nil, fmt.Errorf("%w: the list of registrations of FreeSWITCH is no JSON", snom.ErrPhone)
	}
	all := map[string]registration{}
	for _, r := range list.Rows {
		parts := strings.SplitN(r.URL, "/", 3)
		if len(parts) == 3 && parts[0] == "sofia" && pbx.OneLine(parts[1]+r.Token) {
			all[strings.ToLower(r.User+"@"+r.Realm)] = registration{parts[1], r.Token}
		}
	}
	return all, nil
}

// event returns the text that sends a NOTIFY to a registered phone.
func event(user, domain string, r registration, n notify.Notification) string {
	kind := n.ContentType
	if kind == "" {
		kind = "application/simple-message-summary" // mod_sofia sends nothing without one; its own check-sync has this one
	}
	lines := []string{
		"sendevent NOTIFY", "profile: " + r.profile, "event-string: " + n.Event, "user: " + user, "host: " + domain, "call-id: " + r.callID,
		"content-type: " + kind, "content-length: " + strconv.Itoa(len(n.Body)), "", "",
	}
	return strings.Join(lines, "\n") + n.Body
}

// send has FreeSWITCH send a NOTIFY.
func (s *Server) send(ctx context.Context, user, domain string, n notify.Notification, step snom.Step) (requests int, err error) {
	r, err := s.registrationOf(ctx, user, domain)
	if err != nil {
		return 0, err
	}
	var refused error
	err = s.link.Do(ctx, step, func(ctx context.Context, w *pbx.Wire) error {
		requests = 1
		if err := w.Send(event(user, domain, r, n)); err != nil {
			return err
		}
		m, err := answer(ctx, w, "command/reply")
		if text := m.Headers["reply-text"]; err == nil && !strings.HasPrefix(text, "+OK") {
			refused = fmt.Errorf("%w: FreeSWITCH: %s", snom.ErrRefused, snom.Foreign(text))
		}
		return err
	})
	if err == nil {
		err = refused
	}
	return requests, err
}

// A Phone is a phone that is registered at FreeSWITCH.
type Phone struct {
	notify.Planner
	server       *Server
	user, domain string
	turn         *notify.Turn
}

// Phone returns the phone of a user of a domain.
func (s *Server) Phone(user, domain string) *Phone {
	return &Phone{Planner: notify.Planner{Accepted: sent}, server: s, user: user, domain: domain, turn: notify.NewTurn()}
}

// sent is said of what FreeSWITCH took.
const sent = "FreeSWITCH has taken it, which does not say that the phone received it; phones also take what they ignore"

// Send has FreeSWITCH send the NOTIFY of a step, once. A connection that is lost in the middle leaves the outcome unknown.
func (p *Phone) Send(ctx context.Context, step snom.Step) (reply snom.Reply, err error) {
	err = p.turn.Send(ctx, step, func(n notify.Notification) (int, error) {
		reply.Requests, err = p.server.send(ctx, p.user, p.domain, n, step)
		return reply.Requests, err
	})
	return reply, err
}

// Ping reports whether the phone is registered.
func (p *Phone) Ping(ctx context.Context) error {
	_, err := p.server.registrationOf(ctx, p.user, p.domain)
	return err
}

// Probe returns what the phone said it is when it registered.
func (p *Phone) Probe(ctx context.Context) (snom.Info, error) {
	unknown := snom.Info{RemoteControl: snom.Unknown, Advice: []string{}}
	r, err := p.server.registrationOf(ctx, p.user, p.domain)
	if err != nil {
		return unknown, err
	}
	output, err := p.server.api(ctx, "sofia xmlstatus profile "+r.profile+" reg "+p.user+"@"+p.domain)
	if err != nil {
		return unknown, err
	}
	var status struct {
		Registrations []struct {
			CallID string `xml:"call-id"`
			Agent  string `xml:"agent"`
		} `xml:"registrations>registration"`
	}
	in := xml.NewDecoder(strings.NewReader(output))
	in.CharsetReader = func(_ string, in io.Reader) (io.Reader, error) { return in, nil } // what is read of it is ASCII
	if in.Decode(&status) != nil {
		return unknown, fmt.Errorf("%w: the status of FreeSWITCH is no XML", snom.ErrPhone)
	}
	for _, one := range status.Registrations {
		if one.CallID == r.callID || len(status.Registrations) == 1 {
			return notify.Identity(one.Agent), nil
		}
	}
	return notify.Identity(""), nil
}
