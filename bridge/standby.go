package bridge

import (
	"crypto/rand"
	"encoding/json"
	"log/slog"
	"sync"
	"time"

	"github.com/snom2mqtt/snom2mqtt/mqtt"
)

// Times of the heartbeat between processes that use the same topics.
const (
	heartbeatEvery = 5 * time.Second  // between two challenges to an older process
	heartbeatLost  = 15 * time.Second // without a valid answer, after which the older process is gone
	heartbeatReply = time.Second      // between two answers to younger processes, at least
)

// maxChallenge is the longest challenge that is answered, in bytes. [rand.Text] makes 26.
const maxChallenge = 64

// A heartbeat is what an [Info] carries for other processes on the same topics.
type heartbeat struct {
	Challenge string `json:"challenge,omitempty"` // to be repeated by an older process
	Answers   string `json:"answers,omitempty"`   // the challenge of a younger process
}

// A standby keeps this process passive while an older process uses the same topics: the same base topic, and the same
// instance or none. Both would carry out each command. The processes know each other by bridge/info, which each of them
// publishes and reads. The younger one goes into standby when the older one has repeated its challenge, and leaves it when
// that stops. So a message that only looks like an older process has no effect.
//
// Like a [claim] it guards against mistakes, and is no lock: a client that may read and write bridge/info can pretend
// to be a process.
type standby struct {
	b *Bridge

	mu         sync.Mutex
	older      string      // process that this one is on standby for; empty: none; guarded by mu
	until      time.Time   // when the older process is gone, unless it answers again; guarded by mu
	challenge  string      // not answered yet; empty: none is out; guarded by mu
	challenged time.Time   // when it was published; guarded by mu
	candidate  bool        // it was published because of an older process; guarded by mu
	younger    string      // process that was answered last; guarded by mu
	answered   time.Time   // when; guarded by mu
	timer      *time.Timer // of the heartbeat while on standby; guarded by mu
	stopped    bool        // guarded by mu
}

// received takes a bridge/info: this process' own or that of another one.
func (s *standby) received(m mqtt.Message, now time.Time) {
	var info struct {
		Process string
		Started time.Time
		heartbeat
	}
	if m.Retained || json.Unmarshal(m.Payload, &info) != nil || info.Process == "" || info.Started.IsZero() || info.Process == s.b.cfg.Process {
		return // a retained message may be that of a process that is gone
	}
	started := s.b.started.Truncate(time.Millisecond) // as bridge/info shows it
	if info.Started.Before(started) || info.Started.Equal(started) && info.Process < s.b.cfg.Process {
		s.receivedOlder(info.Process, info.Answers, now)
	} else {
		s.reply(info.Process, info.Challenge, now)
	}
}

// receivedOlder takes the info of an older process. It counts only where it answers the challenge; otherwise the process
// is challenged, at most once in heartbeatEvery.
func (s *standby) receivedOlder(process, answers string, now time.Time) {
	s.mu.Lock()
	if s.stopped {
		s.mu.Unlock()
		return
	}
	proven := answers != "" && answers == s.challenge
	enters := proven && s.older == ""
	ask := false
	switch {
	case proven:
		s.challenge, s.candidate, s.older, s.until = "", false, process, now.Add(heartbeatLost)
		if enters {
			s.timer = time.AfterFunc(heartbeatEvery, s.beat)
		}
	case s.older == "" && now.Sub(s.challenged) >= heartbeatEvery:
		ask = true
		if s.candidate {
			s.b.limit.Log(slog.LevelWarn, "standby", "info of an older bridge process ignored: it does not answer", slog.String("id", process))
		}
	}
	s.mu.Unlock()
	switch {
	case enters:
		s.b.cfg.Log.Error("another bridge process uses the same topics and started first: this one is on standby until that one is gone; "+
			"give each an INSTANCE of its own", slog.String("id", shown(process)))
		s.b.cfg.OnStandby(true)
	case ask:
		s.b.publishInfo(heartbeat{Challenge: s.newChallenge(true)})
	}
}

// reply answers a younger process, so that it goes into standby, or stays there.
func (s *standby) reply(process, challenge string, now time.Time) {
	s.mu.Lock()
	first, wait := s.younger != shown(process), now.Sub(s.answered) < heartbeatReply
	if !wait {
		s.younger, s.answered = shown(process), now
	}
	s.mu.Unlock()
	if wait || len(challenge) > maxChallenge {
		return
	}
	if first {
		s.b.limit.Log(slog.LevelError, "younger", "another bridge process uses the same topics: it goes into standby; give each an INSTANCE of its own",
			slog.String("id", process))
	}
	s.b.publishInfo(heartbeat{Answers: challenge})
}

// newChallenge makes the challenge that the next info carries. candidate says that an older process has been seen.
func (s *standby) newChallenge(candidate bool) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.challenge, s.challenged, s.candidate = rand.Text(), time.Now(), candidate
	return s.challenge
}

// beat challenges the older process again, or ends the standby where that one has not answered for too long.
func (s *standby) beat() {
	s.mu.Lock()
	if s.stopped {
		s.mu.Unlock()
		return
	}
	gone := !time.Now().Before(s.until)
	if gone {
		s.older, s.challenge = "", ""
	} else {
		s.timer.Reset(heartbeatEvery)
	}
	s.mu.Unlock()
	if !gone {
		s.b.publishInfo(heartbeat{Challenge: s.newChallenge(true)})
		return
	}
	s.b.cfg.Log.Info("the other bridge process is gone: this one takes over")
	s.b.cfg.OnStandby(false)
	s.b.Republish()
}

// active reports whether this process is on standby.
func (s *standby) active() bool { return s.process() != "" }

// process is the process that this one is on standby for; empty: none.
func (s *standby) process() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.older
}

// stop ends the heartbeat.
func (s *standby) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopped = true
	if s.timer != nil {
		s.timer.Stop()
	}
}

// Standby returns the process of another bridge that uses the same topics and started first, so that this one ignores
// commands; empty: there is none.
func (b *Bridge) Standby() string { return b.standby.process() }
