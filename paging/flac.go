package paging

import (
	"bufio"
	"time"

	"github.com/mewkiz/flac"
	"github.com/mewkiz/flac/frame"
)

// A flacSource decodes FLAC.
type flacSource struct {
	s    *flac.Stream
	bits uint8
	now  *frame.Frame
	at   int // the next sample of now
}

func openFLAC(b *bufio.Reader) (Source, error) {
	s, err := flac.New(b)
	if err != nil {
		return nil, err
	}
	if s.Info.BitsPerSample < 4 || s.Info.BitsPerSample > 32 {
		return nil, invalid("FLAC: %d bits in a sample", s.Info.BitsPerSample)
	}
	return &flacSource{s: s, bits: s.Info.BitsPerSample}, nil
}

func (s *flacSource) Rate() int { return int(s.s.Info.SampleRate) }

func (s *flacSource) Length() time.Duration {
	if s.s.Info.NSamples == 0 {
		return 0
	}
	return lengthOf(s.s.Info.NSamples, s.Rate())
}

func (s *flacSource) Read(dst []float32) (int, error) {
	if s.now == nil || s.at >= len(s.now.Subframes[0].Samples) {
		next, err := s.s.ParseNext()
		if err != nil {
			return 0, err
		}
		if next.SampleRate != 0 && int(next.SampleRate) != s.Rate() {
			return 0, invalid("FLAC: the sample rate changes")
		}
		if len(next.Subframes) == 0 {
			return 0, invalid("FLAC: a frame without channels")
		}
		s.now, s.at = next, 0
	}
	n := 0
	scale := 1 / (float32(len(s.now.Subframes)) * float32(uint64(1)<<(s.bits-1)))
	for ; n < len(dst) && s.at < len(s.now.Subframes[0].Samples); n++ {
		var sum float32
		for _, channel := range s.now.Subframes {
			sum += float32(channel.Samples[s.at])
		}
		dst[n] = sum * scale
		s.at++
	}
	return n, nil
}
