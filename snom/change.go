package snom

import "strconv"

// A Change is the value that a command gives to a setting of the phone. A program that knows the present value, or
// that can read settings, can avoid or verify the request of [Command.Steps], which writes the setting. Changes are
// comparable.
type Change struct {
	Setting  string // the name of the setting: "dnd_mode"
	Identity int    // the SIP identity of the setting, from 1; 0: not given
	Value    string // the new value: "on"
	Key      string // the key that toggles it, "DND"; empty: there is none
}

// Name returns the name of the setting as a request has it: followed by the number of the identity, if
// given. Source: Snom wiki, Configuration Files.
func (c Change) Name() string {
	if c.Identity == 0 {
		return c.Setting
	}
	return c.Setting + strconv.Itoa(c.Identity)
}

// A changer is an argument that may change a setting.
type changer interface {
	change() (Change, bool)
}

// Change returns the change of a setting that c asks for, and whether c is a command of that kind.
func (c Command) Change() (Change, bool) {
	if a, ok := c.arg.(changer); ok {
		return a.change()
	}
	return Change{}, false
}
