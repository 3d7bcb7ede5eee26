package snom_test

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/snom2mqtt/snom2mqtt/snom"
)

// TestEffects has the effects of every example, so that a new command states its own.
func TestEffects(t *testing.T) {
	t.Parallel()
	expected := map[string]snom.Effects{
		"answer":                              {Answers: true},
		"hangup":                              {Urgent: true, EndsCalls: true, StopsRings: true},
		"hangup all":                          {Urgent: true, EndsCalls: true, StopsRings: true},
		"hangup current":                      {Urgent: true, EndsCall: true, StopsRings: true},
		"reboot":                              {EndsCalls: true, Restarts: true},
		"reset kitchen":                       {EndsCalls: true, Restarts: true},
		"firmware https://h/p":                {EndsCalls: true, Restarts: true},
		"clear missed":                        {ClearsMissed: true},
		"clear dialed":                        {},
		"ring 3":                              {},
		"ring stop":                           {StopsRings: true},
		"key CANCEL":                          {EndsCall: true},
		"key CANCEL,200":                      {EndsCall: true},
		"key CANCEL;CANCEL":                   {EndsCall: true},
		"key CANCEL,200,100;P1":               {EndsCall: true},
		"key F_CANCEL":                        {EndsCall: true},
		"key DISCONNECT":                      {EndsCall: true},
		`key {"keys":["CANCEL"]}`:             {EndsCall: true},
		`key {"keys":[{"key":"CANCEL"}]}`:     {EndsCall: true},
		"key P1;CANCEL":                       {},
		"key TRANSFER":                        {Transfers: true},
		"key 1;F_TRANSFER,200":                {Transfers: true},
		"key ONHOOK":                          {},
		"dnd on":                              {},
		"dnd toggle":                          {TogglesDND: true},
		"key DND":                             {TogglesDND: true},
		"key P1;F_DND,200":                    {TogglesDND: true},
		"key CANCEL;DND":                      {EndsCall: true, TogglesDND: true},
		"screen":                              {Picture: true},
		`ring {"ringer":3,"count":2}`:         {Yields: true},
		"transfer complete":                   {},
		`dtmf {"digits":"1","method":"keys"}`: {IntoCall: true},
	}
	for text, want := range expected {
		if got := commandOf(t, text).Effects(); got != want {
			t.Errorf("%s: Effects() = %+v, expected %+v", text, got, want)
		}
	}
	if got := (snom.Command{}).Effects(); got != (snom.Effects{}) {
		t.Errorf("the zero Command has the effects %+v", got)
	}
}

func TestGatedVerbs(t *testing.T) {
	t.Parallel()
	if got, want := snom.GatedVerbs(), []snom.Verb{"screen", "reset", "firmware"}; !slices.Equal(got, want) {
		t.Errorf("GatedVerbs() = %q, expected %q", got, want)
	}
	for _, v := range append(snom.Verbs(), "", "dail") {
		if v.Gated() != slices.Contains(snom.GatedVerbs(), v) {
			t.Errorf("%q.Gated() = %v", v, v.Gated())
		}
	}
}

// TestWhenIdle: the objection is that of the row, and only a refusal refuses.
func TestWhenIdle(t *testing.T) {
	t.Parallel()
	if said, refused := snom.Answer().WhenIdle(); !refused || !strings.Contains(said, "idle") {
		t.Errorf("answer: %q, %v", said, refused)
	}
	if said, refused := (snom.Command{}).WhenIdle(); said != "" || refused {
		t.Errorf("the zero Command: %q, %v", said, refused)
	}
	for _, v := range snom.Verbs() {
		c := commandOf(t, v.Help().Example)
		warning, refusal := snom.Idle(v)
		if said, refused := c.WhenIdle(); said != warning+refusal || refused != (refusal != "") {
			t.Errorf("%s: %q, %v, its row has the warning %q and the refusal %q", c, said, refused, warning, refusal)
		}
	}
}

// TestConstructors: each constructor makes the command that its text is, or refuses what that refuses.
func TestConstructors(t *testing.T) {
	t.Parallel()
	for text, c := range map[string]snom.Command{
		"answer": snom.Answer(), "hangup all": snom.Hangup(), "hangup current": snom.HangupCurrent(), "logoff all": snom.LogoffAll(),
		"transfer complete": snom.CompleteTransfer(), "transfer cancel": snom.CancelTransfer(), "dnd on": snom.DND(true), "dnd off": snom.DND(false), "dnd toggle": snom.ToggleDND(), "ring stop": snom.StopRinging(),
		"announce": snom.EndAnnouncement(), "mute": snom.Mute(), "fix_lil": snom.FixLIL(), "reboot": snom.Reboot(),
	} {
		if c != commandOf(t, text) {
			t.Errorf("the constructor makes %q, expected %q", c, text)
		}
	}
	type made struct {
		text string // expected; empty: an error
		make func() (snom.Command, error)
	}
	for _, m := range []made{
		{"dial +4930123", func() (snom.Command, error) { return snom.Dial("+4930123") }},
		{"", func() (snom.Command, error) { return snom.Dial(`{"number":"1"}`) }},
		{`dial {"number":"1","outgoing_uri":"27@h"}`, func() (snom.Command, error) { return snom.DialFrom("1", "27@h") }},
		{"", func() (snom.Command, error) { return snom.DialFrom("1\"", "27@h") }},
		{"", func() (snom.Command, error) { return snom.DialFrom("1", "") }},
		{"key OFFHOOK;1;ENTER,100,200", func() (snom.Command, error) { return snom.Keys("OFFHOOK", "1", "ENTER,100,200") }},
		{"key P1,2000", func() (snom.Command, error) {
			return snom.Keys(snom.KeyEvent{Key: "P1", Hold: 2 * time.Second, HasHold: true}.String())
		}},
		{"", func() (snom.Command, error) { return snom.Keys() }},
		{"dtmf 12#", func() (snom.Command, error) { return snom.DTMF("12#") }},
		{"", func() (snom.Command, error) { return snom.DTMF("") }},
		{"transfer 28", func() (snom.Command, error) { return snom.TransferTo("28") }},
		{"", func() (snom.Command, error) { return snom.TransferTo("complete") }},
		{`transfer {"number":"28","mode":"blind"}`, func() (snom.Command, error) { return snom.BlindTransferTo("28") }},
		{"", func() (snom.Command, error) { return snom.BlindTransferTo("+49") }},
		{"ring 3", func() (snom.Command, error) { return snom.Ring(3) }},
		{"", func() (snom.Command, error) { return snom.Ring(-3) }},
		{`ring {"ringer":3,"count":2,"pause_ms":0}`, func() (snom.Command, error) { return snom.RingRepeatedly(3, 2, 0) }},
		{"ring 3", func() (snom.Command, error) { return snom.RingRepeatedly(3, 1, time.Hour) }},
		{"", func() (snom.Command, error) { return snom.RingRepeatedly(3, 2, -time.Second) }},
		{"touch 240 136", func() (snom.Command, error) { return snom.Touch(240, 136) }},
		{"", func() (snom.Command, error) { return snom.Touch(480, 1) }},
		{"logoff 3", func() (snom.Command, error) { return snom.Logoff(3) }},
		{"", func() (snom.Command, error) { return snom.Logoff(0) }},
		{"reregister 12", func() (snom.Command, error) { return snom.Reregister(12) }},
		{"clear missed", func() (snom.Command, error) { return snom.Clear("missed") }},
		{"", func() (snom.Command, error) { return snom.Clear("all") }},
		{"reset hall", func() (snom.Command, error) { return snom.Reset("hall") }},
		{"firmware https://h/p", func() (snom.Command, error) { return snom.Firmware("https://h/p") }},
		{"", func() (snom.Command, error) { return snom.Firmware("https://h") }},
		{"announce Dinner is ready", func() (snom.Command, error) { return snom.Announce("Dinner is ready") }},
		{"", func() (snom.Command, error) { return snom.Announce("ftp://h/a.wav") }},
	} {
		c, err := m.make()
		if m.text == "" {
			checkError(t, err)
		} else if err != nil || c != commandOf(t, m.text) {
			t.Errorf("the constructor makes %q, %v, expected %q", c, err, m.text)
		}
	}
}

// TestCommandsWithoutArgument: a command without an argument needs no test of its own. What its row says is
// checked here, and its request by [TestHostilePayloads] and the simulated phone.
func TestCommandsWithoutArgument(t *testing.T) {
	t.Parallel()
	for _, v := range snom.Verbs() {
		if snom.HasArgument(v) {
			continue
		}
		c := commandOf(t, string(v))
		if h := v.Help(); h.Plain != "nothing" || h.JSON != "" || h.ExampleJSON != "{}" || h.Example != string(v) ||
			len(snom.Members(v)) != 0 || c.Argument() != "" {
			t.Errorf("%s: help %+v, members %q, argument %q", v, h, snom.Members(v), c.Argument())
		}
		for _, d := range []snom.Dialect{"", snom.DialectOld, snom.DialectNew} {
			if steps := c.Steps(d); c.Displays() && len(steps) == 0 {
				continue // it needs a program that serves a page
			} else if len(steps) != 1 || steps[0] != (snom.Step{Request: v.Help().Request}) {
				t.Errorf("%s: Steps(%q) = %v, expected the request of its help, %q", v, d, steps, v.Help().Request)
			}
		}
		for _, payload := range []string{" ", "1", `""`, "null", `{"x":1}`, "{}x", "\n"} {
			if _, err := snom.ParsePayload(v, []byte(payload)); err == nil {
				t.Errorf("%s: takes %q", v, payload)
			}
		}
	}
}

// TestMembersOfRows: the members that a row lists are those that its command takes and those that its help
// describes.
func TestMembersOfRows(t *testing.T) {
	t.Parallel()
	for _, v := range snom.Verbs() {
		var example map[string]any
		if err := json.Unmarshal([]byte(v.Help().ExampleJSON), &example); err != nil {
			t.Fatal(err)
		}
		for name := range example {
			if !slices.Contains(snom.Members(v), name) {
				t.Errorf("%s: its example has the member %q, which its row does not list", v, name)
			}
		}
		for _, name := range snom.Members(v) {
			if !strings.Contains(v.Help().JSON, name) {
				t.Errorf("%s: its help does not describe the member %q", v, name)
			}
		}
		_, err := v.Command(map[string]json.RawMessage{"no such member": nil})
		want := "no members"
		if names := snom.Members(v); len(names) > 0 {
			want += " but " + strings.Join(names, ", ")
		}
		if got := syntaxError(t, err).Expected; got != want {
			t.Errorf("%s takes %q, its row lists %q", v, got, want)
		}
	}
}

// TestChange: no command that this table does not name is a wish for the value of a setting.
func TestChange(t *testing.T) {
	t.Parallel()
	set := func(name, value string) snom.Change { return snom.Change{Setting: name, Value: value} }
	expected := map[string][]snom.Change{
		"dnd on":                            {{Setting: "dnd_mode", Value: "on", Key: "DND"}},
		"dnd off":                           {{Setting: "dnd_mode", Value: "off", Key: "DND"}},
		`dnd {"dnd":"on","identity":2}`:     {{Setting: "dnd_mode", Identity: 2, Value: "on", Key: "DND"}},
		"keyboard_lock on":                  {set("keyboard_lock", "on")},
		"set vol_ringer=8":                  {set("vol_ringer", "8")},
		`set {"settings":{"a":"=","b":""}}`: {set("a", "="), set("b", "")},
		"forward +4930123":                  {set("fwd_all_enabled", "on"), set("fwd_all_target", "+4930123")},
		"forward on":                        {set("fwd_all_enabled", "on"), {Setting: "fwd_all_target", Present: true}},
		"forward off": {
			{Setting: "fwd_all_enabled", Value: "off", Absent: true}, {Setting: "fwd_busy_enabled", Value: "off", Absent: true},
			{Setting: "fwd_time_enabled", Value: "off", Absent: true},
		},
		`forward {"when":"busy","off":true}`: {{Setting: "fwd_busy_enabled", Value: "off", Absent: true}},
		`forward {"when":"no_answer","to":"12","after":20,"identity":2}`: {
			{Setting: "fwd_time_enabled", Identity: 2, Value: "on"}, {Setting: "fwd_time_target", Identity: 2, Value: "12"},
			{Setting: "fwd_time_secs", Identity: 2, Value: "20"},
		},
	}
	texts := append(slices.Sorted(maps.Keys(expected)), "dnd toggle", "key DND")
	for _, v := range snom.Verbs() {
		texts = append(texts, v.Help().Example)
	}
	for _, text := range texts {
		c := commandOf(t, text)
		want, _ := expected[c.String()]
		if got := c.Changes(); !slices.Equal(got, want) {
			t.Errorf("%s: Changes() = %+v, expected %+v", c, got, want)
		}
		var free []string
		for name := range c.FreeSettings() {
			free = append(free, name)
		}
		if c.Verb() != snom.VerbSet && len(free) > 0 {
			t.Errorf("%s: FreeSettings() = %q, expected none", c, free)
		}
	}
	for range commandOf(t, `set {"settings":{"b":"","a":"="}}`).FreeSettings() {
		break // as a caller that has seen enough
	}
	for want, c := range map[string]snom.Change{"dnd_mode": {Setting: "dnd_mode"}, "dnd_mode2": {Setting: "dnd_mode", Identity: 2}} {
		if got := c.Name(); got != want {
			t.Errorf("%+v.Name() = %q, expected %q", c, got, want)
		}
	}
}

func TestSettingBarred(t *testing.T) {
	t.Parallel()
	for name, barred := range map[string]bool{
		"http_user": true, "http_pass": true, "admin_mode": true, "admin_mode_password": true, "action_incoming_url": true, "user_name1": true,
		"service_mode_password": true, "sip_passthrough": true, "vol_ringer": false, "call_waiting1": false, "mb_http_host": false, "user": false,
	} {
		if snom.SettingBarred(name) != barred {
			t.Errorf("SettingBarred(%q) = %v", name, !barred)
		}
	}
}

// TestRowsAreComplete: a command that was added by half is not carried out as another one.
func TestRowsAreComplete(t *testing.T) {
	t.Parallel()
	requests := map[string]string{} // of the examples, and whose they are
	for _, v := range snom.Verbs() {
		if err := snom.Incomplete(v); err != "" {
			t.Errorf("%s: its row has %s", v, err)
		}
		c := commandOf(t, v.Help().Example)
		if v.Nests() || v.Paged() || c.Displays() {
			continue // it has those of other commands, or names a page
		}
		for _, step := range c.Steps("")[:1] {
			if other, taken := requests[step.Request]; taken {
				t.Errorf("%s and %s make the same request, %s", v, other, step.Request)
			}
			requests[step.Request] = string(v)
		}
	}
}
