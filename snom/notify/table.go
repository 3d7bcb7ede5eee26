package notify

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/snom2mqtt/snom2mqtt/snom"
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
func Rows() []Row {
	return []Row{
		{snom.VerbKey, "`key=KEY`, one NOTIFY for each key, two seconds apart", snom.EvidenceReported, sourceFSPBX, planKeys},
		{snom.VerbDial, "`numberdial=NUMBER`", snom.EvidenceDocumented, sourceSIPN, planDial},
		{snom.VerbDTMF, "`key=DIGIT` for each digit, two seconds apart", snom.EvidenceInferred, sourceFSPBX, planTones},
		{snom.VerbAnswer, "`key=ENTER`", snom.EvidenceReported, sourceFSPBX, press("", "ENTER")},
		{snom.VerbHangup, "`key=F_CANCEL`, for all calls, too", snom.EvidenceReported, sourceFSPBX, planHangup},
		{snom.VerbTransfer, "`key=F_HOLD`, then `numberdial=NUMBER`; complete: `key=F_TRANSFER`, `key=F_OK`; cancel: `key=F_CANCEL`; blind: " +
			"`key=F_TRANSFER`, then `numberdial=NUMBER`", snom.EvidenceReported, sourceFSPBX + "; cancel is inferred", planTransfer},
		{snom.VerbMute, "`key=F_MUTE`", snom.EvidenceReported, sourceFSPBX, press("", "F_MUTE")},
		{snom.VerbDND, "`key=F_DND`, which toggles; `on` and `off` where the state is known", snom.EvidenceReported, sourceFSPBX,
			press("this key toggles", "F_DND")},
		{snom.VerbLogoff, "`unregister=IDENTITY`, counted from 0, or -1 for all", snom.EvidenceDocumented, sourceFrag, planLogoff},
		{snom.VerbReregister, "`reregister=IDENTITY`, counted from 0", snom.EvidenceDocumented, sourceFrag, planReregister},
		{snom.VerbClear, "`calllistclear=Dialed`, `Missed` or `Received`", snom.EvidenceDocumented, sourceFrag, planClear},
		{snom.VerbReboot, "`Event: check-sync;reboot=true`, without a body", snom.EvidenceDocumented, "Snom wiki challenge_checksync", planReboot},
	}
}

// Supports reports whether the table has a row for v.
func Supports(v snom.Verb) bool {
	return slices.ContainsFunc(Rows(), func(r Row) bool { return r.Verb == v })
}

// accepted is said of every command that a phone took.
const accepted = "the phone's SIP side took it; phones also take what they ignore"

// Plan returns the steps that carry out cmd on a phone of model m, in order, and what is doubtful about that. The error wraps
// [snom.ErrUnsupported] where the table has no row for the command, or for its argument.
func Plan(cmd snom.Command, m snom.Model) (steps []snom.Step, warning string, err error) {
	rows := Rows()
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

// press returns the plan of a command that presses keys.
func press(doubt string, keys ...string) func(snom.Command) ([]snom.Step, string, error) {
	return func(snom.Command) ([]snom.Step, string, error) {
		var steps []snom.Step
		for _, key := range keys {
			steps = append(steps, fragment("key", key))
		}
		return steps, doubt, nil
	}
}

func planKeys(cmd snom.Command) (steps []snom.Step, doubt string, err error) {
	for event := range cmd.KeyEvents() {
		if event.HasHold && event.Hold > 0 {
			return nil, "", fmt.Errorf("%w: a key in a NOTIFY has no hold time", snom.ErrUnsupported)
		}
		key := cmp.Or(keyNames[event.Key], event.Key)
		if !slices.Contains(strings.Fields(seen), key) && doubt == "" {
			doubt = "no source says that the key " + key + " works by NOTIFY"
		}
		s := fragment("key", key)
		s.Pause = max(s.Pause, event.Pause)
		steps = append(steps, s)
	}
	return steps, doubt, nil
}

func planDial(cmd snom.Command) ([]snom.Step, string, error) {
	number, _ := cmd.Number()
	if cmd.Argument() != number {
		return nil, "", fmt.Errorf("%w: outgoing_uri: a dial by NOTIFY does not choose the identity", snom.ErrUnsupported)
	}
	return []snom.Step{dial(number)}, "", nil
}

func planTones(cmd snom.Command) (steps []snom.Step, doubt string, err error) {
	doubt = "sent as keys of the keypad, two seconds apart"
	for event := range cmd.KeyEvents() { // by keys; how long each is held is for the phone to decide
		s := fragment("key", event.Key)
		s.Pause = max(s.Pause, event.Pause)
		steps = append(steps, s)
	}
	if steps != nil {
		return steps, doubt, nil
	}
	for _, digit := range strings.Split(cmd.Argument(), "") {
		if digit >= "A" {
			return nil, "", fmt.Errorf("%w: a NOTIFY has no tones but those of keys, and there is no key for A to D", snom.ErrUnsupported)
		}
		steps = append(steps, fragment("key", digit))
	}
	return steps, doubt, nil
}

func planHangup(cmd snom.Command) ([]snom.Step, string, error) {
	doubt := ""
	if cmd.Effects().EndsCalls {
		doubt = "it ends the selected call: no NOTIFY ends all calls"
	}
	return []snom.Step{fragment("key", "F_CANCEL")}, doubt, nil
}

func planTransfer(cmd snom.Command) ([]snom.Step, string, error) {
	t, _ := cmd.Transfer()
	switch t.Kind {
	case snom.TransferStart:
		return []snom.Step{fragment("key", "F_HOLD"), dial(t.Number)}, "", nil
	case snom.TransferBlind:
		return []snom.Step{fragment("key", "F_TRANSFER"), dial(t.Number)}, "", nil
	case snom.TransferComplete:
		return []snom.Step{fragment("key", "F_TRANSFER"), fragment("key", "F_OK")}, "", nil
	}
	return []snom.Step{fragment("key", "F_CANCEL")}, "no source says that F_CANCEL ends a transfer by NOTIFY", nil
}

func planLogoff(cmd snom.Command) ([]snom.Step, string, error) {
	return []snom.Step{fragment("unregister", fromZero(cmd.Argument()))}, "", nil
}

func planReregister(cmd snom.Command) ([]snom.Step, string, error) {
	return []snom.Step{fragment("reregister", fromZero(cmd.Argument()))}, "", nil
}

// fromZero returns an identity as fragments count it: the first is 0, all are -1.
func fromZero(identity string) string {
	n, _ := strconv.Atoi(identity) // "all" is 0
	return strconv.Itoa(n - 1)
}

func planClear(cmd snom.Command) ([]snom.Step, string, error) {
	list := cmd.Argument()
	return []snom.Step{fragment("calllistclear", strings.ToUpper(list[:1])+list[1:])}, "", nil
}

// rebootTime is how long a phone that reboots takes no other request.
const rebootTime = 2 * time.Second

func planReboot(snom.Command) ([]snom.Step, string, error) {
	return []snom.Step{{Request: Notification{Event: "check-sync;reboot=true"}.String(), Pause: rebootTime}}, "", nil
}
