// Package asterisk has Asterisk send the NOTIFYs of phones that are registered there, by its manager interface (AMI).
//
// A [Server] is one Asterisk, with one connection for all its phones. What Asterisk 22 does with an action PJSIPNotify was tried: it
// removes double quotes from values of variables, cuts them at a comma, refuses lines of more than 1,023 bytes, and reports success
// when it has sent, whether or not the phone is there.
package asterisk

import (
	"bufio"
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/snom2mqtt/snom2mqtt/internal/pbx"
	"github.com/snom2mqtt/snom2mqtt/snom"
	"github.com/snom2mqtt/snom2mqtt/snom/notify"
)

// Port is the usual port of the manager interface.
const Port = "5038"

// Config configures a [Server].
type Config struct {
	Address            string // host:port
	TLS                *tls.Config
	Username, Password string
	Timeout            time.Duration // for one request
	Dial               func(ctx context.Context, network, address string) (net.Conn, error)
}

// contactsLast is how long the list of contacts is used: one request serves the polls of many phones.
const contactsLast = 5 * time.Second

// A Server is one Asterisk.
type Server struct {
	link *pbx.Link

	mu       sync.Mutex // guards what follows; held while the list is fetched: once for all that ask
	contacts map[string]contact
	fetched  time.Time
}

// A contact is what Asterisk knows of a registered phone.
type contact struct{ userAgent, status string }

// New returns a Server. It does not connect. The error does not repeat the password.
func New(c Config) (*Server, error) {
	if !pbx.OneLine(c.Username + c.Password) {
		return nil, errors.New("snom: asterisk: user name, password: expected no control characters")
	}
	login := func(w *pbx.Wire) error {
		if err := w.Send(action("Login", "Username: "+c.Username, "Secret: "+c.Password, "Events: off")); err != nil {
			return err
		}
		for {
			m, err := w.Receive(context.Background()) // the wire has a deadline
			switch {
			case err != nil:
				return err
			case m.Headers["response"] == "Success":
				return nil
			case m.Headers["response"] == "Error":
				return fmt.Errorf("%w: Asterisk: %s", snom.ErrUnauthorized, snom.Foreign(m.Headers["message"]))
			}
		}
	}
	return &Server{link: pbx.NewLink(pbx.LinkConfig{
		Address: c.Address, TLS: c.TLS, Timeout: c.Timeout, Dial: c.Dial, Login: login,
		Read: func(in *bufio.Reader) (pbx.Message, error) {
			headers, err := pbx.ReadHeaders(in)
			if headers["response"] == "" && headers["event"] == "" {
				headers = nil
			}
			return pbx.Message{Headers: headers}, err
		},
	})}, nil
}

// Close ends the connection.
func (s *Server) Close() error { return s.link.Close() }

// action returns the text of an action.
func action(name string, lines ...string) string {
	return "Action: " + name + "\r\n" + strings.Join(lines, "\r\n") + "\r\n\r\n"
}

// notification returns the text of the action that sends a NOTIFY to an endpoint.
func notification(endpoint, id string, n notify.Notification) (string, error) {
	lines := []string{"ActionID: " + id, "Endpoint: " + endpoint, "Variable: Event=" + variable(n.Event)}
	if n.ContentType != "" {
		lines = append(lines, "Variable: Content-Type="+variable(n.ContentType))
		for _, part := range split(variable(n.Body)) {
			lines = append(lines, "Variable: Content="+part)
		}
	}
	text := action("PJSIPNotify", lines...)
	for line := range strings.SplitSeq(text, "\r\n") {
		if len(line) > maxLine {
			return "", fmt.Errorf("%w: a line for Asterisk has more than %d bytes", snom.ErrUnsupported, maxLine)
		}
	}
	return text, nil
}

// maxLine is how long a line of an action may be.
const maxLine = 1000

// variable writes a value so that Asterisk hands it on as it is: without line ends, with double quotes, commas and backslashes
// escaped.
func variable(text string) string {
	return variables.Replace(text)
}

// variables is what variable replaces.
var variables = strings.NewReplacer("\\", "\\\\", `"`, `\"`, ",", "\\,", "\r\n", " ", "\n", " ", "\r", " ")

// split cuts a document into parts that fit into a line, between two elements: Asterisk joins them by line ends.
func split(text string) (parts []string) {
	const most = maxLine - len("Variable: Content=")
	for len(text) > most {
		cut := strings.LastIndex(text[:most], "><")
		if cut < 0 {
			return append(parts, text) // too long: refused
		}
		parts = append(parts, text[:cut+1])
		text = text[cut+1:]
	}
	return append(parts, text)
}

// send has Asterisk send a NOTIFY to an endpoint.
func (s *Server) send(ctx context.Context, endpoint string, n notify.Notification, step snom.Step) (requests int, err error) {
	id := rand.Text()
	text, err := notification(endpoint, id, n)
	if err != nil {
		return 0, err
	}
	var refused error
	err = s.link.Do(ctx, step, func(ctx context.Context, w *pbx.Wire) error {
		requests = 1
		if err := w.Send(text); err != nil {
			return err
		}
		m, err := response(ctx, w, id)
		if err != nil {
			return err
		}
		if m.Headers["response"] != "Success" {
			refused = fmt.Errorf("%w: Asterisk: %s", snom.ErrRefused, snom.Foreign(m.Headers["message"]))
			if strings.Contains(m.Headers["message"], "unknown command") {
				refused = fmt.Errorf("%w: Asterisk has no action PJSIPNotify: load res_pjsip_notify.so, which needs a file pjsip_notify.conf, empty or not", snom.ErrRefused)
			}
		}
		return nil
	})
	if err == nil {
		err = refused
	}
	return requests, err
}

// response waits for the response to an action.
func response(ctx context.Context, w *pbx.Wire, id string) (pbx.Message, error) {
	for {
		m, err := w.Receive(ctx)
		if err != nil || m.Headers["response"] != "" && m.Headers["actionid"] == id {
			return m, err
		}
	}
}

// contactOf returns what Asterisk knows of the phone of an endpoint.
func (s *Server) contactOf(ctx context.Context, endpoint string) (contact, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if time.Since(s.fetched) > contactsLast {
		contacts, err := s.list(ctx)
		if err != nil {
			if errors.Is(err, snom.ErrOutcomeUnknown) { // it asked, and nothing comes of that
				err = fmt.Errorf("%w: Asterisk does not answer", snom.ErrUnreachable)
			}
			return contact{}, err
		}
		s.contacts, s.fetched = contacts, time.Now()
	}
	c, ok := s.contacts[endpoint]
	switch {
	case !ok:
		return c, fmt.Errorf("%w: Asterisk has no contact of the endpoint %s", snom.ErrUnreachable, endpoint)
	case c.status == "Unreachable" || c.status == "Unavailable" || c.status == "Removed":
		return c, fmt.Errorf("%w: Asterisk reports %s", snom.ErrUnreachable, c.status)
	}
	return c, nil
}

// maxContacts bounds the list.
const maxContacts = 100_000

// list fetches the contacts of all endpoints.
func (s *Server) list(ctx context.Context) (map[string]contact, error) {
	id, contacts := rand.Text(), map[string]contact{}
	err := s.link.Do(ctx, snom.Step{}, func(ctx context.Context, w *pbx.Wire) error {
		if err := w.Send(action("PJSIPShowContacts", "ActionID: "+id)); err != nil {
			return err
		}
		for {
			m, err := w.Receive(ctx)
			h := m.Headers
			switch {
			case err != nil:
				return err
			case h["actionid"] != id:
			case h["response"] == "Error", h["event"] == "ContactListComplete":
				return nil
			case h["event"] == "ContactList" && len(contacts) < maxContacts:
				name := strings.Split(h["endpoint"], ",")[0]
				if name == "" {
					name, _, _ = strings.Cut(h["objectname"], ";")
				}
				if old, again := contacts[name]; !again || old.status == "Unreachable" {
					contacts[name] = contact{h["useragent"], h["status"]}
				}
			}
		}
	})
	return contacts, err
}

// A Phone is a phone that is registered at Asterisk.
type Phone struct {
	notify.Planner
	server   *Server
	endpoint string
	turn     *notify.Turn
}

// Phone returns the phone of an endpoint.
func (s *Server) Phone(endpoint string) *Phone {
	return &Phone{Planner: notify.Planner{Accepted: sent}, server: s, endpoint: endpoint, turn: notify.NewTurn()}
}

// sent is said of what Asterisk took.
const sent = "Asterisk has sent it, which does not say that the phone received it; phones also take what they ignore"

// Send has Asterisk send the NOTIFY of a step, once. A connection that is lost in the middle leaves the outcome unknown.
func (p *Phone) Send(ctx context.Context, step snom.Step) (reply snom.Reply, err error) {
	err = p.turn.Send(ctx, step, func(n notify.Notification) (int, error) {
		reply.Requests, err = p.server.send(ctx, p.endpoint, n, step)
		return reply.Requests, err
	})
	return reply, err
}

// Ping reports whether Asterisk has a contact of the phone that is not known to be dead.
func (p *Phone) Ping(ctx context.Context) error {
	_, err := p.server.contactOf(ctx, p.endpoint)
	return err
}

// Probe returns what the phone said it is when it registered.
func (p *Phone) Probe(ctx context.Context) (snom.Info, error) {
	c, err := p.server.contactOf(ctx, p.endpoint)
	if err != nil {
		return snom.Info{RemoteControl: snom.Unknown, Advice: []string{}}, err
	}
	return notify.Identity(c.userAgent), nil
}
