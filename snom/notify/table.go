package notify

import (
	"cmp"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/snom2mqtt/snom2mqtt/snom"
	"github.com/snom2mqtt/snom2mqtt/snom/minibrowser"
)

// A Row says how a command is carried out by NOTIFY.
type Row struct {
	Verb     snom.Verb
	Notify   string        // what is sent, for documents
	Evidence snom.Evidence // how well that is known
	Source   string
	// plan returns the steps, and what is doubtful about them.
	plan func(snom.Command) (steps []snom.Step, doubt string, err error)
}

const (
	sourceSIPN  = "Snom wiki Via+SIP+NOTIFY"
	sourceFSPBX = "nemerald-voip/fspbx, SnomPhoneControlDriver.php, on a D862"
	sourceFrag  = "Snom wiki Fragments"
)

// Rows returns the table, in the order of the documents. All bodies of kind fragment are an
// XML document that fetches snom://mb_nop#NAME=VALUE.
func Rows() []Row { return slices.Clone(rows()) }

// rows is the table, made when it is needed first.
var rows = sync.OnceValue(func() []Row {
	return []Row{
		{snom.VerbKey, "`key=KEY`, one NOTIFY for each key, two seconds apart", snom.EvidenceReported, sourceFSPBX, planKeys},
		{snom.VerbDial, "`numberdial=NUMBER`", snom.EvidenceDocumented, sourceSIPN, planDial},
		{snom.VerbDTMF, "`key=DIGIT` for each digit, two seconds apart", snom.EvidenceInferred, sourceFSPBX, planTones},
		{snom.VerbAnswer, "`key=ENTER`", snom.EvidenceReported, sourceFSPBX, press("", "ENTER")},
		{snom.VerbHangup, "`key=F_CANCEL`, for all calls, too", snom.EvidenceReported, sourceFSPBX, planHangup},
		{snom.VerbTransfer, "`key=F_HOLD`, then `numberdial=NUMBER`; complete: `key=F_TRANSFER`, `key=F_OK`; cancel: `key=F_CANCEL`; blind: " +
			"`key=F_TRANSFER`, then `numberdial=NUMBER`", snom.EvidenceReported, sourceFSPBX + "; cancel is inferred", planTransfer},
		{snom.VerbMute, "`key=F_MUTE`", snom.EvidenceReported, sourceFSPBX, press("", "F_MUTE")},
		{snom.VerbShow, "the page itself where it fits, or one that has the phone fetch it from `PHONE_LISTEN`", snom.EvidenceDocumented, sourceSIPN, planPage},
		{snom.VerbLED, "a silent page with `Led` elements", snom.EvidenceInferred, "docs.snom.io main_sub_tags", planPage},
		{snom.VerbAsk, "a silent page that fetches a URL with callbacks", snom.EvidenceInferred, "docs.snom.io callbacks", planPage},
		{snom.VerbDND, "`key=F_DND`, which toggles; `on` and `off` where the state is known", snom.EvidenceReported, sourceFSPBX,
			press("this key toggles", "F_DND")},
		{snom.VerbLogoff, "`unregister=IDENTITY`, counted from 0, or -1 for all", snom.EvidenceDocumented, sourceFrag, planLogoff},
		{snom.VerbReregister, "`reregister=IDENTITY`, counted from 0", snom.EvidenceDocumented, sourceFrag, planReregister},
		{snom.VerbClear, "`calllistclear=Dialed`, `Missed` or `Received`", snom.EvidenceDocumented, sourceFrag, planClear},
		{snom.VerbReboot, "`Event: check-sync;reboot=true`, without a body", snom.EvidenceDocumented, "Snom wiki challenge_checksync", planReboot},
	}
})

// Supports reports whether the table has a row for v.
func Supports(v snom.Verb) bool {
	return slices.ContainsFunc(rows(), func(r Row) bool { return r.Verb == v })
}

// Accepted is said of every command that a phone took.
const Accepted = "the phone's SIP side took it; phones also take what they ignore"

// Plan returns the steps that carry out cmd on a phone of model m, in order, and what is doubtful about that. The error wraps
// [snom.ErrUnsupported] where the table has no row for the command, or for its argument.
func Plan(cmd snom.Command, m snom.Model) (steps []snom.Step, warning string, err error) {
	return planBy(cmd, m, Accepted)
}

// A Planner plans for phones that a transport reaches. It is embedded in the phones of that transport.
type Planner struct {
	// Accepted is the warning about every step that the transport has accepted: it stands for [Accepted].
	Accepted string
}

// Plan returns the steps that carry out cmd: see [Plan].
func (p Planner) Plan(cmd snom.Command, m snom.Model) (steps []snom.Step, warning string, err error) {
	return planBy(cmd, m, p.Accepted)
}

// ShowStep returns the step that shows a document: see [Show].
func (Planner) ShowStep(d snom.Display) (step snom.Step, fetches bool, err error) { return Show(d) }

// planBy is Plan for a transport of which something else than [Accepted] is said.
func planBy(cmd snom.Command, m snom.Model, accepted string) (steps []snom.Step, warning string, err error) {
	rows := rows()
	i := slices.IndexFunc(rows, func(r Row) bool { return r.Verb == cmd.Verb() })
	switch {
	case cmd.IsZero():
		return nil, "", fmt.Errorf("%w: expected a command, not the zero Command", snom.ErrUnsupported)
	case i < 0:
		return nil, "", fmt.Errorf("%w: no SIP NOTIFY is known for %s", snom.ErrUnsupported, cmd.Verb())
	case m.Series() == "M":
		return nil, "", fmt.Errorf("%w: %s is a DECT base: NOTIFY is known of desk phones only", snom.ErrUnsupported, m)
	}
	steps, doubt, err := rows[i].plan(cmd)
	if err != nil {
		return nil, "", err
	}
	if doubt != "" {
		return steps, doubt + "; " + accepted, nil
	}
	return steps, accepted, nil
}

// keyNames are the keys whose names differ in a NOTIFY. Only these, ENTER and F_HOLD were seen to work on a D862. Source:
// nemerald-voip/fspbx.
var keyNames = map[string]string{
	"CANCEL": "F_CANCEL", "TRANSFER": "F_TRANSFER", "CONFERENCE": "F_CONFERENCE", "MUTE": "F_MUTE", "DND": "F_DND", "F_R": "F_HOLD",
}

// seen are the keys that were seen to work by NOTIFY on a D862.
const seen = "ENTER F_CANCEL F_HOLD F_TRANSFER F_OK F_CONFERENCE F_MUTE F_DND"

// A part is one thing that a NOTIFY asks for.
type part func() (minibrowser.Target, error)

func key(name string) part {
	return func() (minibrowser.Target, error) { return minibrowser.PressKey(name) }
}

func call(number string) part {
	return func() (minibrowser.Target, error) { return minibrowser.Dial(number) }
}

// stepsOf returns the steps that ask for parts, one after the other.
func stepsOf(parts ...part) (steps []snom.Step, err error) {
	for _, p := range parts {
		target, err := p()
		if err != nil {
			return nil, fmt.Errorf("%w by NOTIFY: %w", snom.ErrUnsupported, err)
		}
		s, err := silent(target)
		if err != nil {
			return nil, err
		}
		steps = append(steps, s)
	}
	return steps, nil
}

// planPage plans a command for which the program makes a page: see [Show].
func planPage(snom.Command) ([]snom.Step, string, error) { return nil, "", nil }

// press returns the plan of a command that presses a key.
func press(doubt, name string) func(snom.Command) ([]snom.Step, string, error) {
	return func(snom.Command) ([]snom.Step, string, error) {
		steps, err := stepsOf(key(name))
		return steps, doubt, err
	}
}

// pressEvents presses the keys of events, with the pauses after them; named translates their names.
func pressEvents(events iter.Seq[snom.KeyEvent], named func(string) string) (steps []snom.Step, err error) {
	for event := range events {
		one, err := stepsOf(key(named(event.Key)))
		if err != nil {
			return nil, err
		}
		one[0].Pause = max(one[0].Pause, event.Pause)
		steps = append(steps, one[0])
	}
	return steps, nil
}

func planKeys(cmd snom.Command) (steps []snom.Step, doubt string, err error) {
	named := func(name string) string { return cmp.Or(keyNames[name], name) }
	for event := range cmd.KeyEvents() {
		if event.HasHold && event.Hold > 0 {
			return nil, "", fmt.Errorf("%w: a key in a NOTIFY has no hold time", snom.ErrUnsupported)
		}
		if name := named(event.Key); !slices.Contains(strings.Fields(seen), name) && doubt == "" {
			doubt = "no source says that the key " + name + " works by NOTIFY"
		}
	}
	steps, err = pressEvents(cmd.KeyEvents(), named)
	return steps, doubt, err
}

func planDial(cmd snom.Command) ([]snom.Step, string, error) {
	number, _ := cmd.Number()
	if cmd.Argument() != number {
		return nil, "", fmt.Errorf("%w: outgoing_uri: a dial by NOTIFY does not choose the identity", snom.ErrUnsupported)
	}
	steps, err := stepsOf(call(number))
	return steps, "", err
}

func planTones(cmd snom.Command) (steps []snom.Step, doubt string, err error) {
	doubt = "sent as keys of the keypad, two seconds apart"
	steps, err = pressEvents(cmd.KeyEvents(), func(name string) string { return name }) // how long each is held is for the phone to decide
	if steps != nil || err != nil {
		return steps, doubt, err
	}
	var parts []part
	for _, digit := range strings.Split(cmd.Argument(), "") {
		if digit >= "A" {
			return nil, "", fmt.Errorf("%w: a NOTIFY has no tones but those of keys, and there is no key for A to D", snom.ErrUnsupported)
		}
		parts = append(parts, key(digit))
	}
	steps, err = stepsOf(parts...)
	return steps, doubt, err
}

func planHangup(cmd snom.Command) ([]snom.Step, string, error) {
	doubt := ""
	if cmd.Effects().EndsCalls {
		doubt = "it ends the selected call: no NOTIFY ends all calls"
	}
	steps, err := stepsOf(key("F_CANCEL"))
	return steps, doubt, err
}

func planTransfer(cmd snom.Command) (steps []snom.Step, doubt string, err error) {
	t, _ := cmd.Transfer()
	switch t.Kind {
	case snom.TransferStart:
		steps, err = stepsOf(key("F_HOLD"), call(t.Number))
	case snom.TransferBlind:
		steps, err = stepsOf(key("F_TRANSFER"), call(t.Number))
	case snom.TransferComplete:
		steps, err = stepsOf(key("F_TRANSFER"), key("F_OK"))
	default:
		doubt = "no source says that F_CANCEL ends a transfer by NOTIFY"
		steps, err = stepsOf(key("F_CANCEL"))
	}
	return steps, doubt, err
}

// identity returns the number of an identity in an argument; "all" is 0.
func identity(argument string) int {
	n, _ := strconv.Atoi(argument)
	return n
}

func planLogoff(cmd snom.Command) ([]snom.Step, string, error) {
	steps, err := stepsOf(func() (minibrowser.Target, error) { return minibrowser.Unregister(identity(cmd.Argument())), nil })
	return steps, "", err
}

func planReregister(cmd snom.Command) ([]snom.Step, string, error) {
	steps, err := stepsOf(func() (minibrowser.Target, error) { return minibrowser.Reregister(identity(cmd.Argument())), nil })
	return steps, "", err
}

func planClear(cmd snom.Command) ([]snom.Step, string, error) {
	list := cmd.Argument()
	steps, err := stepsOf(func() (minibrowser.Target, error) { return minibrowser.ClearList(strings.ToUpper(list[:1]) + list[1:]) })
	return steps, "", err
}

// rebootTime is how long a phone that reboots takes no other request.
const rebootTime = 2 * time.Second

func planReboot(snom.Command) ([]snom.Step, string, error) {
	return []snom.Step{{Request: Notification{Event: "check-sync;reboot=true"}.String(), Pause: rebootTime}}, "", nil
}
