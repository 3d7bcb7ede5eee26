package bridge

import (
	"time"

	"github.com/snom2mqtt/snom2mqtt/callstate"
	"github.com/snom2mqtt/snom2mqtt/snom"
)

// news is what is known of a phone.
type news struct {
	reachable Switch
	heardAt   time.Time
	away      time.Duration // until the next look while the phone is away
	info      snom.Info
	probed    bool             // info is as good as can be had for now
	proven    bool             // the phone has accepted a command, so a probe may log in
	calls     *callstate.State // nil: it has told nothing

	lastResult *LastResult
}

// LastResult is how the last command for a phone ended.
type LastResult struct {
	Code    Code   `json:"code"`
	Command string `json:"command"`
	Time    Time   `json:"time"`
}

// state is what the phone told of itself.
func (n *news) state() callstate.State {
	if n.calls == nil {
		return callstate.State{}
	}
	return *n.calls
}

// heard notes a sign of life.
func (n *news) heard(now time.Time) {
	n.reachable, n.heardAt, n.away = SwitchOn, now, 0
}

// missed notes that the phone was not there.
func (n *news) missed() {
	n.reachable, n.heardAt = SwitchOff, time.Time{}
	n.probed = false // it may come back as another one
}

// asks reports whether the phone is to be asked what it is.
func (n *news) asks() bool { return n.reachable == SwitchOn && !n.probed }

// learn notes what a probe found. A probe that found nothing is not repeated at every look.
func (n *news) learn(info snom.Info, err error) {
	if codeOf(err) == Unreachable {
		n.missed()
		return
	}
	n.probed = true
	if err == nil {
		n.info = info
	}
}

// letIn notes that the phone has accepted what we sent, and so our login: it may tell more now.
func (n *news) letIn() {
	if !n.proven {
		n.proven, n.probed = true, n.probed && n.info.Model != "" && n.info.MAC != ""
	}
}

// nextLook is when to look again: soon at a phone that just went, for it may be restarting.
func (n *news) nextLook(every time.Duration) time.Duration {
	if n.reachable != SwitchOff {
		return jitter(every)
	}
	n.away = min(max(2*n.away, firstRelook), every)
	return jitter(n.away)
}
