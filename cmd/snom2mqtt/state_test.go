package main

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/snom2mqtt/snom2mqtt/bridge"
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
	send := func(name, url string, policy snom.AuthPolicy) error {
		t.Helper()
		store, err := statefile.Open(dir, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		p, err := phoneOf(config.Phone{Name: name, URL: url, Username: "admin", Password: config.NewSecret("secret"), Auth: policy}, time.Second, 0,
			newDigestMemory(store, nil, digestMemory{}), &drivers{})
		if err != nil {
			t.Fatal(err)
		}
		_, err = p.Phone.Send(t.Context(), snom.Step{Request: "/command.htm?key=P1"})
		if err := store.Run(ended(t)); err != nil { // which writes what is not written yet
			t.Fatal(err)
		}
		return err
	}
	if err := send("kitchen", url+"/", ""); err != nil {
		t.Fatal(err)
	}
	// The phone is away, and another device answers at its address: here it is the same device with another setting.
	phone.SetAuth(snomtest.AuthBasic)
	for what, at := range map[string]struct{ name, url string }{
		"after the restart": {"kitchen", url}, "with another name": {"hall", url}, "at another address": {"kitchen", otherURL},
		"with the host written in another way": {"kitchen", strings.Replace(url, "127.0.0.1", "localhost", 1)},
		"with both":                            {"attic", strings.Replace(url, "127.0.0.1", "localhost", 1)},
	} {
		if err := send(at.name, at.url, ""); !errors.Is(err, snom.ErrUnauthorized) {
			t.Errorf("%s: %v, expected ErrUnauthorized", what, err)
		}
	}
	if store, err := statefile.Open(dir, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	} else {
		store.Put("kitchen", statefile.Record{}) // it is not in the settings any more
		if err := store.Run(ended(t)); err != nil {
			t.Fatal(err)
		}
	}
	if err := send("hall", url, ""); !errors.Is(err, snom.ErrUnauthorized) {
		t.Errorf("with another name, and the old one forgotten: %v, expected ErrUnauthorized", err)
	}
	for _, r := range append(phone.Requests(), other.Requests()...) {
		if r.Auth == "basic" {
			t.Errorf("the password went out by Basic: %+v", r)
		}
	}
	if err := send("kitchen", url, snom.AuthAny); err != nil {
		t.Errorf("with auth any: %v", err)
	}
	// Another phone at another address may ask for Basic.
	if err := send("cellar", otherURL, ""); err != nil || len(other.Executed()) != 1 {
		t.Errorf("another phone: %v", err)
	}
}

// A reload that renames a phone and writes its host in another way at once does not have its password sent by Basic, also
// where nothing is kept across restarts, and not at a later reload either.
func TestDigestIsRememberedAcrossReloads(t *testing.T) {
	t.Parallel()
	phone, url := snomtest.NewServer(t, snomtest.Config{Auth: snomtest.AuthDigest, Username: "admin", Password: "secret"})
	other, otherURL := snomtest.NewServer(t, snomtest.Config{Auth: snomtest.AuthBasic, Username: "admin", Password: "secret"})
	store, err := statefile.Open("", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	driver := func(name, url string, digests digestMemory) bridge.PhoneConfig {
		p, err := phoneOf(config.Phone{Name: name, URL: url, Username: "admin", Password: config.NewSecret("secret")}, time.Second, 0, digests, &drivers{})
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	send := func(p bridge.PhoneConfig) error {
		_, err := p.Phone.Send(t.Context(), snom.Step{Request: "/command.htm?key=P1"})
		return err
	}
	first := driver("kitchen", url, digestMemory{})
	if err := send(first); err != nil {
		t.Fatal(err)
	}
	phone.SetAuth(snomtest.AuthBasic)
	digests := newDigestMemory(store, []bridge.PhoneConfig{first}, digestMemory{})
	spelled := strings.Replace(url, "127.0.0.1", "localhost", 1)
	if err := send(driver("hall", spelled, digests)); !errors.Is(err, snom.ErrUnauthorized) {
		t.Errorf("renamed and at another spelling: %v, expected ErrUnauthorized", err)
	}
	digests = newDigestMemory(store, nil, digests) // a reload without the phone
	if err := send(driver("attic", spelled, newDigestMemory(store, nil, digests))); !errors.Is(err, snom.ErrUnauthorized) {
		t.Errorf("back after two reloads: %v, expected ErrUnauthorized", err)
	}
	if err := send(driver("cellar", otherURL, digests)); err != nil || len(other.Executed()) != 1 {
		t.Errorf("another phone: %v", err)
	}
	for _, r := range phone.Requests() {
		if r.Auth == "basic" {
			t.Errorf("the password went out by Basic: %+v", r)
		}
	}
	identities{store}.Forget("hall")
	if r := store.Get("hall"); r.Auth == "" || r.Address == "" || r.ID != "" {
		t.Errorf("what is kept of a phone that was removed: %+v", r)
	}
}

// ended is a context that has ended.
func ended(t *testing.T) context.Context {
	ctx, end := context.WithCancel(t.Context())
	end()
	return ctx
}
