package snom

// keyLockRow is the row of the command keyboard_lock.
func keyLockRow() *verbRow {
	return &verbRow{
		verb: VerbKeyLock,
		help: VerbHelp{
			Summary:     "locks the keyboard, or unlocks it",
			Plain:       "on or off",
			JSON:        "keyboard_lock: on or off, or true or false",
			Request:     "none where the setting is so; else /dummy.htm?settings=save&store_settings=save&keyboard_lock=…, and it is read back",
			Source:      "Snom wiki, Settings/keyboard_lock; nethesis/tancredi snom.tmpl",
			Example:     "keyboard_lock on",
			ExampleJSON: `{"keyboard_lock":"on"}`,
		},
		parse:   parsed(parseKeyLock),
		read:    readKeyLock,
		members: []string{"keyboard_lock"},
	}
}

// A keyLock is the argument of a keyboard_lock command: on or off.
type keyLock string

const expectedKeyLock = "on or off"

func parseKeyLock(text string) (keyLock, *SyntaxError) {
	switch text {
	case "on", "off":
		return keyLock(text), nil
	}
	return "", fault(0, expectedKeyLock)
}

func readKeyLock(m *members) argument {
	m.need("keyboard_lock", expectedKeyLock)
	if on, given := m.boolean("keyboard_lock"); given {
		return keyLock(onOff(on))
	}
	text, _ := m.text("keyboard_lock")
	lock, err := parseKeyLock(text)
	m.check("keyboard_lock", text, err)
	return lock
}

// onOff is the value of a setting that is on or off.
func onOff(on bool) string {
	if on {
		return "on"
	}
	return "off"
}

func (l keyLock) text() string { return string(l) }

func (l keyLock) changes() []Change {
	return []Change{{Setting: "keyboard_lock", Value: string(l)}}
}

func (l keyLock) steps(Dialect) []Step { return written(l.changes()) }
