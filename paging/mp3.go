package paging

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
	"time"

	"github.com/hajimehoshi/go-mp3"
)

// isMP3 reports whether head begins like a frame of MPEG audio: eleven bits that are set, and a version and a layer that exist.
func isMP3(head []byte) bool {
	return len(head) >= 2 && head[0] == 0xff && head[1]&0xe0 == 0xe0 && head[1]&0x18 != 0x08 && head[1]&0x06 != 0
}

// An mp3Source decodes MP3. The decoder always has two channels of 16 bits.
type mp3Source struct {
	d    *mp3.Decoder
	buf  [4 * 1152]byte // one frame
	rest int            // bytes at its start that are less than a moment
}

func openMP3(b *bufio.Reader) (Source, error) {
	head, _ := b.Peek(2)
	if len(head) == 2 && head[1]&0x18 == 0 {
		return nil, invalid("MP3 of 8, 11.025 or 12 kHz (MPEG 2.5) is not read: expected 16 kHz or more")
	}
	d, err := mp3.NewDecoder(onlyReader{b})
	if err != nil {
		return nil, err
	}
	return &mp3Source{d: d}, nil
}

// An onlyReader hides what else a reader can do.
type onlyReader struct{ io.Reader }

func (s *mp3Source) Rate() int             { return s.d.SampleRate() }
func (s *mp3Source) Length() time.Duration { return 0 }

func (s *mp3Source) Read(dst []float32) (int, error) {
	const moment = 4
	n, err := s.d.Read(s.buf[s.rest:min(len(s.buf), len(dst)*moment)])
	n += s.rest
	whole := n / moment
	for i := range whole {
		left, right := binary.LittleEndian.Uint16(s.buf[i*moment:]), binary.LittleEndian.Uint16(s.buf[i*moment+2:])
		dst[i] = (float32(int16(left)) + float32(int16(right))) / (2 << 15)
	}
	s.rest = copy(s.buf[:], s.buf[whole*moment:n])
	if errors.Is(err, io.EOF) && whole > 0 {
		err = nil
	}
	return whole, err
}
