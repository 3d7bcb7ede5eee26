package snomtest_test

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/snom2mqtt/snom2mqtt/snom/snomtest"
)

func trusting(t *testing.T, pem []byte) *tls.Config {
	t.Helper()
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		t.Fatal("no certificate")
	}
	return &tls.Config{RootCAs: roots}
}

func TestTLS(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		config  snomtest.Config
		edit    func(*tls.Config)
		version uint16 // 0: no connection
	}{
		{"current", snomtest.Config{}, func(*tls.Config) {}, tls.VersionTLS13},
		{"only by https", snomtest.Config{HTTPSOnly: true}, func(*tls.Config) {}, tls.VersionTLS13},
		{"certificate not trusted", snomtest.Config{}, func(c *tls.Config) { c.RootCAs = x509.NewCertPool() }, 0},
		{"old phone, current client", snomtest.Config{LegacyTLS: true}, func(*tls.Config) {}, 0},
		{"old phone, lenient client", snomtest.Config{LegacyTLS: true}, func(c *tls.Config) {
			c.MinVersion = tls.VersionTLS10
			c.CipherSuites = []uint16{tls.TLS_RSA_WITH_AES_128_CBC_SHA}
		}, tls.VersionTLS10},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, url, pem := snomtest.NewTLSServer(t, tt.config)
			config := trusting(t, pem)
			tt.edit(config)
			client := &http.Client{Transport: &http.Transport{TLSClientConfig: config, DisableKeepAlives: true}}
			resp, err := client.Get(url + "/info.htm")
			if err != nil {
				if tt.version != 0 {
					t.Error(err)
				}
				return
			}
			defer resp.Body.Close()
			if got := resp.TLS.Version; got != tt.version || resp.StatusCode != 200 {
				t.Errorf("status %d by TLS %x, expected 200 by %x", resp.StatusCode, got, tt.version)
			}
		})
	}
}

func TestOneConnection(t *testing.T) {
	t.Parallel()
	p, url := snomtest.NewServer(t, snomtest.Config{OneConnection: true})
	first := &http.Client{Transport: &http.Transport{}}
	resp, err := first.Get(url + "/") // and keeps the connection
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	second := make(chan error, 1)
	go func() {
		_, _, err := newBrowser(t, url, nil).do("/command.htm?key=P1")
		second <- err
	}()
	if got := len(p.Requests()); got != 1 {
		t.Errorf("%d requests while the first connection is open, expected 1", got)
	}
	first.CloseIdleConnections()
	if err := <-second; err != nil {
		t.Error(err)
	}
	if got := len(p.Requests()); got != 2 {
		t.Errorf("%d requests, expected 2", got)
	}
}

func TestOneConnectionWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, b := newPiped(t, snomtest.Config{OneConnection: true, Latency: time.Second})
		start := time.Now()
		done := make(chan error)
		for range 3 {
			go func() {
				_, _, err := b.do("/command.htm?key=P1")
				done <- err
			}()
		}
		for range 3 {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		if got, want := time.Since(start), 3*time.Second; got != want {
			t.Errorf("three requests took %v, expected %v", got, want)
		}
		if got := len(p.Executed()); got != 3 {
			t.Errorf("%d requests executed, expected 3", got)
		}
	})
}

// A client that reuses connections asks twice for what the phone sees three times: net/http repeats a
// GET when a reused connection dies.
func TestHangUpReused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, dial := snomtest.NewPipe(t, snomtest.Config{HangUpReused: true})
		client := &http.Client{Transport: &http.Transport{DialContext: dial}}
		defer client.CloseIdleConnections()
		for range 2 {
			resp, err := client.Get("http://phone/command.htm?key=P1")
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.Copy(io.Discard, resp.Body); err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
		}
		if got := len(p.Requests()); got != 3 {
			t.Errorf("%d requests, expected 3", got)
		}
		if got := len(p.Executed()); got != 2 {
			t.Errorf("%d requests executed, expected 2", got)
		}
	})
}

func TestHold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, b := newPiped(t, snomtest.Config{})
		release := p.Hold()
		done := make(chan error)
		go func() {
			_, _, err := b.do("/command.htm?key=P1")
			done <- err
		}()
		time.Sleep(time.Hour)
		if got := len(p.Requests()); got != 0 {
			t.Errorf("%d requests while held, expected 0", got)
		}
		release()
		release()
		if err := <-done; err != nil {
			t.Error(err)
		}
		b.mustDo("/")
	})
}

func TestLatency(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, b := newPiped(t, snomtest.Config{Latency: 200 * time.Millisecond})
		start := time.Now()
		b.mustDo("/")
		if got, want := time.Since(start), 200*time.Millisecond; got != want {
			t.Errorf("took %v, expected %v", got, want)
		}
	})
}

func TestOnRequestComesBeforeTheReply(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var seen []snomtest.Request
		_, b := newPiped(t, snomtest.Config{Name: "kitchen", OnRequest: func(r snomtest.Request) {
			time.Sleep(time.Second)
			seen = append(seen, r)
		}})
		b.mustDo("/command.htm?key=P1")
		if len(seen) != 1 || seen[0].Phone != "kitchen" || seen[0].Status != 200 {
			t.Errorf("requests = %+v, expected one of the kitchen with status 200", seen)
		}
	})
}

func TestCloseEndsWhatWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, b := newPiped(t, snomtest.Config{})
		p.SetFault(snomtest.FaultHang)
		done := make(chan error)
		go func() {
			_, _, err := b.do("/")
			done <- err
		}()
		synctest.Wait()
		p.Reboot(time.Hour)
		if err := p.Close(); err != nil {
			t.Error(err)
		}
		if err := <-done; err == nil {
			t.Error("no error, expected the connection closed")
		}
	})
}
