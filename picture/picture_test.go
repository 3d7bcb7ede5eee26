package picture

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/image/bmp"
)

// file encodes a picture whose left half is red and whose right half is blue.
func file(t testing.TB, format string, w, h int) []byte {
	t.Helper()
	img := image.NewNRGBA(image.Rect(0, 0, w, h))
	for x := range w {
		for y := range h {
			c := color.NRGBA{R: 255, A: 255}
			if x >= w/2 {
				c = color.NRGBA{B: 255, A: 255}
			}
			img.SetNRGBA(x, y, c)
		}
	}
	var b bytes.Buffer
	var err error
	switch format {
	case "jpeg":
		err = jpeg.Encode(&b, img, nil)
	case "png":
		err = png.Encode(&b, img)
	case "bmp":
		err = bmp.Encode(&b, img)
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestPicturesFitTheDisplay(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		format        string
		w, h          int
		display       Display
		width, height int
		kind          string
	}{
		{"png", 100, 50, Display{Width: 320, Height: 184}, 100, 50, "image/png"},
		{"png", 640, 184, Display{Width: 320, Height: 184}, 320, 92, "image/png"},
		{"jpeg", 1000, 2000, Display{Width: 480, Height: 272}, 136, 272, "image/jpeg"},
		{"bmp", 321, 184, Display{Width: 320, Height: 184}, 320, 183, "image/png"},
		{"png", 4096, 1, Display{Width: 320, Height: 184}, 320, 1, "image/png"},
		{"png", 1, 4096, Display{Width: 320, Height: 184}, 1, 184, "image/png"},
		{"png", 256, 128, Display{Width: 128, Height: 64, Mono: true}, 128, 64, "image/bmp"},
	} {
		t.Run(fmt.Sprint(c.format, c.w, "x", c.h), func(t *testing.T) {
			t.Parallel()
			var s Scaler
			p, err := s.Fit(file(t, c.format, c.w, c.h), c.display)
			if err != nil {
				t.Fatal(err)
			}
			if p.Type != c.kind || p.Width != c.width || p.Height != c.height {
				t.Errorf("%s of %d x %d, expected %s of %d x %d", p.Type, p.Width, p.Height, c.kind, c.width, c.height)
			}
			decode := map[string]func(*bytes.Reader) (image.Image, error){
				"image/png":  func(r *bytes.Reader) (image.Image, error) { return png.Decode(r) },
				"image/jpeg": func(r *bytes.Reader) (image.Image, error) { return jpeg.Decode(r) },
				"image/bmp":  func(r *bytes.Reader) (image.Image, error) { return bmp.Decode(r) },
			}[p.Type]
			img, err := decode(bytes.NewReader(p.Data))
			if err != nil || img.Bounds().Dx() != c.width || img.Bounds().Dy() != c.height {
				t.Fatalf("%v of %v", err, img.Bounds())
			}
			if r, _, b, _ := img.At(0, 0).RGBA(); !c.display.Mono && c.w > 10 && (r < 0xe000 || b > 0x2000) {
				t.Errorf("the left is %x %x, expected red", r, b)
			}
		})
	}
}

// header returns the beginning of a PNG file that says how large its picture is, and has no pixels.
func header(w, h uint32, depth byte) []byte {
	b := []byte("\x89PNG\r\n\x1a\n\x00\x00\x00\x0dIHDR")
	b = binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(b, w), h)
	b = append(b, depth, 6, 0, 0, 0)
	return binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b[12:]))
}

// TestNothingIsDecodedThatIsTooLarge gives files that claim more than the bounds: they are refused by their head.
func TestNothingIsDecodedThatIsTooLarge(t *testing.T) {
	t.Parallel()
	var s Scaler
	for name, data := range map[string][]byte{
		"wide": header(4097, 1, 8), "high": header(1, 4097, 8), "huge": header(1<<31-1, 1<<31-1, 8), "deep": header(4096, 4096, 16),
		"empty": nil, "text": []byte("hello"), "gif": []byte("GIF89a"), "cut": file(t, "png", 10, 10)[:40], "only a head": header(10, 10, 8),
		"jpeg head": []byte("\xff\xd8\xff\xe0"), "bmp head": []byte("BM"), "svg": []byte("<svg/>"),
	} {
		if p, err := s.Fit(data, Display{Width: 320, Height: 240}); err == nil {
			t.Errorf("%s: a picture of %d x %d, expected an error", name, p.Width, p.Height)
		}
	}
}

// jpegHead returns the beginning of a JPEG file, which has no pixels: marker is that of the frame (0xC0, or 0xC2 where it is
// progressive), and each component has a name and its sampling.
func jpegHead(marker byte, w, h uint16, adobe bool, components ...[2]byte) []byte {
	b := []byte("\xff\xd8\xff\xff\xfe\x00\x04ab")
	if adobe {
		b = append(b, "\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00\x00"...)
	}
	b = append(b, 0xff, marker, 0, byte(8+3*len(components)), 8)
	b = binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(b, h), w)
	b = append(b, byte(len(components)))
	for _, c := range components {
		b = append(b, c[0], c[1], 0)
	}
	return append(b, "\xff\xda\x00\x08abcdef"...)
}

// TestMemoryIsBounded: what a file takes while it is decoded depends on its kind, not on its pixels alone.
func TestMemoryIsBounded(t *testing.T) {
	t.Parallel()
	full, half := [2]byte{1, 0x11}, [2]byte{1, 0x22}
	second, third, fourth := [2]byte{2, 0x11}, [2]byte{3, 0x11}, [2]byte{4, 0x11}
	interlacedPNG := header(4096, 4096, 8)
	interlacedPNG[28] = 1
	binary.BigEndian.PutUint32(interlacedPNG[29:], crc32.ChecksumIEEE(interlacedPNG[12:29]))
	for name, c := range map[string]struct {
		file []byte
		fits bool
	}{
		"baseline": {jpegHead(0xC0, 4096, 4096, false, full, second, third), true}, "extended": {jpegHead(0xC1, 4096, 4096, false, half, second, third), true},
		"gray":             {jpegHead(0xC0, 4096, 4096, false, full), true},
		"progressive gray": {jpegHead(0xC2, 4096, 4096, false, full), false}, "progressive": {jpegHead(0xC2, 4096, 4096, false, half, second, third), false},
		"progressive, not large": {jpegHead(0xC2, 3000, 2000, false, half, second, third), true},
		"progressive, full":      {jpegHead(0xC2, 3000, 2000, false, full, second, third), false},
		"CMYK":                   {jpegHead(0xC0, 4096, 4096, true, full, second, third, fourth), false}, "CMYK, not large": {jpegHead(0xC0, 2500, 2500, true, full, second, third, fourth), true},
		"progressive CMYK": {jpegHead(0xC2, 4096, 2900, true, full, second, third, fourth), false},
		"RGB by Adobe":     {jpegHead(0xC0, 4096, 4096, true, full, second, third), false}, "RGB by name": {jpegHead(0xC0, 4096, 4096, false, [2]byte{'R', 0x11}, [2]byte{'G', 0x11}, [2]byte{'B', 0x11}), false},
		"PNG": {header(4096, 4096, 8), true}, "interlaced PNG": {interlacedPNG, false}, "PNG with 16 bits": {header(4096, 4096, 16), false},
	} {
		_, _, err := known(c.file)
		if (err == nil) != c.fits || err != nil && !strings.Contains(err.Error(), "of memory, expected at most 64") {
			t.Errorf("%s: %v, expected that it fits: %v", name, err, c.fits)
		}
	}
}

// TestScalingTakesLittleMemory runs alone, since it measures what the whole process allocates.
func TestScalingTakesLittleMemory(t *testing.T) {
	img := image.NewNRGBA(image.Rect(0, 0, 4096, 4096))
	for i := range img.Pix {
		img.Pix[i] = 255
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	small := scaled(img, Display{Width: 800, Height: 372})
	runtime.ReadMemStats(&after)
	if took := (after.TotalAlloc - before.TotalAlloc) >> 20; took > 32 {
		t.Errorf("%d MiB, expected at most 32", took)
	}
	if r, _, _, a := small.At(371, 371).RGBA(); small.Bounds().Dx() != 372 || r != 0xffff || a != 0xffff {
		t.Errorf("%v, the last pixel %x %x", small.Bounds(), r, a)
	}
}

func FuzzFit(f *testing.F) {
	for _, format := range []string{"png", "jpeg", "bmp"} {
		f.Add(file(f, format, 8, 4))
	}
	f.Add(header(4, 4, 8))
	f.Fuzz(func(t *testing.T, data []byte) {
		var s Scaler
		p, err := s.Fit(data, Display{Width: 32, Height: 16})
		if err == nil && (p.Width > 32 || p.Height > 16 || len(p.Data) == 0) {
			t.Fatalf("%d x %d, %d bytes", p.Width, p.Height, len(p.Data))
		}
	})
}

// A picture for a group of phones is made once for each kind of display.
func TestAPictureIsMadeOnceForPhonesOfAKind(t *testing.T) {
	t.Parallel()
	var file bytes.Buffer
	if err := png.Encode(&file, image.NewNRGBA(image.Rect(0, 0, 400, 300))); err != nil {
		t.Fatal(err)
	}
	var s Scaler
	made := map[*byte]Display{}
	for range 5 {
		for _, d := range []Display{{Width: 320, Height: 240}, {Width: 200, Height: 200}, {Width: 128, Height: 64, Mono: true}} {
			p, err := s.Fit(file.Bytes(), d)
			if err != nil || p.Width > d.Width || p.Height > d.Height {
				t.Fatalf("%+v: %d x %d, %v", d, p.Width, p.Height, err)
			}
			made[&p.Data[0]] = d
		}
	}
	if len(made) != 3 {
		t.Errorf("made %d times, expected 3", len(made))
	}
}
