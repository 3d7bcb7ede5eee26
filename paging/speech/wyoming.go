package speech

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/snom2mqtt/snom2mqtt/internal/cleantext"
	"github.com/snom2mqtt/snom2mqtt/paging"
)

// A wyoming speaks by a server of the Wyoming protocol (github.com/OHF-Voice/wyoming): each event is a line of JSON, then as
// many bytes of further JSON and of sound as that says.
type wyoming struct{ address string }

// The bounds of an event.
const (
	maxLine    = 64 << 10
	maxData    = 1 << 20
	maxPayload = 1 << 20
)

// An event is one event of the protocol.
type event struct {
	Type    string          `json:"type"`
	Data    json.RawMessage `json:"data,omitempty"`
	Length  int             `json:"data_length,omitempty"`
	Payload int             `json:"payload_length,omitempty"`
}

// speak has the server speak. voice is a voice of the server, or VOICE/SPEAKER.
func (w wyoming) speak(ctx context.Context, text, voice string) (_ paging.Source, err error) {
	d := net.Dialer{Timeout: 10 * time.Second}
	conn, err := d.DialContext(ctx, "tcp", w.address)
	if err != nil {
		return nil, fmt.Errorf("speech: %s: %w", w.address, err)
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() }) // ends what waits
	c := &wyomingConn{Conn: conn, address: w.address, stop: stop, in: newReader(conn)}
	defer func() {
		if err != nil {
			_ = c.Close() // nothing more is read
		}
	}()
	ask := map[string]any{"text": text}
	if name, speaker, both := strings.Cut(voice, "/"); both {
		ask["voice"] = map[string]string{"name": name, "speaker": speaker}
	} else if voice != "" {
		ask["voice"] = map[string]string{"name": voice}
	}
	data, err := json.Marshal(ask)
	if err != nil {
		return nil, err
	}
	head, err := json.Marshal(event{Type: "synthesize", Length: len(data)})
	if err != nil {
		return nil, err
	}
	if _, err := conn.Write(append(append(head, '\n'), data...)); err != nil {
		return nil, fmt.Errorf("speech: %s: %w", w.address, err)
	}
	for {
		kind, data, payload, err := c.next()
		if err != nil {
			return nil, err
		}
		if kind != "audio-start" && kind != "audio-chunk" {
			if kind == "audio-stop" {
				return nil, fmt.Errorf("%w: the server has no sound for it", ErrRefused)
			}
			continue
		}
		var format struct{ Rate, Width, Channels int }
		if err := json.Unmarshal(data, &format); err != nil {
			return nil, c.odd("a format that cannot be read")
		}
		c.sound.Write(payload)
		return paging.PCM(c, format.Rate, format.Width, format.Channels)
	}
}

func newReader(r io.Reader) *bufio.Reader { return bufio.NewReaderSize(r, maxLine) }

// A wyomingConn reads the sound of one text.
type wyomingConn struct {
	net.Conn
	address string
	stop    func() bool
	in      *bufio.Reader
	sound   bytes.Buffer // that was received and not read yet
	ended   bool
}

func (c *wyomingConn) Close() error {
	c.stop()
	return c.Conn.Close()
}

// Read reads the sound.
func (c *wyomingConn) Read(p []byte) (int, error) {
	for c.sound.Len() == 0 {
		if c.ended {
			return 0, io.EOF
		}
		kind, _, payload, err := c.next()
		switch {
		case err != nil:
			return 0, err
		case kind == "audio-stop":
			c.ended = true
		case kind == "audio-chunk":
			c.sound.Write(payload)
		}
	}
	return c.sound.Read(p)
}

// odd is the error of a server that does not follow the protocol.
func (c *wyomingConn) odd(what string) error {
	return fmt.Errorf("%w: %s sends %s: expected a Wyoming server that speaks", ErrRefused, c.address, what)
}

// next reads an event. One that says what went wrong is an error.
func (c *wyomingConn) next() (kind string, data json.RawMessage, payload []byte, err error) {
	line, err := c.in.ReadSlice('\n')
	switch {
	case errors.Is(err, bufio.ErrBufferFull):
		return "", nil, nil, c.odd("a line that is too long")
	case errors.Is(err, io.EOF):
		return "", nil, nil, c.odd("no end of the sound")
	case err != nil:
		return "", nil, nil, fmt.Errorf("speech: %s: %w", c.address, err)
	}
	var e event
	if json.Unmarshal(line, &e) != nil || e.Type == "" || e.Length < 0 || e.Length > maxData || e.Payload < 0 || e.Payload > maxPayload {
		return "", nil, nil, c.odd("something else")
	}
	rest := make([]byte, e.Length+e.Payload)
	if _, err := io.ReadFull(c.in, rest); err != nil {
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return "", nil, nil, c.odd("no end of the sound")
		}
		return "", nil, nil, fmt.Errorf("speech: %s: %w", c.address, err)
	}
	if e.Length > 0 {
		e.Data = rest[:e.Length]
	}
	if e.Type == "error" {
		var why struct{ Text, Code string }
		_ = json.Unmarshal(e.Data, &why) // without a reason it is an error all the same
		text := cleantext.Clean(why.Text, 200)
		if why.Code != "" { // of Piper the text may be the name of a voice alone, and the code VoiceNotFoundError
			text += " (" + cleantext.Clean(why.Code, 60) + ")"
		}
		return "", nil, nil, fmt.Errorf("%w: %s: %s", ErrRefused, c.address, text)
	}
	return e.Type, e.Data, rest[e.Length:], nil
}
