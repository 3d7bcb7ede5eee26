package console

import (
	"encoding/json"
	"strings"
	"sync"
	"time"

	"github.com/snom2mqtt/snom2mqtt/bridge"
)

// A frame is one update, encoded once for all readers: by the first one that asks for it, so an update that no reader asked for
// costs nothing.
type frame struct {
	liveUpdate
	once sync.Once
	text []byte // the server-sent event
	from int    // where its document begins
}

// encoded returns the server-sent event of the update, which must not be changed, and whether this reader was the first one.
func (f *frame) encoded() (text []byte, first bool) {
	f.once.Do(func() {
		f.text = encodeEvent(nil, f.name, f.data)
		f.from = len("event: ") + len(f.name) + len("\ndata: ")
		first = true
	})
	return f.text, first
}

// document returns the JSON document of the update.
func (f *frame) document() string {
	text, _ := f.encoded()
	return strings.TrimSuffix(string(text[min(f.from, len(text)):]), "\n\n")
}

// encodeEvent appends a server-sent event.
func encodeEvent(b []byte, name string, data any) []byte {
	text, err := json.Marshal(data)
	if err != nil {
		return b // types of this program: they can always be encoded
	}
	b = append(append(append(b, "event: "...), name...), "\ndata: "...)
	return append(append(b, text...), "\n\n"...)
}

// A hub keeps the last updates for all readers of the console. It has one subscription for them: what happens costs the bridge and
// the encoder the same for one reader and for many, and a slow reader costs nothing but its connection. It keeps the last
// readerRoom updates; a reader that is further behind than that has lost its position and is disconnected.
type hub struct {
	updates <-chan bridge.Update
	watch   func() bridgeNote
	end     func()        // ends updates
	done    chan struct{} // closed when run has ended
	readers places        // guarded by hubs.mu

	mu    sync.Mutex
	kept  []*frame      // guarded by mu
	first uint64        // the number of kept[0]; guarded by mu
	more  chan struct{} // closed when there is more, or the end; guarded by mu
	ended bool          // guarded by mu
}

func newHub(updates <-chan bridge.Update, watch func() bridgeNote, end func()) *hub {
	return &hub{updates: updates, watch: watch, end: end, done: make(chan struct{}), more: make(chan struct{})}
}

// A bridgeNote is how the bridge stands with the broker, and whether its settings were read again since the last note.
type bridgeNote struct {
	TakesCommands bool   `json:"takes_commands"`
	Connection    string `json:"connection"` // in words: reason and detail
	Class         string `json:"class"`      // good, doubtful or bad
	Reloaded      bool   `json:"reloaded"`   // there may be other phones, groups and doors
	Reason        string `json:"reason"`     // the first part of connection
	Detail        string `json:"detail"`     // the second part; may be empty

	revision any
}

// run keeps updates until the subscription ends. After the first one it lets others come: a wake-up for each of them would
// cost the bridge more than the update itself. Every second it looks how the bridge stands, which was last before any reader
// looked: what changes after that reaches all of them.
func (h *hub) run(last bridgeNote) {
	defer close(h.done)
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	for open := true; open; {
		select {
		case u, more := <-h.updates:
			if open = more; more {
				time.Sleep(readerPause)
				h.keep(h.collect(u))
			}
		case <-look.C:
			if is := h.watch(); is != last {
				note := is
				note.Reloaded = is.revision != last.revision
				last = is
				h.keep([]*frame{{liveUpdate: liveUpdate{name: "bridge", data: &note}}})
			}
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ended = true
	close(h.more)
}

// collect returns an update and those that wait. Of several states of a phone only the last is of use.
func (h *hub) collect(u bridge.Update) (batch []*frame) {
	states := map[string]*frame{}
	for len(batch)+len(states) < readerRoom {
		switch one := read(u); {
		case one.name == "": // a kind that the console does not show
		case u.Status != nil:
			states[one.phone] = &frame{liveUpdate: one}
		default:
			batch = append(batch, &frame{liveUpdate: one})
		}
		select {
		case next, open := <-h.updates:
			if open {
				u = next
				continue
			}
		default:
		}
		break
	}
	for _, f := range states {
		batch = append(batch, f)
	}
	return batch
}

// keep adds a batch for the readers, and forgets the oldest.
func (h *hub) keep(batch []*frame) {
	if len(batch) == 0 {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.kept = append(h.kept, batch...)
	if over := len(h.kept) - readerRoom; over > 0 {
		h.first += uint64(over)
		h.kept = append([]*frame(nil), h.kept[over:]...) // a new array, so that what is forgotten can be freed
	}
	close(h.more)
	h.more = make(chan struct{})
}

// A position is how far a reader has read.
type position struct {
	next uint64        // the number of the next frame
	more chan struct{} // closed when there is one
}

// now returns the position after the newest update.
func (h *hub) now() position {
	h.mu.Lock()
	defer h.mu.Unlock()
	return position{h.first + uint64(len(h.kept)), h.more}
}

// after returns the updates from a position on and the position after them. It reports whether nothing was lost and more may come.
func (h *hub) after(p position) ([]*frame, position, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if p.next < h.first {
		return nil, p, false
	}
	batch := append([]*frame(nil), h.kept[p.next-h.first:]...)
	return batch, position{h.first + uint64(len(h.kept)), h.more}, !h.ended
}

// places are those of the readers of a hub, one bit for each.
type places uint64

// take takes the first place that is free.
func (p *places) take() (n int) {
	for ; *p&(1<<n) != 0; n++ {
	}
	*p |= 1 << n
	return n
}

func (p *places) leave(n int) { *p &^= 1 << n }

// hubs has the hub that readers share, while there are any.
type hubs struct {
	mu      sync.Mutex
	current *hub // guarded by mu
}

// enter returns the hub, for one more reader, the reader's place there, and what it calls when it leaves.
func (all *hubs) enter(subscribe func(room int) (*bridge.Subscription, error), watch func() bridgeNote) (h *hub, place int, leave func(), err error) {
	all.mu.Lock()
	defer all.mu.Unlock()
	if h := all.current; h == nil || h.over() {
		sub, err := subscribe(readerRoom)
		if err != nil {
			return nil, 0, nil, err
		}
		all.current = newHub(sub.C, watch, sub.Close)
		go all.current.run(watch()) // the last reader waits for it
	}
	h = all.current
	place = h.readers.take()
	return h, place, func() { all.leave(h, place) }, nil
}

// leave ends the hub with its last reader.
func (all *hubs) leave(h *hub, place int) {
	all.mu.Lock()
	h.readers.leave(place)
	last := h.readers == 0
	if last {
		h.end()
		if all.current == h {
			all.current = nil
		}
	}
	all.mu.Unlock()
	if last {
		<-h.done
	}
}

// over reports whether the subscription has ended: the hub itself was too slow, or the bridge has stopped.
func (h *hub) over() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.ended
}

// turn is how long after the first reader it is this one's turn to write.
func (s *stream) turn() time.Duration { return time.Duration(s.place) * readerTurn }

// addFrames adds what the reader asked for, in pieces that are not too large, and reports whether the reader takes them. Readers
// write one after the other, and a goroutine that encodes lets other work have its turn between a few updates: with few phones Go has one
// processor (cmd/snom2mqtt/runtime.go), and a command would wait until all updates are encoded, and written to all readers.
func (s *stream) addFrames(f filter, frames []*frame) bool {
	time.Sleep(s.turn())
	together := max(framesTogether, len(frames)/turnsMost)
	encoded := 0
	for _, one := range frames {
		if !f.takes(one.liveUpdate) {
			continue
		}
		text, first := one.encoded()
		s.b.Write(text)
		if first {
			if encoded++; encoded%together == 0 {
				time.Sleep(turnPause)
			}
		}
		if s.b.Len() >= readerBuffer && !s.flush() {
			return false
		}
	}
	return true
}
