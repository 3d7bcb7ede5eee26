package e2e

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/snom2mqtt/snom2mqtt/snom/snomtest"
)

// TestKilledOverSIP: a bridge that is killed in the middle of commands to a phone that it drives by SIP has none carried out twice, and
// the next one none of those that were sent before.
func TestKilledOverSIP(t *testing.T) {
	t.Parallel()
	m := startMosquitto(t)
	phone := startSIPPhone(t, "--trust", "127.0.0.1", "--latency", "100ms")
	env := []string{"SNOM2MQTT_PHONE_0_NAME=kitchen", "SNOM2MQTT_PHONE_0_URL=sip:27@" + phone.at}
	const commands = 6
	for life := range 2 {
		before := len(phone.numbers())
		b := m.startBridge(t, env...)
		for i := range commands {
			m.publish("snom/kitchen/dial", fmt.Sprintf(`{"number":"%d","id":"%d-%d"}`, 1000+100*life+i, life, i))
		}
		phone.executed(before + 1) // at least one of this life is with the phone
		b.kill()
	}
	numbers := phone.numbers()
	if unique := slices.Compact(slices.Sorted(slices.Values(numbers))); len(unique) != len(numbers) || !slices.IsSorted(numbers) {
		t.Errorf("carried out %v, expected each at most once and in order", numbers)
	}
}

// numbers are the numbers that the phone called, in order.
func (p *sipPhone) numbers() (numbers []string) {
	for _, line := range p.stdout() {
		var r snomtest.Request
		if json.Unmarshal([]byte(line), &r) == nil && r.Executed {
			_, number, _ := strings.Cut(r.Target, "numberdial=")
			number, _, _ = strings.Cut(number, "<")
			numbers = append(numbers, number)
		}
	}
	return numbers
}
