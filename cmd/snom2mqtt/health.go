package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/snom2mqtt/snom2mqtt/bridge"
	"github.com/snom2mqtt/snom2mqtt/mqtt"
	"github.com/snom2mqtt/snom2mqtt/statefile"
)

// Health is the retained document that says how the bridge is doing.
type Health struct {
	UptimeS        int64        `json:"uptime_s"`
	ConnectedSince bridge.Time  `json:"connected_since"` // to the broker; null: it is not
	Phones         PhonesHealth `json:"phones"`
	Waiting        int          `json:"waiting"` // commands in the queues of phones
	Late           uint64       `json:"late"`    // commands that expired before they were carried out
	Dropped        int          `json:"dropped"` // messages that were not published
	BreakersOpen   int          `json:"breakers_open"`
	Reconnects     int          `json:"reconnects"`
	MemoryBytes    int64        `json:"memory_bytes"` // resident; 0: not known
	Time           bridge.Time  `json:"time"`
}

// PhonesHealth counts phones.
type PhonesHealth struct {
	Online int `json:"online"`
	Total  int `json:"total"`
}

// Times of a reporter.
const (
	healthEvery  = time.Minute
	healthSettle = time.Second          // after a change: changes seldom come alone
	listSettle   = 5 * time.Millisecond // more for each phone, since the list is made anew
)

// A reporter keeps the retained documents bridge/health and bridge/phones as they should be.
type reporter struct {
	s       *service
	changes chan struct{} // capacity 1: a phone, or the connection, has changed
	started time.Time
	listed  []byte      // the list that was published last; of run's goroutine
	relist  atomic.Bool // another client has replaced that
}

func newReporter(s *service) *reporter {
	return &reporter{s: s, changes: make(chan struct{}, 1), started: time.Now()}
}

// changed notes that there may be something new. It never blocks.
func (r *reporter) changed() {
	select {
	case r.changes <- struct{}{}:
	default:
	}
}

// run publishes until ctx ends.
func (r *reporter) run(ctx context.Context) {
	timer := time.NewTimer(healthEvery)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-r.changes:
			timer.Reset(healthSettle + listSettle*time.Duration(len(r.s.bridge.Names())))
			select {
			case <-ctx.Done():
				return
			case <-timer.C:
			}
		}
		r.report()
		timer.Reset(healthEvery)
	}
}

// remember keeps in the state directory what phones have reported. With Home Assistant its publisher does so, together with
// the identifiers.
func (r *reporter) remember() {
	if r.s.discovery != nil || !r.s.state.Lasting() {
		return
	}
	for v := range r.s.bridge.Views() {
		if v.MAC == "" && v.Firmware == "" {
			continue
		}
		r.s.state.Update(v.Phone, func(is *statefile.Record) {
			if is.URL != v.Config.URL { // what was known is of another phone, perhaps
				*is = statefile.Record{ID: is.ID, URL: v.Config.URL}
			}
			is.Model, is.Firmware, is.MAC = string(v.Model), string(v.Firmware), string(v.MAC)
		})
	}
}

// report publishes how the bridge is doing, and the list of phones if it is another one. A bridge on standby, and one that
// has no connection, says nothing.
func (r *reporter) report() {
	r.remember()
	if !r.s.session.Status().Proven || r.s.bridge.Standby() != "" {
		r.listed = nil // another bridge, or another broker, may have another one
		return
	}
	if list := r.s.bridge.Directory(); (!bytes.Equal(list.Payload, r.listed) || r.relist.Swap(false)) && r.s.bridge.Keep(list, r.replaced) {
		r.listed = list.Payload
	}
	payload, err := json.Marshal(r.health(time.Now()))
	if err != nil {
		panic(err) // numbers and times: there is nothing to fail
	}
	r.s.bridge.Keep(mqtt.Message{Topic: r.s.session.Tree().Health(), Payload: payload, Retained: true}, r.changed)
}

// replaced notes that another client has published in place of the list of phones.
func (r *reporter) replaced() {
	r.relist.Store(true)
	r.changed()
}

// health is how the bridge is doing now.
func (r *reporter) health(now time.Time) Health {
	st := r.s.session.Status()
	h := Health{
		UptimeS: int64(now.Sub(r.started).Seconds()), Late: r.s.bridge.Late(), Dropped: st.Dropped, Reconnects: st.Reconnects,
		MemoryBytes: memoryBytes(), Time: bridge.Time{Time: now},
	}
	if st.Connected {
		h.ConnectedSince = bridge.Time{Time: st.Since}
	}
	for load := range r.s.bridge.Loads() {
		h.Phones.Total++
		h.Waiting += load.Waiting
		if load.Reachable == bridge.SwitchOn {
			h.Phones.Online++
		}
		if load.LockedOut {
			h.BreakersOpen++
		}
	}
	return h
}

// memoryBytes is how much memory the process takes; 0 where that is not known.
func memoryBytes() int64 {
	if runtime.GOOS != "linux" {
		return 0
	}
	statm, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(statm))
	if len(fields) < 2 {
		return 0
	}
	pages, err := strconv.ParseInt(fields[1], 10, 64)
	if err != nil {
		return 0
	}
	return pages * int64(os.Getpagesize())
}
