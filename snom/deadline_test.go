package snom_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/snom2mqtt/snom2mqtt/snom"
	"github.com/snom2mqtt/snom2mqtt/snom/snomtest"
)

// A tap notes when the first byte of each connection's requests was read by the phone.
type tap struct {
	net.Conn
	first func()
}

func (c *tap) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if n > 0 && c.first != nil {
		c.first()
		c.first = nil
	}
	return n, err
}

// The deadline of a step holds for the first byte of each of its requests, whatever comes before that.
func TestNotAfter(t *testing.T) {
	t.Parallel()
	const digest = `Digest realm="snom", nonce="1", qop="auth"`
	answer := func(replies ...func(net.Conn)) func(n int, conn net.Conn) {
		return func(n int, conn net.Conn) { replies[min(n, len(replies)-1)](conn) }
	}
	after := func(d time.Duration, reply string) func(net.Conn) {
		return func(conn net.Conn) { readRequest(conn); time.Sleep(d); _, _ = io.WriteString(conn, reply) }
	}
	late := func(d time.Duration) func(net.Conn) {
		return func(conn net.Conn) {
			time.Sleep(d)
			readRequest(conn)
			_, _ = io.WriteString(conn, reply(200, "", "ok"))
		}
	}
	ok := after(0, reply(200, "", "ok"))
	tests := []struct {
		name     string
		phone    func(n int, conn net.Conn)
		connect  time.Duration // that connecting takes
		gap      time.Duration
		before   bool          // a request has just been made
		within   time.Duration // of the start
		expected error
		requests int
		status   int
		took     time.Duration
		says     string
	}{
		{name: "in time", phone: answer(ok), within: time.Second, requests: 1, status: 200},
		{name: "over already", phone: answer(ok), within: 0, expected: snom.ErrExpired},
		{name: "long over", phone: answer(ok), within: -time.Hour, expected: snom.ErrExpired},
		{name: "challenge in time", phone: answer(after(time.Second/2, wants(digest)), ok), within: time.Second, requests: 2, status: 200, took: time.Second / 2},
		{name: "slow challenge", phone: answer(after(4*time.Second, wants(digest)), ok), within: time.Second, expected: snom.ErrExpired, requests: 1, status: 401, took: 4 * time.Second},
		{name: "slow challenge, basic", phone: answer(after(2*time.Second, wants("Basic")), ok), within: time.Second, expected: snom.ErrExpired, requests: 1, status: 401, took: 2 * time.Second},
		{name: "challenge at the deadline", phone: answer(after(time.Second, wants(digest)), ok), within: time.Second, expected: snom.ErrExpired, requests: 1, status: 401, took: time.Second},
		{name: "slow reply to what was sent in time", phone: answer(after(4*time.Second, reply(200, "", "ok"))), within: time.Second, requests: 1, status: 200, took: 4 * time.Second},
		{name: "no reply to what was sent in time", phone: answer(after(time.Minute, "")), within: time.Second, expected: snom.ErrOutcomeUnknown, requests: 1, took: 5 * time.Second},
		{name: "closed without a reply to what was sent in time", phone: answer(after(3*time.Second, "")), within: time.Second, expected: snom.ErrOutcomeUnknown, requests: 1, took: 3 * time.Second, says: "closed the connection"},
		{name: "half a reply to what was sent in time", phone: answer(after(3*time.Second, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok")), within: time.Second, expected: snom.ErrOutcomeUnknown, requests: 1, status: 200, took: 3 * time.Second, says: "unexpected EOF"},
		{name: "gap before the login", phone: answer(after(0, wants(digest)), ok), gap: 2 * time.Second, within: time.Second, expected: snom.ErrExpired, requests: 1, status: 401},
		{name: "gap after another request", phone: answer(ok), gap: 2 * time.Second, before: true, within: time.Second, expected: snom.ErrExpired},
		{name: "gap that ends in time", phone: answer(ok), gap: time.Second / 2, before: true, within: time.Second, requests: 1, status: 200, took: time.Second / 2},
		{name: "dropped packets", phone: answer(ok), connect: time.Hour, within: time.Second, expected: snom.ErrExpired, took: time.Second},
		{name: "dropped packets, and time", phone: answer(ok), connect: time.Hour, within: time.Minute, expected: snom.ErrUnreachable, took: 5 * time.Second},
		{name: "connected at the deadline", phone: answer(ok), connect: time.Second, within: time.Second, expected: snom.ErrExpired, took: time.Second},
		{name: "connected late for the login", phone: answer(after(0, wants(digest)), ok), connect: 600 * time.Millisecond, within: time.Second, expected: snom.ErrExpired, requests: 1, status: 401, took: time.Second},
		{name: "phone that does not read", phone: answer(late(3 * time.Second)), within: time.Second, expected: snom.ErrExpired, took: time.Second},
		{
			name: "phone that reads a part", within: time.Second, expected: snom.ErrOutcomeUnknown, requests: 1, took: time.Second,
			phone: answer(func(conn net.Conn) {
				_, _ = io.ReadFull(conn, make([]byte, 10))
				late(3 * time.Second)(conn)
			}),
		},
		{name: "phone that does not read the login", phone: answer(after(0, wants(digest)), late(3*time.Second)), within: time.Second, expected: snom.ErrExpired, requests: 1, status: 401, took: time.Second},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var notAfter time.Time
				var begun []time.Time
				n := 0
				c := newClient(t, snom.ClientConfig{
					URL: "http://phone.example", Username: "admin", Password: canary, Gap: tt.gap,
					Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
						if !notAfter.IsZero() {
							select {
							case <-time.After(tt.connect):
							case <-ctx.Done():
								return nil, ctx.Err()
							}
						}
						near, far := net.Pipe()
						call := n
						n++
						go func() {
							defer far.Close()
							if notAfter.IsZero() {
								ok(far)
								return
							}
							tt.phone(call, &tap{far, func() { begun = append(begun, time.Now()) }})
						}()
						return near, nil
					},
				})
				if tt.before {
					if _, err := c.Send(t.Context(), snom.Step{Request: "/info.htm"}); err != nil {
						t.Fatal(err)
					}
				}
				n = 0
				start := time.Now()
				notAfter = start.Add(tt.within)
				got, err := c.Send(t.Context(), snom.Step{Request: "/command.htm?key=P1", NotAfter: notAfter})
				if !errors.Is(err, tt.expected) || tt.expected == nil && err != nil {
					t.Errorf("Send: %v, expected %v", err, tt.expected)
				}
				if tt.says != "" && !strings.Contains(err.Error(), tt.says) {
					t.Errorf("Send: %v, expected it to say %q", err, tt.says)
				}
				if expected := (snom.Reply{Status: tt.status, Requests: tt.requests}); got != expected {
					t.Errorf("Send = %+v, expected %+v", got, expected)
				}
				if errors.Is(err, snom.ErrExpired) && (errors.Is(err, snom.ErrUnreachable) || errors.Is(err, snom.ErrOutcomeUnknown)) {
					t.Errorf("Send: %v is more than one outcome", err)
				}
				if took := time.Since(start); took != tt.took {
					t.Errorf("Send took %v, expected %v", took, tt.took)
				}
				time.Sleep(time.Hour) // until the phone is done
				synctest.Wait()
				for i, at := range begun {
					if !at.Before(notAfter) {
						t.Errorf("first byte of request %d %v after the deadline", i+1, at.Sub(notAfter))
					}
				}
				if len(begun) != tt.requests {
					t.Errorf("the phone has read %d requests, expected %d", len(begun), tt.requests)
				}
			})
		})
	}
}

// A step that waits for another request of the same client ends at its deadline.
func TestNotAfterBehindAnother(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		phone, c := bubble(t, snomtest.Config{Latency: 4 * time.Second})
		first := make(chan error)
		go func() {
			_, err := c.Send(t.Context(), snom.Step{Request: "/command.htm?key=P1"})
			first <- err
		}()
		synctest.Wait()
		start := time.Now()
		got, err := c.Send(t.Context(), snom.Step{Request: "/command.htm?key=P2", NotAfter: start.Add(time.Second)})
		if took := time.Since(start); !errors.Is(err, snom.ErrExpired) || got != (snom.Reply{}) || took != time.Second {
			t.Errorf("Send = %+v, %v after %v, expected ErrExpired after 1s", got, err, took)
		}
		if err := <-first; err != nil {
			t.Error(err)
		}
		if n := len(phone.Requests()); n != 1 {
			t.Errorf("the phone saw %d requests, expected 1", n)
		}
	})
}

// A TLS handshake ends at the deadline, too, and one that succeeds in time leaves all the time for the reply.
func TestNotAfterTLS(t *testing.T) {
	t.Parallel()
	config, certificate, err := snomtest.SelfSigned(false)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name             string
		handshake, reply time.Duration
		expected         error
		requests         int
		took             time.Duration
	}{
		{name: "slow handshake", handshake: 3 * time.Second, expected: snom.ErrExpired, took: time.Second},
		{name: "no handshake", handshake: time.Hour, expected: snom.ErrExpired, took: time.Second},
		{name: "in time", requests: 1},
		{name: "slow reply", reply: 4 * time.Second, requests: 1, took: 4 * time.Second},
		{name: "no reply", reply: time.Hour, expected: snom.ErrOutcomeUnknown, requests: 1, took: 5 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				time.Sleep(time.Until(time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)))
				requests := 0
				c := newClient(t, snom.ClientConfig{URL: "https://127.0.0.1", TLS: snom.TLSConfig{PinSHA256: pinOf(t, certificate)}, Dial: pipes(func(conn net.Conn) {
					time.Sleep(tt.handshake)
					server := tls.Server(conn, config)
					if server.Handshake() != nil {
						return
					}
					if !strings.HasPrefix(readRequest(server), "GET ") {
						return
					}
					requests++
					time.Sleep(tt.reply)
					_, _ = io.WriteString(server, reply(200, "", "ok"))
				})})
				start := time.Now()
				got, err := c.Send(t.Context(), snom.Step{Request: "/command.htm?key=P1", NotAfter: start.Add(time.Second)})
				if took := time.Since(start); !errors.Is(err, tt.expected) || tt.expected == nil && err != nil || took != tt.took {
					t.Errorf("Send: %v after %v, expected %v after %v", err, took, tt.expected, tt.took)
				}
				time.Sleep(2 * time.Hour) // until the phone is done
				synctest.Wait()
				if got.Requests != tt.requests || requests != tt.requests {
					t.Errorf("Send = %+v, the phone read %d requests, expected %d", got, requests, tt.requests)
				}
			})
		})
	}
}

// A request that was given up is not delivered afterwards by this machine's kernel: the connection is reset.
func TestGivenUpIsReset(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ended := make(chan error, 1)
	go func() {
		conn, err := l.Accept()
		if err != nil {
			ended <- err
			return
		}
		defer conn.Close()
		readRequest(conn)
		_, err = conn.Read(make([]byte, 1))
		ended <- err
	}()
	c := newClient(t, snom.ClientConfig{URL: "http://" + l.Addr().String(), Timeout: 100 * time.Millisecond})
	if got, err := c.Send(t.Context(), snom.Step{Request: "/command.htm?key=P1"}); !errors.Is(err, snom.ErrOutcomeUnknown) || got.Requests != 1 {
		t.Errorf("Send = %+v, %v, expected ErrOutcomeUnknown", got, err)
	}
	if err := <-ended; !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the phone reads %v, expected a reset", err)
	}
}

// What this machine lacks is not said of the phone.
func TestFaultsOfThisMachine(t *testing.T) {
	t.Parallel()
	dial := func(err error) error { return &net.OpError{Op: "dial", Net: "tcp", Err: err} }
	for _, tt := range []struct {
		err   error
		local bool
	}{
		{dial(osError("socket", syscall.EMFILE)), true},
		{dial(osError("socket", syscall.ENFILE)), true},
		{dial(osError("socket", syscall.ENOBUFS)), true},
		{dial(osError("socket", syscall.ENOMEM)), true},
		{dial(osError("connect", syscall.EADDRNOTAVAIL)), true},
		{dial(osError("connect", syscall.EADDRINUSE)), true},
		{dial(osError("connect", syscall.EAGAIN)), true},
		{dial(osError("connect", syscall.EPERM)), true},
		{dial(osError("socket", syscall.EAFNOSUPPORT)), true},
		{fmt.Errorf("wrapped: %w", syscall.EMFILE), true},
		{dial(&net.DNSError{Err: "dial udp 127.0.0.1:53: socket: too many open files", Name: "phone.example"}), true},
		{dial(&net.DNSError{Err: "no such host", Name: "phone.example", IsNotFound: true}), false},
		{dial(osError("connect", syscall.ECONNREFUSED)), false},
		{dial(osError("connect", syscall.EHOSTUNREACH)), false},
		{dial(osError("connect", syscall.ENETUNREACH)), false},
		{dial(osError("connect", syscall.ETIMEDOUT)), false},
		{errors.New("anything"), false},
	} {
		c := newClient(t, snom.ClientConfig{URL: "http://phone.example", Dial: func(context.Context, string, string) (net.Conn, error) { return nil, tt.err }})
		got, serr := c.Send(t.Context(), snom.Step{Request: "/command.htm?key=P1"})
		_, perr := c.Probe(t.Context())
		for _, err := range []error{serr, perr, c.Ping(t.Context())} {
			if errors.Is(err, snom.ErrLocal) != tt.local || errors.Is(err, snom.ErrUnreachable) == tt.local || !errors.Is(err, tt.err) {
				t.Errorf("%v: %v, expected ErrLocal: %t", tt.err, err, tt.local)
			}
		}
		if got != (snom.Reply{}) {
			t.Errorf("%v: Send = %+v, expected no request", tt.err, got)
		}
	}
}

func osError(call string, err error) error { return fmt.Errorf("%s: %w", call, err) }
