package session_test

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/snom2mqtt/snom2mqtt/mqtt"
	"github.com/snom2mqtt/snom2mqtt/mqtt/paho3"
	"github.com/snom2mqtt/snom2mqtt/mqtt/session"
)

const canary = "canary-09be"

func TestNew(t *testing.T) {
	t.Parallel()
	tree, err := mqtt.NewTree("snom", "")
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name   string
		change func(*session.Config)
		want   string // part of the error; empty: none
	}{
		{"as it should be", func(*session.Config) {}, ""},
		{"no password", func(c *session.Config) { c.Password = "" }, ""},
		{"no user", func(c *session.Config) { c.Username, c.Password = "", "" }, ""},
		{"URL", func(c *session.Config) { c.URL = "x" }, "URL"},
		{"no client id", func(c *session.Config) { c.ClientID = "" }, ""},
		{"no driver", func(c *session.Config) { c.Driver = nil }, "must be set"},
		{"bytes", func(c *session.Config) { c.QueueBytes = -1 }, "queue"},
		{"long client id", func(c *session.Config) { c.ClientID = strings.Repeat("x", 257) }, "client id"},
		{"client id with a control character", func(c *session.Config) { c.ClientID = "a\nb" }, "client id"},
		{"client id that is not UTF-8", func(c *session.Config) { c.ClientID = "\xff" }, "client id"},
		{"password without user name", func(c *session.Config) { c.Username = "" }, "without a user name"},
		{"long password", func(c *session.Config) { c.Password = strings.Repeat(canary, 6000) }, "65535"},
		{"no tree", func(c *session.Config) { c.Tree = mqtt.Tree{} }, "must be set"},
		{"no log", func(c *session.Config) { c.Log = nil }, "must be set"},
		{"half a second", func(c *session.Config) { c.KeepAlive = time.Second / 2 }, "keep-alive"},
		{"queue", func(c *session.Config) { c.Queue = -1 }, "queue"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			cfg := session.Config{
				URL:      "tcp://broker",
				Username: "bridge",
				Password: canary,
				ClientID: "snom2mqtt-test",
				Tree:     tree,
				Driver:   paho3.Driver{},
				Log:      slog.New(slog.DiscardHandler),
			}
			tt.change(&cfg)
			_, err := session.New(cfg)
			if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("New() = %v, expected an error with %q", err, tt.want)
			}
			if s := fmt.Sprintf("%v %s %+v %#v %v", cfg, cfg, cfg, cfg, err); strings.Contains(s, canary) {
				t.Errorf("the password is in %q", s)
			}
		})
	}
}
