package snom

import "strconv"

// dndRow is the row of the command dnd.
//
// The setting is per identity in provisioning (nethesis/tancredi snom.tmpl), and written without a number by
// gemeinschaft. Whether that means the first identity or all is not documented.
func dndRow() *verbRow {
	return &verbRow{
		verb: VerbDND,
		help: VerbHelp{
			Summary: "turns do not disturb on or off",
			Plain:   "on, off or toggle",
			JSON:    "dnd: on, off or toggle, or true or false; identity: 1 to 12, with on and off only",
			Request: "none where the state is known and does not change; else /dummy.htm?settings=save&store_settings=save&dnd_mode=…, " +
				"and the setting is read back; toggle /command.htm?key=DND",
			Source:      "nethesis/tancredi snom.tmpl; gemeinschaft; the key: " + sourceBoth,
			Example:     "dnd on",
			ExampleJSON: `{"dnd":"on"}`,
		},
		parse:   parsed(parseDND),
		read:    readDND,
		members: []string{"dnd", "identity"},
		effects: func(a argument) Effects { return Effects{TogglesDND: a.(dnd).mode == dndToggle} },
		check: func(m Model, a argument) (string, error) {
			return doubtIdentity(m, a.(dnd).identity), nil
		},
	}
}

// DND returns the command that turns do not disturb on or off.
func DND(on bool) Command {
	if on {
		return made(VerbDND, dnd{mode: dndOn})
	}
	return made(VerbDND, dnd{mode: dndOff})
}

// ToggleDND returns the command that presses the key DND, which turns do not disturb on when it is off, and off
// when it is on.
func ToggleDND() Command { return made(VerbDND, dnd{mode: dndToggle}) }

// A dnd is the argument of a dnd command.
type dnd struct {
	mode     string
	identity int // 0: not given
}

// The modes of a dnd command.
const (
	dndOn     = "on"
	dndOff    = "off"
	dndToggle = "toggle"
)

const expectedDND = "on, off or toggle"

// dndKey is the key that toggles do not disturb.
const dndKey = "DND"

func parseDND(text string) (dnd, *SyntaxError) {
	switch text {
	case dndOn, dndOff, dndToggle:
		return dnd{mode: text}, nil
	}
	return dnd{}, fault(0, expectedDND)
}

// readDND reads the JSON form. YAML and many templates write true for on and false for off.
func readDND(m *members) argument {
	m.need("dnd", expectedDND)
	var d dnd
	if on, given := m.boolean("dnd"); given {
		d.mode = dndOff
		if on {
			d.mode = dndOn
		}
	} else {
		text, _ := m.text("dnd")
		read, err := parseDND(text)
		m.check("dnd", text, err)
		d = read
	}
	if n, given := m.whole("identity", 1, maxIdentity); given {
		d.identity = n
		if d.mode == dndToggle {
			m.refuse("identity", "no identity with toggle: the key DND has none")
		}
	}
	return d
}

func (d dnd) text() string {
	if d.identity == 0 {
		return d.mode
	}
	return `{"dnd":"` + d.mode + `","identity":` + strconv.Itoa(d.identity) + "}"
}

func (d dnd) keys() keySequence {
	if d.mode == dndToggle {
		return dndKey
	}
	return ""
}

func (d dnd) changes() []Change {
	if d.mode == dndToggle {
		return nil
	}
	return []Change{{Setting: "dnd_mode", Identity: d.identity, Value: d.mode, Key: dndKey}}
}

// steps writes the setting, or presses the key.
func (d dnd) steps(Dialect) []Step {
	if d.mode == dndToggle {
		return []Step{{Request: "/command.htm?key=" + dndKey}}
	}
	return written(d.changes())
}
