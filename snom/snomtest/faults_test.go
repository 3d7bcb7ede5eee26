package snomtest_test

import (
	"bufio"
	"context"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/snom2mqtt/snom2mqtt/snom/snomtest"
)

func md5hex(s string) string {
	sum := md5.Sum([]byte(s))
	return hex.EncodeToString(sum[:])
}

func TestFaults(t *testing.T) {
	tests := []struct {
		fault    snomtest.Fault
		executed bool
		status   int           // 0: no reply
		took     time.Duration // the client gives up after a minute
		err      string        // part of it
		body     string        // part of it
	}{
		{fault: "", executed: true, status: 200},
		{fault: snomtest.FaultSlow, executed: true, status: 200, took: 3 * time.Second},
		{fault: snomtest.FaultDrip, executed: true, status: 200, took: time.Minute, err: "deadline exceeded"},
		{fault: snomtest.FaultHang, took: time.Minute, err: "deadline exceeded"},
		{fault: snomtest.FaultHangAfter, executed: true, took: time.Minute, err: "deadline exceeded"},
		{fault: snomtest.FaultEmptyReply, err: "EOF"},
		{fault: snomtest.FaultHangUpAfter, executed: true, err: "EOF"},
		{fault: snomtest.FaultResetBefore, err: "EOF"},
		{fault: snomtest.FaultResetAfter, executed: true, err: "EOF"},
		{fault: snomtest.FaultCut, executed: true, err: "unexpected EOF"},
		{fault: snomtest.FaultCutHeader, executed: true, err: "unexpected EOF"},
		{fault: snomtest.FaultEndlessHeader, executed: true, err: "server response headers exceeded"},
		{fault: snomtest.FaultGarbage, err: "malformed HTTP"},
		{fault: snomtest.FaultHTML, status: 200, body: "<TITLE>Router</TITLE>"},
		{fault: snomtest.FaultLoginPage, status: 200, body: "Login failed!"},
		{fault: snomtest.FaultForbidden, status: 403, body: "snom VoIP phone: Error"},
		{fault: snomtest.FaultNotFound, status: 404},
		{fault: snomtest.FaultServerError, status: 500},
		{fault: snomtest.FaultUnavailable, status: 503},
		{fault: snomtest.FaultHTTPS, status: 307},
		{fault: snomtest.FaultRedirect, status: 302},
		{fault: snomtest.FaultBrokenHead, executed: true, status: 200, err: "malformed"},
		{fault: snomtest.FaultRefuseConnects, err: "refused"},
	}
	for _, tt := range tests {
		t.Run("fault "+string(tt.fault), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p, b := newPiped(t, snomtest.Config{Auth: snomtest.AuthBasic, Username: "admin", Password: "1234"})
				p.SetFault(tt.fault)
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				start := time.Now()
				resp, body, err := b.do("/command.htm?key=P1", basic("admin", "1234"), func(r *http.Request) { *r = *r.WithContext(ctx) })
				if got := time.Since(start); got != tt.took {
					t.Errorf("took %v, expected %v", got, tt.took)
				}
				if tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)) {
					t.Errorf("error = %v, expected %s", err, tt.err)
				}
				if tt.err == "" && err != nil {
					t.Errorf("error = %v, expected none", err)
				}
				if err == nil && (resp.StatusCode != tt.status || !strings.Contains(body, tt.body)) {
					t.Errorf("%d %s, expected %d %s", resp.StatusCode, body, tt.status, tt.body)
				}
				if got := len(p.Executed()) == 1; got != tt.executed {
					t.Errorf("executed = %t, expected %t", got, tt.executed)
				}
				if seen := p.Requests(); len(seen) == 1 && seen[0].Status != tt.status {
					t.Errorf("Status = %d, expected %d", seen[0].Status, tt.status)
				}
				p.SetFault("")
				if resp, _ := b.mustDo("/", basic("admin", "1234")); resp.StatusCode != 200 {
					t.Errorf("afterwards: status %d, expected 200", resp.StatusCode)
				}
			})
		})
	}
}

// A request without credentials gets its 401 in spite of a fault that comes after the carrying out.
func TestFaultLeavesTheChallengeAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, b := newPiped(t, snomtest.Config{Auth: snomtest.AuthDigest, Username: "admin", Password: "1234"})
		p.SetFault(snomtest.FaultResetAfter)
		c := challengeOf(t, b)
		if _, _, err := b.do("/command.htm?key=P1", authorization(answerTo(t, c, "/command.htm?key=P1", "1234", 1))); err == nil {
			t.Error("no error, expected the connection broken off")
		}
		if got := len(p.Executed()); got != 1 {
			t.Errorf("%d requests executed, expected 1", got)
		}
	})
}

func TestEndlessBody(t *testing.T) {
	t.Parallel()
	p, url := snomtest.NewServer(t, snomtest.Config{})
	p.SetFault(snomtest.FaultEndlessBody)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+"/command.htm?key=P1", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if n, err := io.CopyN(io.Discard, resp.Body, 10<<20); err != nil {
		t.Errorf("body ends after %d bytes: %v", n, err)
	}
}

func TestResetIsATCPReset(t *testing.T) {
	t.Parallel()
	for _, secure := range []bool{false, true} {
		var p *snomtest.Phone
		var url string
		transport := &http.Transport{MaxIdleConnsPerHost: -1}
		if secure {
			var pem []byte
			p, url, pem = snomtest.NewTLSServer(t, snomtest.Config{})
			transport.TLSClientConfig = trusting(t, pem)
		} else {
			p, url = snomtest.NewServer(t, snomtest.Config{})
		}
		p.SetFault(snomtest.FaultResetAfter)
		_, err := (&http.Client{Transport: transport}).Get(url + "/command.htm?key=P1")
		if !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("https %t: error = %v, expected %v", secure, err, syscall.ECONNRESET)
		}
		if got := len(p.Executed()); got != 1 {
			t.Errorf("https %t: %d requests executed, expected 1", secure, got)
		}
	}
}

func TestChoke(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, b := newPiped(t, snomtest.Config{})
		p.SetFault(snomtest.FaultChoke)
		b.mustDo("/command.htm?key=P1")
		if _, _, err := b.do("/command.htm?key=P2"); err == nil {
			t.Error("a request at once after another: no error")
		}
		time.Sleep(time.Second)
		b.mustDo("/command.htm?key=P3")
		if got := len(p.Executed()); got != 2 {
			t.Errorf("%d requests executed, expected 2", got)
		}
	})
}

func TestFaultOf(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, b := newPiped(t, snomtest.Config{FaultOf: func(r snomtest.Request) snomtest.Fault {
			if strings.HasSuffix(r.Target, "P2") {
				return snomtest.FaultServerError
			}
			return ""
		}})
		for target, want := range map[string]int{"/command.htm?key=P1": 200, "/command.htm?key=P2": 500} {
			if resp, _ := b.mustDo(target); resp.StatusCode != want {
				t.Errorf("GET %s: status %d, expected %d", target, resp.StatusCode, want)
			}
		}
		if got := len(p.Executed()); got != 1 {
			t.Errorf("%d requests executed, expected 1", got)
		}
	})
}

func TestFaultNames(t *testing.T) {
	t.Parallel()
	names := snomtest.FaultNames()
	if len(names) != 24 {
		t.Errorf("%d faults, expected 24: %q", len(names), names)
	}
	for _, name := range append(names, "none", "") {
		if f, err := snomtest.ParseFault(name); err != nil || string(f) != strings.TrimPrefix(name, "none") {
			t.Errorf("ParseFault(%q) = %q, %v", name, f, err)
		}
	}
	if _, err := snomtest.ParseFault("flood"); err == nil || !strings.Contains(err.Error(), "hang-after") {
		t.Errorf("ParseFault(flood) = %v, expected an error with the names", err)
	}
}

func TestKeepAliveQuirk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, dial := snomtest.NewPipe(t, snomtest.Config{NeedKeepAlive: true})
		tests := []struct {
			target, header string
			status         string // of the reply; empty: none
			took           time.Duration
		}{
			{"/command.htm?key=P1", "", "", 0},
			{"/command.htm?key=P1", "Connection: close\r\n", "", 0},
			{"/command.htm?key=P1", "Connection: keep-alive\r\n", "200", 0},
			{"/command.htm?key=P1", "connection: Keep-Alive\r\n", "200", 0},
			{"/minibrowser.htm?url=127.0.0.1:1", "", "200", 0},
			{"/minibrowser.htm?url=127.0.0.1:1", "Connection: keep-alive\r\n", "", 8 * time.Second},
		}
		for _, tt := range tests {
			before := len(p.Executed())
			start := time.Now()
			got := rawGet(t, dial, tt.target, tt.header)
			if took := time.Since(start); took != tt.took {
				t.Errorf("GET %s, %q: took %v, expected %v", tt.target, tt.header, took, tt.took)
			}
			if got != tt.status {
				t.Errorf("GET %s, %q: %q, expected %q", tt.target, tt.header, got, tt.status)
			}
			if executed := len(p.Executed()) - before; executed != len(tt.status)/3 {
				t.Errorf("GET %s, %q: %d executed", tt.target, tt.header, executed)
			}
		}
	})
}

// rawGet writes a request by hand and returns the status of the reply, or nothing.
func rawGet(t *testing.T, dial func(context.Context, string, string) (net.Conn, error), target, header string) string {
	t.Helper()
	conn, err := dial(t.Context(), "tcp", "phone:80")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "GET "+target+" HTTP/1.1\r\nHost: phone\r\n"+header+"\r\n"); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return ""
	}
	defer resp.Body.Close()
	return resp.Status[:3]
}
