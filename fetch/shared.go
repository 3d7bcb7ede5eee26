package fetch

import (
	"context"
	"errors"
	"sync"
)

// Bounds of [Shared], chosen by this project.
const (
	smallFile = 64 << 10 // bytes that are read of any file
	largeMost = 4        // files with more than that in memory at once
)

// ErrBusy says that a file was not fetched, since too many large ones are.
var ErrBusy = errors.New("fetch: too many large files at once")

// Shared fetches files for many at once. Those that ask for one file while it is fetched get it by one request, and a few large
// files are in memory at once; further ones wait. It must not be copied.
type Shared struct {
	Rules Rules // not changed after the first use

	mu    sync.Mutex
	under map[Request]*shared // requests that others can join; guarded by mu
	large chan struct{}       // has an element for each large file in memory; made by the first request
}

// A shared file is one that is fetched for several.
type shared struct {
	cancel context.CancelFunc
	done   chan struct{} // closed when what follows is set
	file   File
	err    error
	large  bool

	users int // guarded by Shared.mu
}

// A Pending is a file that is being fetched, or was. It must be released once.
type Pending struct {
	of      *Shared
	request Request
	file    *shared
}

// Get begins to fetch a file, or joins those for whom it is being fetched. It does not block. The time of r begins with the
// first of them; ctx ends nothing, which Release does.
func (s *Shared) Get(ctx context.Context, r Request) Pending {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.under[r]
	if f == nil {
		if s.under == nil {
			s.under, s.large = map[Request]*shared{}, make(chan struct{}, largeMost)
		}
		f = &shared{done: make(chan struct{})}
		ctx, f.cancel = context.WithCancel(context.WithoutCancel(ctx))
		s.under[r] = f
		go s.fetch(ctx, r, f) // the last Release waits for it
	}
	f.users++
	return Pending{s, r, f}
}

// fetch fetches a file for all that wait for it.
func (s *Shared) fetch(ctx context.Context, r Request, f *shared) {
	defer close(f.done)
	f.file, f.err = get(ctx, s.Rules, r, func(ctx context.Context) error {
		select {
		case s.large <- struct{}{}:
			f.large = true
			return nil
		case <-ctx.Done():
			return ErrBusy
		}
	})
	s.forget(r, f)
}

// forget has those that ask from now on get the file anew.
func (s *Shared) forget(r Request, f *shared) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.under[r] == f {
		delete(s.under, r)
	}
}

// Done is closed when the file is there, or cannot be.
func (p Pending) Done() <-chan struct{} { return p.file.done }

// File returns the file, which is for others too and must not be changed. It waits for Done. Errors repeat neither the
// path nor the query of the URL, nor a login; they wrap [ErrHost], [ErrTooLong] or [ErrBusy] where that is the reason.
func (p Pending) File() (File, error) {
	<-p.file.done
	return p.file.file, p.file.err
}

// Release says that the file is not needed any more. With the last one that needs it, its request ends.
func (p Pending) Release() {
	p.of.mu.Lock()
	p.file.users--
	others := p.file.users > 0
	if !others && p.of.under[p.request] == p.file {
		delete(p.of.under, p.request)
	}
	p.of.mu.Unlock()
	if others {
		return
	}
	p.file.cancel()
	<-p.file.done
	if p.file.large {
		<-p.of.large
	}
}
