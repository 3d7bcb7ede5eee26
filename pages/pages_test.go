package pages

import (
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func answer(text string) func(Request) Reply {
	return func(r Request) Reply { return Reply{Type: "text/xml", Body: []byte(text + r.Part)} }
}

// shown reports whether a page of the phone is there.
func shown(s *Store, phone, id string) bool {
	_, _, ok := s.Answer(phone, id, Request{})
	return ok
}

func TestAPageEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var s Store
		var ended atomic.Int64
		put := func(phone string, life time.Duration, front bool) string {
			id := NewID()
			if err := s.Put(id, Page{Phone: phone, Life: life, Front: front, Answer: answer("x"), Ended: func() { ended.Add(1) }}); err != nil {
				t.Fatal(err)
			}
			return id
		}
		a, b := put("kitchen", 10*time.Second, true), put("kitchen", 0, false)
		if shown(&s, "hall", a) || shown(&s, "kitchen", a[:8]) || !shown(&s, "kitchen", a) {
			t.Fatal("expected the page for its phone and its whole id only")
		}
		c := put("kitchen", time.Minute, true)
		if !shown(&s, "kitchen", a) || !s.Shown("kitchen", c) || s.Shown("kitchen", c) {
			t.Fatal("expected the page in front to end when another one is shown")
		}
		if shown(&s, "kitchen", a) || !shown(&s, "kitchen", b) || !shown(&s, "kitchen", c) || ended.Load() != 1 {
			t.Fatal("expected the page in front to end when another one comes")
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if shown(&s, "kitchen", c) || !shown(&s, "kitchen", b) {
			t.Fatal("expected the page to end after its life")
		}
		time.Sleep(MaxLife)
		synctest.Wait()
		if s.Len() != 0 || ended.Load() != 3 || s.bytes != 0 {
			t.Fatalf("%d pages of %d bytes, %d ended; expected none after an hour", s.Len(), s.bytes, ended.Load())
		}
		d := put("kitchen", 0, true)
		if !s.Shown("kitchen", "") || s.Shown("kitchen", "") || shown(&s, "kitchen", d) {
			t.Fatal("expected the page in front to end once")
		}
		put("kitchen", 0, true)
		put("kitchen", 0, false)
		if s.EndAll("kitchen"); s.Len() != 0 || s.bytes != 0 {
			t.Fatal("expected EndAll to end all pages")
		}
	})
}

func TestPagesAreBounded(t *testing.T) {
	t.Parallel()
	var s Store
	t.Cleanup(func() { s.EndAll("kitchen"); s.EndAll("hall") })
	var first string
	for i := range 10 * PhonePages {
		id := NewID()
		if i == 9*PhonePages {
			first = id
		}
		if err := s.Put(id, Page{Phone: "kitchen", Answer: answer("x")}); err != nil {
			t.Fatal(err)
		}
	}
	if s.Len() != PhonePages || !shown(&s, "kitchen", first) {
		t.Errorf("%d pages, expected the newest %d", s.Len(), PhonePages)
	}
	if err := s.Put(NewID(), Page{Phone: "hall", Size: MaxBytes, Answer: answer("x")}); !errors.Is(err, ErrFull) {
		t.Errorf("a page beyond the memory of all: %v", err)
	}
	if err := s.Put("short", Page{Phone: "hall", Answer: answer("x")}); err == nil {
		t.Error("an id that can be guessed was taken")
	}
}

// TestThePageThatIsShownStays sets more lights than there may be pages while a menu is shown.
func TestThePageThatIsShownStays(t *testing.T) {
	t.Parallel()
	var s Store
	t.Cleanup(func() { s.EndAll("kitchen") })
	put := func(front bool) string {
		id := NewID()
		if err := s.Put(id, Page{Phone: "kitchen", Front: front, Answer: answer("x")}); err != nil {
			t.Fatal(err)
		}
		return id
	}
	menu := put(true)
	s.Shown("kitchen", menu)
	for range 3 * PhonePages {
		put(false)
	}
	if !shown(&s, "kitchen", menu) || s.Len() != PhonePages {
		t.Fatalf("%d pages, expected %d with the one that is shown", s.Len(), PhonePages)
	}
	s.Shown("kitchen", put(true))
	if shown(&s, "kitchen", menu) || s.Len() != PhonePages-1 {
		t.Errorf("%d pages, expected the one that was shown before to end alone", s.Len())
	}
}

// TestAFileIsCountedOnce shows one picture on more phones than copies of it would fit.
func TestAFileIsCountedOnce(t *testing.T) {
	t.Parallel()
	var s Store
	const phones = 100
	file := make([]byte, MaxBytes/10)
	for i := range phones {
		if err := s.Put(NewID(), Page{Phone: fmt.Sprint("phone", i), File: file, Answer: answer("x")}); err != nil {
			t.Fatal(err)
		}
	}
	if s.bytes != len(file)+phones*leastSize {
		t.Errorf("%d bytes, expected the file once", s.bytes)
	}
	var err error
	for i := 0; i < phones && err == nil; i++ {
		err = s.Put(NewID(), Page{Phone: fmt.Sprint("phone", i), File: make([]byte, len(file)), Answer: answer("x")})
	}
	if !errors.Is(err, ErrFull) || s.bytes > MaxBytes {
		t.Errorf("%v with %d bytes, expected other files to be counted", err, s.bytes)
	}
	for i := range phones {
		s.EndAll(fmt.Sprint("phone", i))
	}
	if s.bytes != 0 || len(s.files) != 0 {
		t.Errorf("%d bytes and %d files left", s.bytes, len(s.files))
	}
}

// TestMemoryOfAThousandPages measures what a page on each of 1,000 phones takes.
func TestMemoryOfAThousandPages(t *testing.T) {
	var s Store
	heap := func() uint64 {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	document := 2 << 10 // bytes: a menu of 16 items
	for i := range 1000 {
		body := make([]byte, document)
		if err := s.Put(NewID(), Page{Phone: fmt.Sprint("phone", i), Front: true, Size: len(body), Answer: func(Request) Reply { return Reply{Type: "text/xml", Body: body} }}); err != nil {
			t.Fatal(err)
		}
	}
	took := heap() - before
	t.Logf("%d KiB for 1,000 pages of %d bytes", took>>10, document)
	if took > 4<<20 {
		t.Errorf("%d bytes, expected at most 4 MiB", took)
	}
	for i := range 1000 {
		s.EndAll(fmt.Sprint("phone", i))
	}
}
