package camera_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/icholy/digest"

	"github.com/snom2mqtt/snom2mqtt/camera"
)

// photo returns a picture of noise as JPEG.
func photo(t *testing.T, width, height int) []byte {
	t.Helper()
	img := image.NewNRGBA(image.Rect(0, 0, width, height))
	for i := range img.Pix {
		img.Pix[i] = byte(i * i / 7)
	}
	img.Set(0, 0, color.White)
	var b bytes.Buffer
	if err := jpeg.Encode(&b, img, nil); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// size returns the size of a picture.
func size(t *testing.T, data []byte) string {
	t.Helper()
	c, err := jpeg.DecodeConfig(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%dx%d", c.Width, c.Height)
}

// serve returns a camera whose HTTP server is h.
func serve(t *testing.T, h http.HandlerFunc, user, password string) *camera.Camera {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	c, err := camera.New(camera.Config{URL: s.URL + "/snapshot.jpg?channel=1", Username: user, Password: password})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestLogins(t *testing.T) {
	t.Parallel()
	file := photo(t, 640, 480)
	for _, scheme := range []string{"none", "basic", "digest", "both"} {
		requests := atomic.Int64{}
		c := serve(t, func(w http.ResponseWriter, r *http.Request) {
			requests.Add(1)
			user, password, _ := r.BasicAuth()
			answer, err := digest.ParseCredentials(r.Header.Get("Authorization"))
			switch {
			case scheme == "none":
			case scheme == "basic" && user == "view" && password == "se:cret":
			case (scheme == "digest" || scheme == "both") && err == nil:
				expected, err := digest.Digest(&digest.Challenge{Realm: "cam", Nonce: "n1", QOP: []string{"auth"}},
					digest.Options{Method: "GET", URI: "/snapshot.jpg?channel=1", Username: "view", Password: "se:cret", Count: 1, Cnonce: answer.Cnonce})
				if err != nil || expected.Response != answer.Response {
					t.Errorf("%s: wrong answer %v", scheme, answer)
				}
			default:
				if scheme != "basic" {
					w.Header().Add("WWW-Authenticate", `Digest realm="cam", nonce="n1", qop="auth"`)
				}
				if scheme != "digest" {
					w.Header().Add("WWW-Authenticate", `Basic realm="cam"`)
				}
				w.WriteHeader(http.StatusUnauthorized)
				return
			}
			_, _ = w.Write(file)
		}, "view", "se:cret")
		got, err := c.Picture(t.Context(), 1<<20)
		if err != nil || size(t, got) != "640x480" || requests.Load() > 2 {
			t.Errorf("%s: %v, %d requests", scheme, err, requests.Load())
		}
	}
}

// TestWrongLogin: a login that is refused is made once, and no error shows it.
func TestWrongLogin(t *testing.T) {
	t.Parallel()
	requests := atomic.Int64{}
	c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		requests.Add(1)
		w.Header().Set("WWW-Authenticate", `Basic realm="hunter2"`)
		w.WriteHeader(http.StatusUnauthorized)
	}, "view", "hunter2")
	_, err := c.Picture(t.Context(), 1<<20)
	if !errors.Is(err, camera.ErrUnauthorized) || strings.Contains(err.Error(), "hunter2") || requests.Load() != 2 {
		t.Errorf("%v, %d requests", err, requests.Load())
	}
}

// TestStreamOfACamera: of an MJPEG stream the first picture counts, however the boundary is written.
func TestStreamOfACamera(t *testing.T) {
	t.Parallel()
	file := photo(t, 320, 240)
	for _, said := range []string{"frame", "--frame", `"frame"`} {
		c := serve(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "multipart/x-mixed-replace; boundary="+said)
			for r.Context().Err() == nil {
				if _, err := fmt.Fprintf(w, "--frame\r\nContent-Type: image/jpeg\r\n\r\n%s\r\n", file); err != nil {
					return
				}
			}
		}, "", "")
		if got, err := c.Picture(t.Context(), 1<<20); err != nil || size(t, got) != "320x240" {
			t.Errorf("%s: %v", said, err)
		}
	}
}

// TestPicturesAreShared: however many want a picture, the camera is asked once for all that come at the same time.
func TestPicturesAreShared(t *testing.T) {
	t.Parallel()
	requests := atomic.Int64{}
	file := photo(t, 640, 480)
	c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		requests.Add(1)
		_, _ = w.Write(file)
	}, "", "")
	first, err := c.Scaled(t.Context(), 480, 192)
	if err != nil || size(t, first) != "256x192" {
		t.Fatalf("%v, %s", err, size(t, first))
	}
	done := make(chan error)
	for range 20 {
		go func() {
			_, err := c.Scaled(t.Context(), 320, 184)
			done <- err
		}()
	}
	for range 20 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	if small, err := c.Picture(t.Context(), 20<<10); err != nil || len(small) > 20<<10 {
		t.Errorf("%d bytes, %v", len(small), err)
	}
	if n := requests.Load(); n > 10 {
		t.Errorf("the camera was asked %d times", n)
	}
}

// TestBadCameras: what is no picture, too large, elsewhere or too slow is an error that shows no login.
func TestBadCameras(t *testing.T) {
	t.Parallel()
	for name, h := range map[string]http.HandlerFunc{
		"no picture": func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>hunter2") },
		"empty":      func(http.ResponseWriter, *http.Request) {},
		"too large":  func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, 5<<20)) },
		"elsewhere": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://192.0.2.1/hunter2", http.StatusFound)
		},
		"wants login": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) },
		"empty stream": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "multipart/x-mixed-replace; boundary=f")
			_, _ = io.WriteString(w, "--f--\r\n")
		},
		"hangs up": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			_, _ = w.Write([]byte{0xFF, 0xD8})
		},
	} {
		c := serve(t, h, "", "")
		if data, err := c.Picture(t.Context(), 1<<20); err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %d bytes, %v", name, len(data), err)
		}
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := serve(t, func(http.ResponseWriter, *http.Request) {}, "", "").Scaled(gone, 1, 1); !errors.Is(err, context.Canceled) {
		t.Errorf("after the end: %v", err)
	}
	for _, bad := range []string{"", "ftp://a/b", "http://", "http://u:p@a/b", "http://a/\x00"} {
		if _, err := camera.New(camera.Config{URL: bad}); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

// TestStream: pictures as an MJPEG stream, until the reader has gone.
func TestStream(t *testing.T) {
	t.Parallel()
	file := photo(t, 640, 480)
	c := serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(file) }, "", "")
	var got bytes.Buffer
	pictures := 0
	err := c.Stream(t.Context(), writerFunc(func(b []byte) (int, error) {
		if pictures++; pictures > 3 {
			return 0, io.ErrClosedPipe
		}
		return got.Write(b)
	}), 320, 184)
	if !errors.Is(err, io.ErrClosedPipe) || strings.Count(got.String(), "--picture\r\nContent-Type: image/jpeg\r\n") != 3 {
		t.Errorf("%v, %d bytes", err, got.Len())
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }
