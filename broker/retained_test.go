package broker

import (
	"context"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"
)

// Retained messages do not go away after a day, as they would if the server had its way.
func TestRetainedForWeeks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, err := Listen(Config{Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		b.server.Topics.RetainMessage(packets.Packet{
			FixedHeader: packets.FixedHeader{Type: packets.Publish, Retain: true},
			TopicName:   "snom/kitchen/status",
			Payload:     []byte("kept"),
			Created:     time.Now().Add(-14 * 24 * time.Hour).Unix(),
		})
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute) // of housekeeping
		defer cancel()
		if err := b.Run(ctx); err != nil {
			t.Errorf("Run() = %v, expected nil", err)
		}
		if _, ok := b.server.Topics.Retained.Get("snom/kitchen/status"); !ok {
			t.Error("the message is gone")
		}
	})
}
