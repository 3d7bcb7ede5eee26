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
	r := resident{
		phone: snomtest.Config{Name: "desk", Model: "870", Firmware: "8.7.5.35", MAC: "000413112233"},
		set:   func(p *bridge.PhoneConfig) { p.Model, p.Allow = snom.Model{}, map[snom.Verb]bool{snom.VerbReset: true} },
	}
	inHouse(t, bridge.Config{Learned: func() { learned++ }}, []resident{r}, func(h *house) {
		if learned == 0 {
			t.Error("the first look taught nothing")
		}
		learned = 0
		h.result("snom/desk/key", "P1", time.Second)
		time.Sleep(time.Hour)
		synctest.Wait()
		if learned != 0 {
			t.Errorf("a command taught %d times, want never", learned)
		}
		h.phones["desk"].Reboot(5 * time.Minute)
		time.Sleep(time.Hour)
		synctest.Wait()
		if learned != 2 {
			t.Errorf("a phone that went and came back taught %d times, want twice", learned)
		}
		all := h.bridge.Phones()
		if len(all) != 1 || all[0].Name != "desk" || !all[0].Allow[snom.VerbReset] {
			t.Errorf("phones %+v", all)
		}
	})
}
