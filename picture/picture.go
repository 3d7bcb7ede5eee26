// Package picture makes pictures fit the display of a phone: it decodes PNG, JPEG and BMP files within bounds, scales them
// and encodes them again, so that nothing of the file that came reaches the phone as it was.
package picture

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"sync"

	"golang.org/x/image/bmp"
	"golang.org/x/image/draw"
)

// Bounds of a file.
const (
	MaxSide    = 4096     // pixels in each direction
	maxDecoded = 64 << 20 // bytes while it is decoded: of some kinds of files fewer pixels fit, see sizeInMemory
)

// MaxBytes is the longest file that is worth being fetched.
const MaxBytes = 4 << 20

// A Display is what a picture is made for.
type Display struct {
	Width, Height int
	Mono          bool // black and white
}

// A Picture is a file for a phone.
type Picture struct {
	Data          []byte
	Type          string // of the content
	Width, Height int
}

// A Scaler scales one picture at a time, since each may take much memory. It keeps the last few, since a picture is often for a
// group of phones. The zero Scaler is ready.
type Scaler struct {
	turn sync.Mutex
	kept [4]scaledFile // guarded by turn
	next int           // the index in kept that is replaced next; guarded by turn
}

// A scaledFile is what was made of a file.
type scaledFile struct {
	sum     [sha256.Size]byte // of the file
	display Display
	picture Picture
}

// Fit returns the picture of a file, made smaller if it is wider or higher than the display. Its data must not be changed.
func (s *Scaler) Fit(file []byte, d Display) (Picture, error) {
	format, decode, err := known(file)
	if err != nil {
		return Picture{}, err
	}
	sum := sha256.Sum256(file)
	s.turn.Lock()
	defer s.turn.Unlock()
	for i := range s.kept {
		if k := &s.kept[i]; k.sum == sum && k.display == d {
			return k.picture, nil
		}
	}
	img, err := decode(bytes.NewReader(file))
	if err != nil {
		return Picture{}, fmt.Errorf("picture: the %s file cannot be read", format)
	}
	img = scaled(img, d)
	p := Picture{Width: img.Bounds().Dx(), Height: img.Bounds().Dy()}
	var out bytes.Buffer
	switch {
	case d.Mono: // bitmaps are what is known of monochrome displays (Snom wiki, XML minibrowser of the 3xx)
		dithered := image.NewPaletted(img.Bounds(), color.Palette{color.Black, color.White})
		draw.FloydSteinberg.Draw(dithered, img.Bounds(), img, img.Bounds().Min)
		p.Type = "image/bmp"
		err = bmp.Encode(&out, dithered)
	case format == "JPEG":
		p.Type = "image/jpeg"
		err = jpeg.Encode(&out, img, &jpeg.Options{Quality: 85})
	default:
		p.Type = "image/png"
		err = png.Encode(&out, img)
	}
	if err != nil {
		return Picture{}, fmt.Errorf("picture: %w", err)
	}
	p.Data = out.Bytes()
	s.kept[s.next] = scaledFile{sum, d, p}
	s.next = (s.next + 1) % len(s.kept)
	return p, nil
}

// A decoder reads a file of one format.
type decoder = func(file *bytes.Reader) (image.Image, error)

// known returns the format of a file, and its decoder, if the file is within the bounds.
func known(file []byte) (format string, decode decoder, err error) {
	var size image.Config
	switch {
	case bytes.HasPrefix(file, []byte("\x89PNG\r\n\x1a\n")):
		format, decode = "PNG", func(r *bytes.Reader) (image.Image, error) { return png.Decode(r) }
		size, err = png.DecodeConfig(bytes.NewReader(file))
	case bytes.HasPrefix(file, []byte("\xff\xd8")):
		format, decode = "JPEG", func(r *bytes.Reader) (image.Image, error) { return jpeg.Decode(r) }
		size, err = jpeg.DecodeConfig(bytes.NewReader(file))
	case bytes.HasPrefix(file, []byte("BM")):
		format, decode = "BMP", func(r *bytes.Reader) (image.Image, error) { return bmp.Decode(r) }
		size, err = bmp.DecodeConfig(bytes.NewReader(file))
	default:
		return "", nil, errors.New("picture: expected a PNG, JPEG or BMP file")
	}
	switch {
	case err != nil:
		return "", nil, fmt.Errorf("picture: the %s file cannot be read", format)
	case size.Width < 1 || size.Height < 1 || size.Width > MaxSide || size.Height > MaxSide:
		return "", nil, fmt.Errorf("picture: %d x %d pixels, expected at most %d x %d", size.Width, size.Height, MaxSide, MaxSide)
	case sizeInMemory(format, file, size) > maxDecoded:
		return "", nil, fmt.Errorf("picture: %d x %d pixels are too many for this kind of %s file, which takes %d MiB of memory, expected at most %d",
			size.Width, size.Height, format, sizeInMemory(format, file, size)>>20, maxDecoded>>20)
	}
	return format, decode, nil
}

// coarse is how many pixels in each direction are interpolated to one at most.
const coarse = 4

// scaled returns img in the size that fits the display, as it is if it fits.
func scaled(img image.Image, d Display) image.Image {
	w, h := img.Bounds().Dx(), img.Bounds().Dy()
	if w <= d.Width && h <= d.Height {
		return img
	}
	width, height := d.Width, max(1, h*d.Width/w)
	if height > d.Height {
		width, height = max(1, w*d.Height/h), d.Height
	}
	// The interpolator keeps 32 bytes for each column of the result and row of the picture: of a large picture
	// 4 x 4 pixels for each pixel of the result are enough.
	if w > coarse*width && h > coarse*height {
		some := image.NewRGBA(image.Rect(0, 0, coarse*width, coarse*height))
		draw.NearestNeighbor.Scale(some, some.Bounds(), img, img.Bounds(), draw.Src, nil)
		img = some
	}
	small := image.NewNRGBA(image.Rect(0, 0, width, height))
	draw.BiLinear.Scale(small, small.Bounds(), img, img.Bounds(), draw.Src, nil)
	return small
}
