package paging

import (
	"errors"
	"io"
	"math"
	"time"
)

// Rate is the sample rate of telephony.
const Rate = 8000

// The filter that keeps what an output of 8 kHz cannot carry from being heard as something else: a sinc with a Kaiser
// window (F. J. Harris, "On the use of windows for harmonic analysis with the discrete Fourier transform", 1978). It passes
// up to 3.4 kHz unchanged and has less than a ten thousandth of what is above 4 kHz.
const (
	filterWidth  = 32 // samples of the slower side on each side of a moment
	filterCutoff = 0.4625
	filterBeta   = 8
	filterFine   = 256 // points of the table for each sample of the slower side; between them it is a line
	filterPhases = 320 // filters that are kept, as for 11,025 Hz: about 120 kB
)

// A resampler reads a source at 8 kHz. Output sample n is the input's at the same moment: nothing is delayed.
type resampler struct {
	src   Source
	rate  int
	table []float32 // half the filter, from its middle
	scale float64   // points of the table for each input sample
	gain  float32
	half  int // input samples on each side

	unit int         // of rest: its greatest common divisor
	kept [][]float32 // the filters of all moments between two input samples, where they are few
	once []float32   // the filter of one moment, where they are many

	buf   []float32 // input; half of the filter before the next moment, and what is read
	have  int       // valid samples in buf
	at    int       // where in buf the next moment is
	rest  int       // and how many parts of Rate behind it
	ended bool      // what follows is silence
	left  int       // of ended: samples of the input that are still to be the middle of the filter
}

// resample returns src at 8 kHz.
func resample(src Source) Source {
	rate := src.Rate()
	if rate == Rate {
		return src
	}
	slow := min(rate, Rate)
	r := &resampler{src: src, rate: rate, table: filterTable(), scale: filterFine * float64(slow) / float64(rate)}
	r.half = int(math.Ceil(filterWidth * float64(rate) / float64(slow)))
	r.gain = float32(2 * filterCutoff * float64(slow) / float64(rate))
	r.unit = divisor(rate, Rate)
	if phases := Rate / r.unit; phases <= filterPhases {
		r.kept = make([][]float32, phases)
	} else {
		r.once = make([]float32, 2*r.half+1)
	}
	r.buf = make([]float32, 4*r.half+4096)
	r.at, r.have = r.half, r.half // before the first sample is silence
	return r
}

// divisor is the greatest common divisor.
func divisor(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// filterTable returns the right half of the filter.
func filterTable() []float32 {
	table := make([]float32, filterWidth*filterFine+2)
	for i := range filterWidth*filterFine + 1 {
		x := float64(i) / filterFine
		v := 1.0
		if i > 0 {
			v = math.Sin(2*math.Pi*filterCutoff*x) / (2 * math.Pi * filterCutoff * x)
		}
		u := x / filterWidth
		table[i] = float32(v * bessel(filterBeta*math.Sqrt(1-u*u)) / bessel(filterBeta))
	}
	return table
}

// bessel is the modified Bessel function of the first kind and order zero.
func bessel(x float64) float64 {
	sum, term := 1.0, 1.0
	for k := 1.0; term > sum*1e-12; k++ {
		term *= (x / (2 * k)) * (x / (2 * k))
		sum += term
	}
	return sum
}

func (r *resampler) Rate() int             { return Rate }
func (r *resampler) Length() time.Duration { return r.src.Length() }

func (r *resampler) Read(dst []float32) (int, error) {
	for n := range dst {
		if err := r.fill(); err != nil {
			return n, err
		}
		dst[n] = r.moment()
		r.rest += r.rate
		step := r.rest / Rate
		r.rest %= Rate
		r.at += step
		r.left -= step
	}
	return len(dst), nil
}

// fill reads until the filter has what it needs for the next moment.
func (r *resampler) fill() error {
	for {
		if r.ended && r.left <= 0 {
			return io.EOF
		}
		if r.at+r.half+1 < r.have {
			return nil
		}
		if first := r.at - r.half; first > 0 && r.have == len(r.buf) {
			copy(r.buf, r.buf[first:r.have])
			r.at, r.have = r.half, r.have-first
		}
		if r.ended {
			clear(r.buf[r.have:])
			r.have = len(r.buf)
			continue
		}
		n, err := r.src.Read(r.buf[r.have:])
		r.have += n
		switch {
		case errors.Is(err, io.EOF):
			r.ended, r.left = true, r.have-r.at
		case err != nil:
			return err
		}
	}
}

// moment returns the sample at the next moment.
func (r *resampler) moment() (sum float32) {
	taps := r.taps()
	for i, v := range r.buf[r.at-r.half : r.at-r.half+len(taps)] {
		sum += v * taps[i]
	}
	return sum
}

// taps returns the filter for the input samples around the next moment. Between two samples of the usual rates there are few
// moments, and their filters are kept.
func (r *resampler) taps() []float32 {
	phase := r.rest / r.unit
	if kept := r.kept; phase < len(kept) {
		if kept[phase] == nil {
			kept[phase] = r.filter(make([]float32, 2*r.half+1))
		}
		return kept[phase]
	}
	return r.filter(r.once)
}

// filter fills taps for the next moment.
func (r *resampler) filter(taps []float32) []float32 {
	past := float64(r.rest) / Rate // of the input sample in the middle
	for i := range taps {
		x := math.Abs(float64(i-r.half)-past) * r.scale
		k := int(x)
		if k >= filterWidth*filterFine {
			taps[i] = 0
			continue
		}
		f := float32(x - float64(k))
		taps[i] = r.gain * (r.table[k] + f*(r.table[k+1]-r.table[k]))
	}
	return taps
}
