package snom

import "strconv"

// forwardRow is the row of the command forward.
//
// The settings are per identity in provisioning, as that of do not disturb is: see [dndRow]. A phone forwards by itself
// where its settings fwd_*_on_code are empty, and else by asking its PBX.
func forwardRow() *verbRow {
	return &verbRow{
		verb: VerbForward,
		help: VerbHelp{
			Summary: "forwards calls: always, when busy or when not answered",
			Plain:   "a number or SIP URI, to which all calls go; off: none is forwarded; on: all calls go to the number that the phone has",
			JSON: "to: a number or SIP URI; when: always (default), busy or no_answer; after: the seconds until no_answer, 1 to 300; " +
				"off: true, without when for all three; false: to the number that the phone has; identity: 1 to 12",
			Request: "none where the settings are so; else /dummy.htm?settings=save&store_settings=save&fwd_all_enabled=…&fwd_all_target=…, " +
				"fwd_busy_… or fwd_time_…, and they are read back",
			Source:      "service.snom.com, fwd_all_enabled and fwd_time_enabled; nethesis/tancredi snom.tmpl",
			Example:     "forward +4930123",
			ExampleJSON: `{"to":"+4930123"}`,
		},
		parse:   parsed(parseForward),
		read:    readForward,
		members: []string{"when", "to", "after", "off", "identity"},
		check: func(m Model, a argument) (string, error) {
			return doubtIdentity(m, a.(forward).identity), nil
		},
	}
}

// A forward is the argument of a forward command.
type forward struct {
	when     string // empty: off for all of them
	to       string // empty: off, or the number that the phone has
	off      bool
	after    int // 0: not given
	identity int // 0: not given
}

// The cases of a forward command, and what the names of their settings begin with.
const (
	forwardAlways   = "always"
	forwardBusy     = "busy"
	forwardNoAnswer = "no_answer"
)

var forwardCases = [...]struct{ when, prefix string }{
	{forwardAlways, "fwd_all"}, {forwardBusy, "fwd_busy"}, {forwardNoAnswer, "fwd_time"},
}

const (
	expectedForward = "off, on, or " + expectedNumber
	expectedWhen    = "always, busy or no_answer"
	maxForwardAfter = 300 // seconds; that of this package
)

func parseForward(text string) (forward, *SyntaxError) {
	switch text {
	case "off":
		return forward{off: true}, nil
	case "on":
		return forward{when: forwardAlways}, nil
	}
	to, err := parseNumber(text, checkCalled)
	if err != nil && err.Expected == expectedNumber {
		err.Expected = expectedForward
	}
	return forward{when: forwardAlways, to: to}, err
}

func readForward(m *members) argument {
	var f forward
	when, given := m.text("when")
	if f.when = when; given && when != forwardAlways && when != forwardBusy && when != forwardNoAnswer {
		m.check("when", when, fault(0, expectedWhen))
	}
	if m.has("off") {
		off, ok := m.boolean("off")
		if f.off = off; !ok {
			m.refuse("off", "true or false, without quotes")
		}
		if m.has("to") {
			m.refuse("to", "to or off, not both")
		}
	} else {
		m.need("to", expectedNumber+"; or off")
		text, _ := m.text("to")
		to, err := parseNumber(text, checkCalled)
		m.check("to", text, err)
		f.to = to
	}
	if f.when == "" && !f.off {
		f.when = forwardAlways
	}
	if n, given := m.whole("after", 1, maxForwardAfter); given {
		f.after = n
		if f.when != forwardNoAnswer || f.to == "" {
			m.refuse("after", "after with to and with when no_answer only")
		}
	}
	if n, given := m.whole("identity", 1, maxIdentity); given {
		f.identity = n
	}
	return f
}

func (f forward) text() string {
	if f.identity == 0 && f.after == 0 {
		switch {
		case f.off && f.when == "":
			return "off"
		case f.when == forwardAlways && f.to != "":
			return f.to
		case f.when == forwardAlways && !f.off:
			return "on"
		}
	}
	text := "{"
	add := func(member string) {
		if text != "{" {
			text += ","
		}
		text += member
	}
	if f.when != "" && (f.when != forwardAlways || f.off) {
		add(`"when":"` + f.when + `"`)
	}
	if f.to != "" {
		add(`"to":"` + f.to + `"`)
	} else {
		add(`"off":` + strconv.FormatBool(f.off))
	}
	if f.after != 0 {
		add(`"after":` + strconv.Itoa(f.after))
	}
	if f.identity != 0 {
		add(`"identity":` + strconv.Itoa(f.identity))
	}
	return text + "}"
}

func (f forward) changes() (all []Change) {
	for _, c := range forwardCases {
		if f.when != "" && f.when != c.when {
			continue
		}
		enabled, target := Change{Setting: c.prefix + "_enabled", Identity: f.identity, Value: "on"}, Change{Setting: c.prefix + "_target", Identity: f.identity, Value: f.to}
		switch {
		case f.off:
			enabled.Value, enabled.Absent = "off", true
			all = append(all, enabled)
			continue
		case f.to == "":
			target.Present = true
		}
		all = append(all, enabled, target)
		if f.after != 0 {
			all = append(all, Change{Setting: c.prefix + "_secs", Identity: f.identity, Value: strconv.Itoa(f.after)})
		}
	}
	return all
}

func (f forward) steps(Dialect) []Step { return written(f.changes()) }
