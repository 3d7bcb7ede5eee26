package e2e

import (
	"fmt"
	"testing"
	"time"
)

// TestFaultBrokerKilled kills the broker again and again while commands come in.
func TestFaultBrokerKilled(t *testing.T) {
	t.Parallel()
	r := newRig(t, plan{phones: 4})
	stop := r.load(2 * time.Millisecond)
	for i := range rounds(5, 100) {
		ids := r.tap.count()
		r.killBroker()
		r.online()
		eventually(t, fmt.Sprintf("commands are answered after death %d", i+1), func() bool { return r.tap.count() > ids+50 })
	}
	stop()
	r.check()
}
