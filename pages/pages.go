// Package pages keeps the pages that phones fetch from the bridge: each for one phone, under an id that cannot be
// guessed, for as long as it is shown.
//
// The store is bounded in pages for each phone and in bytes for all. A page that is shown on a display ends when another
// one is shown there, and with it every link of it.
package pages

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"slices"
	"sync"
	"time"
)

// Bounds of the store.
const (
	PhonePages = 16        // of one phone; beyond it the oldest ends that is not shown
	MaxLife    = time.Hour // of a page
	MaxBytes   = 32 << 20  // of all pages, by their Size and File
	leastSize  = 1 << 10   // that a page counts with, whatever it says
)

// ErrFull says that the pages of all phones together take too much memory.
var ErrFull = errors.New("pages: too many pages are shown")

// A Page is what phones fetch below one address.
type Page struct {
	Phone string // the phone that it is for
	// Life is how long it can be fetched, at most [MaxLife]; zero: that long.
	Life time.Duration
	// Front says that it is shown on the display: it ends when another such page is [Store.Shown].
	Front bool
	// Size is about how many bytes it keeps, but for File.
	Size int
	// File is a file that its parts keep, which is counted once for all pages that have it. It is not changed.
	File []byte
	// Answer answers a request. It is called by several goroutines and must not block.
	Answer func(Request) Reply
	// Ended, if set, is called once when the page ends, whatever the reason. It must not block nor call the Store.
	Ended func()
}

// A Request is a request for a page or a part of it.
type Request struct {
	Part  string // what stands behind the id in the path, without the slash; empty: the page itself
	Query string // as it came
}

// A Reply is the answer to a request. The zero Reply: there is no such part.
type Reply struct {
	Type string // of the content
	Body []byte
	// Stream, if set, writes the content instead of Body, for as long as the phone reads it, the page lives and ctx lasts.
	Stream func(ctx context.Context, w io.Writer) error
}

// IsZero reports whether there is no such part.
func (r Reply) IsZero() bool { return r.Type == "" && r.Body == nil && r.Stream == nil }

// A Store keeps pages. The zero Store is empty and ready.
type Store struct {
	mu     sync.Mutex
	phones map[string][]*entry // the oldest first; guarded by mu
	bytes  int                 // of all pages and their files; guarded by mu
	files  map[*byte]int       // how many pages have a file, by its first byte; guarded by mu
}

// An entry is a page in the store.
type entry struct {
	id    string
	page  Page
	timer *time.Timer
	ended chan struct{} // closed when the page ends
	shown bool          // on the display, since [Store.Shown]; guarded by Store.mu
}

// NewID returns an id for a page: 130 random bits.
func NewID() string { return rand.Text() }

// Put puts a page into the store under an id of [NewID].
func (s *Store) Put(id string, p Page) error {
	if len(id) < len(NewID()) || p.Answer == nil {
		return errors.New("pages: expected an id of NewID, and an answer")
	}
	p.Size = max(p.Size, leastSize)
	if p.Life <= 0 || p.Life > MaxLife {
		p.Life = MaxLife
	}
	s.mu.Lock()
	var over []*entry
	of := s.phones[p.Phone]
	for len(of) >= PhonePages {
		over = append(over, s.removeAt(p.Phone, oldest(of)))
		of = s.phones[p.Phone]
	}
	full := s.bytes+p.Size+s.more(p.File) > MaxBytes
	if !full {
		if s.phones == nil {
			s.phones = map[string][]*entry{}
		}
		e := &entry{id: id, page: p, ended: make(chan struct{})}
		e.timer = time.AfterFunc(p.Life, func() { s.End(p.Phone, id) })
		s.phones[p.Phone] = append(s.phones[p.Phone], e)
		s.count(p)
	}
	s.mu.Unlock()
	for _, e := range over {
		e.end()
	}
	if full {
		return ErrFull
	}
	return nil
}

// more is how many bytes a file takes that no page has. The caller holds the lock.
func (s *Store) more(file []byte) int {
	if len(file) == 0 || s.files[&file[0]] > 0 {
		return 0
	}
	return len(file)
}

// count adds the bytes of a page. The caller holds the lock.
func (s *Store) count(p Page) {
	s.bytes += p.Size + s.more(p.File)
	if len(p.File) > 0 {
		if s.files == nil {
			s.files = map[*byte]int{}
		}
		s.files[&p.File[0]]++
	}
}

// discount takes the bytes of a page away. The caller holds the lock.
func (s *Store) discount(p Page) {
	if len(p.File) > 0 {
		if s.files[&p.File[0]]--; s.files[&p.File[0]] == 0 {
			delete(s.files, &p.File[0])
		}
	}
	s.bytes -= p.Size + s.more(p.File)
}

// oldest is the page of a phone that ends first: the one that people see does not end because lights are set.
func oldest(of []*entry) int {
	return max(0, slices.IndexFunc(of, func(e *entry) bool { return !e.shown }))
}

// removeAt takes a page of a phone out. The caller holds the lock, and ends the entry without it.
func (s *Store) removeAt(phone string, i int) *entry {
	of := s.phones[phone]
	e := of[i]
	s.discount(e.page)
	if len(of) == 1 {
		delete(s.phones, phone)
	} else {
		s.phones[phone] = append(of[:i:i], of[i+1:]...)
	}
	return e
}

// end tells that the entry has left the store.
func (e *entry) end() {
	e.timer.Stop()
	close(e.ended)
	if e.page.Ended != nil {
		e.page.Ended()
	}
}

// End ends a page. It reports whether the page was there.
func (s *Store) End(phone, id string) bool {
	s.mu.Lock()
	var e *entry
	for i, one := range s.phones[phone] {
		if one.id == id {
			e = s.removeAt(phone, i)
			break
		}
	}
	s.mu.Unlock()
	if e == nil {
		return false
	}
	e.end()
	return true
}

// Shown notes that a page with Front is what a phone's display shows: other such pages of the phone end. With an id of no
// page all of them do. It reports whether there were any.
func (s *Store) Shown(phone, id string) bool {
	s.mu.Lock()
	var over []*entry
	for i := len(s.phones[phone]) - 1; i >= 0; i-- {
		one := s.phones[phone][i]
		one.shown = one.id == id
		if one.page.Front && !one.shown {
			over = append(over, s.removeAt(phone, i))
		}
	}
	s.mu.Unlock()
	for _, e := range over {
		e.end()
	}
	return len(over) > 0
}

// EndAll ends all pages of a phone.
func (s *Store) EndAll(phone string) {
	s.mu.Lock()
	all := s.phones[phone]
	for _, e := range all {
		s.discount(e.page)
	}
	delete(s.phones, phone)
	s.mu.Unlock()
	for _, e := range all {
		e.end()
	}
}

// Has reports whether a page of a phone is there.
func (s *Store) Has(phone, id string) bool { return s.find(phone, id) != nil }

func (s *Store) find(phone, id string) *entry {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, one := range s.phones[phone] {
		if one.id == id {
			return one
		}
	}
	return nil
}

// Answer answers a request for a page; false: there is no such page, or no such part of it. The channel is closed when
// the page ends.
func (s *Store) Answer(phone, id string, r Request) (reply Reply, ended <-chan struct{}, ok bool) {
	e := s.find(phone, id)
	if e == nil {
		return Reply{}, nil, false
	}
	reply = e.page.Answer(r)
	return reply, e.ended, !reply.IsZero()
}

// Len returns how many pages there are.
func (s *Store) Len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, of := range s.phones {
		n += len(of)
	}
	return n
}
