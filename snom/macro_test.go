package snom_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/snom2mqtt/snom2mqtt/snom"
)

func TestMacroSteps(t *testing.T) {
	t.Parallel()
	c := commandOf(t, `run {"steps":[{"dial":"**61"},{"wait":"connected","within":"45s"},{"wait":0.5}],"otherwise":[{"hangup":"all"}]}`)
	name, steps, otherwise, ok := c.Macro()
	dial, err := snom.Dial("**61")
	if err != nil {
		t.Fatal(err)
	}
	expected := []snom.MacroStep{{Command: dial}, {State: "connected", Wait: 45 * time.Second}, {Wait: 500 * time.Millisecond}}
	if !ok || name != "" || !slices.Equal(steps, expected) || !slices.Equal(otherwise, []snom.MacroStep{{Command: snom.Hangup()}}) {
		t.Errorf("Macro() = %q, %v, %v, %v", name, steps, otherwise, ok)
	}
	if again, err := snom.NewMacro(steps, otherwise); err != nil || again != c {
		t.Errorf("NewMacro = %v, %v, expected %v", again, err, c)
	}
	var texts []string
	for _, s := range steps {
		texts = append(texts, s.Name()+": "+s.String())
	}
	if got := strings.Join(texts, "; "); got != "dial: dial **61; wait: wait connected within 45s; wait: wait 500ms" {
		t.Error(got)
	}
	if name, steps, _, ok := commandOf(t, "run good_night").Macro(); !ok || name != "good_night" || steps != nil {
		t.Errorf("Macro() = %q, %v, %v", name, steps, ok)
	}
	if _, _, _, ok := snom.Hangup().Macro(); ok {
		t.Error("hangup is a macro")
	}
}

func TestMacroFaults(t *testing.T) {
	t.Parallel()
	many := strings.TrimSuffix(strings.Repeat(`"answer",`, 65), ",")
	for payload, expected := range map[string]string{
		"":                                                   "expected the name of a macro",
		"Good":                                               "offset 0: expected the name of a macro",
		"_a":                                                 "offset 0",
		strings.Repeat("a", 65):                              "offset 64",
		`{}`:                                                 `field "steps": expected a list`,
		`{"steps":[]}`:                                       `field "steps": expected a list`,
		`{"macro":"a","steps":["answer"]}`:                   "macro or steps, not both",
		`{"macro":"a","otherwise":[]}`:                       "macro or steps, not both",
		`{"steps":["answer",{"dial":"1 2"}]}`:                `field "steps[1].dial" "1 2": offset 1`,
		`{"steps":[{"dial":{"no":1}}]}`:                      `field "steps[0].dial"`,
		`{"steps":[{"dial":{"number":"x"}}]}`:                `field "steps[0].dial.number"`,
		`{"steps":[{"fly":"1"}]}`:                            `field "steps[0]" "fly": offset 0: expected a command: key`,
		`{"steps":[{"run":"other"}]}`:                        `field "steps[0].run": expected no macro in a macro`,
		`{"steps":["run other"]}`:                            `no macro in a macro`,
		`{"steps":[{"dial":"1","dtmf":"2"}]}`:                `field "steps[0]": expected one command`,
		`{"steps":[7]}`:                                      `field "steps[0]": expected one command`,
		`{"steps":[{"wait":"asleep"}]}`:                      `field "steps[0].wait" "asleep": offset 0: expected idle, ringing`,
		`{"steps":[{"wait":"2s","within":1}]}`:               "within goes with a call state",
		`{"steps":[{"wait":"idle","within":"2"}]}`:           "expected a time from 1ms to 1h",
		`{"steps":[{"wait":"idle","within":"61m"}]}`:         "expected a time from 1ms to 1h",
		`{"steps":[{"wait":0}]}`:                             "expected idle, ringing",
		`{"steps":[{"wait":"40m"},{"wait":"21m"}]}`:          "an hour at most",
		`{"steps":[` + many + `]}`:                           "at most 64 steps",
		`{"steps":["answer"],"otherwise":["nothing"]}`:       `field "otherwise[0]"`,
		`{"steps":[{"dtmf":{"digits_file":"/etc/passwd"}}]}`: `"digits_file" is not known`,
	} {
		_, err := snom.ParsePayload(snom.VerbRun, []byte(payload))
		if fault := syntaxError(t, err); !strings.Contains(fault.Error(), expected) {
			t.Errorf("%s: %v, expected %q", payload, fault, expected)
		}
	}
	for _, n := range []int{0, 65} {
		if _, err := snom.NewMacro(slices.Repeat([]snom.MacroStep{{Wait: time.Second}}, n), nil); err == nil {
			t.Errorf("%d steps were taken", n)
		}
	}
}

// TestClientsCarryOutNoMacro: what waits for the phone's events is not for a client of one phone.
func TestClientsCarryOutNoMacro(t *testing.T) {
	t.Parallel()
	if _, _, err := new(snom.Client).Plan(commandOf(t, "run a"), modelOf(t, "D735")); err == nil {
		t.Error("a client carries out a macro")
	}
}
