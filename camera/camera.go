// Package camera gets pictures from the camera of a door: JPEG over HTTP, or the pictures of an MJPEG stream, with a Basic or
// a digest login, which stays in this program.
//
// What a camera sends is bounded in bytes and in time, decoded and encoded again in the size that is wanted. However many
// ask for a picture, the camera is asked once at a time and at most five times a second.
package camera

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/icholy/digest"

	"github.com/snom2mqtt/snom2mqtt/picture"
)

// Bounds, chosen by this project.
const (
	Every     = 200 * time.Millisecond // between two pictures that the camera is asked for
	frameTime = 10 * time.Second       // for one picture
	sizesMost = 8                      // of one picture
	mostSaid  = 16 << 10               // bytes of the page that asks for a login
)

// ErrUnauthorized says that the camera does not accept the login, or wants one.
var ErrUnauthorized = errors.New("camera: it does not accept the login")

// Config is what a camera is made of.
type Config struct {
	URL                string // http or https, of a JPEG file or of an MJPEG stream
	Username, Password string // empty: no login is made
}

// A Camera is one camera. It must not be copied.
type Camera struct {
	cfg    Config
	client *http.Client
	scaler picture.Scaler

	turn  chan struct{} // held by the goroutine that asks the camera
	mu    sync.Mutex
	last  []byte            // the last picture as it came; guarded by mu
	at    time.Time         // when it came; guarded by mu
	sizes map[[2]int][]byte // of last; guarded by mu
}

// New returns the camera of cfg. Nothing is sent until a picture is wanted.
func New(cfg Config) (*Camera, error) {
	u, err := url.Parse(cfg.URL)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil {
		return nil, errors.New("camera: expected an http or https URL without a login in it")
	}
	return &Camera{
		cfg: cfg, turn: make(chan struct{}, 1),
		client: &http.Client{
			Transport:     &http.Transport{DisableKeepAlives: true, MaxResponseHeaderBytes: 32 << 10},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}, nil
}

// Picture returns a new picture as JPEG, of at most most bytes.
func (c *Camera) Picture(ctx context.Context, most int) ([]byte, error) {
	file, err := c.get(ctx)
	if err != nil {
		return nil, err
	}
	for _, size := range [][2]int{{1280, 960}, {800, 600}, {640, 480}, {480, 360}, {320, 240}, {160, 120}} {
		data, err := c.fit(file, size)
		if err != nil || len(data) <= most {
			return data, err
		}
	}
	return nil, fmt.Errorf("camera: the picture does not fit into %d bytes", most)
}

// Scaled returns a picture that fits a display, as JPEG. One that is younger than Every is made smaller once for each size.
func (c *Camera) Scaled(ctx context.Context, width, height int) ([]byte, error) {
	file, err := c.get(ctx)
	if err != nil {
		return nil, err
	}
	size := [2]int{width, height}
	c.mu.Lock()
	data, ok := c.sizes[size]
	same := len(c.last) > 0 && &file[0] == &c.last[0]
	c.mu.Unlock()
	if ok && same {
		return data, nil
	}
	if data, err = c.fit(file, size); err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.last) > 0 && &file[0] == &c.last[0] && len(c.sizes) < sizesMost {
		if c.sizes == nil {
			c.sizes = map[[2]int][]byte{}
		}
		c.sizes[size] = data
	}
	return data, nil
}

// fit returns a picture as JPEG that is no larger than size.
func (c *Camera) fit(file []byte, size [2]int) ([]byte, error) {
	p, err := c.scaler.Fit(file, picture.Display{Width: size[0], Height: size[1]})
	if err == nil && p.Type != "image/jpeg" {
		err = errors.New("camera: expected JPEG")
	}
	return p.Data, err
}

// get returns the last picture if it is young, or asks the camera for one.
func (c *Camera) get(ctx context.Context) ([]byte, error) {
	select {
	case c.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, fmt.Errorf("camera: %w", ctx.Err())
	}
	defer func() { <-c.turn }()
	c.mu.Lock()
	file, at := c.last, c.at
	c.mu.Unlock()
	if time.Since(at) < Every {
		return file, nil
	}
	ctx, cancel := context.WithTimeout(ctx, frameTime)
	defer cancel()
	file, err := c.ask(ctx)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last, c.at, c.sizes = file, time.Now(), nil
	return file, nil
}

// ask asks the camera for a picture. A login is made once.
func (c *Camera) ask(ctx context.Context) ([]byte, error) {
	r, err := c.request(ctx, "")
	if err != nil {
		return nil, err
	}
	if r.StatusCode == http.StatusUnauthorized && c.cfg.Username != "" {
		login, err := c.login(r)
		if err != nil {
			return nil, err
		}
		if r, err = c.request(ctx, login); err != nil {
			return nil, err
		}
	}
	defer r.Body.Close() // it was only read
	switch {
	case r.StatusCode == http.StatusUnauthorized:
		return nil, ErrUnauthorized
	case r.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("camera: HTTP %d, expected 200", r.StatusCode)
	}
	return frame(r)
}

// request makes one request.
func (c *Camera) request(ctx context.Context, authorization string) (*http.Response, error) {
	q, err := http.NewRequestWithContext(ctx, http.MethodGet, c.cfg.URL, nil)
	if err != nil {
		return nil, errors.New("camera: expected an http or https URL")
	}
	q.Header.Set("User-Agent", "snom2mqtt")
	if authorization != "" {
		q.Header.Set("Authorization", authorization)
	}
	r, err := c.client.Do(q)
	if err != nil {
		return nil, fmt.Errorf("camera: %w", cause(err))
	}
	return r, nil
}

// cause is an error without the URL that net/http puts before it: its query may have a login in it.
func cause(err error) error {
	var e *url.Error
	if errors.As(err, &e) {
		return e.Err
	}
	return err
}

// login returns the answer to the login that a reply asks for, which it reads to its end: digest if the camera offers it.
func (c *Camera) login(r *http.Response) (string, error) {
	_, _ = io.CopyN(io.Discard, r.Body, mostSaid) // what it says there is of no use
	_ = r.Body.Close()
	if challenge, err := digest.FindChallenge(r.Header); err == nil && digest.CanDigest(challenge) {
		answer, err := digest.Digest(challenge, digest.Options{
			Method: http.MethodGet, URI: r.Request.URL.RequestURI(), Username: c.cfg.Username, Password: c.cfg.Password, Count: 1,
		})
		if err != nil {
			return "", ErrUnauthorized
		}
		return answer.String(), nil
	}
	for _, offered := range r.Header.Values("WWW-Authenticate") {
		if scheme, _, _ := strings.Cut(offered, " "); strings.EqualFold(scheme, "Basic") {
			q := &http.Request{Header: http.Header{}}
			q.SetBasicAuth(c.cfg.Username, c.cfg.Password)
			return q.Header.Get("Authorization"), nil
		}
	}
	return "", fmt.Errorf("%w: it offers neither digest nor Basic", ErrUnauthorized)
}

// frame reads the picture of a reply: the whole body, or the first part of a stream that is one.
func frame(r *http.Response) ([]byte, error) {
	kind, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || !strings.HasPrefix(kind, "multipart/") {
		return read(r.Body)
	}
	parts := multipart.NewReader(r.Body, strings.TrimPrefix(params["boundary"], "--")) // some cameras write it with the dashes
	for range 8 {
		part, err := parts.NextRawPart()
		if err != nil {
			return nil, fmt.Errorf("camera: the stream has no picture: %w", err)
		}
		if data, err := read(part); err == nil && len(data) > 2 && data[0] == 0xFF && data[1] == 0xD8 {
			return data, nil
		}
	}
	return nil, errors.New("camera: the stream has no picture")
}

// read reads one file.
func read(from io.Reader) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(from, picture.MaxBytes+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("camera: %w", err)
	case len(data) > picture.MaxBytes:
		return nil, fmt.Errorf("camera: a picture of more than %d bytes", picture.MaxBytes)
	case len(data) == 0:
		return nil, errors.New("camera: an empty picture")
	}
	return data, nil
}

// boundary separates the pictures of a stream.
const boundary = "picture"

// StreamType is the content type of [Camera.Stream].
const StreamType = "multipart/x-mixed-replace; boundary=" + boundary

// retry is how long a stream waits after a picture that the camera did not give; chosen by this project.
const retry = time.Second

// Stream writes pictures that fit a display as an MJPEG stream, at most five a second, until ctx ends or w fails. While the
// camera gives none, nothing is written.
func (c *Camera) Stream(ctx context.Context, w io.Writer, width, height int) error {
	tick := time.NewTicker(Every)
	defer tick.Stop()
	for {
		data, err := c.Scaled(ctx, width, height)
		if err != nil {
			select {
			case <-time.After(retry):
				continue
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		if _, err := fmt.Fprintf(w, "--%s\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n%s\r\n", boundary, len(data), data); err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
