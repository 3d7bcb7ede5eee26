package textfile

import "context"

// ReadBlocked is Read of a file whose read returns when release is closed.
func ReadBlocked(r *Reader, ctx context.Context, path string, release <-chan struct{}) ([]byte, error) {
	return r.do(ctx, path, func() ([]byte, error) {
		<-release
		return nil, nil
	})
}

// Blocked counts the reads that are under way.
func Blocked(r *Reader) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.reads)
}
