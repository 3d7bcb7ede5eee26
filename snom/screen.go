package snom

import (
	"bytes"
	"context"
	"fmt"
	"strings"
)

// screenRow is the row of the command screen.
func screenRow() *verbRow {
	return &verbRow{
		verb: VerbScreen,
		help: VerbHelp{
			Summary:     "takes a picture of the phone's screen",
			Plain:       "main (also when empty), labels or expansion",
			JSON:        "which: main (default), labels or expansion",
			Request:     "/screen.bmp, /label_screen.bmp or /exp_screen.bmp",
			Source:      "Snomio/Snom-remote-control; that no login is needed, or which one, is not documented",
			Example:     "screen labels",
			ExampleJSON: `{"which":"labels"}`,
		},
		parse:   parsed(parseScreen),
		read:    readScreen,
		members: []string{"which"},
		gated:   true,
		effects: func(argument) Effects { return Effects{Picture: true} },
	}
}

// A screen is the argument of a screen command: the page of the picture.
type screen string

var screens = [...]struct{ which, page string }{
	{"main", "/screen.bmp"}, {"labels", "/label_screen.bmp"}, {"expansion", "/exp_screen.bmp"},
}

const expectedScreen = "main, labels or expansion"

func parseScreen(text string) (screen, *SyntaxError) {
	if text == "" {
		text = screens[0].which
	}
	for _, s := range screens {
		if s.which == text {
			return screen(s.page), nil
		}
	}
	return "", fault(0, expectedScreen)
}

func readScreen(m *members) argument {
	text, given := m.text("which")
	s, err := parseScreen(text)
	if given && text == "" {
		err = fault(0, expectedScreen)
	}
	m.check("which", text, err)
	return s
}

func (s screen) text() string {
	for _, known := range screens[1:] {
		if known.page == string(s) {
			return known.which
		}
	}
	return ""
}

func (s screen) steps(Dialect) []Step { return []Step{{Request: string(s)}} }

// maxPicture bounds a picture of a screen, in bytes: 1280 by 800 of 32 bits.
const maxPicture = 4 << 20

// isPicture reports whether target is a page that shows a screen.
func isPicture(target string) bool {
	page, _, _ := strings.Cut(target, "?")
	for _, s := range screens {
		if s.page == page {
			return true
		}
	}
	return false
}

// beginsBitmap is what a BMP file begins with.
var beginsBitmap = []byte("BM")

// Picture makes the request of a step whose reply is a picture, and returns it: a BMP file as the phone made it, which may
// be of any size that its head says. The errors are those of [Client.Send]; a reply that is no such file is one that wraps
// [ErrPhone].
func (c *Client) Picture(ctx context.Context, s Step) ([]byte, Reply, error) {
	if err := checkTarget(s.Request); err != nil {
		return nil, Reply{}, err
	}
	if err := c.begin(ctx, s.NotAfter); err != nil {
		return nil, Reply{}, err
	}
	defer c.end()
	p, requests, err := c.fetch(ctx, pageRequest{target: s.Request, notAfter: s.NotAfter, login: true, keep: true})
	reply := Reply{Status: p.status, Requests: requests}
	switch {
	case err != nil:
		return nil, reply, err
	case len(p.body) >= maxPicture:
		return nil, reply, fmt.Errorf("%w: the picture is longer than %d bytes", ErrPhone, maxPicture-1)
	case !bytes.HasPrefix(p.body, beginsBitmap):
		return nil, reply, fmt.Errorf("%w: its page %s is no BMP file", ErrPhone, s.Request)
	}
	return p.body, reply, nil
}
