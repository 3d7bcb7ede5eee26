package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/snom2mqtt/snom2mqtt/bridge"
	"github.com/snom2mqtt/snom2mqtt/config"
	"github.com/snom2mqtt/snom2mqtt/fetch"
	"github.com/snom2mqtt/snom2mqtt/paging"
	"github.com/snom2mqtt/snom2mqtt/paging/speech"
	"github.com/snom2mqtt/snom2mqtt/snom"
)

// An announcer plays announcements for the bridge: files that it fetches, and text that it has spoken.
type announcer struct {
	sender paging.Sender
	speech *speech.Speech
	rules  func() fetch.Rules
}

// newAnnouncer returns an announcer. phones are those whose web servers are never asked for a file.
func newAnnouncer(c config.Config, phones func() []bridge.PhoneConfig) announcer {
	return announcer{
		sender: paging.Sender{Interface: c.Paging.Interface, TTL: c.Paging.TTL},
		speech: speech.New(speech.Config{
			Wyoming: c.Paging.TTSURL, HomeAssistant: c.Paging.HomeAssistantURL, Token: c.Paging.HomeAssistantToken.Reveal(),
			Client: &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
		}),
		rules: func() fetch.Rules {
			all := phones()
			return fetch.Rules{Allow: c.ImageHosts, Deny: func(host, port string) bool { // a request to a phone may be a command
				return slices.ContainsFunc(all, func(p bridge.PhoneConfig) bool { return isPhone(p.URL, host, port) })
			}}
		},
	}
}

// openIn is how long a server may take until a file can be decoded.
const openIn = 15 * time.Second

// Play is [bridge.Speaker].
func (a announcer) Play(ctx context.Context, address string, what snom.Announcement, begin func() error) (time.Duration, error) {
	src, err := a.open(ctx, what)
	if err != nil {
		return 0, speakerError(err, false)
	}
	done, err := a.sender.Play(ctx, address, src, options(what), begin)
	return done.Length, speakerError(err, done.Packets > 0)
}

// Measure is [bridge.Speaker].
func (a announcer) Measure(ctx context.Context, what snom.Announcement) (time.Duration, error) {
	src, err := a.open(ctx, what)
	if err != nil {
		return 0, speakerError(err, false)
	}
	if c, ok := src.(interface{ Close() error }); ok {
		defer c.Close() //nolint:errcheck // all that is of interest was read
	}
	length, err := paging.Measure(src, options(what))
	return length, speakerError(err, false)
}

func options(a snom.Announcement) paging.Options {
	return paging.Options{Chime: a.Chime, Repeat: a.Repeat, GainDB: a.GainDB}
}

// open returns the sound of an announcement. Reading it ends with ctx.
func (a announcer) open(ctx context.Context, what snom.Announcement) (paging.Source, error) {
	if what.URL == "" {
		b, err := a.speech.Speak(ctx, what.Text, what.Voice)
		if err != nil {
			return nil, err
		}
		return paging.ULaw(b), nil
	}
	ctx, cancel := context.WithCancelCause(ctx)
	slow := time.AfterFunc(openIn, func() { cancel(paging.ErrStalled) })
	defer slow.Stop()
	stream, err := fetch.Open(ctx, a.rules(), fetch.Request{URL: what.URL})
	if err != nil {
		err = errors.Join(err, context.Cause(ctx))
		cancel(nil)
		return nil, err
	}
	if stream.Size > paging.MaxBytes {
		_ = stream.Close() // nothing of it is read
		cancel(nil)
		return nil, fmt.Errorf("%w: it is larger than %d MiB", paging.ErrInvalid, paging.MaxBytes>>20)
	}
	src, err := paging.Decode(closing{stream, cancel})
	if err != nil {
		err = errors.Join(err, context.Cause(ctx))
		_ = closing{stream, cancel}.Close() // likewise
	}
	return src, err
}

// A closing is a stream that ends its context when it is closed.
type closing struct {
	fetch.Stream
	cancel context.CancelCauseFunc
}

func (c closing) Close() error {
	c.cancel(nil)
	return c.Stream.Close()
}

// speakerError says of an error what it means for an announcement, of which something was sent or not.
func speakerError(err error, sent bool) error {
	var known bridge.SpeakerError
	var status fetch.StatusError
	code := bridge.Unreachable // no sound was received, or no packet sent
	if sent {
		code = bridge.Timeout
	}
	switch {
	case err == nil, errors.As(err, &known):
		return err
	case errors.Is(err, speech.ErrNone):
		return bridge.SpeakerError{Code: bridge.Unsupported, Message: "text cannot be spoken: expected the settings HOMEASSISTANT_URL and HOMEASSISTANT_TOKEN, or TTS_URL"}
	case errors.Is(err, fetch.ErrHost):
		return bridge.SpeakerError{Code: bridge.Forbidden, Message: firstLine(err) + "; IMAGE_HOSTS lists the hosts of sound files"}
	case errors.As(err, &status) && status.Status < http.StatusInternalServerError, errors.Is(err, paging.ErrInvalid), errors.Is(err, speech.ErrRefused):
		code = bridge.Invalid
	case errors.Is(err, speech.ErrUnauthorized):
		code = bridge.Unauthorized
	case errors.Is(err, paging.ErrNetwork) && !sent:
		return bridge.SpeakerError{Code: code, Message: firstLine(err) + "; PAGING_INTERFACE names the network interface"}
	}
	return bridge.SpeakerError{Code: code, Message: firstLine(err)}
}

// firstLine is the message of an error without the package in front, or of the first of several.
func firstLine(err error) string {
	text, _, _ := strings.Cut(err.Error(), "\n")
	for _, prefix := range []string{"paging: ", "speech: ", "fetch: "} {
		text = strings.TrimPrefix(text, prefix)
	}
	return text
}
