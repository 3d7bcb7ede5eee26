package snom

import (
	"strconv"
	"time"

	"github.com/snom2mqtt/snom2mqtt/internal/strictjson"
)

// Bounds of the ring command. They are those of this package; ringers 1 to 9 are documented (Snom KB entry 40).
const (
	maxRings     = 20
	maxRingPause = 60_000 // milliseconds
	defaultPause = 2 * time.Second
)

// ringRow is the row of the command ring.
func ringRow() *verbRow {
	return &verbRow{
		verb: VerbRing,
		help: VerbHelp{
			Summary:     "plays a ringer",
			Plain:       "a ringer from 1 to 9; or stop, which ends a ring with a count",
			JSON:        "ringer: 1 to 9, or stop; count: 1 (default) to 20; pause_ms: with a count, between two rings, 0 to 60000, default 2000",
			Request:     "/line_login.htm?PLAY_RINGER:…=+Ringer; older firmware =Play+Ringer; stop: none",
			Source:      sourceBoth,
			Example:     "ring 3",
			ExampleJSON: `{"ringer":3}`,
		},
		parse:   parsed(parseRing),
		read:    readRing,
		members: []string{"ringer", "count", "pause_ms"},
		effects: func(a argument) Effects {
			r := a.(ring)
			return Effects{Yields: r.count > 1, StopsRings: r.ringer == ringStop}
		},
	}
}

// Ring returns the command that plays a ringer, 1 to 9, once.
func Ring(ringer int) (Command, error) { return fromPlain(VerbRing, strconv.Itoa(ringer)) }

// RingRepeatedly returns the command that plays a ringer count times, up to 20, with a pause of up to a minute
// between two rings.
func RingRepeatedly(ringer, count int, pause time.Duration) (Command, error) {
	object := strictjson.Object{"ringer": whole(ringer), "count": whole(count)}
	if count > 1 {
		object["pause_ms"] = whole(int(pause.Milliseconds()))
	}
	return VerbRing.Command(object)
}

// StopRinging returns the command that drops the rings that are left of a ring with a count.
func StopRinging() Command { return made(VerbRing, ring{ringer: ringStop}) }

// A ring is the argument of a ring command.
type ring struct {
	ringer string // one digit, 1 to 9, or ringStop
	count  int
	pause  time.Duration // between two rings
}

// ringStop stands for no ringer: what is left of a ring with a count is dropped.
const ringStop = "stop"

const expectedRinger = "a ringer from 1 to 9, or stop"

func parseRing(text string) (ring, *SyntaxError) {
	if text == ringStop {
		return ring{ringer: ringStop}, nil
	}
	text = withoutFraction(text)
	_, bad := decimal(text, 1, 9)
	if bad >= 0 {
		return ring{}, fault(bad, expectedRinger)
	}
	return ring{ringer: text, count: 1}, nil
}

func readRing(m *members) argument {
	m.need("ringer", expectedRinger)
	text, _ := m.text("ringer")
	r, err := parseRing(text)
	m.check("ringer", text, err)
	if r.ringer == ringStop {
		for _, name := range []string{"count", "pause_ms"} {
			if m.has(name) {
				m.refuse(name, "no "+name+" with stop")
			}
		}
		return r
	}
	if count, given := m.whole("count", 1, maxRings); given {
		r.count = count
	}
	if r.count > 1 {
		r.pause = defaultPause
	}
	if ms, given := m.whole("pause_ms", 0, maxRingPause); given {
		r.pause = time.Duration(ms) * time.Millisecond
		if r.count < 2 {
			m.refuse("pause_ms", "no pause, or a count of 2 or more")
		}
	}
	return r
}

func (r ring) text() string {
	if r.count <= 1 {
		return r.ringer
	}
	text := `{"ringer":` + r.ringer + `,"count":` + strconv.Itoa(r.count)
	if r.pause != defaultPause {
		text += `,"pause_ms":` + strconv.FormatInt(r.pause.Milliseconds(), 10)
	}
	return text + "}"
}

// steps presses a button of the phone's page. The value is its caption, which differs between firmwares.
func (r ring) steps(d Dialect) []Step {
	if r.ringer == ringStop {
		return nil
	}
	target := "/line_login.htm?PLAY_RINGER:" + r.ringer + "=+Ringer"
	if d == DialectOld {
		target = "/line_login.htm?PLAY_RINGER:" + r.ringer + "=Play+Ringer"
	}
	steps := make([]Step, r.count)
	for i := range steps {
		steps[i] = Step{Request: target, Pause: r.pause}
	}
	steps[r.count-1].Pause = 0
	return steps
}
