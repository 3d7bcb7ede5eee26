package console

import (
	"bytes"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/snom2mqtt/snom2mqtt/bridge"
)

// Bounds of the clients that follow what happens.
const (
	readersMost  = 16 // at once
	readerRoom   = 2048
	readerPause  = 40 * time.Millisecond // between an update and its delivery: what comes meanwhile goes out together
	readerIdle   = 15 * time.Second      // between two writes where nothing happens
	readerWrite  = 10 * time.Second      // for one write
	readerBuffer = 256 << 10             // of one write

	lookEvery      = time.Second          // at how the bridge stands, while there are readers
	readerTurn     = 2 * time.Millisecond // from the turn of a reader to that of the next one
	framesTogether = 8                    // updates that are encoded without a pause, at least
	turnsMost      = 16                   // pauses in a batch
	turnPause      = 20 * time.Microsecond
)

// readers counts the clients that follow what happens. Each holds a connection and a subscription.
type readers struct{ n atomic.Int64 }

// enter reports whether there is room for one more; leave then makes room again.
func (r *readers) enter() bool {
	if r.n.Add(1) > readersMost {
		r.n.Add(-1)
		return false
	}
	return true
}

func (r *readers) leave() { r.n.Add(-1) }

// A filter says which updates a reader asked for.
type filter struct {
	phone string   // empty: all
	types []string // empty: all but log
}

// liveTypes are the types that a reader may ask for.
func liveTypes() []string {
	return []string{"command", "result", "event", "status", "response", "door", "ring", "door_image", "bridge", "log"}
}

func filterOf(r *http.Request) filter {
	f := filter{phone: r.URL.Query().Get("phone")}
	if types := r.URL.Query().Get("types"); types != "" {
		f.types = strings.Split(types, ",")
	}
	return f
}

// A liveUpdate is one server-sent event.
type liveUpdate struct {
	name  string // event, result, status, command, response
	phone string
	data  any
}

// read returns what an update of the bridge is.
func read(u bridge.Update) liveUpdate {
	switch {
	case u.Event != nil:
		return liveUpdate{"event", u.Event.Phone, u.Event}
	case u.Result != nil:
		return liveUpdate{"result", u.Result.Phone, u.Result}
	case u.Status != nil:
		return liveUpdate{"status", u.Status.Phone, u.Status}
	case u.Command != nil:
		return liveUpdate{"command", u.Command.Phone, u.Command}
	case u.Door != nil:
		return liveUpdate{"door", u.Door.Door, u.Door}
	case u.Ring != nil:
		return liveUpdate{"ring", u.Ring.Door, u.Ring}
	case u.DoorImage != nil: // the picture itself is fetched
		return liveUpdate{"door_image", u.DoorImage.Door, doorImageNote{u.DoorImage.Door, u.DoorImage.Time}}
	case u.Response != nil:
		return liveUpdate{"response", u.Response.Phone, u.Response}
	}
	return liveUpdate{} // a kind that the console does not show
}

func (f filter) takes(u liveUpdate) bool {
	return u.name != "" && (f.phone == "" || u.phone == f.phone || u.name == "bridge") && (len(f.types) == 0 && u.name != "log" || slices.Contains(f.types, u.name))
}

// A stream writes server-sent events to one reader.
type stream struct {
	w       http.ResponseWriter
	control *http.ResponseController
	hub     *hub
	place   int // among the readers
	b       bytes.Buffer
}

// add adds an event to what is written next.
func (s *stream) add(name string, data any) {
	s.b.Write(encodeEvent(s.b.AvailableBuffer(), name, data))
}

// flush writes what was added, and reports whether the reader took it.
func (s *stream) flush() bool {
	_ = s.control.SetWriteDeadline(time.Now().Add(readerWrite)) // of a test's recorder there is none
	if _, err := s.w.Write(s.b.Bytes()); err != nil {
		return false
	}
	s.b.Reset()
	return s.control.Flush() == nil
}

// follow answers GET /api/live: what happens from now on, as server-sent events. A reader that is too slow loses its
// position, and with it the connection; then it reads the present state and follows again. Nothing waits for it.
func (h *handler) follow(w http.ResponseWriter, r *http.Request) {
	f := filterOf(r)
	if refuses(w, "types", f.types, liveTypes()) {
		return
	}
	s, leave, ok := h.stream(w, "text/event-stream")
	if !ok {
		return
	}
	defer leave()
	at := s.hub.now()
	s.b.WriteString("retry: 1000\n\n")
	s.add("hello", hello{ReadOnly: h.ReadOnly, Version: h.About.Version})
	if now := h.note(); f.takes(liveUpdate{name: "bridge"}) {
		s.add("bridge", now)
	}
	last := uint64(0)
	var logged <-chan struct{}
	if slices.Contains(f.types, "log") && h.Journal != nil {
		_, last = h.Journal.find(search{})
		logged = h.Journal.wait(last)
	}
	idle := time.NewTicker(readerIdle)
	defer idle.Stop()
	for s.flush() {
		select {
		case <-at.more:
			var frames []*frame
			more := false
			if frames, at, more = s.hub.after(at); !more || !s.addFrames(f, frames) {
				return
			}
		case <-logged:
			var lines []Line
			lines, last = h.Journal.find(search{after: last})
			for _, l := range lines {
				s.add("log", l)
			}
			logged = h.Journal.wait(last)
		case <-idle.C:
			s.b.WriteString(": \n\n")
		case <-h.stopped:
			return
		case <-r.Context().Done():
			return
		}
	}
}

// note says how the bridge stands.
func (h *handler) note() bridgeNote {
	is := h.connection()
	return bridgeNote{
		TakesCommands: is.takes, Connection: is.words(), Reason: is.reason, Detail: is.detail, Class: is.class, revision: h.Bridge.Revision(),
	}
}

// stream begins an answer that lasts, or answers that there is no room for it.
func (h *handler) stream(w http.ResponseWriter, kind string) (s *stream, leave func(), ok bool) {
	if !h.readers.enter() {
		w.Header().Set("Retry-After", retryAfter)
		answer(w, http.StatusServiceUnavailable, "busy", "too many readers follow what happens")
		return nil, nil, false
	}
	shared, place, end, err := h.hubs.enter(h.Bridge.Subscribe, h.note)
	if err != nil {
		h.readers.leave()
		answer(w, http.StatusServiceUnavailable, "busy", err.Error())
		return nil, nil, false
	}
	s = &stream{w: w, control: http.NewResponseController(w), hub: shared, place: place}
	_ = s.control.SetReadDeadline(time.Time{}) // nothing more is read; of a test's recorder there is none
	head := w.Header()
	head.Set("Content-Type", kind)
	head.Set("Cache-Control", "no-store")
	head.Set("X-Accel-Buffering", "no") // of proxies
	return s, func() { end(); h.readers.leave() }, true
}

// A doorImageNote says that there is another picture of a door.
type doorImageNote struct {
	Door string      `json:"door"`
	Time bridge.Time `json:"time"`
}

// A hello is the first event of a stream.
type hello struct {
	ReadOnly bool   `json:"read_only"`
	Version  string `json:"version"`
}
