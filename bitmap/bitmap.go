// Package bitmap makes PNG files of the BMP files in which phones give away what their screens show. It reads every kind of
// BMP that a phone may send (1 to 32 bits, both orders of rows, run-length encoding), and decodes none that is too large.
package bitmap

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/color/palette"
	"image/png"

	"github.com/jsummers/gobmp"
)

// MaxPixels is how many pixels a file may have: no display of a phone has more than 1280 by 800.
const MaxPixels = 1280 * 800

// maxSide bounds the width and the height.
const maxSide = 4096

// PNG returns the picture of a BMP file as a PNG file of at most so many bytes: with fewer colors, and then smaller, where it
// would have more.
func PNG(file []byte, most int) ([]byte, error) {
	size, err := gobmp.DecodeConfig(bytes.NewReader(file))
	switch {
	case err != nil:
		return nil, errors.New("bitmap: it is no BMP file that can be read")
	case size.Width < 1 || size.Height < 1 || size.Width > maxSide || size.Height > maxSide || size.Width*size.Height > MaxPixels:
		return nil, fmt.Errorf("bitmap: %d x %d pixels, expected at most %d", size.Width, size.Height, MaxPixels)
	}
	img, err := gobmp.Decode(bytes.NewReader(file))
	if err != nil {
		return nil, errors.New("bitmap: the BMP file cannot be read to its end")
	}
	if p, ok := img.(*image.Paletted); ok {
		complete(p)
	}
	for {
		var out bytes.Buffer
		if err := png.Encode(&out, img); err != nil {
			return nil, fmt.Errorf("bitmap: %w", err)
		}
		switch paletted, ok := img.(*image.Paletted); {
		case out.Len() <= most:
			return out.Bytes(), nil
		case !ok:
			img = fewer(img)
		case paletted.Rect.Dx() < 2 || paletted.Rect.Dy() < 2:
			return nil, fmt.Errorf("bitmap: the picture does not fit %d bytes", most)
		default:
			img = halved(paletted)
		}
	}
}

// complete gives a picture as many colors as its pixels may name: some files have fewer.
func complete(p *image.Paletted) {
	most := -1
	for _, i := range p.Pix {
		most = max(most, int(i))
	}
	for len(p.Palette) <= most {
		p.Palette = append(p.Palette, color.Black)
	}
}

// fewer returns the picture with 216 colors.
func fewer(img image.Image) *image.Paletted {
	b := img.Bounds()
	p := image.NewPaletted(image.Rect(0, 0, b.Dx(), b.Dy()), palette.WebSafe)
	level := func(v uint32) uint8 { return uint8((v>>8*5 + 127) / 255) }
	for y := range b.Dy() {
		for x := range b.Dx() {
			red, green, blue, _ := img.At(b.Min.X+x, b.Min.Y+y).RGBA()
			p.Pix[y*p.Stride+x] = 36*level(red) + 6*level(green) + level(blue)
		}
	}
	return p
}

// halved returns every second pixel of every second row.
func halved(p *image.Paletted) *image.Paletted {
	out := image.NewPaletted(image.Rect(0, 0, p.Rect.Dx()/2, p.Rect.Dy()/2), p.Palette)
	for y := range out.Rect.Dy() {
		for x := range out.Rect.Dx() {
			out.Pix[y*out.Stride+x] = p.Pix[2*y*p.Stride+2*x]
		}
	}
	return out
}
