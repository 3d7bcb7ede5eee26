package snom

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// Touch returns the command that touches the screen of a snom 870 at one point.
func Touch(x, y int) (Command, error) {
	return fromPlain(VerbTouch, strconv.Itoa(x)+" "+strconv.Itoa(y))
}

// The touch screen of the snom 870, and what is done on it, since firmware 8.4.34 and 8.7.2. Source: Snom
// wiki FAQ/Can_I_control_my_snom_phone_remotely.
const (
	maxTouchX = 479 // 0 is the left edge
	maxTouchY = 271 // 0 is the upper edge
)

// maxTouches bounds a chain of touches. It is a value of this package: Snom documents none.
const maxTouches = 64

const expectedAction = "press, p, release, r or pr"

// touchRow is the row of the command touch.
func touchRow() *verbRow {
	return &verbRow{
		verb: VerbTouch,
		help: VerbHelp{
			Summary: "touches the screen of a snom 870",
			Plain: "X Y [press|p|release|r|pr], chained by spaces: 1 to 64 touches, X from 0 to 479, " +
				"Y from 0 to 271; without an action press and release",
			JSON:        `touches: a list of {"x", "y", "action"}`,
			Request:     "/command.htm?touch=…",
			Source:      sourceNew,
			Example:     "touch 240 136 pr",
			ExampleJSON: `{"touches":[{"x":240,"y":136,"action":"pr"}]}`,
		},
		parse:   parsed(parseTouches),
		read:    readTouches,
		members: []string{"touches"},
		check: func(m Model, _ argument) (warning string, err error) {
			if !m.IsZero() && !m.is("870") {
				return "", fmt.Errorf("%w: only the snom 870 can be touched, not %s", ErrUnsupported, m)
			}
			return "", nil
		},
	}
}

// A touches is the argument of a touch command: "X Y [action]", chained by spaces, checked.
type touches string

func (t touches) text() string { return string(t) }

func (t touches) steps(Dialect) []Step {
	return []Step{{Request: targetOf("/command.htm?touch=", string(t), "")}}
}

func parseTouches(text string) (touches, *SyntaxError) {
	words, pos := text, 0 // what is left, and where it begins
	var out []string      // without fractions, if there are any
	fractions := strings.Contains(text, ".")
	next := func() (word string, more bool) {
		pos = len(text) - len(words)
		word, words, more = strings.Cut(words, " ")
		return word, more
	}
	for n, more := 0, true; more; n++ {
		if n == maxTouches {
			return "", fault(len(text)-len(words), "at most "+strconv.Itoa(maxTouches)+" touches")
		}
		var x, y string
		x, more = next()
		x = withoutFraction(x)
		if _, bad := decimal(x, 0, maxTouchX); bad >= 0 {
			return "", fault(pos+bad, "X, "+wholeFrom(0, maxTouchX)+", and Y")
		}
		if !more {
			return "", fault(len(text), "a space and Y, "+wholeFrom(0, maxTouchY))
		}
		y, more = next()
		y = withoutFraction(y)
		if _, bad := decimal(y, 0, maxTouchY); bad >= 0 {
			return "", fault(pos+bad, "Y, "+wholeFrom(0, maxTouchY))
		}
		if fractions {
			out = append(out, x, y)
		}
		if more && (words == "" || !isDigit(words[0])) {
			var action string
			action, more = next()
			if !isAction(action) {
				return "", fault(pos, expectedAction+", or the next X")
			}
			if fractions {
				out = append(out, action)
			}
		}
	}
	if fractions {
		text = strings.Join(out, " ")
	}
	return touches(text), nil
}

func isAction(word string) bool {
	switch word {
	case "press", "p", "release", "r", "pr":
		return true
	}
	return false
}

func readTouches(m *members) argument {
	m.need("touches", "a list of touches")
	var words []string
	n := 0
	m.each("touches", func(place string, item json.RawMessage) {
		m.nested(place, item, []string{"x", "y", "action"}, func(item *members) {
			item.need("x", wholeFrom(0, maxTouchX))
			item.need("y", wholeFrom(0, maxTouchY))
			x, _ := item.whole("x", 0, maxTouchX)
			y, _ := item.whole("y", 0, maxTouchY)
			words = append(words, strconv.Itoa(x), strconv.Itoa(y))
			if action, given := item.text("action"); given {
				if !isAction(action) {
					item.check("action", action, fault(0, expectedAction))
				}
				words = append(words, action)
			}
		})
		n++
	})
	if n < 1 || n > maxTouches {
		m.refuse("touches", "1 to "+strconv.Itoa(maxTouches)+" touches")
	}
	return touches(strings.Join(words, " "))
}
