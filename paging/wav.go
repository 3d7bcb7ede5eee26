package paging

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"time"

	"github.com/zaf/g711"
)

// The WAV format (Microsoft "Multimedia Programming Interface and Data Specifications 1.0", RIFF WAVE; the tags are those
// of mmreg.h). Libraries for it read files that can be searched; here it comes from a network.
const (
	wavPCM        = 1
	wavFloat      = 3
	wavALaw       = 6
	wavULaw       = 7
	wavExtensible = 0xfffe
)

// wavHeader bounds what may stand before the samples.
const wavHeader = 1 << 20

func isWAV(head []byte) bool {
	return len(head) >= 12 && (bytes.HasPrefix(head, []byte("RIFF")) || bytes.HasPrefix(head, []byte("RF64"))) && bytes.Equal(head[8:12], []byte("WAVE"))
}

// openWAV reads the chunks up to the samples. The length that a file states is not relied upon: programs that write into a
// pipe state none, or the largest one.
func openWAV(b *bufio.Reader) (Source, error) {
	if _, err := b.Discard(12); err != nil {
		return nil, ignoreShort(err)
	}
	var format *pcm
	for passed := 0; passed <= wavHeader; {
		var head [8]byte
		if _, err := io.ReadFull(b, head[:]); err != nil {
			return nil, ignoreShort(err)
		}
		name, size := string(head[:4]), binary.LittleEndian.Uint32(head[4:])
		switch {
		case name == "data" && format == nil:
			return nil, invalid("WAV: the samples come before their format")
		case name == "data":
			return format.limited(b, size), nil
		case size > wavHeader:
			return nil, invalid("WAV: more than %d bytes before the samples", wavHeader)
		}
		body := make([]byte, int(size)+int(size&1)) // chunks begin at even places
		if _, err := io.ReadFull(b, body); err != nil {
			return nil, ignoreShort(err)
		}
		passed += len(head) + len(body)
		if name == "fmt " {
			var err error
			if format, err = wavFormat(body); err != nil {
				return nil, err
			}
		}
	}
	return nil, invalid("WAV: more than %d bytes before the samples", wavHeader)
}

// wavFormat reads the chunk that describes the samples.
func wavFormat(body []byte) (*pcm, error) {
	if len(body) < 16 {
		return nil, invalid("WAV: its format is too short")
	}
	tag := binary.LittleEndian.Uint16(body)
	channels := int(binary.LittleEndian.Uint16(body[2:]))
	rate := binary.LittleEndian.Uint32(body[4:])
	bits := int(binary.LittleEndian.Uint16(body[14:]))
	if tag == wavExtensible && len(body) >= 26 {
		tag = binary.LittleEndian.Uint16(body[24:])
	}
	if rate > maxRate {
		return nil, invalid("WAV: %d samples in a second: expected %d to %d", rate, minRate, maxRate)
	}
	sample := map[[2]int]sampleFormat{
		{wavPCM, 8}: unsigned8, {wavPCM, 16}: signed16, {wavPCM, 24}: signed24, {wavPCM, 32}: signed32,
		{wavFloat, 32}: float32bit, {wavFloat, 64}: float64bit, {wavALaw, 8}: aLaw, {wavULaw, 8}: uLaw,
	}[[2]int{int(tag), bits}]
	if sample.read == nil {
		return nil, invalid("WAV: format %d with %d bits is not read: expected PCM, float, A-law or u-law", tag, bits)
	}
	return newPCM(int(rate), channels, sample)
}

// A sampleFormat is how a sample is written.
type sampleFormat struct {
	bytes int
	read  func([]byte) float32
}

var (
	unsigned8 = sampleFormat{1, func(b []byte) float32 { return (float32(b[0]) - 128) / 128 }}
	signed16  = sampleFormat{2, func(b []byte) float32 { return float32(int16(binary.LittleEndian.Uint16(b))) / (1 << 15) }}
	signed24  = sampleFormat{3, func(b []byte) float32 {
		return float32(int32(uint32(b[0])<<8|uint32(b[1])<<16|uint32(b[2])<<24)) / (1 << 31)
	}}
	signed32   = sampleFormat{4, func(b []byte) float32 { return float32(int32(binary.LittleEndian.Uint32(b))) / (1 << 31) }}
	float32bit = sampleFormat{4, func(b []byte) float32 { return math.Float32frombits(binary.LittleEndian.Uint32(b)) }}
	float64bit = sampleFormat{8, func(b []byte) float32 { return float32(math.Float64frombits(binary.LittleEndian.Uint64(b))) }}
	aLaw       = sampleFormat{1, func(b []byte) float32 { return float32(g711.DecodeAlawFrame(b[0])) / (1 << 15) }}
	uLaw       = sampleFormat{1, func(b []byte) float32 { return float32(g711.DecodeUlawFrame(b[0])) / (1 << 15) }}
)

// A pcm is samples as they are, the channels of a moment one after the other.
type pcm struct {
	rate, channels int
	format         sampleFormat
	r              io.Reader
	length         time.Duration
	buf            []byte
	rest           int // bytes at the start of buf that are less than a moment
}

// newPCM returns samples without anything to read them from.
func newPCM(rate, channels int, format sampleFormat) (*pcm, error) {
	if channels < 1 || channels > maxChannels {
		return nil, invalid("%d channels: expected 1 to %d", channels, maxChannels)
	}
	return &pcm{rate: rate, channels: channels, format: format}, nil
}

// PCM returns the audio of signed samples of width bytes each, little end first.
func PCM(r io.Reader, rate, width, channels int) (Source, error) {
	format, ok := map[int]sampleFormat{2: signed16, 3: signed24, 4: signed32}[width]
	if !ok {
		return nil, invalid("samples of %d bytes: expected 2 to 4", width)
	}
	p, err := newPCM(rate, channels, format)
	if err != nil {
		return nil, err
	}
	in := &input{r: r, left: MaxBytes}
	p.r = in
	if err := checkFormat(p); err != nil {
		return nil, err
	}
	return &safe{src: p, in: in}, nil
}

// limited has p read from r, up to size bytes. None, and the largest possible ones, stand for a size that is not known.
func (p *pcm) limited(r io.Reader, size uint32) *pcm {
	p.r = r
	if size != 0 && size < math.MaxUint32-wavHeader && size < MaxBytes {
		p.r = io.LimitReader(r, int64(size))
	}
	if size != 0 && size < math.MaxInt32-wavHeader {
		p.length = lengthOf(uint64(size)/uint64(p.frame()), p.rate)
	}
	return p
}

// frame is the size of one moment.
func (p *pcm) frame() int { return p.channels * p.format.bytes }

func (p *pcm) Rate() int             { return p.rate }
func (p *pcm) Length() time.Duration { return p.length }

func (p *pcm) Read(dst []float32) (int, error) {
	const most = 1024 // moments at a time
	size := p.frame()
	if p.buf == nil {
		p.buf = make([]byte, most*size)
	}
	n, err := p.r.Read(p.buf[p.rest:min(len(p.buf), len(dst)*size)])
	n += p.rest
	whole := n / size
	for i := range whole {
		at := p.buf[i*size:]
		var sum float32
		for c := range p.channels {
			sum += p.format.read(at[c*p.format.bytes:])
		}
		dst[i] = sum / float32(p.channels)
	}
	p.rest = copy(p.buf, p.buf[whole*size:n])
	if errors.Is(err, io.EOF) && whole > 0 {
		err = nil // the next read says it again
	}
	return whole, err
}
