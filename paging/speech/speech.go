// Package speech makes speech of text, by Home Assistant's text-to-speech or by a Wyoming server such as Piper. What was
// spoken is kept for a while, within bounds, as the u-law that package paging plays.
package speech

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/snom2mqtt/snom2mqtt/paging"
)

// The errors of [Speech.Speak]. Those of the network wrap none of them.
var (
	ErrNone         = errors.New("speech: nothing speaks text here") // no engine is configured
	ErrUnauthorized = errors.New("speech: the token was refused")
	ErrRefused      = errors.New("speech: the text was not spoken") // by the engine, which says why
)

// Config names the engines. Where there are both, the Wyoming server speaks.
type Config struct {
	Wyoming       string // host:port; empty: none
	HomeAssistant string // URL; empty: none
	Token         string // of Home Assistant
	// Client makes the requests to Home Assistant.
	Client *http.Client
}

// The bounds of what is kept and of what is waited for.
const (
	keptBytes = 4 << 20 // eight minutes
	keptTexts = 256
	keptFor   = 24 * time.Hour
	speakIn   = 2 * time.Minute
)

// A Speech speaks text.
type Speech struct {
	speak func(ctx context.Context, text, voice string) (paging.Source, error) // nil: no engine
	turn  chan struct{}                                                        // filled by the one that speaks: it alone touches kept
	kept  kept
}

// New returns a Speech. It asks no engine for anything until it has a text.
func New(c Config) *Speech {
	s := &Speech{turn: make(chan struct{}, 1)}
	switch {
	case c.Wyoming != "":
		s.speak = wyoming{c.Wyoming}.speak
	case c.HomeAssistant != "":
		s.speak = homeAssistant{c.HomeAssistant, c.Token, c.Client}.speak
	}
	return s
}

// Speak returns text as u-law. The same text is spoken once. voice is one of the engine's; empty: its default.
func (s *Speech) Speak(ctx context.Context, text, voice string) ([]byte, error) {
	if s.speak == nil {
		return nil, ErrNone
	}
	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	key := voice + "\x00" + text
	if b := s.kept.get(key, time.Now()); b != nil {
		return b, nil
	}
	ctx, cancel := context.WithTimeoutCause(ctx, speakIn, fmt.Errorf("speech: nothing was spoken within %v", speakIn))
	defer cancel()
	src, err := s.speak(ctx, text, voice)
	if err == nil {
		if c, ok := src.(interface{ Close() error }); ok {
			defer c.Close() //nolint:errcheck // what was read counts
		}
		var b []byte
		if b, err = paging.Encode(src); err == nil && len(b) == 0 {
			err = fmt.Errorf("%w: it has no sound", ErrRefused)
		} else if err == nil {
			s.kept.put(key, b, time.Now())
			return b, nil
		}
	}
	if cause := context.Cause(ctx); cause != nil {
		return nil, cause
	}
	return nil, err
}

// A kept remembers what was spoken, the latest last.
type kept struct {
	list  []spoken
	bytes int
}

type spoken struct {
	key  string
	b    []byte
	when time.Time
}

func (k *kept) get(key string, now time.Time) []byte {
	for i, s := range k.list {
		if s.key == key && now.Sub(s.when) < keptFor {
			k.list = append(append(k.list[:i:i], k.list[i+1:]...), s)
			return s.b
		}
	}
	return nil
}

func (k *kept) put(key string, b []byte, now time.Time) {
	if len(b) > keptBytes/2 {
		return
	}
	k.list = append(k.list, spoken{key, b, now})
	k.bytes += len(key) + len(b)
	for len(k.list) > keptTexts || k.bytes > keptBytes || now.Sub(k.list[0].when) >= keptFor {
		k.bytes -= len(k.list[0].key) + len(k.list[0].b)
		k.list[0] = spoken{}
		k.list = k.list[1:]
	}
}
