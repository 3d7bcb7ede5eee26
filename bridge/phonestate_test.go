package bridge_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/snom2mqtt/snom2mqtt/bridge"
	"github.com/snom2mqtt/snom2mqtt/snom"
	"github.com/snom2mqtt/snom2mqtt/snom/snomtest"
)

func TestWordOfWhatIsLearnt(t *testing.T) {
	t.Parallel()
	learned := 0
	r := testPhone{
		phone: snomtest.Config{Name: "desk", Model: "870", Firmware: "8.7.5.35", MAC: "000413112233"},
		set:   func(p *bridge.PhoneConfig) { p.Model, p.Allow = snom.Model{}, map[snom.Verb]bool{snom.VerbReset: true} },
	}
	inHarness(t, bridge.Config{OnChange: func() { learned++ }}, []testPhone{r}, func(h *harness) {
		if learned == 0 {
			t.Error("the first look taught nothing")
		}
		learned = 0
		h.result("snom/desk/key", "P1", time.Second)
		time.Sleep(time.Hour)
		synctest.Wait()
		if learned != 0 {
			t.Errorf("a command taught %d times, expected never", learned)
		}
		h.phones["desk"].Reboot(5 * time.Minute)
		time.Sleep(time.Hour)
		synctest.Wait()
		if learned != 2 {
			t.Errorf("a phone that went and came back taught %d times, expected twice", learned)
		}
		all := h.bridge.Phones()
		if len(all) != 1 || all[0].Name != "desk" || !all[0].Allow[snom.VerbReset] {
			t.Errorf("phones %+v", all)
		}
	})
}

// A D735 has never had the firmware that calls the hold key F_R. What its settings say holds all the same.
func TestHoldKeyByItsOtherName(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, model string
		set         func(*bridge.PhoneConfig)
		old         bool
		want        string
	}{
		{"model set", "D735", nil, false, "/command.htm?key=F_HOLD"},
		{"model learnt", "D735", func(p *bridge.PhoneConfig) { p.Model = snom.Model{} }, false, "/command.htm?key=F_HOLD"},
		{"dialect set", "D735", nil, true, "/command.htm?key=F_R"},
		{"model that may have either", "320", nil, false, "/command.htm?key=F_R"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := testPhone{phone: snomtest.Config{Name: "desk", Model: tt.model}, set: tt.set, old: tt.old}
			inHarness(t, bridge.Config{}, []testPhone{r}, func(h *harness) {
				if got := h.result("snom/desk/key", "F_R", time.Second); !got.OK || got.Argument != "F_R" {
					t.Errorf("result %+v, expected ok", got)
				}
				if got := h.pressed("desk"); len(got) != 1 || got[0] != tt.want {
					t.Errorf("the phone got %q, expected %q", got, tt.want)
				}
			})
		})
	}
}
