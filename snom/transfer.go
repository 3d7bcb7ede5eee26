package snom

import (
	"errors"
	"time"
)

// Errors of [Transfer.Next].
var (
	ErrNoTransfer       = errors.New("snom: no transfer is under way")
	ErrTransferUnderWay = errors.New("snom: a transfer is under way")
)

// TransferKind says what a transfer command does.
type TransferKind string

// The kinds of transfer commands.
const (
	TransferStart    TransferKind = "start"    // hold the call and call the number, to announce it
	TransferBlind    TransferKind = "blind"    // hand the call to the number unannounced
	TransferComplete TransferKind = "complete" // connect the two and leave
	TransferCancel   TransferKind = "cancel"   // give up; the call stays on hold
)

// A TransferStep is what a transfer command asks for.
type TransferStep struct {
	Kind   TransferKind
	Number string // who is called, of a start or a blind transfer
}

// A Transfer is the state of the attended transfer on one phone. The zero Transfer has none under way.
// It is a value: its methods change nothing.
type Transfer struct {
	started time.Time // zero: none under way
}

// UnderWay reports whether a transfer was started less than timeout ago and not yet ended. Without a
// timeout (zero or less) it is under way until it is ended.
func (t Transfer) UnderWay(now time.Time, timeout time.Duration) bool {
	return !t.started.IsZero() && (timeout <= 0 || now.Sub(t.started) < timeout)
}

// Next returns the state after s at the time now. The error wraps [ErrTransferUnderWay] when s starts a
// transfer, attended or blind, while one is under way, and [ErrNoTransfer] when s ends one while none is;
// the state is then t unchanged.
func (t Transfer) Next(s TransferStep, now time.Time, timeout time.Duration) (Transfer, error) {
	return t, nil
}
