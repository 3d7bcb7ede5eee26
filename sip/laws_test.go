package sip_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/snom2mqtt/snom2mqtt/bridge"
	"github.com/snom2mqtt/snom2mqtt/internal/pipenet"
	"github.com/snom2mqtt/snom2mqtt/mqtt"
	"github.com/snom2mqtt/snom2mqtt/mqtt/mqtttest"
	"github.com/snom2mqtt/snom2mqtt/sip"
	"github.com/snom2mqtt/snom2mqtt/snom/notify"
	"github.com/snom2mqtt/snom2mqtt/snom/snomtest"
)

// A rig is a bridge with one simulated phone that it drives by SIP, over a network in memory, in virtual time.
type rig struct {
	t       *testing.T
	network *pipenet.Packets
	phone   *snomtest.Phone
	bridge  *bridge.Bridge
	tree    mqtt.Tree
	out     *mqtttest.Recorder
}

const phoneAddress = "192.0.2.20:5060"

// inRig runs f with a rig. What the network does with datagrams says fate; nil: it delivers all.
func inRig(t *testing.T, c snomtest.Config, side snomtest.SIPConfig, password string, fate func(from, to netip.AddrPort, datagram []byte) []time.Duration, f func(r *rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := &rig{t: t, network: &pipenet.Packets{Fate: fate}, out: &mqtttest.Recorder{}}
		socket, err := r.network.Listen(phoneAddress)
		if err != nil {
			t.Fatal(err)
		}
		r.phone = snomtest.New(c)
		served := make(chan error, 1)
		at := r.phone.SIP(socket, side)
		go func() { served <- at.Serve() }()
		e := sip.NewEndpoint(sip.EndpointConfig{Listen: "192.0.2.9:5062", ListenPacket: func(address string) (net.PacketConn, error) { return r.network.Listen(address) }})
		address, err := notify.ParseAddress("sip:27@" + phoneAddress)
		if err != nil {
			t.Fatal(err)
		}
		user := ""
		if password != "" {
			user = "27"
		}
		p, err := sip.NewPhone(e, sip.PhoneConfig{Address: address, Username: user, Password: password})
		if err != nil {
			t.Fatal(err)
		}
		if r.tree, err = mqtt.NewTree("snom", ""); err != nil {
			t.Fatal(err)
		}
		r.bridge = bridge.New(bridge.Config{
			Tree: r.tree, Publish: r.out, Log: slog.New(slog.DiscardHandler), Rules: bridge.Rules{TTL: 30 * time.Second}, Gap: 100 * time.Millisecond,
			QueueLength: 1000, PollEvery: time.Minute, RingTimeout: 2 * time.Minute, CallTimeout: 4 * time.Hour,
		}, bridge.Roster{Phones: []bridge.PhoneConfig{{Name: "kitchen", URL: address.String(), Phone: p}}})
		ctx, cancel := context.WithCancel(t.Context())
		ran := make(chan error, 1)
		go func() { ran <- r.bridge.Run(ctx) }()
		synctest.Wait()
		f(r)
		cancel()
		if err := <-ran; err != nil {
			t.Error(err)
		}
		if err := e.Close(); err != nil {
			t.Error(err)
		}
		_ = socket.Close() // Serve reports it
		if err := <-served; err != nil {
			t.Error(err)
		}
		_ = r.phone.Close() // never fails
	})
}

// say publishes a command.
func (r *rig) say(command, payload string) {
	topic := r.tree.Command("kitchen", command)
	r.bridge.Handle(r.tree.Read(topic), mqtt.Message{Topic: topic, Payload: []byte(payload)})
}

// results takes the results that were published since the last call.
func (r *rig) results() (all []bridge.Result) {
	r.t.Helper()
	synctest.Wait()
	for _, m := range r.out.Take() {
		if !strings.HasSuffix(m.Topic, "/result") {
			continue
		}
		var one bridge.Result
		if err := json.Unmarshal(m.Payload, &one); err != nil {
			r.t.Fatal(err)
		}
		all = append(all, one)
	}
	return all
}

// dialled are the numbers that the phone called, in order.
func (r *rig) dialled() (numbers []string) {
	for _, q := range r.phone.Executed() {
		if _, after, ok := strings.Cut(q.Target, "numberdial="); ok {
			number, _, _ := strings.Cut(after, "<")
			numbers = append(numbers, number)
		}
	}
	return numbers
}

// lossy returns a fate that loses, duplicates, delays and reorders datagrams.
func lossy(seed uint64) func(from, to netip.AddrPort, datagram []byte) []time.Duration {
	var mu sync.Mutex
	random := rand.New(rand.NewPCG(seed, 1))
	return func(netip.AddrPort, netip.AddrPort, []byte) []time.Duration {
		mu.Lock()
		defer mu.Unlock()
		var arrivals []time.Duration
		for random.IntN(100) < 60 && len(arrivals) < 4 { // lost: 40 in 100; twice or more: 36 in 100
			arrivals = append(arrivals, time.Duration(random.IntN(3000))*time.Millisecond)
		}
		return arrivals
	}
}

// TestLawsOverALossyNetwork: every command is answered once and carried out at most once, in order, and what is reported as not
// delivered was not.
func TestLawsOverALossyNetwork(t *testing.T) {
	t.Parallel()
	for seed := range uint64(20) {
		inRig(t, snomtest.Config{Model: "D862", Settings: map[string]string{"mb_trusted_hosts": "192.0.2.9"}}, snomtest.SIPConfig{}, "", lossy(seed), func(r *rig) {
			const commands = 40
			for i := range commands {
				r.say("dial", fmt.Sprintf(`{"number":"%d","id":"%d","expires_in":600}`, 1000+i, i))
			}
			time.Sleep(15 * time.Minute)
			answers := map[string]bridge.Code{}
			for _, one := range r.results() {
				if _, again := answers[one.Argument]; again {
					t.Errorf("seed %d: two results for %s", seed, one.Argument)
				}
				answers[one.Argument] = one.Code
			}
			if len(answers) != commands {
				t.Errorf("seed %d: %d results, expected %d", seed, len(answers), commands)
			}
			done := r.dialled()
			if !slices.IsSorted(done) || len(slices.Compact(slices.Clone(done))) != len(done) {
				t.Errorf("seed %d: carried out %v, expected each at most once and in order", seed, done)
			}
			for number, code := range answers {
				carriedOut := slices.Contains(done, number)
				switch code {
				case bridge.OK:
					if !carriedOut {
						t.Errorf("seed %d: %s is ok and was not carried out", seed, number)
					}
				case bridge.Timeout: // it may have been
				default:
					t.Errorf("seed %d: %s is %s, expected ok or timeout", seed, number, code)
				}
			}
		})
	}
}

// TestNothingIsSentAfterExpiry: while a command waits for an answer, it is not sent again once it has expired.
func TestNothingIsSentAfterExpiry(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	down, late := true, 0
	var born time.Time
	fate := func(_, to netip.AddrPort, datagram []byte) []time.Duration {
		mu.Lock()
		defer mu.Unlock()
		notify := strings.HasPrefix(string(datagram), "NOTIFY")
		if notify && time.Since(born) > 2*time.Second {
			late++
		}
		if notify && down {
			return nil
		}
		return []time.Duration{time.Millisecond}
	}
	inRig(t, snomtest.Config{Model: "D862", Settings: map[string]string{"mb_trusted_hosts": "192.0.2.9"}}, snomtest.SIPConfig{}, "", fate, func(r *rig) {
		mu.Lock()
		born = time.Now()
		mu.Unlock()
		r.say("dial", `{"number":"1000","expires_in":2}`)
		time.Sleep(2100 * time.Millisecond)
		mu.Lock()
		down = false
		mu.Unlock()
		time.Sleep(time.Minute)
		all := r.results()
		if len(all) != 1 || all[0].Code != bridge.Timeout {
			t.Errorf("results = %+v, expected one timeout", all)
		}
		mu.Lock()
		defer mu.Unlock()
		if done := r.dialled(); len(done) != 0 || late != 0 {
			t.Errorf("%d copies after the expiry, carried out %v", late, done)
		}
	})
}

// TestAWrongPasswordCostsOneLogin over a network that loses and repeats.
func TestAWrongPasswordCostsOneLogin(t *testing.T) {
	t.Parallel()
	c := snomtest.Config{Model: "D862", Settings: map[string]string{"challenge_checksync": "on"}}
	for seed := range uint64(10) {
		inRig(t, c, snomtest.SIPConfig{User: "27", Password: "right"}, "wrong", lossy(seed), func(r *rig) {
			for i := range 5 {
				r.say("reboot", fmt.Sprintf(`{"id":"%d","expires_in":600}`, i))
			}
			time.Sleep(10 * time.Minute)
			got := map[bridge.Code]int{}
			for _, one := range r.results() {
				got[one.Code]++
			}
			// A login whose answer was lost has an outcome that is not known.
			if n := r.phone.FailedLogins(); got[bridge.Unauthorized] > 1 || n > got[bridge.Unauthorized]+got[bridge.Timeout] || got[bridge.OK] > 0 {
				t.Errorf("seed %d: %d failed logins, results %v", seed, n, got)
			}
			if done := r.phone.Executed(); len(done) != 0 {
				t.Errorf("seed %d: carried out %+v", seed, done)
			}
		})
	}
	inRig(t, c, snomtest.SIPConfig{User: "27", Password: "right"}, "wrong", nil, func(r *rig) {
		for i := range 5 {
			r.say("reboot", fmt.Sprintf(`{"id":"%d"}`, i))
		}
		time.Sleep(time.Minute)
		got := map[bridge.Code]int{}
		for _, one := range r.results() {
			got[one.Code]++
		}
		if r.phone.FailedLogins() != 1 || got[bridge.Unauthorized] != 1 || got[bridge.LockedOut] != 4 {
			t.Errorf("%d failed logins, results %v, expected 1, one unauthorized and four locked_out", r.phone.FailedLogins(), got)
		}
	})
}

// TestTwoSecondsBetweenKeys: none of several keys is lost, nor a hangup that overtakes.
func TestTwoSecondsBetweenKeys(t *testing.T) {
	t.Parallel()
	inRig(t, snomtest.Config{Model: "D862", Settings: map[string]string{"mb_trusted_hosts": "192.0.2.9"}}, snomtest.SIPConfig{}, "", nil, func(r *rig) {
		r.say("key", "1;2;3")
		time.Sleep(2500 * time.Millisecond)
		r.say("hangup", "")
		time.Sleep(time.Minute)
		var keys []string
		for _, q := range r.phone.Requests() {
			keys = append(keys, q.Keys...)
			if q.Note != "" {
				t.Errorf("%s: %s", q.Target, q.Note)
			}
		}
		if expected := []string{"1", "2", "F_CANCEL"}; !slices.Equal(keys, expected) {
			t.Errorf("keys = %v, expected %v", keys, expected)
		}
		if all := r.results(); len(all) != 2 {
			t.Errorf("results = %+v, expected two", all)
		}
	})
}

// TestStrangers: what strangers send at the socket while commands run changes counters only.
func TestStrangers(t *testing.T) {
	t.Parallel()
	inRig(t, snomtest.Config{Model: "D862", Settings: map[string]string{"mb_trusted_hosts": "192.0.2.9"}}, snomtest.SIPConfig{}, "", nil, func(r *rig) {
		stranger, err := r.network.Listen("198.51.100.7:5060")
		if err != nil {
			t.Fatal(err)
		}
		to := net.UDPAddrFromAddrPort(netip.MustParseAddrPort("192.0.2.9:5062"))
		answered := make(chan int, 1)
		go func() {
			n := 0
			for {
				if _, _, err := stranger.ReadFrom(make([]byte, 4096)); err != nil {
					answered <- n
					return
				}
				n++
			}
		}()
		for _, text := range torture(t) {
			_, _ = stranger.WriteTo(text, to)
			r.say("dial", "28")
			time.Sleep(3 * time.Second)
		}
		for _, one := range r.results() {
			if one.Code != bridge.OK {
				t.Errorf("%+v, expected ok", one)
			}
		}
		_ = stranger.Close() // its reader reports it
		if n := <-answered; n != 0 {
			t.Errorf("%d answers to a stranger, expected none", n)
		}
	})
}

// torture returns the messages of RFC 4475, and some that are worse.
func torture(t *testing.T) (all [][]byte) {
	t.Helper()
	names, err := filepath.Glob("testdata/rfc4475/*.dat")
	if err != nil || len(names) < 40 {
		t.Fatalf("%d messages, %v", len(names), err)
	}
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, text)
	}
	for _, text := range []string{
		"", "\r\n\r\n", "SIP/2.0", "SIP/2.0 200", "SIP/2.0 200 Ok\r\n", "SIP/2.0 200 Ok\r\n\r\n", "SIP/2.0 99999999999 Ok\r\n\r\n", "SIP/2.0 -20 Ok\r\n\r\n",
		"SIP/2.0 200 Ok\r\nVia: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bKguess\r\nCall-ID: a\r\nCSeq: 1 NOTIFY\r\n\r\n",
		"SIP/2.0 401 No\r\nVia: SIP/2.0/UDP 192.0.2.9;branch=\r\nCall-ID: a\r\nCSeq: 1 NOTIFY\r\nWWW-Authenticate: Basic realm=\"give\"\r\n\r\n",
		"SIP/2.0 200 Ok\r\n" + strings.Repeat(" fold\r\n", 5000), "SIP/2.0 200 Ok\r\n" + strings.Repeat("Via: a\r\n", 5000),
		"OPTIONS sip:192.0.2.9 SIP/2.0\r\nVia: SIP/2.0/UDP 203.0.113.9;branch=z9hG4bK1\r\n\r\n", "\x00\x01\x02\xff", strings.Repeat("A", 65000),
	} {
		all = append(all, []byte(text))
	}
	return all
}
