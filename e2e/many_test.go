package e2e

import (
	"testing"
	"time"
)

// TestManyPhonesAgain restarts a bridge whose broker keeps more about its phones than fits into its
// queue for one client: the message by which a bridge proves that it is reached must not be lost
// among them for good.
func TestManyPhonesAgain(t *testing.T) {
	t.Parallel()
	r := newRig(t, plan{phones: 1000, bare: true, env: []string{"SNOM2MQTT_HOMEASSISTANT=false"}})
	last := r.name(999)
	eventually(t, "all is known of the last phone", func() bool {
		return retained(t, r.broker.addr(), "snom/"+last+"/availability", r.login) == "online"
	})
	for range 3 {
		if code := r.bridge.stop(); code != 0 {
			t.Errorf("exit code %d, want 0", code)
		}
		began := time.Now()
		r.start()
		t.Logf("online again after %v", time.Since(began).Round(time.Millisecond))
		// A client that lost that message for good publishes this five seconds later, and waits for ten more.
		if n := r.logged("delivers nothing"); n > 0 {
			t.Errorf("the bridge thought %d times that nothing reaches it, want never", n)
		}
	}
	r.check()
}
