package paging

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"time"

	"github.com/zaf/g711"
)

// zero is the u-law of no sound.
const zero = 0xff

// A ulawReader reads a source as u-law, a byte for each sample.
type ulawReader struct {
	src  Source
	gain float32
	buf  [Rate / 50]float32
}

// newULaw returns src as u-law at 8 kHz, louder by gainDB.
func newULaw(src Source, gainDB float64) io.Reader {
	return &ulawReader{src: resample(src), gain: float32(math.Pow(10, gainDB/20))}
}

func (u *ulawReader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	n, err := u.src.Read(u.buf[:min(len(u.buf), len(p))])
	for i, v := range u.buf[:n] {
		s := math.Round(float64(v*u.gain) * (1 << 15))
		p[i] = g711.EncodeUlawFrame(int16(max(math.MinInt16, min(math.MaxInt16, s))))
	}
	return n, err
}

// Encode reads src to its end and returns it as u-law.
func Encode(src Source) ([]byte, error) {
	b, err := io.ReadAll(&timed{r: newULaw(src, 0), left: samplesOf(MaxLength)})
	return b, err
}

// ULaw returns the audio of samples that [Encode] returned.
func ULaw(samples []byte) Source {
	p, _ := newPCM(Rate, 1, uLaw) // always valid
	p.r, p.length = bytes.NewReader(samples), lengthOf(uint64(len(samples)), Rate)
	return p
}

// samplesOf is how many samples last for d.
func samplesOf(d time.Duration) int64 { return int64(d / (time.Second / Rate)) }

// A timed reader ends with an error where more than left bytes come.
type timed struct {
	r    io.Reader
	left int64
}

func (t *timed) Read(p []byte) (int, error) {
	n, err := t.r.Read(p)
	if t.left -= int64(n); t.left < 0 {
		return max(0, n+int(t.left)), tooLong()
	}
	return n, err
}

// Options are how a source is played.
type Options struct {
	Chime  bool    // a tone first
	Repeat int     // how often it is played; 0: once
	GainDB float64 // louder, or softer when negative
}

// betweenRepeats is the pause between two repetitions.
const betweenRepeats = time.Second

// played is all that is sent for a source: chime, the source, its repetitions. It is at most as long as [MaxLength].
func played(src Source, o Options) io.Reader {
	var parts []io.Reader
	if o.Chime {
		parts = append(parts, newULaw(newChime(), 0))
	}
	body := newULaw(src, o.GainDB)
	if o.Repeat > 1 {
		again := &recorder{r: body}
		parts = append(parts, again)
		for range o.Repeat - 1 {
			parts = append(parts, &pause{left: samplesOf(betweenRepeats)}, &replay{of: again})
		}
	} else {
		parts = append(parts, body)
	}
	return &timed{r: io.MultiReader(parts...), left: samplesOf(MaxLength)}
}

// A recorder keeps what is read through it.
type recorder struct {
	r    io.Reader
	kept []byte
}

func (r *recorder) Read(p []byte) (int, error) {
	n, err := r.r.Read(p)
	r.kept = append(r.kept, p[:n]...)
	return n, err
}

// A replay reads what a recorder has kept.
type replay struct {
	of *recorder
	at int
}

func (r *replay) Read(p []byte) (int, error) {
	n := copy(p, r.of.kept[r.at:])
	if r.at += n; n == 0 && len(p) > 0 {
		return 0, io.EOF
	}
	return n, nil
}

// A pause reads silence.
type pause struct{ left int64 }

func (s *pause) Read(p []byte) (int, error) {
	n := int(min(int64(len(p)), s.left))
	if s.left -= int64(n); n == 0 && len(p) > 0 {
		return 0, io.EOF
	}
	for i := range n {
		p[i] = zero
	}
	return n, nil
}

// The chime: two tones a third apart, each dying away, and a moment of silence.
const (
	chimeFirst, chimeSecond = 659.26, 523.25 // E5, C5
	chimeTone               = 600 * time.Millisecond
	chimeRest               = 200 * time.Millisecond
	chimeLevel              = 0.4
)

// A chime is the tone before an announcement.
type chime struct{ at int64 }

func newChime() *chime { return &chime{} }

// Tone returns the audio of the chime alone.
func Tone() Source { return newChime() }

func (c *chime) Rate() int             { return Rate }
func (c *chime) Length() time.Duration { return 2*chimeTone + chimeRest }

func (c *chime) Read(dst []float32) (int, error) {
	tone, end := samplesOf(chimeTone), samplesOf(c.Length())
	for n := range dst {
		if c.at >= end {
			return n, io.EOF
		}
		pitch, t := chimeFirst, float64(c.at)/Rate
		if c.at >= tone {
			pitch, t = chimeSecond, float64(c.at-tone)/Rate
		}
		rise := min(1, t*200)
		dst[n] = float32(chimeLevel * rise * math.Exp(-5*t) * math.Sin(2*math.Pi*pitch*t))
		c.at++
	}
	return len(dst), nil
}

// Measure reads src to its end and returns how long it plays with o.
func Measure(src Source, o Options) (time.Duration, error) {
	n, err := io.Copy(io.Discard, played(src, o))
	if err != nil && !errors.Is(err, io.EOF) {
		return 0, err
	}
	if n == 0 {
		return 0, invalid("it has no samples")
	}
	return lengthOf(uint64(n), Rate), nil
}

// WAV returns u-law that [Encode] returned as a WAV file.
func WAV(samples []byte) []byte {
	const head = 4 + 8 + 18 + 8 // after the first eight bytes
	b := make([]byte, 0, 8+head+len(samples)+1)
	number := func(n uint32) { b = binary.LittleEndian.AppendUint32(b, n) }
	b = append(b, "RIFF"...)
	number(uint32(head + len(samples) + len(samples)%2))
	b = append(b, "WAVEfmt "...)
	number(18)
	number(wavULaw | 1<<16) // one channel
	number(Rate)
	number(Rate)
	number(1 | 8<<16) // a byte of eight bits for each sample
	b = append(b, 0, 0)
	b = append(b, "data"...)
	number(uint32(len(samples)))
	b = append(b, samples...)
	return append(b, make([]byte, len(samples)%2)...)
}
