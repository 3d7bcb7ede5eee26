package pipenet_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/snom2mqtt/snom2mqtt/internal/pipenet"
)

func TestHTTPInVirtualTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := pipenet.Listen()
		srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			time.Sleep(time.Hour)
			_, _ = io.WriteString(w, r.RequestURI) // a client that left is seen below
		})}
		served := make(chan error)
		go func() { served <- srv.Serve(l) }()

		client := &http.Client{Transport: &http.Transport{DialContext: l.DialContext}}
		start := time.Now()
		resp, err := client.Get("http://phone.example/command.htm?key=P1")
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if got, want := string(body), "/command.htm?key=P1"; got != want {
			t.Errorf("body = %q, expected %q", got, want)
		}
		if got, want := time.Since(start), time.Hour; got != want {
			t.Errorf("took %v, expected %v", got, want)
		}
		client.CloseIdleConnections()
		if err := srv.Close(); err != nil {
			t.Error(err)
		}
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("Serve: %v, expected %v", err, http.ErrServerClosed)
		}
	})
}

func TestDialEnds(t *testing.T) {
	tests := []struct {
		name string
		do   func(*pipenet.Listener, context.CancelFunc)
		want error
	}{
		{"context cancelled", func(_ *pipenet.Listener, cancel context.CancelFunc) { cancel() }, context.Canceled},
		{"listener closed", func(l *pipenet.Listener, _ context.CancelFunc) { l.Close() }, syscall.ECONNREFUSED},
	}
	for _, tt := range tests {
		for _, when := range []string{"before", "while waiting"} {
			t.Run(tt.name+" "+when, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					l := pipenet.Listen()
					ctx, cancel := context.WithCancel(t.Context())
					defer cancel()
					if when == "before" {
						tt.do(l, cancel)
					}
					dialled := make(chan error, 1)
					go func() {
						_, err := l.DialContext(ctx, "tcp", "phone:80")
						dialled <- err
					}()
					synctest.Wait()
					tt.do(l, cancel)
					err := <-dialled
					if !errors.Is(err, tt.want) {
						t.Errorf("DialContext: %v, expected %v", err, tt.want)
					}
					var op *net.OpError
					if !errors.As(err, &op) || op.Op != "dial" {
						t.Errorf("DialContext: %#v, want a *net.OpError of a dial", err)
					}
				})
			})
		}
	}
}

func TestCloseEndsAccept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := pipenet.Listen()
		accepted := make(chan error, 1)
		go func() {
			_, err := l.Accept()
			accepted <- err
		}()
		synctest.Wait()
		for range 2 {
			if err := l.Close(); err != nil {
				t.Errorf("Close: %v", err)
			}
		}
		if err := <-accepted; !errors.Is(err, net.ErrClosed) {
			t.Errorf("Accept: %v, expected %v", err, net.ErrClosed)
		}
		if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("Accept after Close: %v, expected %v", err, net.ErrClosed)
		}
	})
}

func TestDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := pipenet.Listen()
		defer l.Close()
		go func() {
			if c, err := l.Accept(); err == nil {
				defer c.Close()
				<-t.Context().Done()
			}
		}()
		c, err := l.DialContext(t.Context(), "tcp", "phone:80")
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if err := c.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("Read: %v, expected %v", err, os.ErrDeadlineExceeded)
		}
		if got, want := time.Since(start), time.Minute; got != want {
			t.Errorf("deadline after %v, expected %v", got, want)
		}
	})
}

func TestAddr(t *testing.T) {
	t.Parallel()
	l := pipenet.Listen()
	defer l.Close()
	if got, want := l.Addr().Network()+" "+l.Addr().String(), "pipe pipe"; got != want {
		t.Errorf("Addr = %q, expected %q", got, want)
	}
}
