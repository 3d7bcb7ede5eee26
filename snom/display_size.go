package snom

import (
	"errors"
	"strconv"
	"strings"
)

// A Screen is the size of a phone's display in pixels. The zero Screen: not known.
type Screen struct {
	Width, Height int
	Mono          bool // black and white
}

// maxScreen bounds the sides of a display that settings may name.
const maxScreen = 2048

// ParseScreen reads a size such as "480x272".
func ParseScreen(text string) (Screen, error) {
	wide, high, _ := strings.Cut(text, "x")
	w, bad := decimal(wide, 1, maxScreen)
	h, worse := decimal(high, 1, maxScreen)
	if bad >= 0 || worse >= 0 {
		return Screen{}, errors.New("expected width and height in pixels, such as 480x272")
	}
	return Screen{Width: w, Height: h}, nil
}

// screenOf reads a size of an embedded table, which may end in mono.
func screenOf(cell string) Screen {
	if cell == "" {
		return Screen{}
	}
	size, mono := strings.CutSuffix(cell, " mono")
	s, err := ParseScreen(size)
	if err != nil {
		panic("snom: embedded table: " + err.Error()) // the tests read every table
	}
	s.Mono = mono
	return s
}

// String returns the size as [ParseScreen] reads it; empty for the zero Screen.
func (s Screen) String() string {
	if s == (Screen{}) {
		return ""
	}
	return strconv.Itoa(s.Width) + "x" + strconv.Itoa(s.Height)
}

// IsZero reports whether the size is not known.
func (s Screen) IsZero() bool { return s == Screen{} }

// Between returns what is left of the display between the bars at its top and bottom, of which the heights are known for
// the displays of 240, 272 and 480 lines (chstoltz/CalloraCTI). Of the zero Screen it is what fits on most.
func (s Screen) Between() Screen {
	if s.IsZero() {
		s = Screen{Width: 320, Height: 240}
	}
	switch {
	case s.Mono:
	case s.Height >= 480:
		s.Height -= 108
	case s.Height >= 272:
		s.Height -= 80
	case s.Height >= 240:
		s.Height -= 56
	}
	return s
}
