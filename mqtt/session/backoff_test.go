package session

import (
	"testing"
	"time"
)

func TestBackoff(t *testing.T) {
	t.Parallel()
	failed := func(p *backoff) { p.failed(false) }
	refused := func(p *backoff) { p.failed(true) }
	soon := func(p *backoff) { p.lost(time.Second, true, false) }
	silent := func(p *backoff) { p.lost(time.Second, false, false) }
	found := func(p *backoff) { p.lost(time.Second, false, true) }
	late := func(p *backoff) { p.lost(stableAfter, true, false) }
	good := func(p *backoff) { p.good() }
	died := func(p *backoff) { p.died() }
	tests := []struct {
		name     string
		did      []func(*backoff)
		low      time.Duration
		high     time.Duration
		takeover bool
	}{
		{"lost after a good time", []func(*backoff){late}, 0, firstWait, false},
		{"lost after a long bad time", []func(*backoff){failed, failed, failed, failed, failed, late}, 0, firstWait, false},
		{"failed once", []func(*backoff){failed}, 0, firstWait, false},
		{"failed twice", []func(*backoff){failed, failed}, 0, 2 * firstWait, false},
		{"failed seven times", []func(*backoff){failed, failed, failed, failed, failed, failed, failed}, 0, longestWait, false},
		{"refused", []func(*backoff){refused}, refusedWait, 2 * refusedWait, false},
		{"refused and then away", []func(*backoff){refused, failed}, 0, 2 * firstWait, false},
		{"lost soon, twice", []func(*backoff){soon, soon}, 0, 0, false},
		{"lost soon, the broker is gone", []func(*backoff){soon, soon, failed}, 0, 4 * firstWait, false},
		{"lost soon, by suspicion", []func(*backoff){soon, silent}, 0, 2 * firstWait, false},
		{"lost soon, three times", []func(*backoff){soon, soon, soon}, takenOverWait, 2 * takenOverWait, true},
		{"taken over, then away", []func(*backoff){soon, soon, soon, failed}, takenOverWait, 2 * takenOverWait, true},
		{"taken over, then good", []func(*backoff){soon, soon, soon, good}, 0, firstWait, false},
		{"broker away in between", []func(*backoff){soon, soon, failed, soon, failed}, 0, 16 * firstWait, false},
		{"died under us, again and again", []func(*backoff){died, died, died, died, died}, 0, firstWait, false},
		{"taken over, then died", []func(*backoff){soon, soon, soon, died}, takenOverWait, 2 * takenOverWait, true},
		{"silent in between", []func(*backoff){soon, silent, soon, soon}, takenOverWait, 2 * takenOverWait, true},
		{"reason found", []func(*backoff){soon, soon, found}, 0, 4 * firstWait, false},
		{"reason found in between", []func(*backoff){soon, soon, found, soon}, 0, 0, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var p backoff
			for _, do := range tt.did {
				do(&p)
			}
			if low, high := p.wait(0), p.wait(1); low != tt.low || high != tt.high || p.takenOver() != tt.takeover {
				t.Errorf("waits %v to %v, taken over %t, expected %v to %v, %t", low, high, p.takenOver(), tt.low, tt.high, tt.takeover)
			}
		})
	}
}

func TestBackoffSaysOnceThatItWasTakenOver(t *testing.T) {
	t.Parallel()
	var p backoff
	news := 0
	for range 10 {
		if p.lost(time.Second, true, false) {
			news++
		}
	}
	if news != 1 {
		t.Errorf("said %d times, expected once", news)
	}
}

func TestBackoffIsBounded(t *testing.T) {
	t.Parallel()
	var p backoff
	for range 10000 {
		p.failed(false)
		if w := p.wait(0.999999); w < 0 || w > longestWait {
			t.Fatalf("waits %v, expected at most %v", w, longestWait)
		}
	}
}
