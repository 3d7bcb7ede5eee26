package bridge

import (
	"encoding/json"
	"log/slog"
	"sync"
	"time"

	"github.com/snom2mqtt/snom2mqtt/mqtt"
)

// How bridges that use the same topics speak to one another.
const (
	twinHello    = 5 * time.Second  // between two questions whether the older one is still there
	twinPatience = 15 * time.Second // without an answer after which it is gone
	twinAnswer   = time.Second      // between two answers
)

// A twin is another process that uses the very topics of this bridge: the same base topic, and the
// same instance or none. Both would carry out each command. They know each other by bridge/info,
// which each of them publishes and reads; the one that started later stands aside until the other
// is gone: it takes no command, and tells nothing of any phone. Like [claim] this guards against
// mistakes, and is no lock.
type twin struct {
	b *Bridge

	mu       sync.Mutex
	older    string    // process of the one we stand aside for; empty: none
	until    time.Time // when it is gone, unless it is heard again
	younger  string    // process of one that stands aside for us
	answered time.Time // when we last told it that we are here
	timer    *time.Timer
	stopped  bool
}

// heard takes a bridge/info, ours or a twin's.
func (t *twin) heard(m mqtt.Message, now time.Time) {
	var info struct {
		Process string
		Started time.Time
	}
	if m.Retained || json.Unmarshal(m.Payload, &info) != nil || info.Process == "" || info.Started.IsZero() || info.Process == t.b.cfg.Process {
		return // ours, or nonsense; and what is retained was said by somebody who may be gone
	}
	process := shown(info.Process)
	started := t.b.started.Truncate(time.Millisecond) // as bridge/info says it
	if info.Started.Before(started) || info.Started.Equal(started) && info.Process < t.b.cfg.Process {
		t.standAside(process, now)
	} else {
		t.answer(process, now)
	}
}

// standAside is for a twin that was there first.
func (t *twin) standAside(process string, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.stopped {
		return
	}
	if t.older == "" {
		t.b.cfg.Log.Error("another bridge uses the same topics, and was first: this one stands aside until that one is gone; "+
			"give each an INSTANCE of its own", slog.String("from", process))
		t.timer = time.AfterFunc(twinHello, t.hello)
	}
	t.older, t.until = process, now.Add(twinPatience)
}

// answer is for a twin that came later: it hears that we are here.
func (t *twin) answer(process string, now time.Time) {
	t.mu.Lock()
	news, wait := t.younger != process, now.Sub(t.answered) < twinAnswer
	t.younger = process
	if !wait {
		t.answered = now
	}
	t.mu.Unlock()
	if news {
		t.b.cfg.Log.Error("another bridge uses the same topics: it stands aside; give each an INSTANCE of its own", slog.String("from", process))
	}
	if !wait {
		t.b.publishInfo()
	}
}

// hello asks whether the older twin is still there, or ends the wait for it.
func (t *twin) hello() {
	t.mu.Lock()
	if t.stopped {
		t.mu.Unlock()
		return
	}
	gone := !time.Now().Before(t.until)
	if gone {
		t.older = ""
	} else {
		t.timer.Reset(twinHello)
	}
	t.mu.Unlock()
	if !gone {
		t.b.publishInfo()
		return
	}
	t.b.cfg.Log.Info("the other bridge is gone: this one takes over")
	t.b.Republish()
}

// aside reports whether a twin does the work.
func (t *twin) aside() bool { return t.name() != "" }

// name is the process that this one stands aside for.
func (t *twin) name() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.older
}

// stop ends the questions.
func (t *twin) stop() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.stopped = true
	if t.timer != nil {
		t.timer.Stop()
	}
}

// StandsAside returns the process of another bridge that uses the same topics and was there first,
// so that this one leaves everything to it; empty: there is none.
func (b *Bridge) StandsAside() string { return b.twin.name() }
