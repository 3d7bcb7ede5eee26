package sip

import (
	"bytes"
	"errors"
	"strconv"
	"strings"
)

// Bounds of a message from the network.
const (
	maxHead    = 64 << 10 // bytes of the head, and of a datagram
	maxHeaders = 128
	maxBody    = 1 << 20 // bytes of a body on a connection; it is skipped
)

// A header is one header of a request.
type header struct{ name, value string }

// A request is a request to a phone.
type request struct {
	method, uri string
	headers     []header // without Via, CSeq and Content-Length
	body        string
	via         string // protocol and sent-by: "UDP 192.0.2.1:5060"
	branch      string
	callID      string
	cseq        int
}

// text returns the request as it goes over the wire.
func (r *request) text() []byte {
	b := make([]byte, 0, 512+len(r.body))
	line := func(parts ...string) {
		for _, p := range parts {
			b = append(b, p...)
		}
		b = append(b, "\r\n"...)
	}
	line(r.method, " ", r.uri, " SIP/2.0")
	line("Via: SIP/2.0/", r.via, ";branch=", r.branch, ";rport")
	for _, h := range r.headers {
		line(h.name, ": ", h.value)
	}
	line("Call-ID: ", r.callID)
	line("CSeq: ", strconv.Itoa(r.cseq), " ", r.method)
	line("Content-Length: ", strconv.Itoa(len(r.body)))
	line()
	return append(b, r.body...)
}

// A response is what a message says that is a response. What it does not say is empty.
type response struct {
	status     int
	reason     string
	branch     string // of the first Via
	callID     string
	cseq       int
	method     string // of the CSeq
	userAgent  string // User-Agent, or else Server
	challenges []string
	length     int // Content-Length; -1: none
}

// Why a message is not a response that counts.
var (
	errRequest   = errors.New("sip: a request")
	errMalformed = errors.New("sip: not a SIP message")
)

// headerNames are the headers that count, by their name in lower case, the short ones included (RFC 3261 section 7.3.3).
var headerNames = map[string]string{
	"via": "via", "v": "via", "call-id": "call-id", "i": "call-id", "cseq": "cseq", "content-length": "content-length", "l": "content-length",
	"user-agent": "user-agent", "server": "server", "www-authenticate": "challenge", "proxy-authenticate": "challenge",
}

// parse reads the head of a message. The error is errRequest for a request, of which nothing else is read, and errMalformed
// for what is neither.
func parse(head []byte) (response, error) {
	first, rest, _ := bytes.Cut(head, []byte("\n"))
	line := strings.TrimSuffix(string(first), "\r")
	protocol, status, _ := strings.Cut(line, " ")
	if !strings.EqualFold(protocol, "SIP/2.0") {
		if fields := strings.Fields(line); len(fields) == 3 && strings.EqualFold(fields[2], "SIP/2.0") {
			return response{}, errRequest
		}
		return response{}, errMalformed
	}
	code, reason, _ := strings.Cut(status, " ")
	r := response{reason: reason, length: -1}
	var ok bool
	if r.status, ok = number(code, 699); !ok || len(code) != 3 || r.status < 100 {
		return response{}, errMalformed
	}
	if !r.readHeaders(rest) || r.branch == "" || r.callID == "" || r.method == "" {
		return response{}, errMalformed
	}
	return r, nil
}

// readHeaders reads the headers, and reports whether they are valid. A header may go on in the next line, if that begins with
// a blank.
func (r *response) readHeaders(rest []byte) bool {
	var seen [4]bool // Via, Call-ID, CSeq and Content-Length count once
	once := func(i int) bool {
		was := seen[i]
		seen[i] = true
		return !was
	}
	for n := 0; len(rest) > 0; n++ {
		var line string
		if line, rest = nextLine(rest); line == "" {
			return true
		}
		name, value, ok := strings.Cut(line, ":")
		if !ok || n == maxHeaders {
			return false
		}
		value = strings.TrimSpace(value)
		switch headerNames[strings.ToLower(strings.TrimSpace(name))] {
		case "via":
			if once(0) { // the first one is this program's
				r.branch = branchOf(value)
			}
		case "call-id":
			if ok = once(1); ok {
				r.callID = value
			}
		case "cseq":
			count, method, _ := strings.Cut(value, " ")
			r.cseq, ok = number(count, 1<<31-1)
			ok = ok && once(2)
			r.method = strings.TrimSpace(method)
		case "content-length":
			r.length, ok = number(value, maxBody)
			ok = ok && once(3)
		case "user-agent":
			r.userAgent = value
		case "server":
			if r.userAgent == "" {
				r.userAgent = value
			}
		case "challenge":
			r.challenges = append(r.challenges, value)
		}
		if !ok {
			return false
		}
	}
	return true
}

// nextLine returns the first line with those that continue it, and what follows.
func nextLine(text []byte) (line string, rest []byte) {
	var whole []byte
	for {
		first, more, _ := bytes.Cut(text, []byte("\n"))
		first = bytes.TrimSuffix(first, []byte("\r"))
		folded := len(first) > 0 && len(more) > 0 && (more[0] == ' ' || more[0] == '\t')
		switch {
		case whole == nil && !folded:
			return string(first), more
		case whole != nil:
			whole = append(whole, ' ')
		}
		whole = append(whole, bytes.TrimSpace(first)...)
		if !folded {
			return string(whole), more
		}
		text = more
	}
}

// branchOf returns the branch of a Via: of the first one, where a line has several.
func branchOf(via string) string {
	via, _, _ = strings.Cut(via, ",")
	for p := range strings.SplitSeq(via, ";") {
		name, value, _ := strings.Cut(p, "=")
		if strings.EqualFold(strings.TrimSpace(name), "branch") {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// number reads a decimal number of at most most.
func number(text string, most int) (int, bool) {
	if text == "" || len(text) > 10 || strings.Trim(text, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.Atoi(text)
	return n, err == nil && n <= most
}
