package snom_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/snom2mqtt/snom2mqtt/snom"
)

// A script is a phone that replies with what is written, a reply for each request, and hangs up.
type script struct {
	replies [][]byte
	asked   int
	logins  int // requests with credentials
}

func (s *script) dial(context.Context, string, string) (net.Conn, error) {
	near, far := net.Pipe()
	reply := s.replies[s.asked%len(s.replies)]
	s.asked++
	go func() { // ends with the connection, which the client closes
		defer far.Close()
		r, err := http.ReadRequest(bufio.NewReader(far))
		if err != nil {
			return
		}
		if r.Header.Get("Authorization") != "" {
			s.logins++
		}
		_, _ = io.Copy(far, bytes.NewReader(reply)) // the client may have had enough
	}()
	return near, nil
}

// FuzzReply: whatever a phone replies, byte by byte, a command ends soon with an outcome that has a name, after no
// more requests than a login needs, and what is said about it is short and holds no secret.
func FuzzReply(f *testing.F) {
	for _, seed := range []string{
		"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
		"HTTP/1.1 302 Found\r\nLocation: index.htm\r\n\r\n",
		"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Digest realm=\"snom\", nonce=\"1\", qop=\"auth\"\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"snom\"\r\n\r\n<title>Login</title>",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n",
		"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n\x1f\x8b",
		"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 101 Switching Protocols\r\n\r\n",
		"HTTP/1.0 200\r\n\r\n<html><title>Phone Manager</title>",
		"HTTP/1.1 200 OK\r\n\r\n<html>Firmware-Version: snomD735-SIP 10.1.184.14 MAC-Address: 000413AABBCC</html>",
		"HTTP/1.1 307 Temporary Redirect\r\nLocation: https://" + canary + "/\r\n\r\n",
		"HTTP/1.0 200 OK\r\nHTTP/1.0 200 OK\r\n\r\n<html>snom</html>",
		"HTTP/1.0 200 OK\r\n\r\nHTTP/1.0 404 OK\r\nContent-Length: 1\r\n\r\n<html>snom</html>",
		"HTTP/1.1 200 OK\r\nno colon\r\nContent-Length: 3\r\nContent-Length: 1\r\n<html>",
		"HTTP/1.1 302 Found\r\nLocation:\r\n http://phone.example/index.htm\r\n\r\n",
		"HTTP/1.1 200 OK\r\n\r\n<title>Login</title>Login failed!<input type=password name=p>",
		"HTTP/1.1 401 No\r\nWWW-Authenticate: Basic realm=\"\x80\x01\"\r\nServer: snom embedded\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", "220 mail.example ESMTP\r\n", "", "\r\n\r\n", "\x16\x03\x01\x02",
	} {
		f.Add([]byte(seed), []byte("HTTP/1.1 200 OK\r\n\r\n"))
		f.Add([]byte("HTTP/1.1 401 No\r\nWWW-Authenticate: Digest realm=\"snom\", nonce=\"1\"\r\n\r\n"), []byte(seed))
	}
	f.Fuzz(func(t *testing.T, first, second []byte) {
		phone := &script{replies: [][]byte{first, second}}
		c, err := snom.NewClient(snom.ClientConfig{URL: "http://phone.example", Username: "admin", Password: canary, Timeout: 5 * time.Second, Dial: phone.dial})
		if err != nil {
			t.Fatal(err)
		}
		sentinels := []error{
			snom.ErrExpired, snom.ErrLocal, snom.ErrUnauthorized, snom.ErrLockedOut, snom.ErrRefused, snom.ErrUnreachable, snom.ErrOutcomeUnknown, snom.ErrPhone, snom.ErrUnsupported,
		}
		checkOutcome := func(what string, err error) {
			if err == nil {
				return
			}
			kinds := 0
			for _, s := range sentinels {
				if errors.Is(err, s) {
					kinds++
				}
			}
			if kinds != 1 {
				t.Fatalf("%s: %v wraps %d of the errors, expected one", what, err, kinds)
			}
			text := err.Error()
			checkText(t, what, text)
			if strings.Contains(text, canary) && !bytes.Contains(first, []byte(canary)) && !bytes.Contains(second, []byte(canary)) {
				t.Fatalf("%s says too much: %q", what, text)
			}
		}
		began := time.Now()
		reply, err := c.Send(t.Context(), snom.Step{Request: "/command.htm?key=P1"})
		checkOutcome("Send", err)
		if reply.Requests < 1 || reply.Requests > 2 || phone.asked != reply.Requests || phone.logins > 1 {
			t.Fatalf("%d requests, %d of them counted, %d with a login; expected two at most, and one login", phone.asked, reply.Requests, phone.logins)
		}
		if err == nil && reply.Status != 200 && reply.Status != 302 {
			t.Fatalf("status %d is a success", reply.Status)
		}
		if line, _, ended := bytes.Cut(first, []byte("\n")); ended && bytes.HasPrefix(line, []byte("HTTP/1.1 200 ")) && reply.Status != 200 {
			t.Fatalf("status %d, and 200 was said", reply.Status)
		}
		info, err := c.Probe(t.Context())
		checkOutcome("Probe", err)
		if len(info.Model)+len(info.Firmware)+len(info.MAC)+len(info.Realm) > 2000 {
			t.Fatalf("a phone that tells much: %+v", info)
		}
		if took := time.Since(began); took > 4*time.Second {
			t.Fatalf("it took %v", took)
		}
	})
}
