package bridge_test

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/snom2mqtt/snom2mqtt/bridge"
	"github.com/snom2mqtt/snom2mqtt/mqtt"
)

// A counter counts results and lets the next command of the phone go.
type counter struct {
	results atomic.Int64
	done    chan struct{}
}

func (c *counter) Publish(m mqtt.Message) bool {
	if !m.Retained && len(m.Payload) > 0 {
		c.results.Add(1)
		c.done <- struct{}{}
	}
	return true
}

// BenchmarkCommands is what a command costs the bridge itself, with phones that answer at once.
func BenchmarkCommands(b *testing.B) {
	for _, phones := range []int{1, 100, 1000} {
		for _, payload := range []string{"P1", `{"id":"x%d","keys":"P1"}`} {
			form := map[byte]string{'P': "plain", '{': "json"}[payload[0]]
			b.Run(fmt.Sprintf("phones=%d/%s", phones, form), func(b *testing.B) {
				tree, err := mqtt.NewTree("snom", "")
				if err != nil {
					b.Fatal(err)
				}
				roster := bridge.Roster{}
				var topics []string
				for i := range phones {
					name := fmt.Sprintf("desk-%04d", i)
					roster.Phones = append(roster.Phones, bridge.PhoneConfig{Name: name, Phone: readyPhone(true)})
					topics = append(topics, tree.Command(name, "key"))
				}
				out := &counter{done: make(chan struct{}, 1<<16)}
				bridged := bridge.New(withDefaults(bridge.Config{Tree: tree, Publish: out, Log: slog.New(slog.DiscardHandler), Rules: bridge.Rules{TTL: time.Minute}}), roster)
				b.ReportAllocs()
				n := 0
				for b.Loop() {
					text := payload
					if payload[0] == '{' {
						text = fmt.Sprintf(payload, n)
					}
					handle(bridged, tree, mqtt.Message{Topic: topics[n%phones], Payload: []byte(text)})
					if n++; n > 16 {
						<-out.done
					}
				}
				ctx, cancel := context.WithCancel(context.Background())
				cancel()
				if err := bridged.Run(ctx); err != nil {
					b.Error(err)
				}
			})
		}
	}
}
