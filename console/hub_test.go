package console

import (
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/snom2mqtt/snom2mqtt/bridge"
	"github.com/snom2mqtt/snom2mqtt/snom/actionurl"
)

// Sixteen readers cost one encoding of each update, and none of what no reader asked for; a reader that is behind loses its
// position, and the others do not notice.
func TestUpdatesAreEncodedOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		updates := make(chan bridge.Update, readerRoom)
		h := newHub(updates, func() bridgeNote { return bridgeNote{} }, func() { close(updates) })
		go h.run(bridgeNote{})
		positions := make([]position, readersMost)
		for i := range positions {
			positions[i] = h.now()
		}
		behind := positions[0]
		for i := range 100 {
			updates <- bridge.Update{Event: &actionurl.Event{Type: actionurl.EventIncoming, Phone: "kitchen", CallID: fmt.Sprint(i)}}
		}
		updates <- bridge.Update{Event: &actionurl.Event{Type: actionurl.EventIncoming, Phone: "hall"}}
		kitchen := filter{phone: "kitchen"}
		var read sync.WaitGroup
		var mu sync.Mutex
		texts := map[string]*byte{} // the first byte of each encoding
		for i := range positions {
			read.Go(func() {
				<-positions[i].more
				frames, next, more := h.after(positions[i])
				if len(frames) != 101 || !more {
					t.Errorf("%d frames, more: %v", len(frames), more)
				}
				mu.Lock()
				defer mu.Unlock()
				positions[i] = next
				for _, f := range frames {
					if !kitchen.takes(f.liveUpdate) {
						if f.text != nil {
							t.Error("an update that no reader asked for was encoded")
						}
						continue
					}
					text, _ := f.encoded()
					if first := texts[string(text)]; first != nil && first != &text[0] {
						t.Errorf("encoded twice: %s", text)
					}
					texts[string(text)] = &text[0]
				}
			})
		}
		read.Wait()
		if len(texts) != 100 {
			t.Errorf("%d texts, expected 100", len(texts))
		}

		for range 3 {
			for range readerRoom {
				updates <- bridge.Update{Event: &actionurl.Event{Type: actionurl.EventOffhook, Phone: "kitchen"}}
			}
			time.Sleep(2 * readerPause)
			synctest.Wait()
			frames, next, more := h.after(positions[1])
			if len(frames) != readerRoom || !more {
				t.Errorf("a reader that keeps up has %d frames, more: %v", len(frames), more)
			}
			positions[1] = next
		}
		if frames, _, more := h.after(behind); more || len(frames) > 0 {
			t.Errorf("a reader that is behind has %d frames, more: %v", len(frames), more)
		}
		h.end()
		<-h.done
		if _, _, more := h.after(positions[1]); more {
			t.Error("there is more after the end")
		}
	})
}

// What a reader costs for an update that was encoded already: no allocation.
func TestAReaderCostsNoEncoding(t *testing.T) {
	f := &frame{liveUpdate: liveUpdate{"event", "kitchen", &actionurl.Event{Type: actionurl.EventIncoming, Phone: "kitchen"}}}
	if f.document() == "" {
		t.Fatal("no document")
	}
	if n := testing.AllocsPerRun(100, func() { f.encoded() }); n != 0 {
		t.Errorf("%v allocations for each further reader", n)
	}
}

// Of several states of a phone within a batch the last one is encoded.
func TestTheLastStateIsSent(t *testing.T) {
	t.Parallel()
	updates := make(chan bridge.Update, 8)
	h := newHub(updates, nil, nil)
	for _, model := range []string{"D715", "D725", "D735"} {
		updates <- bridge.Update{Status: &bridge.Status{Phone: "kitchen", Model: bridge.Text(model)}}
	}
	batch := h.collect(<-updates)
	if len(batch) != 1 || batch[0].data.(*bridge.Status).Model != "D735" {
		t.Errorf("the batch has %d frames", len(batch))
	}
}

// Readers write one after the other, and the one that encodes lets other work have its turn: no command waits for all of them.
func TestReadersTakeTurns(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var all places
		frames := make([]*frame, 4*framesTogether)
		for i := range frames {
			frames[i] = &frame{liveUpdate: liveUpdate{"event", "kitchen", &actionurl.Event{Type: actionurl.EventIncoming, Phone: "kitchen"}}}
		}
		for n := range readersMost {
			s := &stream{place: all.take()}
			expected := time.Duration(n) * readerTurn
			if n == 0 {
				expected = 4 * turnPause // it encodes for all
			}
			began := time.Now()
			if !s.addFrames(filter{}, frames) || s.b.Len() == 0 {
				t.Fatal("nothing was added")
			}
			if took := time.Since(began); took != expected {
				t.Errorf("reader %d writes after %v, expected %v", n, took, expected)
			}
		}
		all.leave(3)
		if n := all.take(); n != 3 {
			t.Errorf("a reader has the place %d, expected the free one, 3", n)
		}
	})
}
