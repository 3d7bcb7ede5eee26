// Package textfile reads the files that people write for the program: settings, secrets, certificates.
//
// It has one rule for all of them. A [Reader] reads regular files only, of a bounded size, and gives up after
// [Timeout]. [Text] accepts UTF-8 and UTF-16 as editors and shells write them. [Line] returns the one line of a
// secret, and refuses what would become a part of it without being seen. No error shows what is in a file, or the
// path, since a secret may stand in either.
package textfile

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"
	"time"
)

// Timeout is how long [Reader.Read] waits for one file. It is chosen by this project: long for a busy disk, short for an operator.
const Timeout = 5 * time.Second

// maxBlocked bounds the reads that are under way. One that blocks, on a network file system whose server is
// away, holds a thread of the system until the kernel returns, and cannot be ended.
const maxBlocked = 16

// ErrTimeout is wrapped by the error of a read that took longer than [Timeout].
var ErrTimeout = errors.New("the file cannot be read: no answer within 5 s")

// A Reader reads whole files. The zero Reader is ready for use, by several goroutines. It must not be copied.
type Reader struct {
	mu    sync.Mutex
	reads map[string]chan struct{} // reads under way, by path; each channel is closed at the end; guarded by mu
}

// Read returns the content of the regular file at path, which may be a symbolic link, if it has at most limit bytes.
// It returns after [Timeout] or when ctx ends, whatever the file system does; a read that blocks is left behind, and
// while there is one, no second read of the same path is begun. An empty file is an error.
func (r *Reader) Read(ctx context.Context, path string, limit int64) ([]byte, error) {
	return r.do(ctx, path, func() ([]byte, error) { return read(path, limit) })
}

// do calls read on a goroutine of its own and waits for it, as Read says.
func (r *Reader) do(ctx context.Context, path string, read func() ([]byte, error)) ([]byte, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, Timeout, ErrTimeout)
	defer cancel()
	done, err := r.begin(ctx, path)
	if err != nil {
		return nil, err
	}
	type content struct {
		data []byte
		err  error
	}
	result := make(chan content, 1)
	go func() { // ends with the system call; at most maxBlocked of them exist
		data, err := read()
		r.end(path, done)
		result <- content{data, err}
	}()
	select {
	case c := <-result:
		return c.data, c.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// begin waits until no other read of path is under way, and registers one.
func (r *Reader) begin(ctx context.Context, path string) (done chan struct{}, err error) {
	for {
		r.mu.Lock()
		other := r.reads[path]
		if other == nil && len(r.reads) < maxBlocked {
			done = make(chan struct{})
			if r.reads == nil {
				r.reads = map[string]chan struct{}{}
			}
			r.reads[path] = done
			r.mu.Unlock()
			return done, nil
		}
		r.mu.Unlock()
		if other == nil {
			return nil, errors.New("the file cannot be read: too many other files do not answer")
		}
		select {
		case <-other:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

func (r *Reader) end(path string, done chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.reads, path)
	close(done)
}

// read reads a regular file.
func read(path string, limit int64) ([]byte, error) {
	info, err := os.Stat(path) // before it is opened: opening a device may have effects
	if err != nil {
		return nil, unreadable(err)
	}
	if err := regular(info.Mode()); err != nil {
		return nil, err
	}
	file, err := os.OpenFile(path, os.O_RDONLY|nonblock, 0)
	if err != nil {
		return nil, unreadable(err)
	}
	defer file.Close()
	if info, err = file.Stat(); err != nil {
		return nil, unreadable(err)
	}
	if err := regular(info.Mode()); err != nil { // replaced in the meantime
		return nil, err
	}
	return readAll(file, info.Size(), limit)
}

// readAll reads from r, which probably holds size bytes, up to limit.
func readAll(r io.Reader, size, limit int64) ([]byte, error) {
	if size > limit {
		return nil, tooLarge(limit)
	}
	data := make([]byte, 0, size+1) // one more, so that the end is seen without growing
	for {
		if len(data) == cap(data) {
			data = append(data, 0)[:len(data)]
		}
		n, err := r.Read(data[len(data):cap(data)])
		data = data[:len(data)+n]
		switch {
		case int64(len(data)) > limit:
			return nil, tooLarge(limit)
		case errors.Is(err, io.EOF) && len(data) == 0:
			return nil, errors.New("the file is empty")
		case errors.Is(err, io.EOF):
			return data, nil
		case err != nil:
			return nil, unreadable(err)
		}
	}
}

func tooLarge(limit int64) error {
	return fmt.Errorf("the file is too large: expected at most %d KiB", limit>>10)
}

// regular returns an error that names what is not a regular file.
func regular(mode fs.FileMode) error {
	var what string
	switch {
	case mode.IsRegular():
		return nil
	case mode.IsDir():
		what = "a directory"
	case mode&fs.ModeNamedPipe != 0:
		what = "a named pipe"
	case mode&fs.ModeSocket != 0:
		what = "a socket"
	default:
		what = "a device"
	}
	return fmt.Errorf("the file cannot be read: it is %s, expected a regular file", what)
}

// unreadable returns an error without the path, and says what a missing right means in a container.
func unreadable(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		err = p.Err
	}
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("the file cannot be read by user %d: %w", os.Getuid(), err)
	}
	return fmt.Errorf("the file cannot be read: %w", err)
}
