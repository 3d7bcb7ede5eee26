package picture

import (
	"encoding/binary"
	"image"
	"image/color"
)

// interlaced reports whether a PNG file comes in seven passes, each of which is decoded as a picture of its own.
func interlaced(file []byte) bool {
	const method = 28 // behind signature, length and name of the first chunk, size, depth, color type, compression and filter
	return len(file) > method && file[method] != 0
}

// sizeInMemory is how many bytes decoding a file takes at most. Files of one size differ by a factor of ten.
func sizeInMemory(format string, file []byte, size image.Config) int {
	pixels := size.Width * size.Height
	switch {
	case format == "JPEG":
		return sizeOfJPEG(file, pixels)
	case size.ColorModel == color.NRGBA64Model || size.ColorModel == color.RGBA64Model:
		pixels *= 8
	default:
		pixels *= 4
	}
	if format == "PNG" && interlaced(file) {
		pixels += pixels / 2
	}
	return pixels
}

// sizeOfJPEG is sizeInMemory for a JPEG file of so many pixels. A sample takes a byte. Of a progressive file all coefficients are
// kept as well, which take four, and where the colors are no YCbCr the picture is converted, which takes four for each pixel.
func sizeOfJPEG(file []byte, pixels int) int {
	frame, progressive, converted := frameOf(file)
	const head = 6 // precision, height, width, number of components
	if len(frame) < head {
		return pixels * 4
	}
	components := int(frame[5])
	if len(frame) < head+3*components || components == 0 {
		return pixels * 4
	}
	samples, most := 0, 1
	names := ""
	for i := range components {
		c := frame[head+3*i:]
		across, down := int(c[1]>>4), int(c[1]&15)
		samples, most = samples+across*down, max(most, across*down)
		names += string(rune(c[0]))
	}
	bytes := 1
	if progressive {
		bytes += 4
	}
	total := pixels * samples * bytes / most
	if converted || components == 4 || names == "RGB" {
		total += pixels * 4
	}
	return total
}

// frameOf returns the segment of a JPEG file that says how its samples are kept, whether the file is progressive, and whether
// Adobe's segment says that its colors are no YCbCr.
func frameOf(file []byte) (frame []byte, progressive, converted bool) {
	const adobe, first, last = 0xEE, 0xC0, 0xC2
	for i := 2; i+4 <= len(file); {
		if file[i] != 0xFF {
			i++ // what stands between segments is passed over
			continue
		}
		kind := file[i+1]
		if kind == 0xFF || kind == 0 || kind >= 0xD0 && kind <= 0xD9 { // it fills, or has no length
			i++
			continue
		}
		length := int(binary.BigEndian.Uint16(file[i+2:]))
		segment := file[i+4 : min(len(file), i+2+max(2, length))]
		switch {
		case kind == adobe && len(segment) >= 12 && string(segment[:5]) == "Adobe":
			converted = segment[11] == 0
		case first <= kind && kind <= last:
			return segment, kind == last, converted
		}
		i += 2 + max(2, length)
	}
	return nil, false, converted
}
