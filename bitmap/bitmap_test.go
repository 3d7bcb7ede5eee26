package bitmap

import (
	"bytes"
	"encoding/binary"
	"image"
	"image/color"
	"image/png"
	"math/rand/v2"
	"runtime"
	"testing"
)

// A file is a BMP file to be made: its header, colors and rows.
type file struct {
	width, height      int
	bits, compression  int
	colors, masks, pix []byte
}

func (f file) bytes() []byte {
	b := make([]byte, 14, 54)
	copy(b, "BM")
	b = binary.LittleEndian.AppendUint32(b, 40)
	b = binary.LittleEndian.AppendUint32(b, uint32(int32(f.width)))
	b = binary.LittleEndian.AppendUint32(b, uint32(int32(f.height)))
	b = binary.LittleEndian.AppendUint16(b, 1)
	b = binary.LittleEndian.AppendUint16(b, uint16(f.bits))
	b = binary.LittleEndian.AppendUint32(b, uint32(f.compression))
	b = append(b, make([]byte, 12)...)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(f.colors)/4))
	b = append(append(append(b, make([]byte, 4)...), f.masks...), f.colors...)
	binary.LittleEndian.PutUint32(b[10:], uint32(len(b)))
	b = append(b, f.pix...)
	binary.LittleEndian.PutUint32(b[2:], uint32(len(b)))
	return b
}

// Every kind of file shows the same picture: red and blue above white and black.
func TestPNG(t *testing.T) {
	t.Parallel()
	red, blue, white, black := []byte{0, 0, 255, 0}, []byte{255, 0, 0, 0}, []byte{255, 255, 255, 0}, []byte{0, 0, 0, 0}
	four := bytes.Join([][]byte{red, blue, white, black}, nil)
	masks := func(r, g, b uint32) []byte {
		m := binary.LittleEndian.AppendUint32(nil, r)
		return binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(m, g), b)
	}
	for name, f := range map[string]file{
		"4 bits":              {2, 2, 4, 0, four, nil, []byte{0x23, 0, 0, 0, 0x01, 0, 0, 0}},
		"4 bits, from above":  {2, -2, 4, 0, four, nil, []byte{0x01, 0, 0, 0, 0x23, 0, 0, 0}},
		"2 bits":              {2, 2, 2, 0, four, nil, []byte{0xB0, 0, 0, 0, 0x10, 0, 0, 0}},
		"8 bits":              {2, 2, 8, 0, four, nil, []byte{2, 3, 0, 0, 0, 1, 0, 0}},
		"8 bits, from above":  {2, -2, 8, 0, four, nil, []byte{0, 1, 0, 0, 2, 3, 0, 0}},
		"8 bits, run-length":  {2, 2, 8, 1, four, nil, []byte{1, 2, 1, 3, 0, 0, 1, 0, 1, 1, 0, 1}},
		"4 bits, run-length":  {2, 2, 4, 2, four, nil, []byte{2, 0x23, 0, 0, 2, 0x01, 0, 1}},
		"16 bits":             {2, 2, 16, 0, nil, nil, []byte{0xFF, 0x7F, 0, 0, 0, 0x7C, 0x1F, 0}},
		"16 bits, 565":        {2, 2, 16, 3, nil, masks(0xF800, 0x07E0, 0x001F), []byte{0xFF, 0xFF, 0, 0, 0, 0xF8, 0x1F, 0}},
		"16 bits, from above": {2, -2, 16, 3, nil, masks(0xF800, 0x07E0, 0x001F), []byte{0, 0xF8, 0x1F, 0, 0xFF, 0xFF, 0, 0}},
		"24 bits":             {2, 2, 24, 0, nil, nil, []byte{255, 255, 255, 0, 0, 0, 0, 0, 0, 0, 255, 255, 0, 0, 0, 0}},
		"24 bits, from above": {2, -2, 24, 0, nil, nil, []byte{0, 0, 255, 255, 0, 0, 0, 0, 255, 255, 255, 0, 0, 0, 0, 0}},
		"32 bits":             {2, 2, 32, 0, nil, nil, bytes.Join([][]byte{white, black, red, blue}, nil)},
		"32 bits, masks":      {2, 2, 32, 3, nil, masks(0xFF0000, 0xFF00, 0xFF), bytes.Join([][]byte{white, black, red, blue}, nil)},
	} {
		got, err := PNG(f.bytes(), 1<<16)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		img, err := png.Decode(bytes.NewReader(got))
		if err != nil || img.Bounds() != image.Rect(0, 0, 2, 2) {
			t.Errorf("%s: %v, bounds %v", name, err, img.Bounds())
			continue
		}
		for i, expected := range []color.Color{color.RGBA{255, 0, 0, 255}, color.RGBA{0, 0, 255, 255}, color.White, color.Black} {
			r, g, b, a := img.At(i%2, i/2).RGBA()
			if r2, g2, b2, a2 := expected.RGBA(); r != r2 || g != g2 || b != b2 || a != a2 {
				t.Errorf("%s: pixel %d, %d is %v, expected %v", name, i%2, i/2, img.At(i%2, i/2), expected)
			}
		}
	}
	mono := file{9, 2, 1, 0, append(bytes.Clone(black), white...), nil, []byte{0xFF, 0x80, 0, 0, 0x80, 0, 0, 0}}
	got, err := PNG(mono.bytes(), 1<<16)
	if err != nil {
		t.Fatal(err)
	}
	img, err := png.Decode(bytes.NewReader(got))
	if err != nil || color.GrayModel.Convert(img.At(0, 0)) != (color.Gray{255}) || color.GrayModel.Convert(img.At(8, 0)) != (color.Gray{0}) ||
		color.GrayModel.Convert(img.At(8, 1)) != (color.Gray{255}) {
		t.Errorf("1 bit: %v, %v %v %v", err, img.At(0, 0), img.At(8, 0), img.At(8, 1))
	}
}

// A picture that does not fit has fewer colors, and then fewer pixels.
func TestPNGFits(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	noise := file{width: 480, height: 272, bits: 24, pix: make([]byte, 480*272*3)}
	for i := range noise.pix {
		noise.pix[i] = byte(random.Uint32())
	}
	for _, most := range []int{1 << 20, 200 << 10, 64 << 10, 4 << 10} {
		got, err := PNG(noise.bytes(), most)
		if err != nil || len(got) > most {
			t.Errorf("%d bytes, %v, expected at most %d", len(got), err, most)
			continue
		}
		if _, err := png.Decode(bytes.NewReader(got)); err != nil {
			t.Error(err)
		}
	}
	if got, err := PNG(noise.bytes(), 10); err == nil {
		t.Errorf("%d bytes, expected an error", len(got))
	}
}

// A file that says that it is huge costs nothing. Not in parallel with other tests, whose memory would count.
func TestHuge(t *testing.T) {
	for _, f := range []file{
		{width: 100_000, height: 100_000, bits: 32}, {width: 100_000, height: 100_000, bits: 8, compression: 1}, {width: 4097, height: 1, bits: 24},
		{width: 1, height: -4097, bits: 24}, {width: 1281, height: 800, bits: 1}, {width: 0, height: 5, bits: 1}, {width: -5, height: 5, bits: 8},
		{width: 5, height: -1 << 31, bits: 8}, {width: 1<<31 - 1, height: 1<<31 - 1, bits: 16}, {width: 2, height: 2, bits: 24},
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		got, err := PNG(f.bytes(), 1<<16)
		runtime.ReadMemStats(&after)
		if err == nil {
			t.Errorf("%d x %d, %d bits: %d bytes, expected an error", f.width, f.height, f.bits, len(got))
		}
		if cost := after.TotalAlloc - before.TotalAlloc; cost > 1<<20 {
			t.Errorf("%d x %d, %d bits: it cost %d bytes", f.width, f.height, f.bits, cost)
		}
	}
}

// FuzzPNG: whatever comes, a picture that is made can be read and fits.
func FuzzPNG(f *testing.F) {
	four := []byte{0, 0, 255, 0, 255, 0, 0, 0}
	for _, one := range []file{
		{2, 2, 4, 0, four, nil, []byte{0x23, 0, 0, 0, 0x01, 0, 0, 0}}, {2, -2, 8, 1, four, nil, []byte{1, 2, 1, 3, 0, 0, 1, 0, 1, 1, 0, 1}},
		{2, 2, 4, 2, four, nil, []byte{2, 0x23, 0, 2, 1, 1, 0, 3, 1, 2, 3, 0, 0, 1}}, {2, 2, 16, 3, nil, make([]byte, 12), []byte{0xFF, 0xFF, 0, 0}},
		{2, 2, 24, 0, nil, nil, make([]byte, 16)}, {2, 2, 32, 0, nil, nil, make([]byte, 16)},
	} {
		f.Add(one.bytes())
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		const most = 4 << 10
		got, err := PNG(data, most)
		if err != nil {
			return
		}
		if img, err := png.Decode(bytes.NewReader(got)); err != nil || len(got) > most || img.Bounds().Dx()*img.Bounds().Dy() > MaxPixels {
			t.Errorf("%d bytes, %v", len(got), err)
		}
	})
}
