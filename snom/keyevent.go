package snom

import (
	"strconv"
	"time"
)

// A KeyEvent is one press of one key. Its text form is Snom's KEYEVENT: Key[,Time[,Pause]], times in
// milliseconds.
type KeyEvent struct {
	Key      string        // one of [Keys], such as "CANCEL" or "P1"
	Hold     time.Duration // how long the key is held: whole milliseconds, up to a minute
	Pause    time.Duration // how long the phone waits before the next key: whole milliseconds, up to a minute
	HasHold  bool          // the text says how long; otherwise the phone decides
	HasPause bool          // the text says how long; otherwise the phone decides. Needs HasHold.
}

// String returns the text form, such as "P1", "P1,2000" or "P1,2000,100".
func (e KeyEvent) String() string {
	if !e.HasHold {
		return e.Key
	}
	s := e.Key + "," + strconv.FormatInt(e.Hold.Milliseconds(), 10)
	if e.HasPause {
		s += "," + strconv.FormatInt(e.Pause.Milliseconds(), 10)
	}
	return s
}
