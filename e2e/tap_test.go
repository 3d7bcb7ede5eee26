package e2e

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// A tap looks at what passes between a bridge and its broker, and keeps a book of it. That is
// closer to the truth than what a subscriber sees, which may be cut off itself.
type tap struct {
	t *testing.T

	mu       sync.Mutex
	book     map[string]*entry // of commands, by id
	order    []string          // of ids, as they came
	canaries []string          // what must not be published
	odd      []string          // what is wrong in any case
	states   []string          // that the bridge published
}

// An entry is what became of the command with one id.
type entry struct {
	topic    string
	at       []time.Time // when it was given to a bridge
	accepted int         // how often a bridge acknowledged it
	results  map[string]int
	answered bool // the broker acknowledged a result
	code     string
	requests int
}

func newTap(t *testing.T, canaries ...string) *tap {
	t.Helper()
	return &tap{t: t, book: map[string]*entry{}, canaries: canaries}
}

// connection returns what looks at one connection: at what the bridge sends, and at what it gets.
func (t *tap) connection() (up, down func([]byte)) {
	commands, results := map[uint16]string{}, map[uint16]string{} // ids by packet id; guarded by t.mu
	look := func(see func(packet)) func([]byte) {
		var buffer []byte
		return func(b []byte) {
			buffer = append(buffer, b...)
			t.mu.Lock()
			defer t.mu.Unlock()
			for {
				p, rest, ok := cutPacket(buffer)
				if !ok {
					break
				}
				see(p)
				buffer = rest
			}
			buffer = append([]byte(nil), buffer...)
		}
	}
	up = look(func(p packet) {
		switch p.kind {
		case publish:
			t.published(p, results)
		case puback:
			if e := t.book[commands[binary.BigEndian.Uint16(p.body)]]; e != nil {
				e.accepted++
			}
		}
	})
	down = look(func(p packet) {
		switch p.kind {
		case publish:
			t.delivered(p, commands)
		case puback:
			if e := t.book[results[binary.BigEndian.Uint16(p.body)]]; e != nil {
				e.answered = true
			}
		}
	})
	return up, down
}

// delivered notes a command on its way to the bridge. The caller holds the lock.
func (t *tap) delivered(p packet, ids map[uint16]string) {
	m, err := readPublish(p)
	if err != nil {
		t.odd = append(t.odd, err.Error())
		return
	}
	var command struct{ ID string }
	if m.retained || strings.HasSuffix(m.topic, "/result") || json.Unmarshal(m.payload, &command) != nil || command.ID == "" || len(command.ID) > 64 {
		return // an id that is too long is refused, and not repeated
	}
	ids[m.id] = command.ID
	e := t.book[command.ID]
	if e == nil {
		e = &entry{topic: m.topic, results: map[string]int{}}
		t.book[command.ID] = e
		t.order = append(t.order, command.ID)
	}
	e.at = append(e.at, time.Now())
}

// published notes what the bridge says. The caller holds the lock.
func (t *tap) published(p packet, ids map[uint16]string) {
	m, err := readPublish(p)
	if err != nil {
		t.odd = append(t.odd, err.Error())
		return
	}
	for _, c := range t.canaries {
		if strings.Contains(m.topic+" "+string(m.payload), c) {
			t.odd = append(t.odd, fmt.Sprintf("a secret was published: %s %s", m.topic, m.payload))
		}
	}
	if strings.HasSuffix(m.topic, "/state") {
		t.states = append(t.states, string(m.payload))
	}
	var r struct {
		ID, Code, Group string
		Requests        int
	}
	if !strings.HasSuffix(m.topic, "/result") || json.Unmarshal(m.payload, &r) != nil || r.ID == "" || r.Group != "" || r.Code == "retained" {
		return
	}
	ids[m.id] = r.ID
	e := t.book[r.ID]
	if e == nil {
		t.odd = append(t.odd, fmt.Sprintf("a result without a command: %s", m.payload))
		return
	}
	e.results[string(m.payload)]++
	e.code, e.requests = r.Code, r.Requests
}

// until waits until enough is true of the book.
func (t *tap) until(what string, enough func(book map[string]*entry) bool) {
	t.t.Helper()
	eventually(t.t, what, func() bool {
		t.mu.Lock()
		defer t.mu.Unlock()
		return enough(t.book)
	})
}

// acceptIn is how long a command that was delivered may take until the bridge accepts it.
const acceptIn = 2 * time.Second

// settled waits until every command that a bridge accepted, or may still accept, has its answer, which the broker has
// acknowledged.
func (t *tap) settled() {
	t.t.Helper()
	var open []string
	defer func() {
		if len(open) > 0 {
			t.t.Logf("no answer to: %s", strings.Join(open[:min(10, len(open))], "; "))
		}
	}()
	t.until("an answer to every command", func(book map[string]*entry) bool {
		open = nil
		for id, e := range book {
			if !e.answered && (e.accepted > 0 || time.Since(e.at[len(e.at)-1]) < acceptIn) {
				open = append(open, fmt.Sprintf("%s, given to a bridge at %v, accepted %d times, results %q", id, e.at, e.accepted, slices.Collect(maps.Keys(e.results))))
			}
		}
		return len(open) == 0
	})
}

// has reports whether a command was given to a bridge.
func (t *tap) has(id string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.book[id] != nil
}

// first returns the first command that is such; empty: none is.
func (t *tap) first(such func(id string, e *entry) bool) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, id := range t.order {
		if such(id, t.book[id]) {
			return id
		}
	}
	return ""
}

// count is the number of commands that have an answer.
func (t *tap) count() (n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, e := range t.book {
		if e.answered {
			n++
		}
	}
	return n
}
