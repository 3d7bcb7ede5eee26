package snom

import (
	"fmt"
	"strconv"
)

// logoffRow is the row of the command logoff.
func logoffRow() *verbRow {
	return &verbRow{
		verb: VerbLogoff,
		help: VerbHelp{
			Summary:     "logs off one SIP identity, or all",
			Plain:       "all, or an identity from 1 to 12",
			JSON:        "identity: all, or 1 to 12",
			Request:     "/command.htm?LOGOFFALL; one /command.htm?LOGOFFLINE=…",
			Source:      sourceNew,
			Maintenance: true,
			Example:     "logoff 3",
			ExampleJSON: `{"identity":3}`,
		},
		parse:   parsed(parseLogoff),
		read:    oneMember("identity", parseLogoff),
		members: []string{"identity"},
		check: func(m Model, a argument) (string, error) {
			return doubtIdentity(m, int(a.(logoff))), nil
		},
	}
}

// reregisterRow is the row of the command reregister.
func reregisterRow() *verbRow {
	return &verbRow{
		verb: VerbReregister,
		help: VerbHelp{
			Summary:     "registers one SIP identity again",
			Plain:       "an identity from 1 to 12",
			JSON:        "identity: 1 to 12",
			Request:     "/command.htm?REREGISTER=…",
			Source:      sourceNew,
			Maintenance: true,
			Example:     "reregister 1",
			ExampleJSON: `{"identity":1}`,
		},
		parse:   parsed(parseReregister),
		read:    oneMember("identity", parseReregister),
		members: []string{"identity"},
		check: func(m Model, a argument) (string, error) {
			return doubtIdentity(m, int(a.(reregister))), nil
		},
	}
}

// Logoff returns the command that logs off one SIP identity, 1 to 12.
func Logoff(identity int) (Command, error) { return fromPlain(VerbLogoff, strconv.Itoa(identity)) }

// LogoffAll returns the command that logs off all SIP identities.
func LogoffAll() Command { return made(VerbLogoff, logoff(0)) }

// Reregister returns the command that registers one SIP identity again, 1 to 12.
func Reregister(identity int) (Command, error) {
	return fromPlain(VerbReregister, strconv.Itoa(identity))
}

// maxIdentity is the highest identity that LOGOFFLINE and REREGISTER take. Source: Snom wiki
// FAQ/Can_I_control_my_snom_phone_remotely.
const maxIdentity = 12

// A logoff is the argument of a logoff command: an identity, 0 for all.
type logoff int

func parseLogoff(text string) (logoff, *SyntaxError) {
	if text == "all" {
		return 0, nil
	}
	n, bad := decimal(withoutFraction(text), 1, maxIdentity)
	if bad >= 0 {
		return 0, fault(bad, "all, or an identity from 1 to 12")
	}
	return logoff(n), nil
}

func (l logoff) text() string {
	if l == 0 {
		return "all"
	}
	return strconv.Itoa(int(l))
}

func (l logoff) steps(Dialect) []Step {
	if l == 0 {
		return []Step{{Request: "/command.htm?LOGOFFALL"}}
	}
	return []Step{{Request: "/command.htm?LOGOFFLINE=" + l.text()}}
}

// A reregister is the argument of a reregister command: an identity.
type reregister int

func parseReregister(text string) (reregister, *SyntaxError) {
	n, bad := decimal(withoutFraction(text), 1, maxIdentity)
	if bad >= 0 {
		return 0, fault(bad, "an identity from 1 to 12")
	}
	return reregister(n), nil
}

func (r reregister) text() string { return strconv.Itoa(int(r)) }

func (r reregister) steps(Dialect) []Step {
	return []Step{{Request: "/command.htm?REREGISTER=" + r.text()}}
}

// doubtIdentity warns of an identity that the model does not have.
func doubtIdentity(m Model, n int) string {
	if most := m.Identities(); most > 0 && n > most {
		return fmt.Sprintf("%s has %d identities only", m, most)
	}
	return ""
}
