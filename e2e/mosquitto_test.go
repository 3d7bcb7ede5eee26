package e2e

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// TestEveryCommandReachesThePhone publishes every command with mosquitto_pub and looks at what
// the phone received, byte for byte.
func TestEveryCommandReachesThePhone(t *testing.T) {
	t.Parallel()
	m := startMosquitto(t)
	phones := startPhones(t, 2, "--auth", "digest", "--username", "admin", "--password", "secret")
	touch := startPhones(t, 1, "--auth", "basic", "--username", "admin", "--password", "secret", "--model", "870", "--name", "hall")
	login := []string{"USERNAME=admin", "PASSWORD=secret"}
	env := slices.Concat(
		phoneEnv(0, "kitchen", phones.urls[0], append(login, "ALLOW=reset")...),
		phoneEnv(1, "old", phones.urls[1], append(login, "DIALECT=old")...),
		phoneEnv(2, "hall", touch.urls[0], login...),
		[]string{"SNOM2MQTT_COMMAND_GAP=1ms"})
	m.startBridge(t, env...)
	w := m.watch("snom/+/result")
	steps := []struct {
		topic, payload string
		want           []string
	}{
		{"snom/kitchen/key", "OFFHOOK;1;2;3;ENTER", []string{"/command.htm?key=OFFHOOK;1;2;3;ENTER"}},
		{"snom/kitchen/key", "P1,20;*;#", []string{"/command.htm?key=P1,20;%2A;%23"}},
		{"snom/kitchen/key", `{"keys":[{"key":"P1","hold_ms":20,"pause_ms":10},{"key":"#"}]}`, []string{"/command.htm?key=P1,20,10;%23"}},
		{"snom/kitchen/command", `{"command":"key","keys":"P2"}`, []string{"/command.htm?key=P2"}},
		{"snom/kitchen/dial", "+4930123", []string{"/command.htm?number=%2B4930123"}},
		{"snom/kitchen/dial", `{"number":"12345678","outgoing_uri":"123@domain1"}`, []string{"/command.htm?number=12345678&outgoing_uri=123@domain1"}},
		{"snom/kitchen/dtmf", "12#*A", []string{"/command.htm?key_dtmf=12%23%2AA"}},
		{"snom/kitchen/dtmf", `{"digits":"1#","method":"keys","hold_ms":10,"pause_ms":10}`, []string{"/command.htm?key=1,10,10;%23,10,10"}},
		{"snom/kitchen/answer", "", []string{"/command.htm?key=ENTER"}},
		{"snom/kitchen/hangup", "", []string{"/command.htm?RELEASE_ALL_CALLS"}},
		{"snom/kitchen/hangup", "current", []string{"/command.htm?key=CANCEL"}},
		{"snom/kitchen/transfer", "22", []string{"/command.htm?key=F_HOLD", "/command.htm?key=2", "/command.htm?key=2", "/command.htm?key=ENTER"}},
		{"snom/kitchen/transfer", "complete", []string{"/command.htm?key=TRANSFER"}},
		{"snom/kitchen/transfer", `{"number":"7","mode":"blind"}`, []string{"/command.htm?key=TRANSFER", "/command.htm?key=7", "/command.htm?key=ENTER"}},
		{"snom/kitchen/ring", "9", []string{"/line_login.htm?PLAY_RINGER:9=+Ringer"}},
		{"snom/kitchen/ring", `{"ringer":2,"count":2,"pause_ms":10}`, []string{"/line_login.htm?PLAY_RINGER:2=+Ringer", "/line_login.htm?PLAY_RINGER:2=+Ringer"}},
		{"snom/hall/touch", "10 20 press 30 40 pr", []string{"/command.htm?touch=10%2020%20press%2030%2040%20pr"}},
		{"snom/kitchen/logoff", "all", []string{"/command.htm?LOGOFFALL"}},
		{"snom/kitchen/logoff", "12", []string{"/command.htm?LOGOFFLINE=12"}},
		{"snom/kitchen/reregister", "1", []string{"/command.htm?REREGISTER=1"}},
		{"snom/kitchen/clear", "missed", []string{"/index.htm?misseddel=clear"}},
		{"snom/kitchen/fix_lil", "", []string{"/command.htm?FIX_LIL=true"}},
		{"snom/old/ring", "3", []string{"/line_login.htm?PLAY_RINGER:3=Play+Ringer"}},
		{"snom/old/clear", "dialed", []string{"/index.htm?dialeddel=0"}},
		{"snom/old/key", "F_HOLD", []string{"/command.htm?key=F_R"}},
		{"snom/kitchen/reset", "kitchen", []string{"/advanced_update.htm?reset=Reset"}},
		{"snom/old/reboot", "", []string{"/advanced_update.htm?reboot=Reboot"}},
	}
	names := map[string]string{"kitchen": "phone-1", "old": "phone-2", "hall": "hall"}
	counts, seen := map[string]int{}, map[string]int{}
	for _, s := range steps {
		name := strings.Split(s.topic, "/")[1]
		m.publish(s.topic, s.payload)
		counts[name]++
		r := w.results("snom/"+name+"/result", counts[name])[counts[name]-1]
		if !r.OK || r.Code != "ok" {
			t.Errorf("%s %q: %+v, want ok", s.topic, s.payload, r)
			continue
		}
		var all []string // what the phone printed may be on its way
		eventually(t, fmt.Sprintf("the phone tells of %s %q", s.topic, s.payload), func() bool {
			all = append(phones.targets(names[name]), touch.targets(names[name])...)
			return len(all) >= seen[name]+len(s.want)
		})
		if got := all[seen[name]:]; !slices.Equal(got, s.want) {
			t.Errorf("%s %q: the phone did %q, want %q", s.topic, s.payload, got, s.want)
		}
		seen[name] = len(all)
	}
}

// TestBadInputLeavesThePhoneAlone looks at the refusals of the contract.
func TestBadInputLeavesThePhoneAlone(t *testing.T) {
	t.Parallel()
	m := startMosquitto(t)
	phones := startPhones(t, 1)
	m.publish("snom/kitchen/dial", "123", "-r") // waits at the broker for the bridge
	b := m.startBridge(t, append(phoneEnv(0, "kitchen", phones.urls[0], "MODEL=D735"),
		"SNOM2MQTT_DIAL_DENY=0900.*", "SNOM2MQTT_LOG_LEVEL=debug")...)
	w := m.watch("snom/+/result")
	w2 := m.watch("snom/bridge/result")
	want := []string{}
	for _, s := range []struct{ command, payload, code, says string }{
		{"key", "offhook", "invalid", "OFFHOOK"},
		{"key", "P1;", "invalid", "offset 3"},
		{"key", "P1,-5", "invalid", "offset 3"},
		{"key", "P1\nHost: evil", "invalid", "a line end (LF) at offset 2"},
		{"key", "F_HOLD&settings=save", "invalid", ""},
		{"dial", "123?x=1", "invalid", "offset 3"},
		{"dial", "", "invalid", ""},
		{"dial", `{"number":123.5}`, "invalid", "quotes"},
		{"dial", "+49 (0)30 123", "invalid", "+4930123"},
		{"dial", `{"number":"1","number":"2"}`, "invalid", "number"},
		{"dial", `{"number":"1","nubmer":"2"}`, "invalid", "nubmer"},
		{"dial", `{"number":"1","expires_in":-1}`, "invalid", "expires_in"},
		{"dial", "0900123", "forbidden", "DIAL_DENY"},
		{"dtmf", "12x", "invalid", "offset 2"},
		{"dtmf", "１２", "invalid", "offset 0"},
		{"ring", "0", "invalid", ""},
		{"ring", "10", "invalid", ""},
		{"ring", `{"ringer":1.5}`, "invalid", "ringer"},
		{"touch", "1 2", "unsupported", "870"},
		{"logoff", "13", "invalid", ""},
		{"clear", "all", "invalid", "missed"},
		{"answer", "now", "invalid", ""},
		{"transfer", "complete", "invalid", "under way"},
		{"transfer", "+49", "invalid", "00"},
		{"reset", "kitchen", "forbidden", "ALLOW"},
		{"firmware", "https://x.example/y.bin", "forbidden", "ALLOW"},
		{"fly", "", "invalid", "expected one of key, dial"},
		{"command", "P1", "invalid", "command"},
		{"command", `{"command":"kye","keys":"P1"}`, "invalid", "kye"},
	} {
		m.publish("snom/kitchen/"+s.command, s.payload)
		want = append(want, s.code)
		got := w.results("snom/kitchen/result", len(want))[len(want)-1]
		if got.Code != s.code || got.OK || !strings.Contains(got.Message, s.says) {
			t.Errorf("%s %q: %s %q, want %s with %q", s.command, s.payload, got.Code, got.Message, s.code, s.says)
		}
	}
	for i, topic := range []string{"snom/nobody/key", "snom/Küche/key"} {
		m.publish(topic, "P1")
		if got := w2.results("snom/bridge/result", i+1)[i]; got.Code != "unknown_phone" {
			t.Errorf("%s: %+v, want unknown_phone", topic, got)
		}
	}
	for _, r := range phones.requests() {
		if r.Executed {
			t.Errorf("the phone did %s", r.Target)
		}
	}
	if code := b.stop(); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
	retained := 0
	for _, line := range b.stderr() {
		if strings.Contains(line, "retained command refused") {
			retained++
		}
	}
	if retained != 1 {
		t.Errorf("the retained command was logged %d times, want once", retained)
	}
}

// TestBrokerComesAndGoes kills the broker, with SIGKILL, under the bridge.
func TestBrokerComesAndGoes(t *testing.T) {
	t.Parallel()
	m := startMosquitto(t)
	phones := startPhones(t, 1)
	m.startBridge(t, phoneEnv(0, "kitchen", phones.urls[0])...)
	for i := range 3 {
		m.kill()
		m.start()
		w := m.watch("snom/#")
		w.until("online and all that is known", func(out, _ []string) bool {
			have := map[string]string{}
			for _, msg := range read(t, out) {
				have[msg.Topic] = msg.Payload
			}
			return have["snom/bridge/state"] == "online" && have["snom/kitchen/availability"] == "online" && have["snom/kitchen/status"] != ""
		})
		m.publish("snom/kitchen/key", fmt.Sprintf(`{"id":"%d","keys":"P1"}`, i))
		// A result that the broker had not acknowledged when it was killed is published again first.
		w.until("the command is ok", func(out, _ []string) bool {
			return slices.ContainsFunc(read(t, out), func(msg message) bool {
				return msg.Topic == "snom/kitchen/result" && decode[result](t, msg.Payload).ID == fmt.Sprint(i) && decode[result](t, msg.Payload).OK
			})
		})
		w.kill()
	}
}

// TestTheLastWill kills the bridge, and starts and ends it as it should.
func TestTheLastWill(t *testing.T) {
	t.Parallel()
	m := startMosquitto(t)
	phones := startPhones(t, 1)
	env := phoneEnv(0, "kitchen", phones.urls[0])
	w := m.watch("snom/bridge/state")
	b := m.startBridge(t, env...)
	b.kill()
	w.on("snom/bridge/state", 2)
	b = m.startBridge(t, env...)
	if code := b.stop(); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
	var got []string
	for _, msg := range w.on("snom/bridge/state", 4) {
		got = append(got, msg.Payload)
	}
	if want := []string{"online", "offline", "online", "offline"}; !slices.Equal(got, want) {
		t.Errorf("the state was %q, want %q", got, want)
	}
}

// TestNothingIsLeft sends ten thousand commands to phones that fail again and again, and counts:
// one answer each, and no file handle more than before.
func TestNothingIsLeft(t *testing.T) {
	t.Parallel()
	const count, commands = 4, 10_000
	m := startMosquitto(t, "max_queued_messages 0")
	phones := startPhones(t, count, "--auth", "digest", "--username", "admin", "--password", "secret")
	env := []string{"SNOM2MQTT_COMMAND_GAP=0s", "SNOM2MQTT_QUEUE_LENGTH=10000", "SNOM2MQTT_COMMAND_TTL=1h", "SNOM2MQTT_REQUEST_TIMEOUT=100ms"}
	for i, url := range phones.urls {
		env = append(env, phoneEnv(i, fmt.Sprintf("desk%d", i), url, "USERNAME=admin", "PASSWORD=secret")...)
	}
	b := m.startBridge(t, env...)
	w := m.watch("snom/+/result")
	send := func(from, to int) {
		t.Helper()
		var lines [count]strings.Builder
		for i := from; i < to; i++ {
			fmt.Fprintf(&lines[i%count], "{\"id\":\"%d\",\"number\":\"%d\"}\n", i, i)
		}
		for i := range lines {
			cmd := exec.CommandContext(t.Context(), tool(t, "mosquitto_pub"), "-p", fmt.Sprint(m.port), "-q", "1", "-l", "-t", fmt.Sprintf("snom/desk%d/dial", i))
			cmd.Stdin = strings.NewReader(lines[i].String())
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("mosquitto_pub: %v\n%s", err, out)
			}
		}
		w.until(fmt.Sprintf("%d answers", to), func(out, _ []string) bool { return len(out) >= to })
	}
	send(0, 100)
	before := handles(t, b)
	faults := []string{"none", "reset-after", "none", "cut", "500", "none", "empty-reply", "hang-after"}
	for sent, n := 100, 0; sent < commands; n++ {
		more := 900
		for p := range count {
			fault := faults[(n+p)%len(faults)]
			phones.play(fmt.Sprintf("phone-%d/fault?value=%s", p+1, fault))
			if strings.HasPrefix(fault, "hang") {
				more = 40 // they take their time
			}
		}
		more = min(more, commands-sent)
		send(sent, sent+more)
		sent += more
	}
	answered := map[string]int{}
	for _, msg := range w.messages() {
		answered[decode[result](t, msg.Payload).ID]++
	}
	for i := range commands {
		if n := answered[fmt.Sprint(i)]; n != 1 {
			t.Errorf("command %d: %d answers, want 1", i, n)
		}
	}
	did := map[string]int{}
	for _, r := range phones.requests() {
		if r.Executed {
			did[r.Target]++
		}
	}
	for target, n := range did {
		if n > 1 {
			t.Errorf("%s was done %d times", target, n)
		}
	}
	eventually(t, "the file handles are closed", func() bool { return handles(t, b) <= before+2 })
}

// handles counts the open files of a process; where the system does not tell, 0.
func handles(t *testing.T, p *process) int {
	t.Helper()
	if runtime.GOOS != "linux" {
		return 0
	}
	all, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", p.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	return len(all)
}

// play does something at the phones by their control address.
func (p *phones) play(action string) {
	p.t.Helper()
	resp, err := http.Post(p.control+"/phones/"+action, "", nil)
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode >= 300 {
		text, _ := io.ReadAll(resp.Body) // it only explains
		p.t.Fatalf("%s: %s %s", action, resp.Status, text)
	}
}
