package mqttpaho

import (
	"testing"
	"time"
)

func TestPatience(t *testing.T) {
	t.Parallel()
	failed := func(p *patience) { p.failed(false) }
	refused := func(p *patience) { p.failed(true) }
	soon := func(p *patience) { p.lost(time.Second, true, false) }
	silent := func(p *patience) { p.lost(time.Second, false, false) }
	found := func(p *patience) { p.lost(time.Second, false, true) }
	late := func(p *patience) { p.lost(stable, true, false) }
	good := func(p *patience) { p.good() }
	died := func(p *patience) { p.died() }
	tests := []struct {
		name     string
		did      []func(*patience)
		low      time.Duration
		high     time.Duration
		takeover bool
	}{
		{"lost after a good time", []func(*patience){late}, 0, firstWait, false},
		{"lost after a long bad time", []func(*patience){failed, failed, failed, failed, failed, late}, 0, firstWait, false},
		{"failed once", []func(*patience){failed}, 0, firstWait, false},
		{"failed twice", []func(*patience){failed, failed}, 0, 2 * firstWait, false},
		{"failed seven times", []func(*patience){failed, failed, failed, failed, failed, failed, failed}, 0, longestWait, false},
		{"refused", []func(*patience){refused}, refusedWait, 2 * refusedWait, false},
		{"refused and then away", []func(*patience){refused, failed}, 0, 2 * firstWait, false},
		{"lost soon, twice", []func(*patience){soon, soon}, 0, 0, false},
		{"lost soon, the broker is gone", []func(*patience){soon, soon, failed}, 0, 4 * firstWait, false},
		{"lost soon, by suspicion", []func(*patience){soon, silent}, 0, 2 * firstWait, false},
		{"lost soon, three times", []func(*patience){soon, soon, soon}, takenOverWait, 2 * takenOverWait, true},
		{"taken over, then away", []func(*patience){soon, soon, soon, failed}, takenOverWait, 2 * takenOverWait, true},
		{"taken over, then good", []func(*patience){soon, soon, soon, good}, 0, firstWait, false},
		{"broker away in between", []func(*patience){soon, soon, failed, soon, failed}, 0, 16 * firstWait, false},
		{"died under us, again and again", []func(*patience){died, died, died, died, died}, 0, firstWait, false},
		{"taken over, then died", []func(*patience){soon, soon, soon, died}, takenOverWait, 2 * takenOverWait, true},
		{"silent in between", []func(*patience){soon, silent, soon, soon}, takenOverWait, 2 * takenOverWait, true},
		{"reason found", []func(*patience){soon, soon, found}, 0, 4 * firstWait, false},
		{"reason found in between", []func(*patience){soon, soon, found, soon}, 0, 0, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var p patience
			for _, do := range tt.did {
				do(&p)
			}
			if low, high := p.wait(0), p.wait(1); low != tt.low || high != tt.high || p.takenOver() != tt.takeover {
				t.Errorf("waits %v to %v, taken over %t, want %v to %v, %t", low, high, p.takenOver(), tt.low, tt.high, tt.takeover)
			}
		})
	}
}

func TestPatienceSaysOnceThatItWasTakenOver(t *testing.T) {
	t.Parallel()
	var p patience
	news := 0
	for range 10 {
		if p.lost(time.Second, true, false) {
			news++
		}
	}
	if news != 1 {
		t.Errorf("said %d times, want once", news)
	}
}

func TestPatienceIsBounded(t *testing.T) {
	t.Parallel()
	var p patience
	for range 10000 {
		p.failed(false)
		if w := p.wait(0.999999); w < 0 || w > longestWait {
			t.Fatalf("waits %v, want at most %v", w, longestWait)
		}
	}
}
