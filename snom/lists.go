package snom

// clearRow is the row of the command clear.
func clearRow() *verbRow {
	return &verbRow{
		verb: VerbClear,
		help: VerbHelp{
			Summary:     "empties a call list",
			Plain:       "dialed, missed or received",
			JSON:        "list: dialed, missed or received",
			Request:     "/index.htm?dialeddel=clear, misseddel, receiveddel; older firmware =0",
			Source:      sourceNew + "; the value 0: snom.codeplex.com/workitem/390",
			Example:     "clear missed",
			ExampleJSON: `{"list":"missed"}`,
		},
		parse:   parsed(parseClear),
		read:    oneMember("list", parseClear),
		members: []string{"list"},
		effects: func(a argument) Effects { return Effects{ClearsMissed: a == callList("missed")} },
	}
}

// Clear returns the command that empties a call list: "dialed", "missed" or "received".
func Clear(list string) (Command, error) { return fromPlain(VerbClear, list) }

// A callList is the argument of a clear command: the name of a list.
type callList string

func parseClear(text string) (callList, *SyntaxError) {
	switch text {
	case "dialed", "missed", "received":
		return callList(text), nil
	}
	return "", fault(0, "dialed, missed or received")
}

func (l callList) text() string { return string(l) }

func (l callList) steps(d Dialect) []Step {
	if d == DialectOld {
		return []Step{{Request: "/index.htm?" + string(l) + "del=0"}}
	}
	return []Step{{Request: "/index.htm?" + string(l) + "del=clear"}}
}
