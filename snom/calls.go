package snom

// answerRow is the row of the command answer.
func answerRow() *verbRow {
	return &verbRow{
		verb: VerbAnswer,
		help: VerbHelp{
			Summary:     "answers the ringing call",
			Plain:       "nothing",
			Request:     "/command.htm?key=ENTER",
			Source:      sourceBoth + "; ENTER answers: p4irin/remote_phone_control",
			Example:     "answer",
			ExampleJSON: "{}",
		},
		only:        press("ENTER"),
		effects:     func(argument) Effects { return Effects{Answers: true} },
		idleRefusal: "no call is ringing: the phone is idle",
	}
}

// hangupRow is the row of the command hangup.
func hangupRow() *verbRow {
	return &verbRow{
		verb: VerbHangup,
		help: VerbHelp{
			Summary:     "ends all calls, or the current one",
			Plain:       "nothing or all; or current",
			JSON:        "calls: all (default) or current",
			Request:     "/command.htm?RELEASE_ALL_CALLS; current /command.htm?key=CANCEL",
			Source:      sourceNew,
			Example:     "hangup current",
			ExampleJSON: `{"calls":"current"}`,
		},
		parse:   parsed(parseHangup),
		read:    oneMember("calls", parseHangup),
		members: []string{"calls"},
		effects: hangupEffects,
	}
}

// Answer returns the command that answers the ringing call.
func Answer() Command { return made(VerbAnswer, VerbAnswer.row().only) }

// Hangup returns the command that ends all calls.
func Hangup() Command { return made(VerbHangup, hangupAll) }

// HangupCurrent returns the command that ends the current call.
func HangupCurrent() Command { return made(VerbHangup, hangupCurrent) }

// A hangup is the argument of a hangup command: the calls that it ends.
type hangup string

// What a hangup ends.
const (
	hangupAll     hangup = "all"
	hangupCurrent hangup = "current"
)

func parseHangup(text string) (hangup, *SyntaxError) {
	switch text {
	case "":
		return hangupAll, nil
	case "all", "current":
		return hangup(text), nil
	}
	return "", fault(0, "all, current, or nothing")
}

func (h hangup) text() string { return string(h) }

func (h hangup) keys() keySequence {
	if h == hangupCurrent {
		return "CANCEL"
	}
	return ""
}

func (h hangup) steps(Dialect) []Step {
	if h == hangupCurrent {
		return []Step{{Request: "/command.htm?key=CANCEL"}}
	}
	return []Step{{Request: "/command.htm?RELEASE_ALL_CALLS"}}
}

func hangupEffects(a argument) Effects {
	return Effects{Urgent: true, EndsCalls: a == hangupAll, EndsCall: a == hangupCurrent, StopsRings: true}
}

// muteRow is the row of the command mute. The key on an idle phone: wazo-platform/wazo-provd-plugins.
func muteRow() *verbRow {
	return &verbRow{
		verb: VerbMute,
		help: VerbHelp{
			Summary:     "mutes the microphone in a call, or unmutes it",
			Plain:       "nothing",
			Request:     "/command.htm?key=MUTE",
			Source:      "Snom wiki Remote+phone+control",
			Example:     "mute",
			ExampleJSON: "{}",
		},
		only:        press("MUTE"),
		idleWarning: "the phone is idle: if its setting mute_is_dnd_in_idle is on, MUTE toggles do not disturb",
	}
}

// Mute returns the command that mutes the microphone in a call, or unmutes it.
func Mute() Command { return made(VerbMute, VerbMute.row().only) }
