package phoneweb_test

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/snom2mqtt/snom2mqtt/callstate"
	"github.com/snom2mqtt/snom2mqtt/internal/pipenet"
	"github.com/snom2mqtt/snom2mqtt/phoneweb"
	"github.com/snom2mqtt/snom2mqtt/snom/actionurl"
	"github.com/snom2mqtt/snom2mqtt/snom/snomtest"
)

// newPhone returns a simulated phone with every action URL set to a Server that hands its events to
// take. Call it in a bubble.
func newPhone(t *testing.T, c snomtest.Config, take func(actionurl.Event)) (*snomtest.Phone, *phoneweb.Server) {
	t.Helper()
	l := pipenet.Listen()
	s := phoneweb.New(phoneweb.Config{
		Phone: func(name string) (phoneweb.Phone, bool) { return phoneweb.Phone{Token: "t0ken"}, name == "kitchen" },
		Event: func(_ string, e actionurl.Event) { take(e) },
		Log:   slog.New(slog.DiscardHandler),
	})
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- s.Serve(ctx, l) }()

	c.Name, c.Settings = "kitchen", map[string]string{}
	for _, u := range actionurl.URLs("http://bridge.example:8090", "kitchen", "t0ken") {
		c.Settings[u.Setting] = u.URL
	}
	c.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		return l.DialContext(ctx, network, address)
	}
	p := snomtest.New(c)
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Errorf("closing the phone: %v", err)
		}
		cancel()
		if err := <-served; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return p, s
}

// settle waits until the phone has said everything.
func settle(t *testing.T, p *snomtest.Phone) {
	t.Helper()
	if err := p.Settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	synctest.Wait()
}

// Every way of escaping that is in doubt, with names that make each of them go wrong: the event
// arrives, nothing but the name is touched by it, and the name is what was meant where it can be.
func TestNamesArrive(t *testing.T) {
	names := []struct {
		name string
		// but is what arrives instead when a phone escapes in a way that cannot be distinguished from another.
		but map[snomtest.Encoding]string
	}{
		{"Front door", nil},
		{"Käthe Müller", nil},
		{`Tom & "Jerry" #1 <x@y>`, nil},
		{"a&remote=sip:110@police&call-id=x&b", nil},
		{"100% C++ 5 = 2 + 3", nil},
		{"+4930123", nil},
		{"電話 Küche", map[snomtest.Encoding]string{snomtest.EncodingLatin1: "?? Küche", snomtest.EncodingRawLatin1: "?? Küche",
			snomtest.EncodingPercentLatin1: "電話 K\uFFFDche"}},
		{"C+D", nil},
		{"a\x01b\r\nc", map[snomtest.Encoding]string{"": "a\uFFFDb\uFFFD\uFFFDc"}},
		{"not \xff UTF-8", map[snomtest.Encoding]string{"": "not ÿ UTF-8"}},
		{"", nil},
	}
	for _, encoding := range snomtest.Encodings() {
		t.Run(string(encoding), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var got []actionurl.Event
				p, s := newPhone(t, snomtest.Config{Encoding: encoding}, func(e actionurl.Event) { got = append(got, e) })
				for _, n := range names {
					got = nil
					id, _ := p.Incoming(snomtest.Call{Number: "+4930123", Name: n.name})
					settle(t, p)
					if len(got) != 1 {
						t.Fatalf("%q: %d events, expected 1; the phone says %+v", n.name, len(got), p.Actions())
					}
					want := n.name
					if but, ok := n.but[encoding]; ok {
						want = but
					} else if but, ok := n.but[""]; ok {
						want = but
					}
					e := got[0]
					if e.Remote.Name != want {
						t.Errorf("name %q arrived as %q, expected %q", n.name, e.Remote.Name, want)
					}
					e.Remote.Name, e.Time, e.Extra = "", time.Time{}, nil
					if got, want := fmt.Sprintf("%+v", e), fmt.Sprintf("%+v", actionurl.Event{
						Type: actionurl.EventIncoming, Phone: "kitchen", Direction: actionurl.DirectionIn, CallID: id, Line: "27@pbx.example",
						Remote: actionurl.Party{Number: "+4930123", URI: "sip:+4930123@pbx.example"},
						Local:  actionurl.Party{Number: "27", Name: e.Local.Name, URI: "sip:27@pbx.example"},
						Calls:  1, CallsKnown: true,
					}); got != want {
						t.Errorf("name %q:\n%s, want\n%s", n.name, got, want)
					}
					p.RemoteHangUp(id)
					settle(t, p)
				}
				if st := s.Stats(); st.Accepted != uint64(2*len(names)) || st != (phoneweb.Stats{Accepted: st.Accepted}) {
					t.Errorf("%+v, expected %d accepted and nothing else", st, 2*len(names))
				}
			})
		})
	}
}

// Everything the phone can say arrives as the event it is.
func TestEveryEventArrives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got []actionurl.EventType
		p, _ := newPhone(t, snomtest.Config{}, func(e actionurl.Event) { got = append(got, e.Type) })
		for _, row := range actionurl.Rows() {
			p.Fire(row.Setting)
		}
		settle(t, p)
		if want := actionurl.EventTypes(); !slices.Equal(got, want) {
			t.Errorf("events %q, expected %q", got, want)
		}
	})
}

// A thousand calls with random endings: in order, none stuck, none lost, none twice.
func TestThousandCalls(t *testing.T) {
	const ring, call = 2 * time.Minute, 4 * time.Hour
	for _, like := range []bool{false, true} {
		t.Run(fmt.Sprintf("like a D765: %v", like), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var state callstate.State
				seen := map[string]int{}
				p, s := newPhone(t, snomtest.Config{LikeD765: like}, func(e actionurl.Event) {
					seen[string(e.Type)+" "+e.CallID]++
					state = state.Step(e)
				})
				check := func(want callstate.Phase) {
					t.Helper()
					settle(t, p)
					state = state.Expire(time.Now(), ring, call)
					if got := state.Status(); got.Call.State != want {
						t.Fatalf("%s, expected %s: %+v", got.Call.State, want, got)
					}
				}
				rng := rand.New(rand.NewPCG(1, 2))
				missed := 0
				for range 1000 {
					incoming := rng.IntN(3) > 0
					if incoming {
						p.Incoming(snomtest.Call{Number: fmt.Sprint(rng.IntN(5)), Name: "Tom & <Jerry>"})
						check(callstate.Ringing)
					} else {
						p.Dial("100")
						check(callstate.Dialing)
					}
					time.Sleep(time.Duration(rng.IntN(60)) * time.Second)
					ended := callstate.Ended
					switch end := rng.IntN(4); {
					case end == 0 && incoming:
						if p.Reject(); !like {
							ended = callstate.Ringing
						}
					case end == 0:
						p.HangUp()
					case end == 1 && incoming:
						p.RemoteHangUp("")
						missed++
					case end == 1:
						p.RemoteHangUp("")
					default:
						if incoming && end == 2 {
							p.OffHook()
						} else if incoming {
							p.Answer()
						} else {
							p.RemoteAnswer("")
						}
						check(callstate.Connected)
						time.Sleep(time.Duration(rng.IntN(3600)) * time.Second)
						if rng.IntN(4) == 0 {
							p.HoldCall()
							check(callstate.Held)
							time.Sleep(time.Minute)
							p.Unhold()
							check(callstate.Connected)
						}
						switch rng.IntN(3) {
						case 0:
							p.RemoteHangUp("")
						case 1:
							p.HangUp()
						default:
							if !p.OnHook() {
								p.HangUp()
							}
						}
					}
					check(ended)
					p.OnHook()
					if ended == callstate.Ringing { // it was rejected, and says nothing
						time.Sleep(ring)
					}
					time.Sleep(2 * time.Second)
					check(callstate.Idle)
				}
				settle(t, p)
				fired := 0
				for _, a := range p.Actions() {
					if fired++; a.Status != 200 {
						t.Errorf("%s: status %d, %s", a.Target, a.Status, a.Err)
					}
				}
				if got := s.Stats(); got != (phoneweb.Stats{Accepted: uint64(fired)}) || fired < 2500 {
					t.Errorf("%+v, expected %d accepted and nothing else", got, fired)
				}
				for what, n := range seen {
					twice := like && n == 2 // a declined call ends twice
					if n != 1 && !twice && what[len(what)-1] != ' ' {
						t.Errorf("%s: %d times, expected once", what, n)
					}
				}
				if got := state.Status().Missed; got != missed {
					t.Errorf("%d missed, expected %d", got, missed)
				}
			})
		})
	}
}
