package paging

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/zaf/g711"
)

// heard is what a phone makes of u-law.
func heard(ulaw []byte) []float64 {
	out := make([]float64, len(ulaw))
	for i, b := range ulaw {
		out[i] = float64(g711.DecodeUlawFrame(b)) / (1 << 15)
	}
	return out
}

// correlation is how similar b is to a when it is moved by up to lag samples: 1 for the same.
func correlation(a, b []float64, lag int) (best float64) {
	for move := -lag; move <= lag; move++ {
		var ab, aa, bb float64
		for i := range a {
			if j := i + move; j >= 0 && j < len(b) {
				ab += a[i] * b[j]
				aa += a[i] * a[i]
				bb += b[j] * b[j]
			}
		}
		best = max(best, ab/math.Sqrt(aa*bb))
	}
	return best
}

// voice is a sound with the partials of a voice, at a rate: the same sound at every rate.
func voice(rate int, d time.Duration) []float64 {
	out := make([]float64, int(d.Seconds()*float64(rate)))
	for i := range out {
		t := float64(i) / float64(rate)
		for k, level := range []float64{0.2, 0.25, 0.15, 0.1, 0.08, 0.05} {
			out[i] += level * math.Sin(2*math.Pi*(210+13*math.Sin(5*t))*float64(2*k+1)*t)
		}
		out[i] *= 0.6 + 0.4*math.Sin(9*t)
	}
	return out
}

// wav is a WAV file of samples, the same ones in each channel.
func wav(samples []float64, rate, channels, tag, bits int) []byte {
	var data bytes.Buffer
	for _, v := range samples {
		for range channels {
			switch {
			case tag == wavFloat && bits == 32:
				_ = binary.Write(&data, binary.LittleEndian, float32(v))
			case tag == wavFloat:
				_ = binary.Write(&data, binary.LittleEndian, v)
			case tag == wavALaw:
				data.WriteByte(g711.EncodeAlawFrame(int16(v * 32767)))
			case tag == wavULaw:
				data.WriteByte(g711.EncodeUlawFrame(int16(v * 32767)))
			case bits == 8:
				data.WriteByte(byte(128 + v*127))
			default:
				n := int32(v * math.MaxInt32)
				var b [4]byte
				binary.LittleEndian.PutUint32(b[:], uint32(n))
				data.Write(b[4-bits/8:])
			}
		}
	}
	return riff(data.Bytes(), uint32(data.Len()), rate, channels, tag, bits)
}

// riff is a WAV file that says that it has size bytes of samples.
func riff(data []byte, size uint32, rate, channels, tag, bits int) []byte {
	var b bytes.Buffer
	block := channels * bits / 8
	b.WriteString("RIFF")
	_ = binary.Write(&b, binary.LittleEndian, 36+size)
	b.WriteString("WAVEfmt ")
	_ = binary.Write(&b, binary.LittleEndian, struct {
		Size          uint32
		Tag, Channels uint16
		Rate, Bytes   uint32
		Block, Bits   uint16
	}{16, uint16(tag), uint16(channels), uint32(rate), uint32(rate * block), uint16(block), uint16(bits)})
	b.WriteString("LIST\x03\x00\x00\x00abc\x00data") // an odd chunk has a byte behind it
	_ = binary.Write(&b, binary.LittleEndian, size)
	b.Write(data)
	return b.Bytes()
}

// encoded decodes a file, and is it as u-law.
func encoded(t *testing.T, file []byte) []float64 {
	t.Helper()
	src, err := Decode(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	b, err := Encode(src)
	if err != nil {
		t.Fatal(err)
	}
	return heard(b)
}

// TestWAVIsHeardAsItWas: every kind of sample, at every usual rate, sounds like the same sound made at 8 kHz.
func TestWAVIsHeardAsItWas(t *testing.T) {
	t.Parallel()
	expected := voice(Rate, time.Second)
	for _, rate := range []int{6000, 8000, 11025, 16000, 22050, 24000, 32000, 44100, 44099, 48000, 96000, 192000} {
		for _, kind := range [][2]int{{wavPCM, 16}, {wavPCM, 8}, {wavPCM, 24}, {wavPCM, 32}, {wavFloat, 32}, {wavFloat, 64}, {wavALaw, 8}, {wavULaw, 8}} {
			if rate != 22050 && kind != [2]int{wavPCM, 16} {
				continue
			}
			t.Run(fmt.Sprintf("%d Hz, format %d, %d bits", rate, kind[0], kind[1]), func(t *testing.T) {
				t.Parallel()
				samples := voice(rate, time.Second)
				got := encoded(t, wav(samples, rate, 2, kind[0], kind[1]))
				if c := correlation(expected, got, 0); c < 0.995 {
					t.Errorf("correlation %.4f, expected more than 0.995 without any delay", c)
				}
				if n := len(got); n < Rate-1 || n > Rate+1 {
					t.Errorf("%d samples of a second, expected %d", n, Rate)
				}
			})
		}
	}
}

// A later source begins after some samples of another.
type later struct {
	Source
	skip int
}

func (l *later) Read(dst []float32) (int, error) {
	for l.skip > 0 {
		n, err := l.Source.Read(dst[:min(len(dst), l.skip)])
		if l.skip -= n; err != nil {
			return 0, err
		}
	}
	return l.Source.Read(dst)
}

// TestFilesAreHeardAsTheyWere: files that ffmpeg made sound like the same speech as ffmpeg resamples it.
func TestFilesAreHeardAsTheyWere(t *testing.T) {
	t.Parallel()
	file := func(name string) []byte {
		b, err := os.ReadFile("testdata/" + name)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	expected := encoded(t, file("speech-8k.wav"))
	const delay = 1105 + 1152 // samples before an MP3: of encoder and decoder, and a frame that describes the file
	for name, skip := range map[string]int{"speech.flac": 0, "speech.mp3": delay} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, tag := range []string{"", "ID3\x04\x00\x00\x00\x00\x01\x00" + strings.Repeat("x", 128)} {
				src, err := Decode(io.MultiReader(strings.NewReader(tag), bytes.NewReader(file(name))))
				if err != nil {
					t.Fatal(err)
				}
				got, err := Encode(&later{src, skip})
				if err != nil {
					t.Fatal(err)
				}
				if c := correlation(expected, heard(got), 2); c < 0.99 {
					t.Errorf("correlation %.4f, expected more than 0.99", c)
				}
			}
		})
	}
}

// TestNothingIsFolded: what 8 kHz cannot carry is not heard as a lower tone, and what it can carry is as loud as before.
func TestNothingIsFolded(t *testing.T) {
	t.Parallel()
	level := func(rate int, pitch float64) float64 {
		tone := make([]float64, rate)
		for i := range tone {
			tone[i] = 0.9 * math.Sin(2*math.Pi*pitch*float64(i)/float64(rate))
		}
		src, err := Decode(bytes.NewReader(wav(tone, rate, 1, wavFloat, 32)))
		if err != nil {
			t.Fatal(err)
		}
		out := make([]float32, Rate/2)
		down := resample(src)
		for skipped := 0; skipped < 2; skipped++ { // the first half has the onset, which is loud at every pitch
			for n := 0; n < len(out); {
				m, err := down.Read(out[n:])
				if n += m; err != nil && n < len(out) {
					t.Fatal(err)
				}
			}
			if skipped == 0 {
				continue
			}
			out = out[:len(out)-200] // and so has the end
		}
		var sum float64
		for _, v := range out {
			sum += float64(v) * float64(v)
		}
		return 20 * math.Log10(math.Sqrt(sum/float64(len(out)))/(0.9/math.Sqrt2)+1e-9)
	}
	for _, rate := range []int{16000, 44100, 48000} {
		for _, pitch := range []float64{100, 1000, 3000, 3350} {
			if l := level(rate, pitch); math.Abs(l) > 0.5 {
				t.Errorf("%d Hz at %.0f Hz: %.2f dB, expected 0", rate, pitch, l)
			}
		}
		for _, pitch := range []float64{4100, 4800, 5500, 7000, 7900} {
			if l := level(rate, pitch); l > -60 {
				t.Errorf("%d Hz at %.0f Hz: %.2f dB, expected less than -60", rate, pitch, l)
			}
		}
	}
}

// endless repeats b.
type endless struct {
	b    []byte
	read int64
}

func (e *endless) Read(p []byte) (int, error) {
	n := 0
	for n < len(p) {
		at := int((e.read + int64(n)) % int64(len(e.b)))
		n += copy(p[n:], e.b[at:])
	}
	e.read += int64(n)
	return n, nil
}

// TestHostileFiles: each is refused, in bounded time and after a bounded part of it was read, or played as far as it is sound.
func TestHostileFiles(t *testing.T) {
	t.Parallel()
	second := voice(Rate, time.Second)
	whole := wav(second, Rate, 1, wavPCM, 16)
	data := whole[len(whole)-2*len(second):]
	flacFile, err := os.ReadFile("testdata/speech.flac")
	if err != nil {
		t.Fatal(err)
	}
	endlessWAV := func(rate, bits, channels int) io.Reader {
		return io.MultiReader(bytes.NewReader(riff(nil, math.MaxUint32, rate, channels, wavPCM, bits)), &endless{b: []byte{0, 0}})
	}
	for name, c := range map[string]struct {
		file    io.Reader
		samples int    // 0: it is refused
		err     string // in the message
	}{
		"empty":                  {strings.NewReader(""), 0, "empty"},
		"short":                  {strings.NewReader("RI"), 0, "too short"},
		"text":                   {strings.NewReader("Hello, this is no sound at all"), 0, "WAV, MP3 or FLAC"},
		"web page":               {strings.NewReader("\n<!doctype html><title>404"), 0, "web page"},
		"Ogg":                    {strings.NewReader("OggS\x00\x02aaaaaaaaaaa"), 0, "Ogg"},
		"MP4":                    {strings.NewReader("\x00\x00\x00\x20ftypM4A "), 0, "MP4"},
		"AIFF":                   {strings.NewReader("FORM\x00\x00\x00\x20AIFF"), 0, "AIFF"},
		"no samples":             {bytes.NewReader(riff(nil, 0, Rate, 1, wavPCM, 16)), 0, "no samples"},
		"says nothing":           {bytes.NewReader(riff(data, 0, Rate, 1, wavPCM, 16)), Rate, ""},
		"says 4 GiB":             {bytes.NewReader(riff(data, math.MaxUint32, Rate, 1, wavPCM, 16)), Rate, ""},
		"says less":              {bytes.NewReader(riff(data, Rate, Rate, 1, wavPCM, 16)), Rate / 2, ""},
		"says a little more":     {bytes.NewReader(riff(data, 3*Rate, Rate, 1, wavPCM, 16)), Rate, ""},
		"says an hour":           {bytes.NewReader(riff(data, 2*3600*Rate, Rate, 1, wavPCM, 16)), 0, "longer than 10 minutes"},
		"odd end":                {bytes.NewReader(append(bytes.Clone(whole), 1)), Rate, ""},
		"ends in the head":       {bytes.NewReader(whole[:30]), 0, "ends too early"},
		"samples before format":  {strings.NewReader("RIFF\x00\x00\x00\x00WAVEdata\x10\x00\x00\x00aaaaaaaaaaaaaaaa"), 0, "before their format"},
		"huge chunk":             {io.MultiReader(strings.NewReader("RIFF\x00\x00\x00\x00WAVELIST\xff\xff\xff\xff"), &endless{b: []byte{0}}), 0, "before the samples"},
		"endless chunks":         {io.MultiReader(strings.NewReader("RIFF\x00\x00\x00\x00WAVE"), &endless{b: []byte("LIST\x00\x00\x00\x00")}), 0, "before the samples"},
		"short format":           {strings.NewReader("RIFF\x00\x00\x00\x00WAVEfmt \x04\x00\x00\x00aaaadata\x00\x00\x00\x00"), 0, "too short"},
		"ADPCM":                  {bytes.NewReader(riff(data, 100, Rate, 1, 2, 4)), 0, "not read"},
		"12 bits":                {bytes.NewReader(riff(data, 100, Rate, 1, wavPCM, 12)), 0, "not read"},
		"no rate":                {bytes.NewReader(riff(data, 100, 0, 1, wavPCM, 16)), 0, "expected 2000 to 192000"},
		"impossible rate":        {bytes.NewReader(riff(data, 100, 4_000_000_000, 1, wavPCM, 16)), 0, "expected 2000 to 192000"},
		"no channels":            {bytes.NewReader(riff(data, 100, Rate, 0, wavPCM, 16)), 0, "0 channels"},
		"1000 channels":          {bytes.NewReader(riff(data, 100, Rate, 1000, wavPCM, 16)), 0, "1000 channels"},
		"endless":                {endlessWAV(Rate, 16, 1), 0, "longer than 10 minutes"},
		"endless and large":      {endlessWAV(192000, 32, 8), 0, "larger than 16 MiB"},
		"endless ID3":            {io.MultiReader(strings.NewReader("ID3\x04\x00\x00\x7f\x7f\x7f\x7f"), &endless{b: []byte{0}}), 0, "no sound in its first 4 MiB"},
		"endless zeros":          {&endless{b: []byte{0}}, 0, "WAV, MP3 or FLAC"},
		"MP3 of zeros":           {io.MultiReader(strings.NewReader("\xff\xfb\x90\x00"), &endless{b: []byte{0}}), 0, ""},
		"MP3 that ends":          {strings.NewReader("\xff\xfb\x90\x00aaaaaaaaaaaaaaaaaaaaa"), 0, "ends too early"},
		"MP3 of ones":            {&endless{b: []byte{0xff, 0xfb}}, 0, ""},
		"MPEG 2.5":               {io.MultiReader(strings.NewReader("\xff\xe3\x90\x00"), &endless{b: []byte{0}}), 0, "MPEG 2.5"},
		"FLAC that ends":         {bytes.NewReader(flacFile[:20]), 0, ""},
		"FLAC with endless tags": {io.MultiReader(bytes.NewReader(flacFile[:4]), bytes.NewReader([]byte{0, 0, 0, 34}), bytes.NewReader(flacFile[8:42]), &endless{b: []byte("\x01\x00\x00\x00")}), 0, "no sound in its first 4 MiB"},
		"FLAC of zeros":          {io.MultiReader(bytes.NewReader(flacFile[:4]), bytes.NewReader([]byte{0x80, 0, 0, 34}), bytes.NewReader(flacFile[8:42]), &endless{b: []byte{0}}), 0, ""},
		"not a number":           {bytes.NewReader(wav([]float64{math.NaN(), math.Inf(1), math.Inf(-1), 0}, Rate, 1, wavFloat, 32)), 4, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			counted := &input{r: c.file, left: math.MaxInt64}
			src, err := Decode(counted)
			var n time.Duration
			if err == nil {
				n, err = Measure(src, Options{})
			}
			if read := math.MaxInt64 - counted.left; read > MaxBytes+1 {
				t.Errorf("%d bytes were read", read)
			}
			if c.samples > 0 {
				if err != nil || samplesOf(n+time.Microsecond) != int64(c.samples) {
					t.Errorf("%d samples, error %v; expected %d", samplesOf(n), err, c.samples)
				}
				return
			}
			if !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), c.err) {
				t.Errorf("error %v, expected one that is ErrInvalid and has %q", err, c.err)
			}
		})
	}
}

// TestTheReadersErrorIsKept: an error of the network is not taken for a file that cannot be decoded.
func TestTheReadersErrorIsKept(t *testing.T) {
	t.Parallel()
	broken := errors.New("connection reset")
	for _, name := range []string{"speech.flac", "speech.mp3", "speech-8k.wav"} {
		file, err := os.ReadFile("testdata/" + name)
		if err != nil {
			t.Fatal(err)
		}
		for _, after := range []int{0, 3, 11, 40, 2000, 20000} {
			src, err := Decode(io.MultiReader(bytes.NewReader(file[:after]), failing{broken}))
			if err == nil {
				_, err = Measure(src, Options{})
			}
			if !errors.Is(err, broken) {
				t.Errorf("%s after %d bytes: %v, expected the error of the reader", name, after, err)
			}
		}
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// TestOptions: chime, repetitions and gain make the sound that is expected of them, and bounds hold for all together.
func TestOptions(t *testing.T) {
	t.Parallel()
	file := wav(voice(Rate, time.Second), Rate, 1, wavPCM, 16)
	play := func(o Options) []float64 {
		src, err := Decode(bytes.NewReader(file))
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(played(src, o))
		if err != nil {
			t.Fatal(err)
		}
		return heard(b)
	}
	plain := play(Options{})
	thrice := play(Options{Repeat: 3})
	if len(thrice) != 3*Rate+2*Rate {
		t.Fatalf("%d samples, expected three seconds of sound and two of pause", len(thrice))
	}
	for i := range 3 {
		if c := correlation(plain, thrice[i*2*Rate:(i*2+1)*Rate], 0); c < 0.9999 {
			t.Errorf("repetition %d: correlation %.4f", i, c)
		}
	}
	chimed := play(Options{Chime: true})
	tone := int(samplesOf(newChime().Length()))
	if len(chimed) != tone+Rate || correlation(plain, chimed[tone:], 0) < 0.9999 {
		t.Errorf("%d samples with a chime, expected %d, the last ones as without", len(chimed), tone+Rate)
	}
	if power(chimed[:tone/2]) < 0.001 {
		t.Error("the chime is not heard")
	}
	for gain, expected := range map[float64]float64{-20: 0.01, -6: 0.25, 3: 2} {
		if got := power(play(Options{GainDB: gain})) / power(plain); math.Abs(got/expected-1) > 0.05 {
			t.Errorf("gain %g dB: %.3f times the power, expected %g", gain, got, expected)
		}
	}
	for _, v := range play(Options{GainDB: 60}) { // it clips, and does not wrap round
		if math.Abs(v) > 1 {
			t.Fatal("beyond full scale")
		}
	}
	src, err := Decode(bytes.NewReader(wav(make([]float64, 301*Rate), Rate, 1, wavULaw, 8)))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Measure(src, Options{Repeat: 2}); !errors.Is(err, ErrInvalid) {
		t.Errorf("twice five minutes and a second: %v, expected ErrInvalid", err)
	}
}

func power(s []float64) (sum float64) {
	for _, v := range s {
		sum += v * v
	}
	return sum / float64(len(s))
}

// TestULawIsKept: what was encoded once is the same when it is encoded again.
func TestULawIsKept(t *testing.T) {
	t.Parallel()
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	all[0x7f] = 0xff // the negative zero becomes the other one
	again, err := Encode(ULaw(all))
	if err != nil || !bytes.Equal(again, all) {
		t.Errorf("%x, error %v", again, err)
	}
}

// TestWAVOfULaw: what is written is read.
func TestWAVOfULaw(t *testing.T) {
	t.Parallel()
	for _, samples := range [][]byte{{1, 2, 3}, {1, 2, 3, 4}} {
		src, err := Decode(bytes.NewReader(WAV(samples)))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := Encode(src); err != nil || !bytes.Equal(got, samples) {
			t.Errorf("%v, error %v, expected %v", got, err, samples)
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, name := range []string{"speech.flac", "speech.mp3", "speech-8k.wav"} {
		file, err := os.ReadFile("testdata/" + name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(file[:4000])
	}
	f.Add(wav(voice(16000, 20*time.Millisecond), 16000, 2, wavFloat, 32))
	f.Fuzz(func(t *testing.T, file []byte) {
		src, err := Decode(bytes.NewReader(file))
		if err == nil {
			_, err = Measure(src, Options{Repeat: 2, GainDB: 6})
		}
		if err != nil && !errors.Is(err, ErrInvalid) {
			t.Errorf("error %v, expected one that is ErrInvalid", err)
		}
	})
}
