package snom_test

import (
	"context"
	"errors"
	"net"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/snom2mqtt/snom2mqtt/snom"
	"github.com/snom2mqtt/snom2mqtt/snom/snomtest"
)

// TestPhone runs the same table against simulated phones and, when SNOM_TEST_PHONE holds the URL of one
// (SNOM_TEST_USERNAME and SNOM_TEST_PASSWORD its login), against a real phone. Everything in it is
// harmless: the volume goes up and down again.
func TestPhone(t *testing.T) {
	t.Parallel()
	phones := map[string]func(testing.TB) snom.ClientConfig{
		"open":         simulated(snomtest.Config{}),
		"basic":        simulated(snomtest.Config{Auth: snomtest.AuthBasic}),
		"digest":       simulated(snomtest.Config{Auth: snomtest.AuthDigest}),
		"digest-noqop": simulated(snomtest.Config{Auth: snomtest.AuthDigestNoQOP}),
		"any":          simulated(snomtest.Config{Auth: snomtest.AuthAny}),
		"MD5-sess": simulated(snomtest.Config{Auth: snomtest.AuthDigest, Challenge: func(nonce string, stale bool) []string {
			return []string{`DIGEST Realm=snom, Nonce=` + nonce + `, Algorithm=md5-SESS, QOP="AUTH-INT, AUTH",`}
		}}),
		"one-time nonces": simulated(snomtest.Config{Auth: snomtest.AuthDigest, NonceUses: 1}),
		"never stale":     simulated(snomtest.Config{Auth: snomtest.AuthDigest, NonceUses: 1, NoStale: true}),
		"quirks":          simulated(snomtest.Config{Auth: snomtest.AuthDigest, NeedKeepAlive: true, OneConnection: true, HangUpReused: true, OldPages: true, Model: "320"}),
		"https": func(tb testing.TB) snom.ClientConfig {
			tb.Helper()
			_, url, cert := snomtest.NewTLSServer(tb, snomtest.Config{Auth: snomtest.AuthDigest, Username: "admin", Password: canary})
			return snom.ClientConfig{URL: url, Username: "admin", Password: canary, TLS: snom.TLSConfig{CA: cert}}
		},
	}
	if url := os.Getenv("SNOM_TEST_PHONE"); url != "" {
		phones["real"] = func(testing.TB) snom.ClientConfig {
			return snom.ClientConfig{
				URL: url, Username: os.Getenv("SNOM_TEST_USERNAME"), Password: os.Getenv("SNOM_TEST_PASSWORD"),
				TLS: snom.TLSConfig{Insecure: strings.HasPrefix(url, "https:"), Legacy: true},
			}
		}
	}
	for name, start := range phones {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newClient(t, start(t))
			if err := c.Ping(t.Context()); err != nil {
				t.Fatalf("Ping: %v", err)
			}
			before, err := c.Probe(t.Context())
			if err != nil {
				t.Fatalf("Probe: %v", err)
			}
			if want := (before.Auth == snom.SchemeNone); (before.Model != "") != want {
				t.Errorf("Probe = %+v, expected a model if there is no login: %t", before, want)
			}
			for _, text := range []string{"key VOLUME_UP", "key VOLUME_DOWN,50", "key VOLUME_UP,10,10;VOLUME_DOWN,10"} {
				cmd, err := snom.ParseCommand(text)
				if err != nil {
					t.Fatal(err)
				}
				if got, err := c.Do(t.Context(), cmd); err != nil || got.Status != 200 && got.Status != 302 || got.Requests > 2 {
					t.Errorf("Do(%s) = %+v, %v, expected no error after at most 2 requests", cmd, got, err)
				}
			}
			after, err := c.Probe(t.Context())
			if err != nil || after.Model == "" || after.MAC == "" || after.Auth != before.Auth || after.Realm != before.Realm || after.RemoteControl != snom.Yes {
				t.Errorf("Probe = %+v, %v, expected all of a phone that asked for %s", after, err, before.Auth)
			}
			if got, err := c.Send(t.Context(), snom.Step{Request: "/no-such-page.htm"}); !errors.Is(err, snom.ErrUnsupported) {
				t.Errorf("a page that is not there: %+v, %v, expected ErrUnsupported", got, err)
			}
		})
	}
}

func simulated(cfg snomtest.Config) func(testing.TB) snom.ClientConfig {
	return func(tb testing.TB) snom.ClientConfig {
		tb.Helper()
		cfg.Username, cfg.Password = "admin", canary
		_, url := snomtest.NewServer(tb, cfg)
		return snom.ClientConfig{URL: url, Username: "admin", Password: canary}
	}
}

// bubble gives a simulated phone and a client in the bubble of virtual time that t is in.
func bubble(t *testing.T, cfg snomtest.Config) (*snomtest.Phone, *snom.Client) {
	t.Helper()
	cfg.Username, cfg.Password = "admin", canary
	phone, dial := snomtest.NewPipe(t, cfg)
	return phone, newClient(t, snom.ClientConfig{URL: "http://phone.example", Username: "admin", Password: canary, Dial: dial})
}

// Every verb's example is carried out, one request for each step once the login is known.
func TestEveryCommand(t *testing.T) {
	t.Parallel()
	for _, verb := range snom.Verbs() {
		t.Run(string(verb), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				model := "D735"
				if verb == snom.VerbTouch {
					model = "870"
				}
				phone, c := bubble(t, snomtest.Config{Auth: snomtest.AuthDigest, Model: model})
				cmd, err := snom.ParseCommand(verb.Help().Example)
				if err != nil {
					t.Fatal(err)
				}
				if cmd.Displays() {
					if got, err := c.Do(t.Context(), cmd); !errors.Is(err, snom.ErrUnsupported) || got.Requests != 0 {
						t.Errorf("Do(%s) = %+v, %v, expected that it needs a page", cmd, got, err)
					}
					return
				}
				if _, err := c.Send(t.Context(), snom.Step{Request: "/info.htm"}); err != nil {
					t.Fatal(err)
				}
				got, err := c.Do(t.Context(), cmd)
				if verb.Nests() {
					if !errors.Is(err, snom.ErrUnsupported) {
						t.Errorf("Do(%s) = %v, expected ErrUnsupported", cmd, err)
					}
					return
				}
				if verb.Paged() {
					if _, _, plan := c.Plan(cmd, snom.Model{}); !errors.Is(err, snom.ErrUnsupported) || !errors.Is(plan, snom.ErrUnsupported) {
						t.Errorf("Do(%s) = %v, Plan: %v, expected ErrUnsupported", cmd, err, plan)
					}
					return
				}
				if err != nil || got.Status != 200 && got.Status != 302 {
					t.Fatalf("Do(%s) = %+v, %v, expected no error", cmd, got, err)
				}
				var want []string
				for _, s := range cmd.Steps("") {
					want = append(want, s.Request)
				}
				var sent []string
				for _, r := range phone.Requests()[2:] {
					sent = append(sent, r.Target)
				}
				if got.Requests != len(want) || !slices.Equal(sent, want) {
					t.Errorf("Do(%s) made %d requests, the phone saw %q, expected %q", cmd, got.Requests, sent, want)
				}
			})
		})
	}
}

func TestPausesBetweenSteps(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		phone, c := bubble(t, snomtest.Config{})
		cmd, err := snom.ParseCommand(`ring {"ringer":3,"count":3,"pause_ms":1500}`)
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		if got, err := c.Do(t.Context(), cmd); err != nil || got.Requests != 3 {
			t.Fatalf("Do = %+v, %v, expected 3 requests", got, err)
		}
		var at []time.Duration
		for _, r := range phone.Requests() {
			at = append(at, r.Time.Sub(start))
		}
		if want := []time.Duration{0, 1500 * time.Millisecond, 3 * time.Second}; !slices.Equal(at, want) {
			t.Errorf("requests at %v, expected %v", at, want)
		}
		if took := time.Since(start); took != 3*time.Second {
			t.Errorf("Do took %s, expected it not to wait after the last step", took)
		}
	})
}

// A command of which a part was carried out is not one that certainly did not reach the phone.
func TestUnfinished(t *testing.T) {
	t.Parallel()
	ring, err := snom.ParseCommand(`ring {"ringer":3,"count":3,"pause_ms":1500}`)
	if err != nil {
		t.Fatal(err)
	}
	stop := errors.New("stop")
	tests := []struct {
		name     string
		fault    snomtest.Fault // after the first step
		stop     bool           // then
		want     error
		requests int
	}{
		{name: "phone is gone", fault: snomtest.FaultRefuseConnects, want: snom.ErrOutcomeUnknown, requests: 1},
		{name: "phone breaks", fault: snomtest.FaultServerError, want: snom.ErrPhone, requests: 2},
		{name: "cancelled", stop: true, want: snom.ErrOutcomeUnknown, requests: 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				phone, c := bubble(t, snomtest.Config{})
				ctx, cancel := context.WithCancelCause(t.Context())
				defer cancel(nil)
				time.AfterFunc(time.Second, func() {
					phone.SetFault(tt.fault)
					if tt.stop {
						cancel(stop)
					}
				})
				got, err := c.Do(ctx, ring)
				if !errors.Is(err, tt.want) || errors.Is(err, snom.ErrUnreachable) || errors.Is(err, stop) != tt.stop || got.Requests != tt.requests {
					t.Errorf("Do = %+v, %v, expected %v after %d requests", got, err, tt.want, tt.requests)
				}
				if strings.Count(err.Error(), "snom: ") != 1 {
					t.Errorf("Do: %q, expected its prefix once", err)
				}
			})
		})
	}
	t.Run("the first step", func(t *testing.T) {
		t.Parallel()
		c := newClient(t, snom.ClientConfig{URL: "http://phone.example", Dial: func(context.Context, string, string) (net.Conn, error) {
			return nil, errors.New("no route")
		}})
		if got, err := c.Do(t.Context(), ring); !errors.Is(err, snom.ErrUnreachable) || got != (snom.Reply{}) {
			t.Errorf("Do = %+v, %v, expected ErrUnreachable", got, err)
		}
		if got, err := c.Do(t.Context(), snom.Command{}); err == nil {
			t.Errorf("Do = %+v, %v, expected an error for the zero Command", got, err)
		}
	})
}

// A phone that chokes on fast requests must be left time between the one that fetches a challenge and the one that
// answers it, or no login ever comes through.
func TestGap(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		gap  time.Duration
		want error
	}{{0, snom.ErrOutcomeUnknown}, {100 * time.Millisecond, nil}} {
		synctest.Test(t, func(t *testing.T) {
			phone, dial := snomtest.NewPipe(t, snomtest.Config{Auth: snomtest.AuthDigest, Username: "admin", Password: canary, NonceUses: 2})
			phone.SetFault(snomtest.FaultChoke)
			c := newClient(t, snom.ClientConfig{URL: "http://phone.example", Username: "admin", Password: canary, Dial: dial, Gap: tt.gap})
			for i := range 3 {
				start := time.Now()
				got, err := c.Send(t.Context(), snom.Step{Request: "/command.htm?key=P1"})
				if !errors.Is(err, tt.want) || tt.want == nil && err != nil {
					t.Fatalf("gap %v: Send %d = %+v, %v, expected %v", tt.gap, i+1, got, err, tt.want)
				}
				if tt.want != nil {
					return
				}
				if took, waits := time.Since(start), min(i, 1)+got.Requests-1; took != time.Duration(waits)*tt.gap {
					t.Errorf("gap %v: Send %d took %v for %d requests, expected the gap before each but the first of all", tt.gap, i+1, took, got.Requests)
				}
			}
			ctx, cancel := context.WithTimeout(t.Context(), tt.gap/2)
			defer cancel()
			before := len(phone.Requests())
			got, err := c.Send(ctx, snom.Step{Request: "/command.htm?key=P2"})
			if !errors.Is(err, snom.ErrUnreachable) || !errors.Is(err, context.DeadlineExceeded) || got.Requests != 0 || len(phone.Requests()) != before {
				t.Errorf("Send that ended in the gap = %+v, %v, expected ErrUnreachable and nothing sent", got, err)
			}
		})
	}
}

// However a phone fails, it gets one request, and the error says what is known of it.
func TestFaults(t *testing.T) {
	t.Parallel()
	want := map[snomtest.Fault]error{
		snomtest.FaultSlow:           nil,
		snomtest.FaultDrip:           snom.ErrOutcomeUnknown,
		snomtest.FaultHang:           snom.ErrOutcomeUnknown,
		snomtest.FaultHangAfter:      snom.ErrOutcomeUnknown,
		snomtest.FaultEmptyReply:     snom.ErrOutcomeUnknown,
		snomtest.FaultHangUpAfter:    snom.ErrOutcomeUnknown,
		snomtest.FaultResetBefore:    snom.ErrOutcomeUnknown,
		snomtest.FaultResetAfter:     snom.ErrOutcomeUnknown,
		snomtest.FaultCut:            snom.ErrOutcomeUnknown,
		snomtest.FaultCutHeader:      snom.ErrOutcomeUnknown,
		snomtest.FaultEndlessBody:    nil,
		snomtest.FaultEndlessHeader:  snom.ErrOutcomeUnknown,
		snomtest.FaultGarbage:        snom.ErrOutcomeUnknown,
		snomtest.FaultHTML:           snom.ErrPhone,
		snomtest.FaultLoginPage:      snom.ErrUnauthorized,
		snomtest.FaultForbidden:      snom.ErrRefused,
		snomtest.FaultNotFound:       snom.ErrUnsupported,
		snomtest.FaultServerError:    snom.ErrPhone,
		snomtest.FaultUnavailable:    snom.ErrPhone,
		snomtest.FaultBrokenHead:     nil,
		snomtest.FaultRedirect:       snom.ErrPhone,
		snomtest.FaultHTTPS:          snom.ErrPhone,
		snomtest.FaultChoke:          snom.ErrOutcomeUnknown,
		snomtest.FaultRefuseConnects: snom.ErrUnreachable,
	}
	for _, name := range snomtest.FaultNames() {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				phone, c := bubble(t, snomtest.Config{Auth: snomtest.AuthDigest})
				if _, err := c.Send(t.Context(), snom.Step{Request: "/info.htm"}); err != nil {
					t.Fatal(err)
				}
				before := len(phone.Requests())
				phone.SetFault(snomtest.Fault(name))
				got, err := c.Send(t.Context(), snom.Step{Request: "/command.htm?key=P1"})
				wanted, known := want[snomtest.Fault(name)]
				if !known || !errors.Is(err, wanted) || wanted == nil && err != nil {
					t.Errorf("Send = %+v, %v, expected %v", got, err, wanted)
				}
				requests := 1
				if errors.Is(err, snom.ErrUnreachable) {
					requests = 0
				}
				if seen := len(phone.Requests()) - before; got.Requests != requests || seen != requests {
					t.Errorf("Send = %+v, the phone saw %d requests, expected %d", got, seen, requests)
				}
				phone.SetFault("")
				if _, err := c.Send(t.Context(), snom.Step{Request: "/command.htm?key=P2"}); err != nil {
					t.Errorf("Send after the fault: %v, expected no error", err)
				}
				if n := phone.FailedLogins(); n != 0 {
					t.Errorf("%d failed logins, expected 0", n)
				}
			})
		})
	}
}

func TestRefusingPhones(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		config snomtest.Config
		want   error
		probe  snom.Support
	}{
		{name: "hidden tags", config: snomtest.Config{HiddenTags: true}, want: snom.ErrRefused, probe: snom.Yes},
		{name: "restricted queries", config: snomtest.Config{RestrictURIQueries: true}, want: snom.ErrRefused, probe: snom.Yes},
		{name: "D8xx", config: snomtest.Config{Model: "D865"}, want: snom.ErrUnsupported, probe: snom.No},
		{name: "DECT", config: snomtest.Config{Model: "M900"}, want: snom.ErrUnsupported, probe: snom.No},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			phone, url := snomtest.NewServer(t, tt.config)
			c := newClient(t, snom.ClientConfig{URL: url})
			if _, err := c.Send(t.Context(), snom.Step{Request: "/command.htm?key=P1"}); !errors.Is(err, tt.want) {
				t.Errorf("Send: %v, expected %v", err, tt.want)
			}
			if info, err := c.Probe(t.Context()); err != nil || info.RemoteControl != tt.probe {
				t.Errorf("Probe = %+v, %v, expected remote control %s", info, err, tt.probe)
			}
			if done := phone.Executed(); len(done) != 0 {
				t.Errorf("executed %+v, expected nothing", done)
			}
		})
	}
}

func TestWrongPasswordCostsOneLogin(t *testing.T) {
	t.Parallel()
	for _, auth := range []snomtest.Auth{snomtest.AuthBasic, snomtest.AuthDigest, snomtest.AuthDigestNoQOP, snomtest.AuthAny} {
		t.Run(string(auth), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				phone, c := bubble(t, snomtest.Config{Auth: auth})
				phone.SetPassword("another")
				for range 10 {
					if _, err := c.Probe(t.Context()); err != nil {
						t.Errorf("Probe: %v", err)
					}
				}
				if n := phone.FailedLogins(); n != 0 {
					t.Errorf("probing cost %d failed logins, expected 0", n)
				}
				if _, err := c.Send(t.Context(), snom.Step{Request: "/command.htm?key=P1"}); !errors.Is(err, snom.ErrUnauthorized) {
					t.Errorf("Send: %v, expected ErrUnauthorized", err)
				}
				if n := phone.FailedLogins(); n != 1 {
					t.Errorf("sending cost %d failed logins, expected 1", n)
				}
				for !phone.Locked() {
					if _, err := c.Send(t.Context(), snom.Step{Request: "/command.htm?key=P1"}); err == nil {
						t.Fatal("Send: no error, expected one")
					}
				}
				_, err := c.Send(t.Context(), snom.Step{Request: "/command.htm?key=P1"})
				if info, perr := c.Probe(t.Context()); !errors.Is(err, snom.ErrLockedOut) || !errors.Is(perr, snom.ErrLockedOut) {
					t.Errorf("Send: %v, Probe = %+v, %v, expected ErrLockedOut", err, info, perr)
				}
				phone.SetPassword(canary)
				time.Sleep(time.Minute)
				if got, err := c.Send(t.Context(), snom.Step{Request: "/command.htm?key=P1"}); err != nil || got.Requests != 2 {
					t.Errorf("Send after the lock = %+v, %v, expected no error", got, err)
				}
			})
		})
	}
}

// After a reboot the phone knows the nonce no more; that costs a request, and no failed login.
func TestReboot(t *testing.T) {
	t.Parallel()
	for _, noStale := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			phone, c := bubble(t, snomtest.Config{Auth: snomtest.AuthDigest, NoStale: noStale})
			step := snom.Step{Request: "/command.htm?key=P1"}
			if _, err := c.Send(t.Context(), step); err != nil {
				t.Fatal(err)
			}
			phone.Reboot(30 * time.Second)
			if _, err := c.Send(t.Context(), step); !errors.Is(err, snom.ErrUnreachable) {
				t.Errorf("Send while it starts: %v, expected ErrUnreachable", err)
			}
			time.Sleep(time.Minute)
			want := snom.Reply{Status: 200, Requests: 2}
			if got, err := c.Send(t.Context(), step); err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("Send after the reboot = %+v, %v, expected %+v", got, err, want)
			}
			want.Requests = 1
			if got, err := c.Send(t.Context(), step); err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("Send then = %+v, %v, expected %+v", got, err, want)
			}
			if n := phone.FailedLogins(); n != 0 {
				t.Errorf("%d failed logins, expected 0", n)
			}
		})
	}
}
