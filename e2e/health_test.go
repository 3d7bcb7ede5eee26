package e2e

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"
)

// TestHealth: the bridge says how it is doing, and what phones there are, and says it again when a phone comes or goes.
func TestHealth(t *testing.T) {
	t.Parallel()
	m := startMosquitto(t)
	p := startPhones(t, 1)
	attic := fmt.Sprintf("http://127.0.0.1:%d", freePort(t))
	w := m.watch("snom/bridge/#")
	m.startBridge(t, append(phoneEnv(0, "kitchen", p.urls[0]), phoneEnv(1, "attic", attic)...)...)
	within(t, 30*time.Second, "a health with one of two phones online", func() bool {
		var h struct {
			UptimeS        *int64     `json:"uptime_s"`
			ConnectedSince *time.Time `json:"connected_since"`
			Phones         struct{ Online, Total int }
			Waiting        *int
			Late           *int
			Dropped        *int
			BreakersOpen   *int `json:"breakers_open"`
			Reconnects     *int
			MemoryBytes    int64 `json:"memory_bytes"`
		}
		for _, m := range w.on("snom/bridge/health", 1) {
			if err := json.Unmarshal([]byte(m.Payload), &h); err != nil {
				t.Fatal(err)
			}
		}
		complete := h.UptimeS != nil && h.ConnectedSince != nil && h.Waiting != nil && h.Late != nil && h.Dropped != nil && h.BreakersOpen != nil && h.Reconnects != nil
		return complete && h.Phones.Online == 1 && h.Phones.Total == 2 && h.MemoryBytes > 1<<20
	})
	within(t, 30*time.Second, "a list of both phones", func() bool {
		var all []struct {
			Name, Driven   string
			Commands, Keys []string
		}
		for _, m := range w.on("snom/bridge/phones", 1) {
			if err := json.Unmarshal([]byte(m.Payload), &all); err != nil {
				t.Fatal(err)
			}
		}
		return len(all) == 2 && all[0].Name == "attic" && all[1].Driven == "http" && len(all[1].Commands) > 10 && len(all[1].Keys) > 10
	})
}
