package config

import "slices"

// A Setting is one variable of the environment.
type Setting struct {
	Name    string // with the prefix; the number of a phone is written <n>
	Default string // empty: none
	Accepts string // a range, or the words it may have; empty: other rules hold
	Secret  bool   // may also be given as Name_FILE, the path of a file
}

// Settings lists every variable in the order of docs/settings.md, but for those that end in _FILE beside
// a secret.
func Settings() []Setting {
	var list []Setting
	bridge, phone := rows(variables{}), rows(phoneVariables{})
	at := slices.IndexFunc(bridge, func(r row) bool { return r.name == "PHONES_FILE" })
	list = appendSettings(list, prefix, bridge[:at])
	list = appendSettings(list, prefix+"PHONE_<n>_", phone)
	return appendSettings(list, prefix, bridge[at:])
}

// appendSettings appends the settings of rows, whose secrets are followed by the row of their file.
func appendSettings(list []Setting, before string, rows []row) []Setting {
	for i, r := range rows {
		if i > 0 && r.name == rows[i-1].name+"_FILE" {
			list[len(list)-1].Secret = true
			continue
		}
		list = append(list, Setting{Name: before + r.name, Default: r.def, Accepts: r.accepts})
	}
	return list
}
