package bridge

import (
	"log/slog"
	"sync"
	"time"

	"github.com/snom2mqtt/snom2mqtt/mqtt"
)

// documents publish retained documents again that another client has replaced or cleared: those of the bridge itself and
// of doors. What belongs to a phone its [echo] compares.
type documents struct {
	b *Bridge

	mu      sync.Mutex
	byTopic map[string]*document // by topic; guarded by mu
}

// A document is one of these documents.
type document struct {
	echo
	at        time.Time // when it was published last
	comparing bool      // it is compared in a moment
	again     func()    // publishes what is true now
}

// keepEvery is the least time between two corrections of a document.
const keepEvery = time.Second

// Keep publishes a retained document, and reports whether it was taken. again, which must not block, publishes the document as it should be
// then; it is called when another client has replaced it, at most once a second, and not while another process serves the
// topics.
func (b *Bridge) Keep(m mqtt.Message, again func()) bool {
	ds := &b.documents
	ds.mu.Lock()
	defer ds.mu.Unlock()
	if !b.cfg.Publish.Publish(m) {
		b.cfg.Log.Debug("message dropped", slog.String("topic", m.Topic)) // the session counts them and logs how many
		return false
	}
	if ds.byTopic == nil {
		ds.byTopic = map[string]*document{}
	}
	d := ds.byTopic[m.Topic]
	if d == nil {
		d = &document{}
		ds.byTopic[m.Topic] = d
	}
	d.sent, d.at, d.again = b.hasher.of(m.Payload), time.Now(), again
	return true
}

// dropDoc clears a document that is not wanted any more.
func (b *Bridge) dropDoc(topic string) {
	ds := &b.documents
	ds.mu.Lock()
	defer ds.mu.Unlock()
	delete(ds.byTopic, topic)
	b.publish(mqtt.Message{Topic: topic, Retained: true})
}

// received takes what the broker delivered on a topic. One that differs from what was published last may be an older one
// still under way; so it is looked at again after a while.
func (ds *documents) received(m mqtt.Message) {
	if m.Retained {
		return
	}
	ds.mu.Lock()
	defer ds.mu.Unlock()
	d := ds.byTopic[m.Topic]
	if d == nil {
		return
	}
	d.echo.received = ds.b.hasher.of(m.Payload)
	if d.differs() && !d.comparing {
		d.comparing = true
		time.AfterFunc(keepEvery, func() { ds.compare(m.Topic) })
	}
}

// compare publishes the document of a topic again if another client has replaced it.
func (ds *documents) compare(topic string) {
	ds.mu.Lock()
	d := ds.byTopic[topic]
	if d == nil {
		ds.mu.Unlock()
		return
	}
	if d.differs() && time.Since(d.at) < keepEvery*9/10 { // the newest may be under way
		time.AfterFunc(keepEvery, func() { ds.compare(topic) })
		ds.mu.Unlock()
		return
	}
	d.comparing = false
	differs, again := d.differs(), d.again
	ds.mu.Unlock()
	if differs && !ds.b.standby.active() {
		ds.b.limit.Log(slog.LevelWarn, "kept "+topic, "another client published on a topic of this bridge: its document is published again", slog.String("topic", topic))
		again()
	}
}

// close ends the corrections.
func (ds *documents) close() {
	ds.mu.Lock()
	defer ds.mu.Unlock()
	clear(ds.byTopic)
}
