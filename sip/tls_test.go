package sip_test

import (
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"net"
	"strings"
	"testing"

	"github.com/snom2mqtt/snom2mqtt/sip"
	"github.com/snom2mqtt/snom2mqtt/snom"
	"github.com/snom2mqtt/snom2mqtt/snom/snomtest"
)

// TestTLS drives a phone over TLS: its certificate must be signed by an authority that is trusted, be the one that is pinned, or not
// be checked at all. Nothing is sent to another.
func TestTLS(t *testing.T) {
	t.Parallel()
	config, authority, err := snomtest.SelfSigned(false)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(authority)
	sum := sha256.Sum256(block.Bytes)
	own := hex.EncodeToString(sum[:])
	plain, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := tls.NewListener(plain, config)
	phone := snomtest.New(trusting())
	side := phone.SIP(nil, snomtest.SIPConfig{})
	done := make(chan error, 1)
	go func() { done <- side.ServeStream(l) }()
	defer func() {
		_ = l.Close() // ServeStream reports it
		_ = phone.Close()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()
	executed := 0
	for name, tt := range map[string]struct {
		tls     snom.TLSConfig
		trusted bool
	}{
		"signed by an authority that is set": {snom.TLSConfig{CA: authority}, true},
		"pinned":                             {snom.TLSConfig{PinSHA256: own}, true},
		"not checked":                        {snom.TLSConfig{Insecure: true}, true},
		"of no authority of the system":      {snom.TLSConfig{}, false},
		"another one is pinned":              {snom.TLSConfig{PinSHA256: strings.Repeat("0", len(own))}, false},
	} {
		p, _ := phoneAt(t, "sip:27@"+plain.Addr().String()+";transport=tls", func(c *sip.PhoneConfig) { c.TLS = tt.tls })
		reply, err := do(t, p, "dial 28")
		switch {
		case tt.trusted:
			executed++
			if err != nil || reply.Status != 200 {
				t.Errorf("%s: %+v, %v, expected 200", name, reply, err)
			}
		case !errors.Is(err, snom.ErrUnreachable) || reply.Requests != 0:
			t.Errorf("%s: %+v, %v, expected ErrUnreachable and no request", name, reply, err)
		}
	}
	if n := len(phone.Executed()); n != executed {
		t.Errorf("%d calls, expected %d", n, executed)
	}
}
