package snomtest

import (
	"encoding/binary"
	"net/http"
	"slices"
)

// screenPages are the pages that show what the screens of a phone show. Which models have which is not documented: this
// phone has them all.
var screenPages = []string{"/screen.bmp", "/label_screen.bmp", "/exp_screen.bmp"}

// display returns the size of a phone's screen: Snomio/Documentation names that of the D375, D385 and D785; others are inferred.
func display(model string) (width, height int) {
	switch model {
	case "D785", "D385", "D375":
		return 480, 272
	case "300", "320", "360", "370", "710", "715", "720", "760":
		return 128, 64
	}
	return 320, 240
}

// screen is a picture of the screen: a bar with a bright field for each call below a dark ground. How many bits a phone's
// pictures have is not documented; these have 24.
func (p *Phone) screen() reply {
	if p.config.Screen != nil {
		return reply{status: http.StatusOK, contentType: "image/bmp", body: string(p.config.Screen)}
	}
	const head, bits = 54, 24
	width, height := display(p.config.Model)
	row := (width*bits/8 + 3) / 4 * 4
	b := make([]byte, head+row*height)
	copy(b, "BM")
	binary.LittleEndian.PutUint32(b[2:], uint32(len(b)))
	binary.LittleEndian.PutUint32(b[10:], head)
	binary.LittleEndian.PutUint32(b[14:], head-14)
	binary.LittleEndian.PutUint32(b[18:], uint32(width))
	binary.LittleEndian.PutUint32(b[22:], uint32(height))
	binary.LittleEndian.PutUint16(b[26:], 1)
	binary.LittleEndian.PutUint16(b[28:], bits)
	for y := range height {
		for x := range width {
			at := head + y*row + x*3
			b[at], b[at+1], b[at+2] = 60, 40, 30
			if field := x * 16 / width; y < height/8 && field < len(p.panel.calls) {
				b[at], b[at+1], b[at+2] = 80, 200, 240
			}
		}
	}
	return reply{status: http.StatusOK, contentType: "image/bmp", body: string(b)}
}

// screenPage answers a request for a picture of a screen, and reports whether it is one.
func (p *Phone) screenPage(in request, line *Request) (reply, bool) {
	if !slices.Contains(screenPages, in.path) {
		return reply{}, false
	}
	line.Executed = true
	return p.screen(), true
}
