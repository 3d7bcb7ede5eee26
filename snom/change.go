package snom

import "strconv"

// A Change is what a command asks for of one setting of the phone: most often a value to give it. A program that knows
// the present value, or that can read settings, can avoid or verify the request of [Command.Steps], which writes the
// settings. Changes are comparable.
type Change struct {
	Setting  string // the name of the setting: "dnd_mode"
	Identity int    // the SIP identity of the setting, from 1; 0: not given
	Value    string // the new value: "on"
	Key      string // the key that toggles it, "DND"; empty: there is none
	// Present says that the setting is not written, and must have a value: without one the others make no sense.
	Present bool
	// Absent says that a phone without the setting counts as having the value.
	Absent bool
}

// Name returns the name of the setting as a request has it: followed by the number of the identity, if
// given. Source: Snom wiki, Configuration Files.
func (c Change) Name() string {
	if c.Identity == 0 {
		return c.Setting
	}
	return c.Setting + strconv.Itoa(c.Identity)
}

// A changer is an argument that may change settings.
type changer interface {
	changes() []Change
}

// Changes returns what c asks for of settings, in the order in which a request writes them; empty: c is no command of that
// kind.
func (c Command) Changes() []Change {
	if a, ok := c.arg.(changer); ok {
		return a.changes()
	}
	return nil
}

// written returns the step that writes what changes ask for.
func written(changes []Change) []Step {
	target := []byte(saveSettings)
	for _, c := range changes {
		if !c.Present {
			target = appendSetting(target, c.Name(), c.Value)
		}
	}
	return []Step{{Request: string(target)}}
}

// saveSettings is the request that writes settings and keeps them over a restart, without them (service.snom.com, Can I
// set or change phone settings via HTTP requests).
const saveSettings = "/dummy.htm?settings=save&store_settings=save"

// appendSetting appends a setting to the request that writes it. Nothing of the value ends it.
func appendSetting(target []byte, plain, value string) []byte {
	return appendEscaped(append(append(append(target, '&'), plain...), '='), value, "")
}
