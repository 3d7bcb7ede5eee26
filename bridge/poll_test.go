package bridge_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/snom2mqtt/snom2mqtt/bridge"
	"github.com/snom2mqtt/snom2mqtt/snom/snomtest"
)

// A watched phone notes when it is polled.
type watched struct {
	bridge.Phone
	note func()
}

func (w watched) Ping(ctx context.Context) error {
	w.note()
	return w.Phone.(bridge.Pinger).Ping(ctx)
}

// A hundred quiet phones are looked at once in each interval, in fewer than a hundred turns, and none much too early.
func TestLooksGoTogether(t *testing.T) {
	t.Parallel()
	const phones = 100
	var mu sync.Mutex
	looks, turns := 0, map[time.Time]bool{}
	var testPhones []testPhone
	for i := range phones {
		testPhones = append(testPhones, testPhone{
			phone: snomtest.Config{Name: fmt.Sprintf("p%03d", i), Model: "D735"},
			set: func(p *bridge.PhoneConfig) {
				p.Phone = watched{p.Phone, func() {
					mu.Lock()
					defer mu.Unlock()
					looks++
					turns[time.Now()] = true
				}}
			},
		})
	}
	inHarness(t, bridge.Config{PollEvery: time.Minute}, testPhones, func(h *harness) {
		count := func(from, to time.Duration) (int, int) {
			time.Sleep(from) // nothing is counted of it
			mu.Lock()
			looks = 0
			clear(turns)
			mu.Unlock()
			time.Sleep(to - from)
			synctest.Wait()
			mu.Lock()
			defer mu.Unlock()
			return looks, len(turns)
		}
		if n, _ := count(2*time.Second, 53*time.Second); n != 0 {
			t.Errorf("%d looks came before nine tenths of the interval, expected 0", n)
		}
		if n, together := count(0, 14*time.Second); n != phones || together > 70 {
			t.Errorf("%d looks in %d turns, expected %d in fewer than 70", n, together, phones)
		}
	})
}
