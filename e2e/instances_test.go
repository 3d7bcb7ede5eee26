package e2e

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// A district is one of several bridges on one base topic, with phones of its own.
type district struct {
	name   string
	phones []string
	env    []string
	bridge *process
}

// A recorder keeps what is published on a broker, and when.
type recorder struct {
	t *testing.T
	c *client

	mu      sync.Mutex
	waiting map[string]chan result // by id of a command
	states  map[string][]recorded  // by instance
	other   []message
}

// A recorded state is one that a bridge published.
type recorded struct {
	what string
	at   time.Time
}

// listen subscribes to results, to what bridges say of themselves, and to the owners of phones.
func listen(t *testing.T, m *mosquitto) *recorder {
	t.Helper()
	c, err := dialMQTT(t.Context(), m.addr(), login{id: "recorder"})
	if err != nil {
		t.Fatal(err)
	}
	e := &recorder{t: t, c: c, waiting: map[string]chan result{}, states: map[string][]recorded{}}
	if err := c.subscribe("snom/+/result", "snom/bridge/+/state", "snom/bridge/+/info"); err != nil {
		t.Fatal(err)
	}
	var hearing sync.WaitGroup
	hearing.Go(e.hear)
	t.Cleanup(func() {
		c.conn.Close()
		hearing.Wait()
	})
	return e
}

// hear notes what comes, until the connection ends.
func (e *recorder) hear() {
	for {
		p, err := e.c.read()
		if err != nil {
			return
		}
		if p.kind != publish {
			continue
		}
		m, err := readPublish(p)
		if err != nil {
			e.t.Error(err)
			return
		}
		_ = e.c.write(packet{kind: puback, body: []byte{byte(m.id >> 8), byte(m.id)}}) // an error shows at the next read
		e.note(m)
	}
}

func (e *recorder) note(m sent) {
	e.mu.Lock()
	defer e.mu.Unlock()
	levels := strings.Split(m.topic, "/")
	switch {
	case levels[len(levels)-1] == "state":
		e.states[levels[2]] = append(e.states[levels[2]], recorded{string(m.payload), time.Now()})
	case levels[len(levels)-1] == "result":
		var r result
		if json.Unmarshal(m.payload, &r) == nil && e.waiting[r.ID] != nil {
			e.waiting[r.ID] <- r
			return
		}
		e.other = append(e.other, message{Topic: m.topic, Payload: string(m.payload)})
	default:
		e.other = append(e.other, message{Topic: m.topic, Payload: string(m.payload)})
	}
}

// state returns the last state of an instance, how many there were, and when it came.
func (e *recorder) state(instance string) (last recorded, n int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if n = len(e.states[instance]); n > 0 {
		last = e.states[instance][n-1]
	}
	return last, n
}

// ask publishes a command and waits for its result; false: none came in time.
func (e *recorder) ask(topic string, most time.Duration) (r result, took time.Duration, ok bool) {
	id := fmt.Sprint(rand.Uint64())
	answer := make(chan result, 4)
	e.mu.Lock()
	e.waiting[id] = answer
	e.mu.Unlock()
	defer func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		delete(e.waiting, id)
	}()
	began := time.Now()
	if err := e.c.write(publishPacket(1, topic, []byte(`{"id":"`+id+`","number":"1"}`), false)); err != nil {
		return result{}, 0, false
	}
	select {
	case r = <-answer:
		return r, time.Since(began), true
	case <-time.After(most):
		return result{}, 0, false
	}
}

// A round is what became of commands for one district, one after the other.
type round struct {
	asked, lost int
	slowest     time.Duration
}

// keepAsking sends commands to phones of d, one after the other, until stop is closed. What is not answered in time
// is lost.
func (e *recorder) keepAsking(d *district, most time.Duration, stop <-chan struct{}) (r round) {
	for {
		select {
		case <-stop:
			return r
		default:
		}
		phone := d.phones[rand.IntN(len(d.phones))]
		got, took, ok := e.ask("snom/"+phone+"/dial", most)
		r.asked++
		switch {
		case !ok:
			r.lost++
		case got.Code != "ok":
			e.t.Errorf("%s: %+v, want ok", phone, got)
		default:
			r.slowest = max(r.slowest, took)
		}
	}
}

// TestThreeBridges has three bridges with a thousand phones each share one base topic and one broker.
// One of them is killed and started again; the other two do not notice.
func TestThreeBridges(t *testing.T) {
	t.Parallel()
	const each = 1000
	m := startMosquitto(t, "log_type warning", "max_queued_messages 10000", "set_tcp_nodelay true")
	simulated := startPhones(t, 3*each)
	ears := listen(t, m)
	folder := t.TempDir()
	var districts []*district
	for i, name := range []string{"east", "north", "west"} {
		d := &district{name: name}
		var file strings.Builder
		file.WriteString("phones:\n")
		for k := range each {
			phone := fmt.Sprintf("%s-%d", name, k)
			d.phones = append(d.phones, phone)
			fmt.Fprintf(&file, "  %s: {url: %q}\n", phone, simulated.urls[i*each+k])
		}
		fmt.Fprintf(&file, "groups:\n  first: [%s, %s]\n", d.phones[0], d.phones[1])
		path := filepath.Join(folder, name+".yml")
		if err := os.WriteFile(path, []byte(file.String()), 0o600); err != nil {
			t.Fatal(err)
		}
		d.env = []string{
			"SNOM2MQTT_MQTT_URL=" + m.url(), "SNOM2MQTT_CONSOLE_LISTEN=127.0.0.1:0", "SNOM2MQTT_INSTANCE=" + name,
			"SNOM2MQTT_PHONES_FILE=" + path, "SNOM2MQTT_COMMAND_GAP=0s", "SNOM2MQTT_HOMEASSISTANT=false",
			"SNOM2MQTT_REQUEST_TIMEOUT=1m", // three thousand phones are asked at once, on whatever machine
		}
		districts = append(districts, d)
		d.start(t, ears)
	}
	for _, d := range districts {
		last := d.phones[each-1]
		eventually(t, "everything is known in the "+d.name, func() bool {
			return retained(t, m.addr(), "snom/"+last+"/availability", login{}) == "online" && retained(t, m.addr(), "snom/"+last+"/owner", login{}) == d.name
		})
	}

	// One is killed while all are at work.
	stop := make(chan struct{})
	rounds := make([]round, len(districts))
	var asking sync.WaitGroup
	north := districts[1]
	for i, d := range districts {
		most := timeLimit
		if d == north {
			most = 250 * time.Millisecond // so that it shows soon when it is back
		}
		asking.Go(func() { rounds[i] = ears.keepAsking(d, most, stop) })
	}
	pause := func(d time.Duration) { <-time.After(d) }
	pause(time.Second)
	killed := time.Now()
	north.bridge.kill()
	eventually(t, "north is offline", func() bool { last, _ := ears.state("north"); return last.what == "offline" })
	last, _ := ears.state("north")
	t.Logf("north was said to be offline %v after it was killed", last.at.Sub(killed).Round(time.Millisecond))
	pause(time.Second)
	began := time.Now()
	took := north.start(t, ears)
	eventually(t, "north answers", func() bool {
		_, _, ok := ears.ask("snom/"+north.phones[0]+"/dial", 250*time.Millisecond)
		return ok
	})
	back := time.Since(began)
	pause(2 * time.Second)
	close(stop)
	asking.Wait()
	for i, d := range districts {
		r := rounds[i]
		t.Logf("%s: %d commands, %d lost, the slowest %v", d.name, r.asked, r.lost, r.slowest.Round(time.Millisecond))
		if d != north && r.lost > 0 {
			t.Errorf("%s lost %d commands of %d when north was killed", d.name, r.lost, r.asked)
		}
		if _, n := ears.state(d.name); d != north && n != 1 {
			t.Errorf("%s said %d times how it is, want once", d.name, n)
		}
	}
	t.Logf("north was online %v after its start, and answered after %v", took.Round(time.Millisecond), back.Round(time.Millisecond))
	if back > 10*time.Second {
		t.Errorf("north answers after %v, want two seconds, ten where much else is going on", back)
	}

	// A group is answered by each bridge that has it, all by all of them.
	for _, group := range []string{"first", "all"} {
		if err := ears.c.write(publishPacket(1, "snom/"+group+"/dial", []byte(`{"id":"`+group+`","number":"2"}`), false)); err != nil {
			t.Fatal(err)
		}
		eventually(t, "three bridges answer for "+group, func() bool { return len(ears.summaries(group)) == 3 })
		if got := ears.summaries(group); !slices.Equal(got, []string{"east true", "north true", "west true"}) {
			t.Errorf("%s: %q, want one summary each, all well", group, got)
		}
	}

	// A user puts a phone of the east into a fourth bridge, too.
	path := filepath.Join(folder, "south.yml")
	text := fmt.Sprintf("phones:\n  east-0: {url: %q}\n  south-0: {url: \"http://127.0.0.1:9\"}\n", simulated.urls[0])
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	south := &district{name: "south", env: append(slices.Clone(districts[0].env), "SNOM2MQTT_INSTANCE=south", "SNOM2MQTT_PHONES_FILE="+path)}
	south.start(t, ears)
	south.bridge.until("a phone is another's", func(_, log []string) bool {
		return slices.ContainsFunc(log, func(l string) bool {
			return strings.Contains(l, "another bridge has claimed this phone") && strings.Contains(l, "phone=east-0") && strings.Contains(l, "from=east")
		})
	})
	if r, _, ok := ears.ask("snom/east-0/dial", timeLimit); !ok || r.Code != "ok" {
		t.Errorf("east-0: %+v, want ok", r)
	}
	if r, _, ok := ears.ask("snom/south-0/dial", timeLimit); !ok || r.Code != "unreachable" {
		t.Errorf("south-0: %+v, want unreachable", r)
	}
	if got := retained(t, m.addr(), "snom/bridge/south/info", login{}); !strings.Contains(got, `"foreign":{"east-0":"east"}`) {
		t.Errorf("info of south: %s", got)
	}
	for _, d := range append(districts, south) {
		if code := d.bridge.stop(); code != 0 {
			t.Errorf("%s: exit code %d, want 0", d.name, code)
		}
	}
}

// start starts the bridge, and returns how long it took until it said online.
func (d *district) start(t *testing.T, ears *recorder) time.Duration {
	t.Helper()
	_, n := ears.state(d.name)
	began := time.Now()
	d.bridge = start(t, d.name, d.env, program(t))
	eventually(t, d.name+" is online", func() bool {
		last, now := ears.state(d.name)
		return now > n && last.what == "online"
	})
	last, _ := ears.state(d.name)
	return last.at.Sub(began)
}

// summaries are the answers for a group, each as the instance and whether all was well, sorted.
func (e *recorder) summaries(group string) (all []string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, m := range e.other {
		var s struct {
			ID, Group, Instance string
			OK                  bool
		}
		if json.Unmarshal([]byte(m.Payload), &s) == nil && s.Group == group && s.ID == group {
			all = append(all, fmt.Sprint(s.Instance, " ", s.OK))
		}
	}
	slices.Sort(all)
	return all
}

// TestFaultTwoBridgesWithoutInstance starts the same bridge twice, by mistake or as a spare: the second
// is on standby, every command is carried out once, and when the first dies the second takes over.
func TestFaultTwoBridgesWithoutInstance(t *testing.T) {
	t.Parallel()
	r := newRig(t, plan{phones: 2})
	first := r.bridge
	second := start(t, "the second bridge", r.env, program(t))
	r.past = append(r.past, first)
	second.until("it is on standby", func(_, log []string) bool { return len(linesWith(slices.Clone(log), "this one is on standby")) > 0 })
	first.until("the first one says so, too", func(_, log []string) bool { return len(linesWith(slices.Clone(log), "it goes into standby")) > 0 })
	if ok, reason := ready(t, second); ok || !strings.Contains(reason, "another bridge") {
		t.Errorf("the second is ready: %v %q, want not, because of the first", ok, reason)
	}
	if ok, reason := ready(t, first); !ok {
		t.Errorf("the first is not ready: %s", reason)
	}
	stop := r.load(5 * time.Millisecond)
	eventually(t, "five hundred answers", func() bool { return r.tap.count() > 500 })
	stop()
	r.tap.settled()
	r.checkBook()
	first.kill()
	r.bridge, r.owing = second, true
	eventually(t, "the second takes over", func() bool { ok, _ := ready(t, second); return ok })
	r.files = handles(t, second)
	r.check()
}
