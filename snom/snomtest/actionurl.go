package snomtest

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// An Action is one call of an action URL.
type Action struct {
	Time    time.Time `json:"time"` // of the event
	Phone   string    `json:"phone"`
	Setting string    `json:"setting"` // "action_incoming_url"
	Host    string    `json:"host"`
	Target  string    `json:"target"` // path and query, byte for byte
	Status  int       `json:"status"` // of the reply; 0: none
	Err     string    `json:"err,omitempty"`
}

// ActionSettings returns the names of the settings that hold action URLs (symcon/Snom,
// SnomDeskphone/deviceProperties.php), without action_blacklist_url.
func ActionSettings() []string {
	return []string{
		"action_incoming_url", "action_outgoing_url", "action_connected_url", "action_disconnected_url",
		"action_missed_url", "action_offhook_url", "action_onhook_url", "action_dnd_on_url", "action_dnd_off_url",
		"action_redirection_on_url", "action_redirection_off_url", "action_log_on_url", "action_log_off_url",
		"action_setup_url", "action_reg_failed", "action_hold", "action_unhold", "action_transfer",
		"action_blind_transfer", "action_attended_transfer", "action_received_attended_transfer",
		"action_longpress_url", "action_received_subscr_notify_url", "action_firewall_test",
	}
}

// An Encoding is how an action URL carries what is substituted for a variable. Snom documents none, so
// a listener should understand them all. Control characters are percent-encoded in every one.
type Encoding string

// The encodings.
const (
	EncodingPercent       Encoding = "percent"        // everything but letters, digits and -._~ as %XX of UTF-8
	EncodingPercentLatin1 Encoding = "percent-latin1" // the same of Latin-1, where it has the letter
	EncodingUTF8          Encoding = "utf8"           // what is not ASCII as raw UTF-8, the rest as percent
	EncodingLatin1        Encoding = "latin1"         // what is not ASCII as raw Latin-1, "?" where it has no such letter
	EncodingSpaces        Encoding = "spaces"         // spaces raw
	EncodingPlus          Encoding = "plus"           // the plus sign raw
	EncodingForm          Encoding = "form"           // a space as a plus sign
	EncodingReserved      Encoding = "reserved"       // & " # raw
	EncodingAngle         Encoding = "angle"          // SIP URIs in angle brackets, and those raw
	EncodingRaw           Encoding = "raw"            // everything raw, UTF-8
	EncodingRawLatin1     Encoding = "raw-latin1"     // everything raw, Latin-1
)

// Encodings returns all encodings.
func Encodings() []Encoding {
	return []Encoding{EncodingPercent, EncodingPercentLatin1, EncodingUTF8, EncodingLatin1, EncodingSpaces, EncodingPlus,
		EncodingForm, EncodingReserved, EncodingAngle, EncodingRaw, EncodingRawLatin1}
}

// ParseEncoding returns the encoding of that name; the empty name is EncodingPercent.
func ParseEncoding(name string) (Encoding, error) {
	if name == "" {
		return EncodingPercent, nil
	}
	if !slices.Contains(Encodings(), Encoding(name)) {
		return "", fmt.Errorf("snomtest: encoding %q: expected one of %s", name, joined(Encodings()))
	}
	return Encoding(name), nil
}

// SetEncoding changes how action URLs carry what is substituted.
func (p *Phone) SetEncoding(e Encoding) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.config.Encoding = e
}

const unreserved = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"

// Escape returns s as the phone would put it into a URL. Bytes that are no UTF-8 stand for themselves.
func (e Encoding) Escape(s string) string {
	kept := unreserved
	switch e {
	case EncodingSpaces:
		kept += " "
	case EncodingPlus:
		kept += "+"
	case EncodingReserved:
		kept += `&"#`
	case EncodingAngle:
		kept += "<>"
	}
	all := e == EncodingRaw || e == EncodingRawLatin1
	high := all || e == EncodingUTF8 || e == EncodingLatin1
	latin1 := e == EncodingLatin1 || e == EncodingPercentLatin1 || e == EncodingRawLatin1
	var b strings.Builder
	for len(s) > 0 {
		r, size := utf8.DecodeRuneInString(s)
		text := s[:size]
		s = s[size:]
		switch {
		case r == ' ' && e == EncodingForm:
			b.WriteByte('+')
			continue
		case r < utf8.RuneSelf:
			if strings.ContainsRune(kept, r) || all && r >= ' ' && r != 0x7f {
				b.WriteString(text)
				continue
			}
		case latin1 && r <= 0xff:
			text = string([]byte{byte(r)})
		case latin1 && e != EncodingPercentLatin1 && size > 1:
			text = "?"
		}
		if r >= utf8.RuneSelf && high {
			b.WriteString(text)
			continue
		}
		for _, c := range []byte(text) {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

// Actions returns every action URL that was called and answered or given up, oldest first.
func (p *Phone) Actions() []Action {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.actions)
}

// Settle waits until no action URL is waiting to be called or answered.
func (p *Phone) Settle(ctx context.Context) error {
	for {
		p.mu.Lock()
		quiet, sending := p.quiet, p.sending
		p.mu.Unlock()
		if !sending {
			return nil
		}
		select {
		case <-quiet:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// maxOutbox bounds the action URLs waiting to be called; events beyond it are lost.
const maxOutbox = 1000

// fire calls the action URL of a setting, if it has one: in its turn, after those before it.
func (p *Phone) fire(setting string, c *Call, extra map[string]string) {
	p.fireURL(setting, p.settings[setting], c, extra)
}

// functionKey presses a programmable key, from 1: one of type url requests it (Snom wiki, Function+Key+Types).
func (p *Phone) functionKey(n int) {
	setting := fmt.Sprintf("fkey%d", n-1)
	if address, ok := strings.CutPrefix(p.settings[setting], "url "); ok {
		p.fireURL(setting, strings.TrimSpace(address), nil, map[string]string{"active_key": fmt.Sprintf("P%d", n)})
	}
}

// fireURL calls a URL with variables in it: in its turn, after those before it.
func (p *Phone) fireURL(setting, template string, c *Call, extra map[string]string) {
	if template == "" {
		return
	}
	a := Action{Time: time.Now(), Phone: p.config.Name, Setting: setting}
	var err error
	if a.Host, a.Target, err = p.expand(template, p.variables(c, extra)); err != nil {
		a.Err = err.Error()
	}
	if len(p.outbox) >= maxOutbox {
		a.Err = "too many action URLs wait"
		p.actions = remember(p.actions, a)
		return
	}
	p.outbox = append(p.outbox, a)
	if !p.sending {
		p.sending, p.quiet = true, make(chan struct{})
		p.spawn(p.sendActions)
	}
}

// sendActions calls what waits, one after the other, until nothing does.
func (p *Phone) sendActions(ctx context.Context) {
	for {
		p.mu.Lock()
		if len(p.outbox) == 0 || ctx.Err() != nil {
			p.outbox, p.sending = nil, false
			close(p.quiet)
			p.mu.Unlock()
			return
		}
		a := p.outbox[0]
		p.outbox = p.outbox[1:]
		p.mu.Unlock()

		if a.Err == "" {
			var body []byte
			var err error
			if a.Status, body, err = p.get(ctx, a); err != nil {
				a.Err = err.Error()
			}
			p.openReply(a, body)
		}
		p.mu.Lock()
		p.actions = remember(p.actions, a)
		p.mu.Unlock()
		if p.config.OnAction != nil {
			p.config.OnAction(a)
		}
	}
}

// actionTimeout bounds one call of an action URL; what real phones do is not known.
const actionTimeout = 5 * time.Second

// get sends the request line exactly as it is: what is in doubt about it would not survive net/http.
func (p *Phone) get(ctx context.Context, a Action) (status int, body []byte, err error) {
	ctx, cancel := context.WithTimeout(ctx, actionTimeout)
	defer cancel()
	address := a.Host
	if _, _, err := net.SplitHostPort(address); err != nil {
		address = net.JoinHostPort(strings.Trim(address, "[]"), "80")
	}
	conn, err := p.config.Dial(ctx, "tcp", address)
	if err != nil {
		return 0, nil, err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	if _, err := fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: %s\r\nConnection: close\r\n\r\n",
		a.Target, a.Host, p.userAgent()); err != nil {
		return 0, nil, err
	}
	resp, err := http.ReadResponse(bufio.NewReader(io.LimitReader(conn, maxDocument)), nil)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	body, err = io.ReadAll(resp.Body)
	return resp.StatusCode, body, err
}

// openReply shows the document that a server answered with; one that is empty shows nothing (docs.snom.io, Triggering the
// minibrowser).
func (p *Phone) openReply(a Action, body []byte) {
	if a.Status != http.StatusOK || len(bytes.TrimSpace(body)) == 0 {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.openPage(hostOf("http://"+a.Host), body)
}

// userAgent is what provisioning servers see (wazo-provd-plugins, common.py); that action URLs carry the
// same is inferred.
func (p *Phone) userAgent() string {
	return fmt.Sprintf("Mozilla/4.0 (compatible; snom%s-SIP %s %s SXM:0 UXM:0)", p.config.Model, p.config.Firmware, p.config.MAC)
}

// expand splits an action URL and replaces its variables.
func (p *Phone) expand(template string, vars map[string]string) (host, target string, err error) {
	rest, ok := strings.CutPrefix(template, "http://")
	if !ok {
		return "", "", errors.New("snomtest: only http is modelled in action URLs")
	}
	rest, _, _ = strings.Cut(rest, "#")
	i := strings.IndexAny(rest, "/?")
	if i < 0 {
		i = len(rest)
	}
	host, rest = rest[:i], rest[i:]
	if host == "" || strings.ContainsAny(host, "@$ ") {
		return "", "", errors.New("snomtest: no host in the action URL")
	}
	path, query, found := strings.Cut(rest, "?")
	target = or(p.substitute(path, vars, true), "/")
	if found {
		target += "?" + p.substitute(query, vars, false)
	}
	return host, target, nil
}

// substitute replaces $variables. One that the phone does not know stays as it is (seen on a D765 with
// $nr_ongoing_calls). In a path a name ends at an ampersand, which goes with it.
func (p *Phone) substitute(text string, vars map[string]string, inPath bool) string {
	var b strings.Builder
	for {
		before, after, found := strings.Cut(text, "$")
		b.WriteString(before)
		if !found {
			return b.String()
		}
		name := variableName(after, vars)
		text = after[len(name):]
		if name == "" {
			b.WriteByte('$')
			continue
		}
		b.WriteString(p.config.Encoding.Escape(vars[name]))
		if inPath {
			text = strings.TrimPrefix(text, "&")
		}
	}
}

// variableName returns the longest known variable that text starts with, or nothing. All SIP headers are
// known.
func variableName(text string, vars map[string]string) string {
	if header, _, ok := strings.Cut(text, ")"); ok && strings.HasPrefix(header, "sip_header(") {
		return header + ")"
	}
	for n := min(len(text), maxName); n > 0; n-- {
		if _, ok := vars[text[:n]]; ok {
			return text[:n]
		}
	}
	return ""
}

// maxName bounds the name of a variable.
const maxName = 100

// variables are the settings, less the passwords, and the run-time variables (Snom wiki, Action URLs,
// Runtime Variables). What an event has nothing to say for is empty.
func (p *Phone) variables(c *Call, extra map[string]string) map[string]string {
	vars := map[string]string{}
	for name := range p.settings {
		vars[name] = p.shown(name)
	}
	maps.Copy(vars, map[string]string{
		"mac": p.config.MAC, "phone_type": "snom" + p.config.Model, "phone_ip": p.host(), "local_ip": p.host(),
		"nr_ongoing_calls": strconv.Itoa(len(p.panel.calls)), "active_key": p.panel.key, "expansion_module": strconv.Itoa(len(p.modules)),
		"redirect_number": p.panel.forward, "context_url": "", "longpress_key": "",
		"call-id": "", "csta_id": "", "remote": "", "display_remote": "", "cancel_reason": "",
	})
	line := 1
	if c != nil {
		line = c.Line
		maps.Copy(vars, map[string]string{
			"call-id": c.ID, "csta_id": strconv.Itoa(p.panel.made), "remote": p.remoteURI(c),
			"display_remote": c.Name, "cancel_reason": c.Reason,
		})
		for name, value := range c.Headers {
			vars["sip_header("+name+")"] = value
		}
	}
	own := p.lineURI(line)
	user, host, _ := strings.Cut(strings.Trim(own, "<>"), "@")
	user = strings.TrimPrefix(user, "sip:")
	maps.Copy(vars, map[string]string{
		"local": own, "active_url": own, "active_user": user, "active_host": host,
		"display_local": or(p.settings["user_realname1"], user),
	})
	if p.config.LikeD765 {
		vars["local"] = strings.TrimPrefix(own, "sip:")
		delete(vars, "nr_ongoing_calls")
	}
	maps.Copy(vars, extra)
	return vars
}

// lineURI is the SIP URI of an identity, from 1.
func (p *Phone) lineURI(line int) string {
	if line > len(p.config.Lines) {
		return ""
	}
	return p.uri(p.config.Lines[line-1])
}

// remoteURI is the SIP URI of the other party.
func (p *Phone) remoteURI(c *Call) string {
	number := or(c.Number, "anonymous")
	if !strings.Contains(number, "@") {
		_, host, _ := strings.Cut(strings.Trim(p.lineURI(c.Line), "<>"), "@")
		number += "@" + or(host, "pbx.example")
	}
	return p.uri(number)
}

func (p *Phone) uri(address string) string {
	if !strings.HasPrefix(address, "sip:") && !strings.HasPrefix(address, "sips:") {
		address = "sip:" + address
	}
	if p.config.Encoding == EncodingAngle {
		return "<" + address + ">"
	}
	return address
}
