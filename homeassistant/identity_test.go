package homeassistant

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/snom2mqtt/snom2mqtt/mqtt"
)

// identities returns which phone has which identifier: "kitchen=snom_000413aabbcc", with "+mac" for a connection.
func (f *fixture) identities() string {
	var all []string
	for topic := range f.broker {
		id, _ := f.b.id(topic)
		if id == f.b.ID() {
			continue
		}
		d := f.retained(id)
		name, _ := f.b.phoneOf(d.Availability[1].Topic)
		text := name + "=" + id
		if len(d.Device.Connections) > 0 {
			text += "+mac"
		}
		all = append(all, text)
	}
	slices.Sort(all)
	return strings.Join(all, " ")
}

// TestIdentityCannotBeTakenOver has phones report the MAC of other phones.
func TestIdentityCannotBeTakenOver(t *testing.T) {
	phone := func(name, url, mac string) Phone {
		return Phone{Name: name, URL: "http://" + url, MAC: mac, Seen: mac != "", Model: "D735"}
	}
	const a, b, c = "00041300000a", "00041300000b", "00041300000c"
	door, hall := phone("door", "192.0.2.1", a), phone("hall", "192.0.2.2", b)
	tests := []struct {
		name   string
		before []Phone
		after  []Phone
		want   string
	}{
		{
			"the other one is away, or needs a login", []Phone{door, hall},
			[]Phone{phone("door", "192.0.2.1", ""), phone("hall", "192.0.2.2", a)},
			"door=snom_00041300000a hall=snom_00041300000b+mac",
		},
		{
			"both report it", []Phone{door, hall},
			[]Phone{door, phone("hall", "192.0.2.2", a)},
			"door=snom_00041300000a hall=snom_00041300000b+mac",
		},
		{
			"the other one is another device now", []Phone{door, hall},
			[]Phone{phone("door", "192.0.2.1", c), phone("hall", "192.0.2.2", a)},
			"door=snom_00041300000a hall=snom_00041300000b",
		},
		{
			"a new phone reports it", []Phone{door},
			[]Phone{phone("door", "192.0.2.1", ""), phone("guest", "192.0.2.9", a)},
			"door=snom_00041300000a guest=snom_snom_guest",
		},
		{
			"two new phones report it", nil,
			[]Phone{phone("door", "192.0.2.1", a), phone("guest", "192.0.2.9", a)},
			"door=snom_snom_door guest=snom_snom_guest",
		},
		{
			"three, one of them known", []Phone{door},
			[]Phone{door, phone("guest", "192.0.2.9", a), phone("hall", "192.0.2.2", strings.ToUpper(a))},
			"door=snom_00041300000a guest=snom_snom_guest hall=snom_snom_hall",
		},
		{
			"the other one is renamed and away", []Phone{door, hall},
			[]Phone{phone("gate", "192.0.2.1", ""), phone("hall", "192.0.2.2", a)},
			"gate=snom_00041300000a hall=snom_00041300000b",
		},
		{
			"the other one is renamed and away, and a new one reports it", []Phone{door},
			[]Phone{phone("gate", "192.0.2.1", ""), phone("guest", "192.0.2.9", a)},
			"gate=snom_00041300000a guest=snom_snom_guest",
		},
		{
			"one phone by two addresses", []Phone{door},
			[]Phone{door, phone("same", "door.example", a)},
			"door=snom_00041300000a same=snom_snom_same",
		},
	}
	for _, tt := range tests {
		for _, restart := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, restart %v", tt.name, restart), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					f := newFixture(t, tt.before...)
					f.connect()
					f.after(time.Minute)
					if restart {
						f.stop()
						f.phones = tt.after
						f.start()
						f.connect()
					} else {
						f.change(tt.after...)
					}
					f.after(time.Hour)
					// "neither" holds also for what is published: no device has a MAC that two phones report.
					want := strings.ReplaceAll(tt.want, "+mac", "")
					if got := strings.ReplaceAll(f.identities(), "+mac", ""); got != want {
						t.Errorf("the phones are %s, expected %s", got, want)
					}
					for _, text := range strings.Fields(f.identities()) {
						name, id, _ := strings.Cut(text, "=")
						if mac, connected := strings.CutSuffix(strings.TrimPrefix(id, "snom_"), "+mac"); connected && mac == a {
							t.Errorf("%s has the connection of a MAC that two phones report", name)
						}
					}
				})
			})
		}
	}
}

// TestPhonesKeepTheirIdentity changes settings and restarts everything, with a broker that forgets.
func TestPhonesKeepTheirIdentity(t *testing.T) {
	const a, b = "00041300000a", "00041300000b"
	phone := func(name, url, mac string) Phone {
		return Phone{Name: name, URL: "http://" + url, MAC: mac, Seen: true}
	}
	secret := phone("hall", "192.0.2.2", "") // it reports its MAC after a login only
	told := secret
	told.MAC = b
	tests := []struct {
		name          string
		before, after []Phone
		want          string
	}{
		{"nothing changes", []Phone{phone("desk", "192.0.2.1", a)}, []Phone{phone("desk", "192.0.2.1", a)}, "desk=snom_00041300000a+mac"},
		{"it is away", []Phone{phone("desk", "192.0.2.1", a)}, []Phone{phone("desk", "192.0.2.1", "")}, "desk=snom_00041300000a+mac"},
		{"a login that comes later", []Phone{secret}, []Phone{told}, "hall=snom_snom_hall"},
		{"a login that came before", []Phone{told}, []Phone{secret}, "hall=snom_00041300000b+mac"},
		{"renamed", []Phone{phone("desk", "192.0.2.1", a)}, []Phone{phone("office", "192.0.2.1", "")}, "office=snom_00041300000a+mac"},
		{"renamed and moved", []Phone{phone("desk", "192.0.2.1", a)}, []Phone{phone("office", "192.0.2.9", a)}, "office=snom_00041300000a+mac"},
		{"renamed, known by name", []Phone{secret}, []Phone{phone("lobby", "192.0.2.2", "")}, "lobby=snom_snom_hall"},
		{"moved", []Phone{phone("desk", "192.0.2.1", a)}, []Phone{phone("desk", "192.0.2.9", "")}, "desk=snom_00041300000a+mac"},
		{
			"two exchange their names", []Phone{phone("desk", "192.0.2.1", a), phone("hall", "192.0.2.2", b)},
			[]Phone{phone("hall", "192.0.2.1", a), phone("desk", "192.0.2.2", b)}, "desk=snom_00041300000b+mac hall=snom_00041300000a+mac",
		},
		{
			"one takes the name of the next", []Phone{phone("desk", "192.0.2.1", a), phone("hall", "192.0.2.2", b)},
			[]Phone{phone("hall", "192.0.2.1", a), phone("attic", "192.0.2.2", b)}, "attic=snom_00041300000b+mac hall=snom_00041300000a+mac",
		},
		{"another device at its place", []Phone{phone("desk", "192.0.2.1", a)}, []Phone{phone("desk", "192.0.2.1", b)}, "desk=snom_00041300000a"},
		{"another device elsewhere", []Phone{phone("desk", "192.0.2.1", a)}, []Phone{phone("desk", "192.0.2.9", b)}, "desk=snom_00041300000b+mac"},
	}
	for _, tt := range tests {
		for _, forgets := range []string{"nothing", "the broker", "the state directory"} {
			t.Run(tt.name+", forgotten by "+forgets, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					f := newFixture(t, tt.before...)
					f.connect()
					f.after(time.Minute)
					f.stop()
					switch forgets {
					case "the broker":
						clear(f.broker)
					case "the state directory":
						clear(f.memory)
					}
					f.phones = tt.after
					f.start()
					f.connect()
					f.after(time.Hour)
					if got := f.identities(); got != tt.want {
						t.Errorf("the phones are %s, expected %s", got, tt.want)
					}
					var names []string
					for _, p := range tt.after {
						names = append(names, p.Name)
					}
					slices.Sort(names)
					if got := slices.Sorted(maps.Keys(f.memory)); !slices.Equal(got, names) {
						t.Errorf("the state directory has %q, expected %q", got, names)
					}
				})
			})
		}
	}
}

// TestOnlyAnIdentifierMadeOfTheMACHasAConnection: Home Assistant takes devices with a common connection for one.
func TestOnlyAnIdentifierMadeOfTheMACHasAConnection(t *testing.T) {
	t.Parallel()
	b := testBridge()
	for _, tt := range []struct {
		id, mac string
		want    int
	}{
		{"", "000413aabbcc", 1}, {"snom_000413aabbcc", "000413AABBCC", 1}, {"snom_snom_desk", "000413aabbcc", 0},
		{"snom_000413aabbcc", "000413000001", 0}, {"snom_000413aabbcc_2", "000413aabbcc", 0}, {"snom_000413aabbcc", "", 0}, {"snom_desk", "desk", 0},
	} {
		d := b.Phone(Phone{ID: tt.id, Name: "desk", MAC: tt.mac}).Device
		if len(d.Connections) != tt.want {
			t.Errorf("%q with the MAC %q has the connections %v, expected %d", tt.id, tt.mac, d.Connections, tt.want)
		}
	}
}

// TestOneOfManyPhonesFlaps counts what is done when one of 4,000 phones comes and goes.
func TestOneOfManyPhonesFlaps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 4000
		var phones []Phone
		for i := range n {
			phones = append(phones, Phone{Name: fmt.Sprint("p", i), URL: fmt.Sprintf("http://192.0.%d.%d", i/250, i%250), MAC: fmt.Sprintf("0004130%05x", i), Seen: true})
		}
		f := newFixture(t, phones...)
		s := &f.publisher.state
		made, document := 0, s.document
		s.document = func(p Phone) Document { made++; return document(p) }
		f.connect()
		time.Sleep(time.Hour)
		synctest.Wait()
		if made != n || len(f.broker) != n+1 {
			t.Fatalf("%d documents made, %d published, expected %d", made, len(f.broker), n)
		}
		f.sent.Take()
		made = 0
		for i := range 60 {
			phones[7].Seen = i%2 == 0
			f.phones = phones
			f.publisher.Changed()
			time.Sleep(time.Second)
		}
		if got := f.after(time.Hour); made != 0 || got != "" {
			t.Errorf("%d documents made and %q published because a phone comes and goes, expected none", made, got)
		}
		phones[7].Firmware = "10.1.198.19"
		f.publisher.Changed()
		if got := f.after(time.Hour); made != 1 || got != macID(phones[7].MAC) {
			t.Errorf("%d documents made and %q published because of one phone's firmware, expected one", made, got)
		}
		made = 0
		phones[8].MAC = "" // identities are found again
		f.publisher.Changed()
		if got := f.after(time.Hour); made > 1 || got != "" {
			t.Errorf("%d documents made and %q published because one phone does not report its MAC", made, got)
		}
	})
}

// TestFindingIdentitiesIsLinear counts the documents and phones that are looked at.
func TestFindingIdentitiesIsLinear(t *testing.T) {
	t.Parallel()
	work := func(n int) int {
		docs := map[string]*Phone{}
		var phones []Phone
		for i := range n {
			mac := fmt.Sprintf("0004130%05x", i)
			// A third is known by name, a third renamed, a third new; all documents could fit many.
			docs[macID(mac)] = &Phone{Name: fmt.Sprint("p", i), MAC: mac, URL: "http://192.0.2.1"}
			phones = append(phones, Phone{Name: fmt.Sprint([]string{"p", "q", "r"}[i%3], i), MAC: []string{"", mac, mac + "x"}[i%3], URL: "http://192.0.2.1"})
		}
		x, _ := identify(testBridge(), phones, docs, func(Phone) bool { return true })
		ready := 0
		for range x.ready() {
			ready++
		}
		if ready != n {
			t.Errorf("%d of %d phones have an identifier", ready, n)
		}
		return x.looked
	}
	if few, many := work(300), work(3000); many > 10*few+100 {
		t.Errorf("%d steps for 300 phones, %d for 3,000, expected ten times as many", few, many)
	}
}

// TestHandleDoesNotWaitForTheWork publishes through a broker that never returns, while messages arrive.
func TestHandleDoesNotWaitForTheWork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, kitchen())
		release := make(chan struct{})
		f.sent.Refuse = func(mqtt.Message) bool { <-release; return false }
		f.connect()
		time.Sleep(time.Minute) // the first document is being published
		for range 100 {
			f.publisher.Handle(mqtt.Message{Topic: f.b.Topic("snom_x"), Payload: []byte("{}")})
			f.publisher.Changed()
		}
		close(release)
		f.after(time.Minute)
	})
}

// TestDocumentsThatOthersAlterArePublishedAgain alters, replaces and clears documents while the bridge is connected.
func TestDocumentsThatOthersAlterArePublishedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, kitchen())
		f.connect()
		f.after(time.Minute)
		const id = "snom_000413aabbcc"
		right := string(f.broker[f.b.Topic(id)])
		for i, payload := range []string{
			"", "{}", "not JSON", strings.Replace(right, "Kitchen", "Cellar", 1), strings.Replace(right, "snom/kitchen/dial", "snom/hall/dial", 1), "[]",
		} {
			time.Sleep(time.Hour)
			m := mqtt.Message{Topic: f.b.Topic(id), Payload: []byte(payload)}
			f.Publish(m)
			f.sent.Take()
			f.publisher.Handle(m)
			f.expect(fmt.Sprintf("altered to %.20q", payload), f.after(time.Minute), id)
			if got := string(f.broker[f.b.Topic(id)]); got != right {
				t.Errorf("%d: the broker retains %.100s", i, got)
			}
			f.publisher.Handle(mqtt.Message{Topic: f.b.Topic(id), Payload: []byte(right)}) // its own
			f.expect("its own document", f.after(time.Minute), "")
		}

		// A program that alters it whenever it is published does not become a flood.
		published := 0
		for range 24 * 60 {
			f.publisher.Handle(mqtt.Message{Topic: f.b.Topic(id), Payload: []byte("{}")})
			if f.after(time.Minute) != "" {
				published++
			}
		}
		if published < 24 || published > 24*7 {
			t.Errorf("published %d times a day, expected every ten minutes", published)
		}
	})
}
