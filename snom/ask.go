package snom

// askRow is the row of the command ask. The callbacks stand in package minibrowser.
func askRow() *verbRow {
	return &verbRow{
		verb: VerbAsk,
		help: VerbHelp{
			Summary:     "asks the phone for do not disturb, forwarding and its calls (inferred)",
			Plain:       "nothing",
			Request:     "/minibrowser.htm?url=…",
			Source:      "docs.snom.io callbacks; that a silent page evaluates them is inferred",
			Example:     "ask",
			ExampleJSON: "{}",
		},
		only:     question{},
		displays: true,
	}
}

// Ask returns the command that asks the phone for its state.
func Ask() Command { return made(VerbAsk, question{}) }

// Asks reports whether c asks the phone for its state.
func (c Command) Asks() bool {
	_, ok := c.arg.(question)
	return ok
}

// question is the argument of an ask command, which has none.
type question struct{}

func (question) text() string { return "" }

// steps returns none: what the phone is asked names a page that only the program which serves it knows.
func (question) steps(Dialect) []Step { return nil }
