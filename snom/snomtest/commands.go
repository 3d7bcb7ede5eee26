package snomtest

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// command is command.htm. Every parameter is carried out, in order; what the phone does not understand
// changes nothing and is answered like the rest.
func (p *Phone) command(in request, line *Request) reply {
	rep := p.done()
	for _, c := range in.params {
		var wrong string
		switch {
		case c.flag && c.name == "RELEASE_ALL_CALLS":
			p.hangUpAll()
		case c.flag && c.name == "LOGOFFALL":
			for i := range p.panel.registered {
				p.logOff(i)
			}
		case c.flag:
			wrong = fmt.Sprintf("no command %q", c.name)
		case c.name == "key":
			line.Keys, wrong = p.play(c.value)
			if len(line.Keys) == 0 {
				line.Note = joinNotes(line.Note, wrong)
				continue
			}
		case c.name == "number":
			uri, _ := in.get("outgoing_uri")
			wrong = p.dialNumber(c.value, uri)
			rep = reply{status: http.StatusFound, location: "index.htm"} // p4irin/remote_phone_control
		case c.name == "outgoing_uri":
			continue
		case c.name == "key_dtmf":
			if c.value == "" || strings.Trim(c.value, "0123456789ABCD*#") != "" {
				wrong = fmt.Sprintf("no tones %q", c.value)
			}
		case c.name == "LOGOFFLINE", c.name == "REREGISTER":
			wrong = p.line(c.name, c.value)
		case c.name == "touch":
			wrong = p.touch(c.value)
		case c.name == "FIX_LIL" && c.value == "true":
		default:
			wrong = fmt.Sprintf("no command %q", c.name)
		}
		line.Note = joinNotes(line.Note, wrong)
		line.Executed = line.Executed || wrong == "" || len(line.Keys) > 0
	}
	if len(in.params) == 0 {
		line.Note = "no command"
	}
	return rep
}

// An event is one press of a key in a sequence.
type event struct {
	key         string
	hold, pause time.Duration
}

// play starts a key sequence, Key[,Time[,Pause]] joined by semicolons, and returns what it will press.
// The keys are pressed one after the other in the time that the sequence gives them, the first at once.
// Keys that come while another sequence plays are pressed in between.
func (p *Phone) play(sequence string) (pressed []string, wrong string) {
	var events []event
	var total time.Duration
	for text := range strings.SplitSeq(sequence, ";") {
		e, fault := p.readEvent(text)
		if fault != "" {
			wrong = joinNotes(wrong, fault)
			continue
		}
		events = append(events, e)
		pressed = append(pressed, text)
		total += e.hold + e.pause
	}
	now := time.Now()
	if left := p.playing(now); left > 0 {
		wrong = joinNotes(wrong, fmt.Sprintf("mixed into a key sequence that plays for another %v", left))
	}
	if end := now.Add(total); end.After(p.until) {
		p.until = end
	}
	p.step(events, p.boots)
	return pressed, wrong
}

// Press plays a key sequence at the phone, as command.htm?key= does. The error says which of it the phone
// could not make out; the rest is played.
func (p *Phone) Press(sequence string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.down {
		return errNothing
	}
	if _, wrong := p.play(sequence); wrong != "" {
		return errors.New(wrong)
	}
	return nil
}

// step presses keys until one takes time, and comes back after that time. A reboot ends it.
func (p *Phone) step(events []event, boot int) {
	for i, e := range events {
		if p.boots != boot {
			return
		}
		p.press(e.key, e.hold)
		if took := e.hold + e.pause; took > 0 {
			rest := events[i+1:]
			if len(rest) > 0 {
				p.later(took, func() { p.step(rest, boot) })
			}
			return
		}
	}
}

func (p *Phone) readEvent(text string) (e event, wrong string) {
	parts := strings.Split(text, ",")
	e.key = parts[0]
	if !p.hasKey(e.key) {
		return e, p.noKey(e.key)
	}
	if len(parts) > 3 {
		return e, fmt.Sprintf("no key event %q", text)
	}
	for i, d := range []*time.Duration{&e.hold, &e.pause} {
		if i+1 >= len(parts) {
			break
		}
		ms, err := strconv.ParseUint(parts[i+1], 10, 31)
		if err != nil {
			return e, fmt.Sprintf("no time %q", parts[i+1])
		}
		*d = time.Duration(ms) * time.Millisecond
	}
	return e, ""
}

// dialNumber dials what command.htm?number= asks for: a number or a SIP URI. A plus sign that was not
// encoded has become a space and makes it unreadable.
func (p *Phone) dialNumber(number, outgoing string) (wrong string) {
	if number == "" || strings.ContainsAny(number, " \t\r\n\x00<>\"") {
		return fmt.Sprintf("no number %q", number)
	}
	line := 0
	if outgoing != "" {
		line = slices.Index(p.config.Lines, outgoing)
		if line < 0 {
			line = 0 // a real phone would need an identity of that name; which one it takes else is not known
		}
	}
	p.dial(number, line)
	return ""
}

// line logs an identity, 1 to 12, off or on again.
func (p *Phone) line(command, identity string) (wrong string) {
	n, err := strconv.Atoi(identity)
	if err != nil || n < 1 || n > 12 || strconv.Itoa(n) != identity {
		return fmt.Sprintf("no identity %q", identity)
	}
	switch {
	case n > len(p.panel.registered):
	case command == "LOGOFFLINE":
		p.logOff(n - 1)
	default:
		p.register(n - 1)
	}
	return ""
}

// touch reads touches of the 870's screen, 480 by 272: X Y [action], chained.
func (p *Phone) touch(text string) (wrong string) {
	if p.config.Model != "870" {
		return "no touch screen on a " + p.config.Model
	}
	words := strings.Split(text, " ")
	for len(words) > 0 {
		if len(words) < 2 || !within(words[0], 479) || !within(words[1], 271) {
			return fmt.Sprintf("no touch at %q", strings.Join(words, " "))
		}
		words = words[2:]
		if len(words) > 0 && slices.Contains([]string{"press", "p", "release", "r", "pr"}, words[0]) {
			words = words[1:]
		}
	}
	return ""
}

// within says whether text is a whole number from 0 to most.
func within(text string, most int) bool {
	n, err := strconv.ParseUint(text, 10, 16)
	return err == nil && int(n) <= most
}

// playRinger is line_login.htm?PLAY_RINGER:X=caption, X from 1 to 9. The caption is that of a button,
// "Play Ringer" in older firmware, " Ringer" in newer.
func (p *Phone) playRinger(in request, line *Request) {
	for _, c := range in.params {
		ringer, ok := strings.CutPrefix(c.name, "PLAY_RINGER:")
		old, current := c.value == "Play Ringer", c.value == " Ringer"
		switch {
		case !ok || len(ringer) != 1 || ringer < "1" || ringer > "9":
			line.Note = joinNotes(line.Note, fmt.Sprintf("no ringer %q", c.name))
		case old && p.config.Dialect != "new", current && p.config.Dialect != "old":
			line.Executed = true
		default:
			line.Note = joinNotes(line.Note, fmt.Sprintf("no button %q", c.value))
		}
	}
}

// clearLists is index.htm?misseddel=clear and its neighbours; older copies of Snom's page have 0.
func (p *Phone) clearLists(in request, line *Request) {
	for _, c := range in.params {
		spelt := c.value == "clear" && p.config.Dialect != "old" || c.value == "0" && p.config.Dialect != "new"
		if !spelt || !slices.Contains([]string{"dialeddel", "misseddel", "receiveddel"}, c.name) {
			line.Note = joinNotes(line.Note, fmt.Sprintf("no list %q", c.name))
			continue
		}
		line.Executed = true
		switch c.name {
		case "misseddel":
			p.panel.missed = 0
		case "receiveddel":
			p.panel.received = nil
		}
	}
}

// isDNDMode reports whether name is the setting of do not disturb, with or without the number of an identity.
// Whether the one without a number is that of the first identity or of all is not documented; this phone has one
// state for all.
func isDNDMode(name string) bool {
	number, ok := strings.CutPrefix(name, "dnd_mode")
	return ok && (number == "" || within(number, 12))
}

// showDND writes the state of do not disturb into its settings, so that it can be read back after the key was
// pressed.
func (p *Phone) showDND() {
	value := "off"
	if p.panel.dnd {
		value = "on"
	}
	p.settings["dnd_mode"] = value
	for name := range p.settings {
		if isDNDMode(name) {
			p.settings[name] = value
		}
	}
}
