package bridge_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/snom2mqtt/snom2mqtt/bridge"
	"github.com/snom2mqtt/snom2mqtt/snom/snomtest"
)

// The last result alone is news once a second for each phone, and 200 times a second for all of them; what is published
// then is the newest one.
func TestStatusOfTheLastResultIsNotRepeatedTooOften(t *testing.T) {
	for _, tt := range []struct {
		phones int
		want   time.Duration
	}{
		{1, time.Second},
		{200, time.Second},
		{500, 2500 * time.Millisecond},
	} {
		t.Run(fmt.Sprint(tt.phones), func(t *testing.T) {
			t.Parallel()
			var testPhones []testPhone
			for i := range tt.phones {
				testPhones = append(testPhones, testPhone{phone: snomtest.Config{Name: fmt.Sprintf("p%03d", i), Model: "D735"}})
			}
			inHarness(t, bridge.Config{}, testPhones, func(h *harness) {
				statuses := func() (last []string) {
					for _, m := range h.out.Take() {
						var s struct {
							LastResult struct{ Command string } `json:"last_result"`
						}
						if m.Topic != h.tree.Status("p000") {
							continue
						}
						if err := json.Unmarshal(m.Payload, &s); err != nil {
							t.Fatal(err)
						}
						last = append(last, s.LastResult.Command)
					}
					return last
				}
				h.say("snom/p000/hangup", "")
				time.Sleep(time.Minute) // all that there is to learn of the phone is known
				statuses()

				h.say("snom/p000/answer", "")
				synctest.Wait()
				if got := statuses(); fmt.Sprint(got) != "[answer]" {
					t.Fatalf("after a quiet while, last results %v were published, expected [answer] at once", got)
				}
				start := time.Now()
				for _, command := range []string{"hangup", "answer"} {
					time.Sleep(100 * time.Millisecond)
					h.say("snom/p000/"+command, "")
				}
				var got []string
				for len(got) == 0 && time.Since(start) < time.Minute {
					time.Sleep(10 * time.Millisecond)
					got = statuses()
				}
				if after := time.Since(start); fmt.Sprint(got) != "[answer]" || after < tt.want || after > tt.want+20*time.Millisecond {
					t.Errorf("last results %v were published after %v, expected [answer] after %v", got, after, tt.want)
				}
			})
		})
	}
}
