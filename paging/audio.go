package paging

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"time"
)

// The limits of what is played.
const (
	MaxBytes  = 16 << 20         // of a file
	MaxLength = 10 * time.Minute // of what is played, repetitions included
)

// maxSilentBytes bounds what may stand in a file before the first sample: tags, pictures, and what a decoder skips.
const maxSilentBytes = 4 << 20

// ErrInvalid means that something is not audio of a kind that is played, or more than the limits allow.
var ErrInvalid = errors.New("paging: cannot be played")

// invalid returns an error that wraps [ErrInvalid] and says why.
func invalid(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrInvalid, fmt.Sprintf(format, args...))
}

// A Source is audio while it is read: samples of one channel.
type Source interface {
	// Rate is the number of samples in a second.
	Rate() int
	// Length is how long the audio says that it is; 0: it does not.
	Length() time.Duration
	// Read reads samples between -1 and 1 into dst, which is not empty, and returns io.EOF after the last one.
	Read(dst []float32) (n int, err error)
}

// The sample rates that are read.
const (
	minRate = 2_000
	maxRate = 192_000
)

// maxChannels is how many channels are mixed into one.
const maxChannels = 8

// Decode returns the audio that r is a file of. Errors wrap [ErrInvalid], or are those of r. If r is an io.Closer, the source
// is one too, and closes it.
func Decode(r io.Reader) (Source, error) {
	in := &input{r: r, left: maxSilentBytes, silent: true}
	b := bufio.NewReaderSize(in, 4<<10)
	src, err := decode(b)
	if err != nil {
		return nil, in.explain(ignoreShort(err))
	}
	if err := checkFormat(src); err != nil {
		return nil, err
	}
	return &safe{src: src, in: in}, nil
}

// checkFormat checks what src says of itself.
func checkFormat(src Source) error {
	if rate := src.Rate(); rate < minRate || rate > maxRate {
		return invalid("%d samples in a second: expected %d to %d", rate, minRate, maxRate)
	}
	if d := src.Length(); d > MaxLength {
		return tooLong()
	}
	return nil
}

func tooLong() error { return invalid("it is longer than %d minutes", int(MaxLength.Minutes())) }

// decode returns a source of the format that b begins with.
func decode(b *bufio.Reader) (src Source, err error) {
	defer recovered(&err)
	head, err := b.Peek(12)
	if len(head) < 4 {
		return nil, errors.Join(invalid("it is empty, or too short for a sound file"), ignoreEOF(err))
	}
	for bytes.HasPrefix(head, []byte("ID3")) {
		if err := skipID3(b); err != nil {
			return nil, err
		}
		head, _ = b.Peek(12)
	}
	for _, f := range formats {
		if f.match(head) {
			return f.open(b)
		}
	}
	return nil, invalid("expected a WAV, MP3 or FLAC file%s", seems(head))
}

// A format is a kind of file that is read.
type format struct {
	match func(head []byte) bool
	open  func(*bufio.Reader) (Source, error)
}

// formats lists them, the less certain ones last.
var formats = []format{
	{isWAV, openWAV},
	{func(head []byte) bool { return bytes.HasPrefix(head, []byte("fLaC")) }, openFLAC},
	{isMP3, openMP3},
}

// seems says what a file seems to be that is not read.
func seems(head []byte) string {
	for prefix, name := range map[string]string{
		"OggS": "Ogg", "FORM": "AIFF", "#EXT": "a playlist", "\x1aE\xdf\xa3": "WebM or Matroska", "%PDF": "PDF", "PK\x03\x04": "a ZIP archive",
	} {
		if bytes.HasPrefix(head, []byte(prefix)) {
			return "; it is " + name
		}
	}
	switch {
	case len(head) >= 8 && bytes.Equal(head[4:8], []byte("ftyp")):
		return "; it is MP4 or AAC"
	case bytes.HasPrefix(bytes.TrimLeft(head, " \r\n\t\xef\xbb\xbf"), []byte("<")):
		return "; it is a web page"
	case bytes.HasPrefix(head, []byte("{")):
		return "; it is JSON"
	}
	return ""
}

// skipID3 skips a tag of ID3 version 2, which has its size in seven bits of each of four bytes.
func skipID3(b *bufio.Reader) error {
	var head [10]byte
	if _, err := io.ReadFull(b, head[:]); err != nil {
		return ignoreShort(err)
	}
	size := 0
	for _, c := range head[6:] {
		size = size<<7 | int(c&0x7f)
	}
	if head[5]&0x10 != 0 { // a footer
		size += 10
	}
	_, err := b.Discard(size)
	return ignoreShort(err)
}

func ignoreEOF(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return nil
	}
	return err
}

// ignoreShort says that a file ended too early; other errors stay as they are.
func ignoreShort(err error) error {
	if err != nil && ignoreEOF(err) == nil {
		return invalid("the file ends too early")
	}
	return err
}

// recovered makes an error of a panic: the decoders get input that was not checked.
func recovered(err *error) {
	if v := recover(); v != nil {
		*err = invalid("the decoder failed: %v", v)
	}
}

// An input counts what is read of a file, and remembers why reading failed: decoders return errors of their own.
type input struct {
	r      io.Reader
	left   int64
	silent bool  // there was no sample yet: left is what may come before the first one
	err    error // of r; nil: none but io.EOF
}

// sounds notes that there was a sample.
func (in *input) sounds() {
	if in.silent {
		in.silent = false
		in.left += MaxBytes - maxSilentBytes
	}
}

func (in *input) Read(p []byte) (int, error) {
	if in.err != nil {
		return 0, in.err
	}
	if in.left <= 0 {
		in.err = invalid("it is larger than %d MiB", MaxBytes>>20)
		if in.silent {
			in.err = invalid("no sound in its first %d MiB", maxSilentBytes>>20)
		}
		return 0, in.err
	}
	if int64(len(p)) > in.left {
		p = p[:in.left]
	}
	n, err := in.r.Read(p)
	in.left -= int64(n)
	if err != nil && !errors.Is(err, io.EOF) {
		in.err = err
	}
	if in.left <= 0 && err == nil { // is it just that long?
		var one [1]byte
		if _, err := io.ReadFull(in.r, one[:]); errors.Is(err, io.EOF) {
			return n, io.EOF
		}
	}
	return n, err
}

// explain returns why reading failed, if it did, and otherwise err, which a decoder returned, as one that wraps ErrInvalid.
func (in *input) explain(err error) error {
	switch {
	case err == nil || errors.Is(err, io.EOF):
		return err
	case in.err != nil:
		return in.err
	case errors.Is(err, ErrInvalid):
		return err
	}
	return invalid("it cannot be decoded: %v", err)
}

// A safe is a source of which samples and errors are as [Source] says, whatever the decoder does.
type safe struct {
	src Source
	in  *input
	err error
}

// Close closes what the source is read from, if that can be closed: a read that waits ends.
func (s *safe) Close() error {
	if c, ok := s.in.r.(io.Closer); ok {
		return c.Close()
	}
	return nil
}

func (s *safe) Rate() int             { return s.src.Rate() }
func (s *safe) Length() time.Duration { return s.src.Length() }

func (s *safe) Read(dst []float32) (n int, err error) {
	if s.err != nil {
		return 0, s.err
	}
	const most = 64 // reads that return nothing
	for range most {
		n, err = s.read(dst)
		for i, v := range dst[:n] {
			switch {
			case math.IsNaN(float64(v)):
				dst[i] = 0
			case v > 1:
				dst[i] = 1
			case v < -1:
				dst[i] = -1
			}
		}
		s.err = s.in.explain(err)
		if n > 0 {
			s.in.sounds()
			return n, nil
		}
		if s.err != nil {
			return 0, s.err
		}
	}
	s.err = invalid("it cannot be decoded: the decoder makes no progress")
	return 0, s.err
}

func (s *safe) read(dst []float32) (n int, err error) {
	defer func() {
		if err != nil && !errors.Is(err, io.EOF) {
			n = 0
		}
	}()
	defer recovered(&err)
	return s.src.Read(dst)
}

// lengthOf is how long that many samples are.
func lengthOf(samples uint64, rate int) time.Duration {
	if rate <= 0 || samples > 1<<40 {
		return MaxLength + time.Second
	}
	return time.Duration(float64(samples) / float64(rate) * float64(time.Second))
}
