package sip

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/icholy/digest"

	"github.com/snom2mqtt/snom2mqtt/snom"
	"github.com/snom2mqtt/snom2mqtt/snom/notify"
)

// PhoneConfig configures a [Phone].
type PhoneConfig struct {
	Address            notify.Address // of scheme sip
	Username, Password string         // for a digest challenge; without a user name there is no login
	Timeout            time.Duration  // for one request and its answer; 0: 5 s
	TLS                snom.TLSConfig // for transport tls
}

// A Phone is one phone. It may be used by several goroutines, and makes one request at a time.
type Phone struct {
	endpoint           *Endpoint
	address            notify.Address
	username, password string
	timeout            time.Duration
	tls                *tls.Config // nil: not over TLS
	turn               *notify.Turn

	// The fields below belong to whose turn it is.
	local   netip.AddrPort // the address here that requests to route come from
	route   netip.AddrPort
	routeAt time.Time // when that was found out
}

// routeLasts is how long the address that requests come from is taken to stay the same.
const routeLasts = 10 * time.Second

// localTo returns the address here that requests to another one come from.
func (p *Phone) localTo(to netip.AddrPort) (netip.AddrPort, error) {
	if p.route == to && time.Since(p.routeAt) < routeLasts {
		return p.local, nil
	}
	local, err := p.endpoint.local(to)
	if err == nil {
		p.local, p.route, p.routeAt = local, to, time.Now()
	}
	return local, err
}

// NewPhone returns a phone that is reached through e.
func NewPhone(e *Endpoint, c PhoneConfig) (*Phone, error) {
	if c.Address.Scheme != "sip" {
		return nil, errors.New("snom: phone URL: expected sip:USER@HOST")
	}
	if strings.ContainsFunc(c.Username+c.Password, func(r rune) bool { return r < ' ' || r == 0x7F || r == '"' || r == '\\' }) {
		return nil, errors.New(`snom: user name, password: expected no control characters, " and \`)
	}
	p := &Phone{
		endpoint: e, address: c.Address, username: c.Username, password: c.Password, timeout: cmp.Or(c.Timeout, 5*time.Second), turn: notify.NewTurn(),
	}
	if c.Address.Transport == "tls" {
		var err error
		if p.tls, err = c.TLS.ClientConfig(strings.TrimSuffix(c.Address.Host, ".")); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// Plan returns the steps that carry out cmd: see [notify.Plan].
func (p *Phone) Plan(cmd snom.Command, m snom.Model) ([]snom.Step, string, error) {
	return notify.Plan(cmd, m)
}

// ShowStep returns the step that shows a document: see [notify.Show].
func (p *Phone) ShowStep(d snom.Display) (step snom.Step, fetches bool, err error) {
	return notify.Show(d)
}

// Send sends the NOTIFY of a step, once: what is sent again because no answer came is the same request, which the phone carries
// out once (RFC 3261 section 17.2.2). It logs in if it is challenged and a user name is configured, once. The errors are those of
// [snom.Client.Send].
func (p *Phone) Send(ctx context.Context, step snom.Step) (reply snom.Reply, err error) {
	err = p.turn.Send(ctx, step, func(n notify.Notification) (int, error) {
		headers := []header{{"Event", n.Event}, {"Subscription-State", "active;expires=30000"}}
		if n.ContentType != "" {
			headers = append(headers, header{"Content-Type", n.ContentType})
		}
		answer, requests, err := p.ask(ctx, "NOTIFY", headers, n.Body, step)
		reply = snom.Reply{Status: answer.status, Requests: requests}
		if err == nil {
			err = judge(answer)
		}
		return requests, err
	})
	return reply, err
}

// Ping reports whether the phone is reachable: whether it answers OPTIONS, whatever it answers. A proxy that answers that it does
// not know the phone, or that it cannot reach it, does not make it reachable. It costs no login.
func (p *Phone) Ping(ctx context.Context) error {
	_, err := p.options(ctx)
	return err
}

// Probe asks the phone what it is: the answer to OPTIONS names model and firmware.
func (p *Phone) Probe(ctx context.Context) (snom.Info, error) {
	answer, err := p.options(ctx)
	if err != nil {
		return snom.Info{RemoteControl: snom.Unknown, Advice: []string{}}, err
	}
	info := notify.Identity(answer.userAgent)
	info.Advice = p.advice(info, answer)
	if answer.status == 401 || answer.status == 407 {
		info.Auth = snom.SchemeDigest
		info.Realm = realmOf(answer.challenges)
	} else {
		info.Auth = snom.SchemeNone
	}
	return info, nil
}

// advice returns what to set, for a phone that answered.
func (p *Phone) advice(info snom.Info, answer response) (say []string) {
	if info.IdentifiedBy == "" {
		say = append(say, "What answers is no Snom phone, but calls itself "+strconv.Quote(snom.Foreign(answer.userAgent))+": a proxy or PBX must pass NOTIFY on to the phone.")
	}
	return append(say,
		"On the phone, mb_trusted_hosts must list the address of this machine, unless the phone is registered at "+p.address.Host+"; filter_registrar must be off then. "+
			"That cannot be seen from here, because phones answer 200 all the same: send a harmless key and look at the phone.",
		"Straight to the phone, network_id_port must be 5060, or the port in the URL: otherwise the phone chooses another one when it starts.",
	)
}

// options asks for OPTIONS. An error wraps [snom.ErrUnreachable] where there was no answer of the phone.
func (p *Phone) options(ctx context.Context) (response, error) {
	if err := p.turn.Begin(ctx, snom.Step{}); err != nil {
		return response{}, err
	}
	defer p.turn.End(snom.Step{}, false)
	answer, failed := p.askOnce(ctx, "OPTIONS", []header{{"Accept", "application/sdp"}}, "", newDialog(), 1, snom.Step{})
	switch {
	case errors.Is(failed.err, snom.ErrOutcomeUnknown): // of OPTIONS, nothing comes
		return response{}, fmt.Errorf("%w: it answers no OPTIONS: %s", snom.ErrUnreachable,
			strings.TrimPrefix(strings.TrimPrefix(failed.err.Error(), snom.ErrOutcomeUnknown.Error()), ": "))
	case failed.err != nil:
		return response{}, failed.err
	}
	if model, _, _ := notify.UserAgent(answer.userAgent); model == "" && absent(answer.status) {
		return response{}, fmt.Errorf("%w: the proxy answers SIP %s", snom.ErrUnreachable, answer.statusLine())
	}
	return answer, nil
}

// A dialog names the requests of one command: no dialog of SIP, which has another side.
type dialog struct{ callID, tag string }

func newDialog() dialog { return dialog{rand.Text(), rand.Text()[:10]} }

// ask makes a request, and again with a login where the answer asks for one. requests counts those that may have arrived.
func (p *Phone) ask(ctx context.Context, method string, headers []header, body string, step snom.Step) (answer response, requests int, err error) {
	d := newDialog()
	answer, failed := p.askOnce(ctx, method, headers, body, d, 1, step)
	if failed.sent || failed.err == nil {
		requests++
	}
	if failed.err != nil || answer.status != 401 && answer.status != 407 {
		return answer, requests, failed.err
	}
	login, err := p.login(method, answer, body)
	if err != nil {
		return answer, requests, err
	}
	again, failed := p.askOnce(ctx, method, append(slices.Clip(headers), login), body, d, 2, step)
	if failed.err != nil && !failed.sent {
		return answer, requests, failed.err // it has said no more than the challenge
	}
	requests++
	if failed.err == nil && (again.status == 401 || again.status == 407) {
		return again, requests, fmt.Errorf("%w: SIP %s", snom.ErrUnauthorized, again.statusLine())
	}
	return again, requests, failed.err
}

// A failure is the error of a request; sent: it may have arrived all the same.
type failure struct {
	err  error
	sent bool
}

// askOnce makes one request and waits for its answer.
func (p *Phone) askOnce(ctx context.Context, method string, headers []header, body string, d dialog, cseq int, step snom.Step) (response, failure) {
	deadline := time.Now().Add(p.timeout)
	to, err := resolve(ctx, p.address, deadline)
	if err != nil {
		return response{}, failure{err: snom.NotSent(err)}
	}
	r := &request{method: method, uri: p.uri(), branch: newBranch(), callID: d.callID, cseq: cseq, body: body}
	local, err := p.localTo(to)
	if err != nil {
		return response{}, failure{err: err}
	}
	r.via = "UDP " + local.String()
	host := local.Addr().String()
	if local.Addr().Is6() {
		host = "[" + host + "]"
	}
	from := "<sip:snom2mqtt@" + host + ">"
	if p.username != "" { // a proxy compares it with the login
		from = "<sip:" + escapeUser(p.username) + "@" + uriHost(p.address.Host) + ">"
	}
	contact := "<sip:snom2mqtt@" + local.String() + ">"
	if p.address.Transport != "udp" {
		contact = "<sip:snom2mqtt@" + host + ";transport=" + p.address.Transport + ">"
	}
	r.headers = append([]header{
		{"Max-Forwards", "70"}, {"From", from + ";tag=" + d.tag}, {"To", "<" + p.target() + ">"}, {"Contact", contact}, {"User-Agent", "snom2mqtt"},
	}, headers...)
	var f failure
	var answer response
	if p.address.Transport == "udp" {
		answer, f.sent, f.err = p.endpoint.exchange(ctx, to, r, step, deadline)
	} else {
		answer, f.sent, f.err = p.endpoint.stream(ctx, to.String(), p.tls, r, step, deadline)
	}
	return answer, f
}

// target is the address of record: the URI without parameters.
func (p *Phone) target() string {
	if p.address.User == "" {
		return "sip:" + uriHost(p.address.Host)
	}
	return "sip:" + p.address.User + "@" + uriHost(p.address.Host)
}

// uri is the URI of a request.
func (p *Phone) uri() string {
	uri := p.target() + ":" + strconv.Itoa(int(p.address.Port))
	if p.address.Line != "" {
		uri += ";line=" + p.address.Line
	}
	if p.address.Transport != "udp" {
		uri += ";transport=" + p.address.Transport
	}
	return uri
}

// uriHost returns a host as it stands in a URI.
func uriHost(host string) string {
	if strings.Contains(host, ":") {
		return "[" + host + "]"
	}
	return host
}

// escapeUser returns a user name as it stands in a URI.
func escapeUser(name string) string {
	var b strings.Builder
	for _, c := range []byte(name) {
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("-_.!~*+$", c) >= 0 {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

// resolve returns where requests to a phone are sent. SRV records are not looked up: the address names host and port.
func resolve(ctx context.Context, a notify.Address, deadline time.Time) (netip.AddrPort, error) {
	if ip, err := netip.ParseAddr(a.Host); err == nil {
		return netip.AddrPortFrom(ip, a.Port), nil
	}
	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	found, err := net.DefaultResolver.LookupNetIP(ctx, "ip", a.Host)
	if err != nil {
		return netip.AddrPort{}, err
	}
	return netip.AddrPortFrom(found[0].Unmap(), a.Port), nil
}

// login returns the header that answers the challenge of an answer.
func (p *Phone) login(method string, answer response, body string) (header, error) {
	if p.username == "" {
		return header{}, fmt.Errorf("%w: SIP %s: it requires a login, and no user name is configured", snom.ErrUnauthorized, answer.statusLine())
	}
	for _, text := range answer.challenges {
		challenge, err := digest.ParseChallenge(text)
		if err != nil || !digest.CanDigest(challenge) {
			continue
		}
		options := digest.Options{Method: method, URI: p.uri(), Username: p.username, Password: p.password, Count: 1}
		if len(challenge.QOP) > 0 && !challenge.SupportsQOP("auth") {
			continue
		}
		credentials, err := digest.Digest(challenge, options)
		if err != nil {
			continue
		}
		name := "Authorization"
		if answer.status == 407 {
			name = "Proxy-Authorization"
		}
		if value := credentials.String(); !strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r == 0x7F }) {
			return header{name, value}, nil
		}
	}
	return header{}, fmt.Errorf("%w: SIP %s: it offers no digest login that is known here", snom.ErrUnauthorized, answer.statusLine())
}

// realmOf returns the realm of the first challenge.
func realmOf(challenges []string) string {
	for _, text := range challenges {
		if c, err := digest.ParseChallenge(text); err == nil {
			return snom.Foreign(c.Realm)
		}
	}
	return ""
}
