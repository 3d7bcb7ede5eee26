package minibrowser

import (
	"encoding/xml"
	"strconv"
)

// A Color is the color of a light. A light of one color takes any of them for its own (docs.snom.io, main_sub_tags).
type Color string

// The colors of lights. The two of two colors change between them, and need a blink.
const (
	Red         Color = "red"
	Green       Color = "green"
	Orange      Color = "orange"
	RedGreen    Color = "redgreen"
	GreenOrange Color = "greenorange"
)

// A Light is what a light does.
type Light string

// What a light does.
const (
	LightOn        Light = "on"
	LightOff       Light = "off"
	LightBlink     Light = "blink"
	LightBlinkFast Light = "blinkfast"
	LightBlinkSlow Light = "blinkslow"
)

// An LED sets a light. Number 0 is the message light; the numbers of keys depend on the model.
type LED struct {
	Number int
	Color  Color // empty: the element has none
	Light  Light
}

func (l LED) encode(e *encoder) {
	e.element("Led", func() { e.token(xml.CharData(l.Light)) }, attribute{"number", strconv.Itoa(l.Number)}, attribute{"color", string(l.Color)})
}
