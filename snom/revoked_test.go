package snom_test

import (
	"errors"
	"sync/atomic"
	"testing"

	"github.com/snom2mqtt/snom2mqtt/snom"
	"github.com/snom2mqtt/snom2mqtt/snom/snomtest"
)

// A step that is revoked before its first byte is not sent, and does not count as a request; nor does its login.
func TestARevokedStepIsNotSent(t *testing.T) {
	t.Parallel()
	for _, auth := range []snomtest.Auth{snomtest.AuthNone, snomtest.AuthDigest} {
		var revoked atomic.Bool
		phone, url := snomtest.NewServer(t, snomtest.Config{Auth: auth, Username: "admin", Password: "secret", OnRequest: func(snomtest.Request) { revoked.Store(true) }})
		client, err := snom.NewClient(snom.ClientConfig{URL: url, Username: "admin", Password: "secret"})
		if err != nil {
			t.Fatal(err)
		}
		revoked.Store(auth == snomtest.AuthNone)
		reply, err := client.Send(t.Context(), snom.Step{Request: "/command.htm?key=P1", Revoked: &revoked})
		if !errors.Is(err, snom.ErrRevoked) || reply.Requests != len(phone.Requests()) || len(phone.Executed()) != 0 {
			t.Errorf("%s: %+v, %v, and the phone got %d requests", auth, reply, err, len(phone.Requests()))
		}
	}
}
