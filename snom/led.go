package snom

import (
	"slices"
	"strconv"
	"strings"
)

// ledRow is the row of the command led.
func ledRow() *verbRow {
	return &verbRow{
		verb: VerbLED,
		help: VerbHelp{
			Summary:     "sets the light of a key, or the message light",
			Plain:       "a key (P1, …, or message) and on, off or a color, then for a color an effect",
			JSON:        "key; color: on, off, red, green, orange, redgreen or greenorange; effect: blink, blinkfast or blinkslow",
			Request:     "/minibrowser.htm?url=…",
			Source:      "docs.snom.io main_sub_tags; symcon/Snom; Golpe82/snom-baos777",
			Example:     "led P5 red blink",
			ExampleJSON: `{"key":"P5","color":"red","effect":"blink"}`,
		},
		parse:    parsed(parseLED),
		read:     readLED,
		members:  []string{"key", "color", "effect"},
		displays: true,
		check: func(m Model, a argument) (string, error) {
			if key := a.(led).Key; key != MessageLED {
				return m.checkLED(key)
			}
			return "", nil
		},
	}
}

// An LED is what a led command sets.
type LED struct {
	Key    string // "P5", or "message" for the message light
	Color  string // red, green, orange, redgreen or greenorange; empty: off
	Effect string // blink, blinkfast or blinkslow; empty: none
}

// MessageLED is the key of the message light.
const MessageLED = "message"

// The words of a led command.
const (
	ledOn       = "on"
	ledOff      = "off"
	ledDefault  = "red" // the color of a light that is switched on: one of a single color takes any
	ledColors   = "red green orange redgreen greenorange"
	ledTwo      = "redgreen greenorange" // they change between two colors, and need an effect (docs.snom.io, main_sub_tags)
	ledEffects  = "blink blinkfast blinkslow"
	expectedLED = "a key such as P5, or message, then on, off or a color, and an effect if there is one: P5 red blink"
	mostLED     = 300 // the highest number of a key
)

// LEDs returns what can be said of a light: every color with every effect that it may have.
func LEDs() []string {
	list := []string{ledOff}
	for color := range strings.FieldsSeq(ledColors) {
		if !slices.Contains(strings.Fields(ledTwo), color) {
			list = append(list, color)
		}
		for effect := range strings.FieldsSeq(ledEffects) {
			list = append(list, color+" "+effect)
		}
	}
	return list
}

// LED returns what c sets, if it is a led command.
func (c Command) LED() (LED, bool) {
	a, ok := c.arg.(led)
	return LED(a), ok
}

// SetLED returns the command that sets a light.
func SetLED(l LED) (Command, error) { return fromPlain(VerbLED, led(l).text()) }

// Number returns the number of the light in documents of the minibrowser, where first is that of P1.
func (l LED) Number(first int) int {
	if l.Key == MessageLED {
		return 0
	}
	n, _ := strconv.Atoi(l.Key[1:]) // parseLED has read it
	return first + n - 1
}

// State is what the light shows: "off", "red" or "red blink".
func (l LED) State() string {
	if l.Color == "" {
		return ledOff
	}
	return strings.TrimSpace(l.Color + " " + l.Effect)
}

// led is the argument of a led command.
type led LED

func (l led) text() string { return l.Key + " " + LED(l).State() }

// steps returns none: what the phone is asked names a page that only the program which serves it knows.
func (led) steps(Dialect) []Step { return nil }

func parseLED(text string) (led, *SyntaxError) {
	words := strings.Split(text, " ")
	if len(words) < 2 || len(words) > 3 {
		return led{}, fault(0, expectedLED)
	}
	effect := ""
	if len(words) == 3 {
		effect = words[2]
	}
	key, err := ledKey(words[0])
	if err != nil {
		return led{}, err
	}
	color, err := ledColor(words[1], effect)
	if err != nil {
		err.Offset += strings.Index(text, words[1])
		return led{}, err
	}
	if effect != "" && !slices.Contains(strings.Fields(ledEffects), effect) {
		return led{}, fault(strings.LastIndex(text, effect), expectedEffect)
	}
	return led{key, color, effect}, nil
}

const (
	expectedLEDKey   = "a key from P1 to P300, or message"
	expectedLEDColor = "on, off, red, green, orange, redgreen or greenorange; the last two with an effect, off without"
	expectedEffect   = "blink, blinkfast or blinkslow"
)

// ledKey reads the key of a light.
func ledKey(text string) (string, *SyntaxError) {
	if strings.EqualFold(text, MessageLED) {
		return MessageLED, nil
	}
	number, ok := strings.CutPrefix(strings.ToUpper(text), "P")
	if _, bad := decimal(number, 1, mostLED); !ok || bad >= 0 {
		return "", fault(0, expectedLEDKey)
	}
	return "P" + number, nil
}

// ledColor reads a color, which is empty for off.
func ledColor(text, effect string) (string, *SyntaxError) {
	switch {
	case text == ledOff && effect == "":
		return "", nil
	case text == ledOn:
		text = ledDefault
	case !slices.Contains(strings.Fields(ledColors), text), slices.Contains(strings.Fields(ledTwo), text) && effect == "":
		return "", fault(0, expectedLEDColor)
	}
	return text, nil
}

func readLED(m *members) argument {
	m.need("key", expectedLEDKey)
	name, _ := m.text("key")
	key, err := ledKey(name)
	m.check("key", name, err)
	m.need("color", expectedLEDColor)
	effect, given := m.text("effect")
	if given && effect != "" && !slices.Contains(strings.Fields(ledEffects), effect) {
		m.refuse("effect", expectedEffect)
	}
	var color string
	if on, is := m.boolean("color"); is {
		if on {
			color = ledDefault
		} else if effect != "" {
			m.refuse("effect", "no effect with off")
		}
		return led{key, color, effect}
	}
	text, _ := m.text("color")
	color, err = ledColor(text, effect)
	m.check("color", text, err)
	return led{key, color, effect}
}
