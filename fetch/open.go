package fetch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// A StatusError is the answer of a server that does not have the file.
type StatusError struct {
	Host   string
	Status int
}

func (e StatusError) Error() string { return fmt.Sprintf("fetch: %s: HTTP %d", e.Host, e.Status) }

// A Stream is a file while it is read.
type Stream struct {
	io.ReadCloser
	Type string // the Content-Type, as the server says it
	Size int64  // -1: the server does not say it
}

// Open begins to fetch a file, as [Shared.Get] does, and returns when its first byte may be read. Reading ends with ctx; neither
// r.Bytes nor r.Time limits it, which is for the reader to do. An error of reading is one of the network.
func Open(ctx context.Context, rules Rules, r Request) (Stream, error) {
	u, err := url.Parse(r.URL)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.Opaque != "" {
		return Stream{}, errors.New("fetch: expected an http or https URL")
	}
	if err := rules.check(u, r.Trusted); err != nil {
		return Stream{}, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, r.URL, nil)
	if err != nil {
		return Stream{}, errors.New("fetch: expected an http or https URL")
	}
	request.Header.Set("User-Agent", "snom2mqtt")
	if r.Username != "" {
		request.SetBasicAuth(r.Username, r.Password)
	}
	reply, err := rules.client(u, r.Trusted).Do(request)
	if err != nil {
		return Stream{}, fmt.Errorf("fetch: %s: %w", u.Host, cause(err))
	}
	if reply.StatusCode != http.StatusOK {
		_ = reply.Body.Close() // it is not what was asked for
		return Stream{}, StatusError{strings.ToValidUTF8(u.Host, ""), reply.StatusCode}
	}
	return Stream{reply.Body, reply.Header.Get("Content-Type"), reply.ContentLength}, nil
}
