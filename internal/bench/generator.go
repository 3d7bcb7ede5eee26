package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// A record is what became of one command. Times are those of the clock.
type record struct {
	phone int32
	sent  int64        // when it was published
	seen  atomic.Int64 // when the phone had read the request; 0: never
	done  int64        // when the result was read; 0: never
	runs  atomic.Int32 // how often the phone carried it out
	said  int32        // how many results it got
	ok    bool         // and the first of them said that all went well
}

// A run is a number of commands and what became of them. Their ids are numbers that follow one another, and are the
// numbers for the phones to dial.
type run struct {
	first    uint64
	records  []record
	phones   int
	sent     atomic.Int64
	disorder atomic.Int64 // commands that came to a phone, and results, after a later one for the same phone
	strays   atomic.Int64 // requests and results that belong to nothing
	newest   []atomic.Uint64
	answered []uint64 // guarded by the generator's lock
}

// seen notes that a phone was asked to dial a number.
func (r *run) seen(phone int, dialled []byte, at int64) {
	id := number(dialled)
	if id < r.first || id >= r.first+uint64(r.sent.Load()) || phone >= r.phones {
		r.strays.Add(1)
		return
	}
	rec := &r.records[id-r.first]
	rec.runs.Add(1)
	rec.seen.CompareAndSwap(0, at)
	if r.newest[phone].Swap(id) > id {
		r.disorder.Add(1)
	}
}

// A generator publishes commands and reads results, on one connection and with one clock.
type generator struct {
	client *client
	phones *phones
	names  [][]byte
	nextID uint64
	said   chan struct{} // a note that a bridge said something of itself

	mu       sync.Mutex       // guards what follows
	words    map[string]int64 // what bridges said of themselves, "<name> online", and when
	run      *run
	base     string
	free     []int32 // phones that may be sent a command, longest idle first
	open     int     // commands without a result
	more     func(n int) bool
	finished chan struct{}
	payload  []byte
	topic    []byte
}

// newGenerator connects to the broker for up to n phones.
func newGenerator(broker string, p *phones, n int) (*generator, error) {
	g := &generator{phones: p, nextID: 1_000_000_000, said: make(chan struct{}, 1), words: map[string]int64{}}
	for i := range n {
		g.names = append(g.names, []byte(phoneName(i)))
	}
	c, err := newClient(broker, "bench", "+/+/result", "+/+/event", "+/bridge/state")
	if err != nil {
		return nil, err
	}
	g.client = c
	return g, nil
}

// receive takes a message.
func (g *generator) receive(topic, payload []byte) {
	at := now()
	if base, ok := bytes.CutSuffix(topic, []byte("/bridge/state")); ok {
		g.mu.Lock()
		g.words[string(base)+" "+string(payload)] = at
		g.mu.Unlock()
		select {
		case g.said <- struct{}{}:
		default:
		}
		return
	}
	if bytes.HasSuffix(topic, []byte("/event")) {
		g.result(numberAfter(payload, `"call_id"`), at, true)
	} else {
		g.result(numberAfter(payload, `"id"`), at, bytes.Contains(payload, []byte(`"ok"`)))
	}
}

// numberAfter is the number that a member of a JSON object has, or the text of digits; 0 where it has none.
func numberAfter(object []byte, name string) uint64 {
	_, after, _ := bytes.Cut(object, []byte(name))
	return number(leadingDigits(bytes.TrimLeft(after, `: "`)))
}

func leadingDigits(b []byte) []byte {
	n := 0
	for n < len(b) && b[n] >= '0' && b[n] <= '9' {
		n++
	}
	return b[:n]
}

// result notes the result of a command and sends the next one, if there is one.
func (g *generator) result(id uint64, at int64, ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	r := g.run
	if r == nil {
		return
	}
	if id < r.first || id >= r.first+uint64(r.sent.Load()) {
		r.strays.Add(1)
		return
	}
	rec := &r.records[id-r.first]
	if rec.said++; rec.said > 1 {
		return
	}
	rec.done, rec.ok = at, ok
	if r.answered[rec.phone] > id {
		r.disorder.Add(1)
	}
	r.answered[rec.phone] = id
	g.open--
	g.free = append(g.free, rec.phone)
	g.send(1)
	if g.open == 0 {
		close(g.finished)
		g.run = nil
	}
}

// send publishes up to n commands to idle phones. The caller holds the lock, and flushes.
func (g *generator) send(n int) {
	r := g.run
	for ; n > 0 && len(g.free) > 0; n-- {
		i := int(r.sent.Load())
		if i == len(r.records) || !g.more(i) {
			return
		}
		phone := g.free[0]
		g.free = g.free[1:]
		g.topic = append(append(append(append(g.topic[:0], g.base...), '/'), g.names[phone]...), "/dial"...)
		id := r.first + uint64(i)
		g.payload = strconv.AppendUint(append(g.payload[:0], `{"id":"`...), id, 10)
		g.payload = strconv.AppendUint(append(g.payload, `","number":"`...), id, 10)
		g.payload = append(g.payload, `"}`...)
		rec := &r.records[i]
		rec.phone = phone
		r.sent.Add(1)
		g.open++
		rec.sent = now()
		g.client.publish(g.topic, g.payload)
	}
}

// A load says what to send to one system.
type load struct {
	base        string
	phones      int
	outstanding int           // commands at a time; more than phones: several for each
	count       int           // of commands, at most
	limit       time.Duration // no more commands after this
	burst       int           // so many at once to one phone, and the next when all are answered
	every       time.Duration // time between two bursts
}

// timeLimit is how long a result is waited for when nothing else comes either.
const timeLimit = 15 * time.Second

var errStopped = errors.New("stopped")

// begin prepares a run.
func (g *generator) begin(l load) *run {
	g.mu.Lock()
	defer g.mu.Unlock()
	r := &run{
		first: g.nextID, records: make([]record, l.count), phones: l.phones,
		newest: make([]atomic.Uint64, l.phones), answered: make([]uint64, l.phones),
	}
	g.nextID += uint64(l.count)
	g.base, g.run = l.base, r
	g.open, g.free = 0, g.free[:0:0]
	g.finished = make(chan struct{})
	for i := range max(l.outstanding, l.phones) {
		g.free = append(g.free, int32(i%l.phones))
	}
	g.phones.run.Store(r)
	return r
}

// carry sends a load and waits for its results. What has no result when nothing came for [timeLimit] has none.
func (g *generator) carry(ctx context.Context, l load) (*run, error) {
	r := g.begin(l)
	end := now() + int64(l.limit)
	g.more = func(n int) bool { return n < l.count && (l.limit == 0 || now() < end) }
	if l.burst > 0 {
		return r, g.bursts(ctx, r, l)
	}
	// They begin one after the other while the first phones are busy, or all would do everything at once for ever.
	for range l.outstanding {
		g.mu.Lock()
		g.send(1)
		g.mu.Unlock()
		if d := g.phones.time.Load(); d > 0 {
			if err := g.client.flush(); err != nil {
				return r, err
			}
			time.Sleep(time.Duration(d) / time.Duration(l.outstanding))
		}
	}
	return r, g.wait(ctx, r)
}

// wait flushes what was sent and waits until all of it is answered.
func (g *generator) wait(ctx context.Context, r *run) error {
	if err := g.client.flush(); err != nil {
		return err
	}
	still := time.NewTicker(timeLimit)
	defer still.Stop()
	answered := -1
	for {
		select {
		case <-g.finished:
			return nil
		case <-ctx.Done():
			return errStopped
		case <-still.C:
			g.mu.Lock()
			n := int(r.sent.Load()) - g.open
			stuck := n == answered
			answered = n
			if stuck && g.run == r {
				g.run = nil
			}
			g.mu.Unlock()
			if stuck {
				return nil
			}
		}
	}
}

// bursts sends bursts to the first phone.
func (g *generator) bursts(ctx context.Context, r *run, l load) error {
	for range l.count / l.burst {
		g.mu.Lock()
		sent := int(r.sent.Load())
		g.more = func(n int) bool { return n < sent+l.burst }
		g.run, g.finished = r, make(chan struct{})
		g.free = append(g.free[:0:0], make([]int32, l.burst)...)
		g.send(l.burst)
		g.mu.Unlock()
		if err := g.wait(ctx, r); err != nil {
			return err
		}
		select {
		case <-time.After(l.every):
		case <-ctx.Done():
			return errStopped
		}
	}
	return nil
}

// report has phones report events, one after the other: the next one when the last one is on MQTT. A phone is taken to have
// been heard ("seen") when it has its answer.
func (g *generator) report(ctx context.Context, l load, receiver string) (*run, error) {
	r := g.begin(l)
	end := now() + int64(l.limit)
	for i := range l.count {
		if l.limit > 0 && now() > end {
			break
		}
		rec := &r.records[i]
		g.mu.Lock()
		g.more = func(int) bool { return false } // no commands
		g.run, g.finished, g.open = r, make(chan struct{}), 1
		rec.phone = int32(i % l.phones)
		r.sent.Add(1)
		g.mu.Unlock()
		rec.sent = now()
		if err := g.call(int(rec.phone), receiver, r.first+uint64(i)); err != nil {
			return r, fmt.Errorf("event %d: %w", i, err)
		}
		rec.seen.Store(now())
		if err := g.wait(ctx, r); err != nil {
			return r, err
		}
	}
	return r, nil
}

// call is a phone that reports that its handset was lifted, in a call with this number.
func (g *generator) call(phone int, receiver string, id uint64) error {
	from, err := net.ResolveTCPAddr("tcp4", phoneAddr(phone, 0))
	if err != nil {
		return err
	}
	conn, err := (&net.Dialer{KeepAlive: -1, LocalAddr: from}).Dial("tcp4", receiver)
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, err := fmt.Fprintf(conn, "GET /a/%s/%s/offhook?local=27@pbx.example&call-id=%d HTTP/1.1\r\nHost: %s\r\n\r\n",
		g.names[phone], token, id, receiver); err != nil {
		return err
	}
	buf := make([]byte, 512)
	n, err := conn.Read(buf)
	if err != nil {
		return err
	}
	if !bytes.HasPrefix(buf[:n], []byte("HTTP/1.1 200")) {
		return fmt.Errorf("the answer is %q", buf[:n])
	}
	return nil
}

// await waits until a bridge says a word of itself, such as "online", and returns when it did.
func (g *generator) await(ctx context.Context, base, word string) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, 60*time.Second)
	defer cancel()
	for {
		g.mu.Lock()
		at, ok := g.words[base+" "+word]
		g.mu.Unlock()
		if ok {
			return at, nil
		}
		select {
		case <-g.said:
		case <-ctx.Done():
			return 0, fmt.Errorf("%s never said %s", base, word)
		}
	}
}
