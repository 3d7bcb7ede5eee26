package snom

import "strconv"

// A Change is a wish that a setting of the phone has a value. A program that knows the value, or can read and
// write settings, does better than the request of [Command.Steps], which writes the setting unseen. Changes
// are comparable.
type Change struct {
	Setting  string // the name of the setting: "dnd_mode"
	Identity int    // the SIP identity that it is of, from 1; 0: not given
	Value    string // the value it is to have: "on"
	Key      string // the key that toggles it, "DND"; empty: there is none
}

// Name returns the name of the setting as a request has it: the number of the identity, where given, stands
// behind. Source: Snom wiki, Configuration Files.
func (c Change) Name() string {
	if c.Identity == 0 {
		return c.Setting
	}
	return c.Setting + strconv.Itoa(c.Identity)
}

// A changer is an argument that may be a wish for the value of a setting.
type changer interface {
	change() (Change, bool)
}

// Change returns the setting that c is to change, and whether it is a command of that kind.
func (c Command) Change() (Change, bool) {
	if a, ok := c.arg.(changer); ok {
		return a.change()
	}
	return Change{}, false
}
