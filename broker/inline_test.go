package broker_test

import (
	"context"
	"log/slog"
	"net"
	"testing"

	"github.com/snom2mqtt/snom2mqtt/broker"
)

func TestWatchSeesWhatIsPublished(t *testing.T) {
	t.Parallel()
	b, err := broker.Listen(broker.Config{Addr: "127.0.0.1:0", Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	seen := make(chan string, 1)
	if err := b.Watch("house/#", func(topic string, payload []byte) { seen <- topic + " " + string(payload) }); err != nil {
		t.Fatal(err)
	}
	if err := b.Watch("house/#/x", func(string, []byte) {}); err == nil {
		t.Error("a filter that is none was taken")
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- b.Run(ctx) }()
	if err := b.Publish("house/door", []byte("open")); err != nil {
		t.Fatal(err)
	}
	if got := <-seen; got != "house/door open" {
		t.Errorf("seen %q, expected house/door open", got)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestCloseGivesTheAddressBack(t *testing.T) {
	t.Parallel()
	b, err := broker.Listen(broker.Config{Addr: "127.0.0.1:0", Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	b.Close()
	l, err := net.Listen("tcp", b.Addr().String())
	if err != nil {
		t.Fatalf("the address is still taken: %v", err)
	}
	l.Close()
}
