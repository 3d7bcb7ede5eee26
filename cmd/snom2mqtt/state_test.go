package main

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/snom2mqtt/snom2mqtt/config"
	"github.com/snom2mqtt/snom2mqtt/snom"
	"github.com/snom2mqtt/snom2mqtt/snom/snomtest"
	"github.com/snom2mqtt/snom2mqtt/statefile"
)

// A password does not go out by Basic after a restart, to whatever answers at the address of a phone that asked for digest.
func TestDigestIsRememberedAcrossRestarts(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	phone, url := snomtest.NewServer(t, snomtest.Config{Auth: snomtest.AuthDigest, Username: "admin", Password: "secret"})
	other, otherURL := snomtest.NewServer(t, snomtest.Config{Auth: snomtest.AuthBasic, Username: "admin", Password: "secret"})

	// send sends a key with a store of its own, as a process of its own does.
	send := func(url string, policy snom.AuthPolicy) error {
		t.Helper()
		store, err := statefile.Open(dir, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		p, err := phoneOf(config.Phone{Name: "kitchen", URL: url, Username: "admin", Password: config.NewSecret("secret"), Auth: policy}, time.Second, 0, store, &drivers{})
		if err != nil {
			t.Fatal(err)
		}
		_, err = p.Phone.Send(t.Context(), snom.Step{Request: "/command.htm?key=P1"})
		ended, end := context.WithCancel(t.Context())
		end()
		if err := store.Run(ended); err != nil { // which writes what is not written yet
			t.Fatal(err)
		}
		return err
	}
	if err := send(url+"/", ""); err != nil {
		t.Fatal(err)
	}
	// The phone is away, and another device answers at its address: here it is the same device with another setting.
	phone.SetAuth(snomtest.AuthBasic)
	if err := send(url, ""); !errors.Is(err, snom.ErrUnauthorized) {
		t.Errorf("after the restart: %v, expected ErrUnauthorized", err)
	}
	for _, r := range phone.Requests() {
		if r.Auth == "basic" {
			t.Errorf("the password went out by Basic: %+v", r)
		}
	}
	if err := send(url, snom.AuthAny); err != nil {
		t.Errorf("with auth any: %v", err)
	}
	// At another address there is another phone, which may ask for Basic.
	if err := send(otherURL, ""); err != nil || len(other.Executed()) != 1 {
		t.Errorf("at another address: %v", err)
	}
}
