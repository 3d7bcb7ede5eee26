package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/snom2mqtt/snom2mqtt/bridge"
	"github.com/snom2mqtt/snom2mqtt/config"
	"github.com/snom2mqtt/snom2mqtt/paging"
	"github.com/snom2mqtt/snom2mqtt/snom"
	"github.com/snom2mqtt/snom2mqtt/snom/snomtest"
)

// samples are those of a WAV file of 16 bits with the usual head.
func samples(wav []byte) []float64 {
	out := make([]float64, 0, len(wav)/2)
	for b := wav[44:]; len(b) >= 2; b = b[2:] {
		out = append(out, float64(int16(binary.LittleEndian.Uint16(b))))
	}
	return out
}

// similar is the correlation of two sounds.
func similar(a, b []float64) float64 {
	var ab, aa, bb float64
	for i := range min(len(a), len(b)) {
		ab, aa, bb = ab+a[i]*b[i], aa+a[i]*a[i], bb+b[i]*b[i]
	}
	return ab / math.Sqrt(aa*bb)
}

// listening returns a simulated phone that listens to a multicast address on loopback, and that address.
func listening(t *testing.T) (phone *snomtest.Phone, address string) {
	t.Helper()
	free, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	port := free.LocalAddr().(*net.UDPAddr).Port
	_ = free.Close()
	address = fmt.Sprintf("239.255.10.1:%d", port)
	phone = snomtest.New(snomtest.Config{Settings: map[string]string{"multicast_listen": "on", "mc_address1": address}})
	t.Cleanup(func() { _ = phone.Close() })
	if err := phone.ListenMulticast(loopbackName(t)); err != nil {
		t.Fatal(err)
	}
	if len(phone.ListensTo()) == 0 {
		t.Skip("this machine cannot join a multicast group on loopback")
	}
	return phone, address
}

func loopbackName(t *testing.T) string {
	t.Helper()
	all, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range all {
		if i.Flags&net.FlagLoopback != 0 {
			return i.Name
		}
	}
	t.Skip("there is no loopback interface")
	return ""
}

// TestAPhoneHearsWhatWasSent: a file of a web server reaches a simulated phone as it was, through all of the chain.
func TestAPhoneHearsWhatWasSent(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.FileServer(http.Dir("../../paging/testdata")))
	t.Cleanup(server.Close)
	phone, address := listening(t)
	a := newAnnouncer(config.Config{ImageHosts: []string{"127.0.0.1"}, Paging: config.Paging{Interface: loopbackName(t), TTL: 1}}, func() []bridge.PhoneConfig { return nil })
	begun := false
	length, err := a.Play(t.Context(), address, snom.Announcement{URL: server.URL + "/speech.flac", Repeat: 1}, func() error { begun = true; return nil })
	if err != nil || !begun || (length-3260*time.Millisecond).Abs() > 50*time.Millisecond {
		t.Fatalf("%v, error %v", length, err)
	}
	source, err := os.ReadFile("../../paging/testdata/speech-8k.wav")
	if err != nil {
		t.Fatal(err)
	}
	packets := int(length / (20 * time.Millisecond))
	for deadline := time.Now().Add(10 * time.Second); phone.Announced().Packets < packets && time.Now().Before(deadline); {
	}
	if got := phone.Announced(); got.Packets != packets || got.Lost != 0 || got.Doubled != 0 || got.Address != address {
		t.Errorf("%+v, expected %d packets", got, packets)
	}
	head := bytes.Index(source, []byte("data")) + 8 - 44
	if c := similar(samples(source[head:]), samples(phone.HeardWAV())); c < 0.99 {
		t.Errorf("correlation %.4f, expected more than 0.99", c)
	}
}

// TestHostileServers: each is answered in bounded time with a code that says what is wrong, and no packet is sent.
func TestHostileServers(t *testing.T) {
	t.Parallel()
	var phoneAsked atomic.Int64
	phone := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { phoneAsked.Add(1) }))
	t.Cleanup(phone.Close)
	elsewhere := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(elsewhere.Close)
	wav, err := os.ReadFile("../../paging/testdata/speech-8k.wav")
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/page":
			fmt.Fprint(w, "<!doctype html><title>Login</title>")
		case "/huge":
			w.Header().Set("Content-Length", "10000000000")
			_, _ = w.Write(wav)
		case "/endless":
			_, _ = w.Write(wav[:8])
			for {
				if _, err := w.Write(make([]byte, 64<<10)); err != nil {
					return
				}
			}
		case "/cut":
			w.Header().Set("Content-Length", fmt.Sprint(len(wav)))
			_, _ = w.Write(wav[:5000])
		case "/silent":
			<-r.Context().Done()
		case "/drip":
			for i := range wav {
				if _, err := w.Write(wav[i : i+1]); err != nil {
					return
				}
				w.(http.Flusher).Flush()
				select {
				case <-r.Context().Done():
					return
				case <-time.After(50 * time.Millisecond):
				}
			}
		case "/phone":
			http.Redirect(w, r, phone.URL+"/command.htm?key=P1", http.StatusFound)
		case "/elsewhere":
			http.Redirect(w, r, strings.Replace(elsewhere.URL, "127.0.0.1", "localhost", 1), http.StatusFound)
		case "/loop":
			http.Redirect(w, r, "/loop", http.StatusFound)
		case "/file":
			http.Redirect(w, r, "file:///etc/passwd", http.StatusFound)
		case "/broken":
			w.WriteHeader(http.StatusInternalServerError)
		default:
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	t.Cleanup(server.Close)
	a := newAnnouncer(config.Config{ImageHosts: []string{"127.0.0.1"}, Paging: config.Paging{Interface: loopbackName(t)}},
		func() []bridge.PhoneConfig { return []bridge.PhoneConfig{{Name: "kitchen", URL: phone.URL}} })
	closed := httptest.NewServer(http.NotFoundHandler())
	closed.Close()
	for what, code := range map[string]bridge.Code{
		"/page": bridge.Invalid, "/huge": bridge.Invalid, "/endless": bridge.Invalid, "/cut": bridge.Unreachable, "/silent": bridge.Expired, "/drip": bridge.Expired,
		"/phone": bridge.Forbidden, "/elsewhere": bridge.Forbidden, "/loop": bridge.Unreachable, "/file": bridge.Forbidden, "/broken": bridge.Unreachable, "/none": bridge.Invalid,
		phone.URL + "/command.htm?key=P1": bridge.Forbidden, "http://192.0.2.1/a.wav": bridge.Forbidden, closed.URL + "/a.wav": bridge.Unreachable,
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			late := bridge.SpeakerError{Code: bridge.Expired, Message: "expired"}
			ctx, cancel := context.WithTimeoutCause(t.Context(), 2*time.Second, late)
			if code != bridge.Expired {
				cancel()
				ctx, cancel = context.WithTimeoutCause(t.Context(), time.Minute, late)
			}
			defer cancel()
			if strings.HasPrefix(what, "/") {
				what = server.URL + what
			}
			_, port, _ := net.SplitHostPort(server.Listener.Addr().String())
			length, err := a.Play(ctx, "239.255.10.2:"+port, snom.Announcement{URL: what, Repeat: 1}, func() error { t.Error("it began"); return errors.ErrUnsupported })
			var known bridge.SpeakerError
			if cause := context.Cause(ctx); err != nil && cause != nil {
				err = cause // as the bridge does
			}
			if length != 0 || !errors.As(err, &known) || known.Code != code {
				t.Errorf("%v, %+v, expected %s", length, err, code)
			}
			if _, err := a.Measure(ctx, snom.Announcement{URL: what, Repeat: 1}); err == nil {
				t.Error("a dry run is ok")
			}
		})
	}
	t.Cleanup(func() {
		if n := phoneAsked.Load(); n != 0 {
			t.Errorf("the phone got %d requests", n)
		}
	})
}

// TestSpeakerErrors: without anything that speaks, the answer names the settings; a network that is not there is named, too.
func TestSpeakerErrors(t *testing.T) {
	t.Parallel()
	a := newAnnouncer(config.Config{Paging: config.Paging{Interface: "nosuch0"}}, func() []bridge.PhoneConfig { return nil })
	_, err := a.Play(t.Context(), "239.255.10.1:5004", snom.Announcement{Text: "Dinner", Repeat: 1}, nil)
	var known bridge.SpeakerError
	if !errors.As(err, &known) || known.Code != bridge.Unsupported || !strings.Contains(known.Message, "HOMEASSISTANT_URL") || !strings.Contains(known.Message, "TTS_URL") {
		t.Errorf("%+v", err)
	}
	b, err := paging.Encode(paging.Tone())
	if err != nil {
		t.Fatal(err)
	}
	_, err = a.sender.Play(t.Context(), "239.255.10.1:5004", paging.ULaw(b), paging.Options{}, nil)
	if known, ok := speakerError(err, false).(bridge.SpeakerError); !ok || known.Code != bridge.Unreachable || !strings.Contains(known.Message, "PAGING_INTERFACE") {
		t.Errorf("%+v", err)
	}
	if err := speakerError(io.ErrUnexpectedEOF, true).(bridge.SpeakerError); err.Code != bridge.Timeout {
		t.Errorf("%+v", err)
	}
}

// TestIsPhone: no file is fetched from a phone, however it is driven. On this machine, where other programs have the same
// address, the port decides.
func TestIsPhone(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		phone, host, port string
		expected          bool
	}{
		{"http://192.0.2.10", "192.0.2.10", "", true}, {"http://192.0.2.10", "192.0.2.10", "8080", true}, {"http://192.0.2.10", "192.0.2.11", "", false},
		{"https://Phone.example", "phone.example", "443", true}, {"http://[2001:db8::1]:8080", "2001:db8::1", "", true},
		{"http://127.0.0.1:8101", "127.0.0.1", "8101", true}, {"http://127.0.0.1:8101", "127.0.0.1", "8102", false}, {"http://127.0.0.1", "127.0.0.1", "", true},
		{"http://localhost:8101", "127.0.0.1", "8101", true}, {"http://LOCALHOST:8101", "::1", "8101", true}, {"http://localhost:8101", "127.0.0.1", "8102", false},
		{"http://127.0.0.1:8101", "localhost", "8101", true}, {"http://192.0.2.10", "localhost", "80", false},
		{"sip:27@192.0.2.20:5060", "192.0.2.20", "80", true}, {"sip:27@192.0.2.20;transport=tcp", "192.0.2.20", "", true},
		{"sip:27@192.0.2.20:5060", "192.0.2.21", "", false}, {"asterisk:27", "27", "", false},
	} {
		if got := isPhone(tt.phone, tt.host, tt.port); got != tt.expected {
			t.Errorf("%s: %s port %q: %v, expected %v", tt.phone, tt.host, tt.port, got, tt.expected)
		}
	}
}
