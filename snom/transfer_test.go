package snom_test

import (
	"errors"
	"testing"
	"time"

	"github.com/snom2mqtt/snom2mqtt/snom"
)

func TestTransfer(t *testing.T) {
	t.Parallel()
	start := snom.TransferStep{Kind: snom.TransferStart, Number: "28"}
	blind := snom.TransferStep{Kind: snom.TransferBlind, Number: "28"}
	complete := snom.TransferStep{Kind: snom.TransferComplete}
	cancel := snom.TransferStep{Kind: snom.TransferCancel}
	const timeout = time.Minute
	type taken struct {
		after    time.Duration
		step     snom.TransferStep
		err      error
		underWay bool // afterwards
	}
	tests := []struct {
		name    string
		timeout time.Duration
		steps   []taken
	}{
		{"complete", timeout, []taken{{0, start, nil, true}, {time.Second, complete, nil, false}, {0, complete, snom.ErrNoTransfer, false}}},
		{"cancel and again", timeout, []taken{{0, start, nil, true}, {0, cancel, nil, false}, {0, start, nil, true}}},
		{"nothing to complete", timeout, []taken{{0, complete, snom.ErrNoTransfer, false}}},
		{"nothing to cancel", timeout, []taken{{0, cancel, snom.ErrNoTransfer, false}}},
		{"twice", timeout, []taken{{0, start, nil, true}, {0, start, snom.ErrTransferUnderWay, true}, {0, complete, nil, false}}},
		{"blind", timeout, []taken{{0, blind, nil, false}, {0, blind, nil, false}}},
		{"blind in between", timeout, []taken{{0, start, nil, true}, {0, blind, snom.ErrTransferUnderWay, true}}},
		{"just in time", timeout, []taken{{0, start, nil, true}, {timeout - 1, complete, nil, false}}},
		{"too late", timeout, []taken{{0, start, nil, true}, {timeout, complete, snom.ErrNoTransfer, false}, {0, start, nil, true}}},
		{"the clock goes back", timeout, []taken{{0, start, nil, true}, {-time.Hour, complete, nil, false}}},
		{"no timeout", 0, []taken{{0, start, nil, true}, {1000 * time.Hour, complete, nil, false}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			now := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
			var transfer snom.Transfer
			for i, s := range tt.steps {
				now = now.Add(s.after)
				next, err := transfer.Next(s.step, now, tt.timeout)
				if !errors.Is(err, s.err) || (err == nil) != (s.err == nil) {
					t.Errorf("step %d: got %v, want %v", i, err, s.err)
				}
				if err != nil && next != transfer {
					t.Errorf("step %d: the state changed in spite of %v", i, err)
				}
				if got := next.UnderWay(now, tt.timeout); got != s.underWay {
					t.Errorf("step %d: UnderWay = %v, want %v", i, got, s.underWay)
				}
				transfer = next
			}
		})
	}
}
