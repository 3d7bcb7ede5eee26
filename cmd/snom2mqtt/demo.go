package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/snom2mqtt/snom2mqtt/bridge"
	"github.com/snom2mqtt/snom2mqtt/paging"
	"github.com/snom2mqtt/snom2mqtt/snom/multicast"
	"github.com/snom2mqtt/snom2mqtt/snom/snomtest"
)

// The login of the demo's phones. It is not a secret: they listen on loopback only.
const (
	demoUser     = "admin"
	demoPassword = "demo"
)

// The addresses of the demo, unless they are in use.
const (
	demoBroker  = "127.0.0.1:1883"
	demoConsole = "127.0.0.1:8080"
)

func (p *program) demoCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "demo",
		Short: "Run a broker, the bridge and two simulated phones in one process",
		Long: `Run an MQTT broker, the bridge, two simulated phones and a door intercom with a camera in
one process. It prints the address of the console for a browser, sends one command, prints
every message and every request, prints what to try next, and runs until Ctrl-C.

No settings are read, nothing is written to disk, and it listens on loopback addresses
only. The broker is on 127.0.0.1:1883 and the console on 127.0.0.1:8080, or on other
ports if those are in use; it prints which.`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error { return p.demo(c.Context()) },
	}
}

// demoPhones are the phones of the demo: a current one with digest, and the one with a touch screen.
func demoPhones(seen func(snomtest.Request)) []*snomtest.Phone {
	phone := func(name, model string, auth snomtest.Auth) *snomtest.Phone {
		return snomtest.New(snomtest.Config{
			Name: name, Model: model, Auth: auth, Username: demoUser, Password: demoPassword, OnRequest: seen,
		})
	}
	return []*snomtest.Phone{phone("kitchen", "D735", snomtest.AuthDigest), phone("hall", "870", snomtest.AuthBasic)}
}

// demo runs the bridge as it is, with simulated phones and the embedded broker.
func (p *program) demo(ctx context.Context) error {
	show := &printer{w: p.stdout}
	phones := demoPhones(show.request)
	set := newPhoneSet()
	defer set.close()
	environ, err := serveDemoPhones(set, phones)
	if err != nil {
		return err
	}
	control, err := set.control("127.0.0.1:0", phones)
	if err != nil {
		return err
	}
	tone, err := serveDemoTone(set)
	if err != nil {
		return err
	}
	door, err := serveDemoDoor(set, phones[0].Name())
	if err != nil {
		return err
	}
	s, err := p.demoService(ctx, environ, door)
	if err != nil {
		return err
	}
	listenToDemo(phones)
	if err := install(ctx, s.actions, phones); err != nil {
		s.close()
		return err
	}
	seen := newDemoMoments()
	err = s.broker.Watch("snom/#", func(topic string, payload []byte) {
		show.message(topic, payload)
		seen.note(topic, payload)
	})
	if err != nil {
		s.close()
		return err
	}
	running, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- s.run(running, nil) }()

	return demoActs(cancel, ended, []demoAct{
		{seen.started, func() error {
			show.open(s.broker.Addr().String(), s.console.Addr().String())
			return s.broker.Publish("snom/kitchen/dial", []byte("+4930123"))
		}},
		{seen.answered, func() error {
			phones[0].RemoteHangUp("") // or the phone would be dialing while people try things
			return nil
		}},
		{seen.over, func() error {
			return s.broker.Publish("snom/all/announce", []byte(tone)) // there is no voice here
		}},
		{seen.announced, func() error {
			return s.broker.Publish("snom/kitchen/show", []byte(demoMenu))
		}},
		{seen.shown, func() error {
			return demoChoice(ctx, phones[0])
		}},
		{seen.chosen, func() error {
			show.say(demoHints(s.broker.Addr().String(), s.console.Addr().String(), control))
			return nil
		}},
	})
}

// demoMoments are the moments of the demo that an act waits for, as the messages show them.
type demoMoments struct {
	online                                            atomic.Bool
	started, answered, over, announced, shown, chosen once
}

func newDemoMoments() *demoMoments {
	return &demoMoments{started: newOnce(), answered: newOnce(), over: newOnce(), announced: newOnce(), shown: newOnce(), chosen: newOnce()}
}

// note takes a message of the broker.
func (d *demoMoments) note(topic string, payload []byte) {
	switch {
	case topic == "snom/bridge/state" && string(payload) == "online":
		d.online.Store(true)
	case topic == "snom/kitchen/status" && d.online.Load(): // published last at the start
		d.started.here()
	case topic == "snom/kitchen/result":
		d.answered.here()
		if bytes.Contains(payload, []byte(`"id":"demo-menu"`)) {
			d.shown.here()
		}
	case topic == "snom/kitchen/event" && bytes.Contains(payload, []byte(`"event_type":"choice"`)):
		d.chosen.here()
	case topic == "snom/kitchen/event" && bytes.Contains(payload, []byte(`"event_type":"disconnected"`)):
		d.over.here()
	case topic == "snom/all/result":
		d.announced.here()
	}
}

// demoMenu is the menu that the demo shows on the kitchen phone, and demoChosen what it chooses there.
const (
	demoMenu   = `{"id":"demo-menu","title":"House","menu":[{"label":"Open the gate","choice":"gate"},{"label":"Lights off","choice":"lights"}],"duration":60}`
	demoChosen = "Lights off"
)

// demoChoice chooses a line of the menu at a phone, in place of a person. The phone has fetched the menu, and shows it in a moment.
func demoChoice(ctx context.Context, phone *snomtest.Phone) error {
	wait, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !phone.Choose(demoChosen) {
		select {
		case <-wait.Done():
			if ctx.Err() != nil {
				return nil // the demo ends
			}
			return errors.New("the kitchen phone shows no menu:\n" + phone.Screen())
		case <-tick.C:
		}
	}
	return nil
}

// serveDemoPhones serves the simulated phones on loopback, and returns the settings that name them.
func serveDemoPhones(set *phoneSet, phones []*snomtest.Phone) (environ []string, err error) {
	for i, phone := range phones {
		url, err := set.serve(phone, "127.0.0.1:0", nil)
		if err != nil {
			return nil, err
		}
		setting := fmt.Sprintf("SNOM2MQTT_PHONE_%d_", i)
		environ = append(environ, setting+"NAME="+phone.Name(), setting+"URL="+url, setting+"USERNAME="+demoUser, setting+"PASSWORD="+demoPassword)
	}
	return environ, nil
}

// demoAddress is what the phones of the demo listen to.
const demoAddress = "239.255.10.1:5004"

// serveDemoTone serves a sound file on loopback, and returns its URL.
func serveDemoTone(set *phoneSet) (url string, err error) {
	tone, err := paging.Encode(paging.Tone())
	if err != nil {
		return "", err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	set.start(&http.Server{ReadHeaderTimeout: 5 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write(paging.WAV(tone)) // a reader that left needs no sound
	})}, l)
	return "http://" + l.Addr().String() + "/tone.wav", nil
}

// listenToDemo has the phones play announcements. Where that is not possible, they play none.
func listenToDemo(phones []*snomtest.Phone) {
	all, err := net.Interfaces()
	if err != nil {
		return
	}
	i := slices.IndexFunc(all, func(i net.Interface) bool { return i.Flags&net.FlagLoopback != 0 })
	if i < 0 {
		return
	}
	for _, phone := range phones {
		_ = phone.ListenMulticast(all[i].Name) // it is there
		phone.Set("multicast_listen", "on")
		phone.Set("mc_address1", demoAddress)
	}
}

// A demoAct is what the demo does when something has happened.
type demoAct struct {
	when once
	do   func() error
}

// demoActs does one act after the other, and then waits for the end of the service.
func demoActs(cancel context.CancelFunc, ended <-chan error, acts []demoAct) error {
	for _, act := range acts {
		select {
		case <-act.when.came:
			if err := act.do(); err != nil {
				cancel()
				return errors.Join(err, <-ended)
			}
		case err := <-ended:
			return err
		}
	}
	return <-ended
}

// A once is an event that happens once: here signals it.
type once struct {
	came chan struct{}
	here func()
}

func newOnce() once {
	c := make(chan struct{})
	return once{came: c, here: sync.OnceFunc(func() { close(c) })}
}

// demoService binds the bridge to the usual ports, or to any others if those are in use.
func (p *program) demoService(ctx context.Context, phones []string, door bridge.DoorConfig) (s *service, err error) {
	const any = "127.0.0.1:0"
	for _, at := range []struct{ broker, console string }{{free(demoBroker), free(demoConsole)}, {any, any}} {
		inner := &program{stdout: p.stdout, stderr: p.stderr, log: p.log, environ: slices.Concat(phones, []string{
			"SNOM2MQTT_BROKER_LISTEN=" + at.broker,
			"SNOM2MQTT_CONSOLE_LISTEN=" + at.console,
			"SNOM2MQTT_PHONE_LISTEN=127.0.0.1:0",
			"SNOM2MQTT_PHONE_TOKEN_SECRET=" + rand.Text(),
			"SNOM2MQTT_LOG_LEVEL=warn",
			"SNOM2MQTT_PAGING_INTERFACE=127.0.0.1",
		})}
		settings, roster, err := inner.load(ctx)
		if err != nil {
			return nil, err
		}
		level := &slog.LevelVar{}
		level.Set(settings.LogLevel)
		roster.Paging = map[string]multicast.Address{bridge.All: {Address: demoAddress, Priority: multicast.DefaultPriority}}
		roster.Doors = []bridge.DoorConfig{door}
		s, err = newService(settings, roster, inner.drivers, level, p.log)
		if err == nil {
			return s, nil
		}
	}
	return nil, err
}

// install sets the action URLs of the phones, as `action-urls --install` does with real ones.
func install(ctx context.Context, to *actionServer, phones []*snomtest.Phone) error {
	for _, phone := range phones {
		urls, err := to.actionURLs(ctx, phone.Name())
		if err != nil {
			return err
		}
		for _, u := range urls {
			phone.Set(u.Setting, u.URL)
		}
	}
	return nil
}

// demoHints returns what to try next.
func demoHints(broker, console, control string) string {
	host, port, _ := net.SplitHostPort(broker) // it is listening there
	return fmt.Sprintf(`
That was one command, and the phone accepted it: "ok":true. (The first request to a
phone that requires a login fetches the challenge, hence the 401.) The call was not
answered; the phone reported that in its events. Then two tones were announced at both
phones at once, and the kitchen phone showed a menu, of which "Lights off" was chosen.

Now try it. mosquitto_pub and mosquitto_sub are in Debian's package mosquitto-clients.

  mosquitto_sub %[1]s -v -t 'snom/#'

  mosquitto_pub %[1]s -t snom/kitchen/key -m 'OFFHOOK;1;2;3;ENTER'
  mosquitto_pub %[1]s -t snom/hall/touch -m '240 136'
  mosquitto_pub %[1]s -t snom/all/ring -m 3
  mosquitto_pub %[1]s -t snom/kitchen/dtmf -m '{"id":"door-1","digits":"12#"}'
  mosquitto_pub %[1]s -t snom/kitchen/hangup -n
  mosquitto_pub %[1]s -t snom/bridge/request/probe -m hall

A mistake. Nothing is sent to the phone, and the answer says what was expected:

  mosquitto_pub %[1]s -t snom/kitchen/key -m 'offhook'

A visitor presses the button of the front door: the kitchen phone rings, and the page of
the door comes up on its display. Pick the call up, and open the door by a message; or by
the soft key Open of the page:

  curl -X POST 'http://%[3]s/phones/kitchen/ring?number=**61&name=Front+door'
  curl -s http://%[3]s/phones/kitchen/screen
  mosquitto_pub %[1]s -t snom/kitchen/answer -n
  mosquitto_pub %[1]s -t snom/front/open -n
  curl -X POST 'http://%[3]s/phones/kitchen/press?keys=F1'

The picture on the display, for a browser: http://%[3]s/phones/kitchen/picture
The door opens in a connected call only: without one the answer is "forbidden".

What the kitchen phone heard last, as a sound file:

  curl -s -o heard.wav 'http://%[3]s/phones/kitchen/heard.wav'

A menu on the display of the kitchen phone; a choice there is an event:

  mosquitto_pub %[1]s -t snom/kitchen/show -m '{"title":"House","menu":[{"label":"Open the gate","choice":"gate"}]}'
  curl -s http://%[3]s/phones/kitchen/screen
  curl -X POST 'http://%[3]s/phones/kitchen/choose?item=1'

Health of the bridge:

  curl http://%[2]s/readyz

Ctrl-C ends it.

`, fmt.Sprintf("-h %s -p %s", host, port), console, strings.TrimPrefix(control, "http://"))
}

// free returns addr, or the same host with any port if addr is in use.
func free(addr string) string {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		host, _, _ := net.SplitHostPort(addr) // constants of this file
		return net.JoinHostPort(host, "0")
	}
	_ = l.Close() // no client has connected
	return addr
}

// A printer prints messages and requests, one line each, in their order. Until it is opened it prints nothing: the messages
// of the start are not of interest.
type printer struct {
	mu     sync.Mutex // guards what follows
	w      io.Writer
	opened bool
}

func (p *printer) open(broker, console string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.opened = true
	fmt.Fprintf(p.w, "Open http://%s in a browser: every phone, live, and every key to press.\n\n", console)
	for _, port := range []struct{ what, usual, is string }{{"broker", demoBroker, broker}, {"console", demoConsole, console}} {
		if port.is != port.usual {
			fmt.Fprintf(p.w, "%s is in use by another program: the %s of this demo is on %s.\n\n", port.usual, port.what, port.is)
		}
	}
	fmt.Fprintf(p.w, `snom2mqtt demo: an MQTT broker on %s, two simulated phones (kitchen, a D735;
hall, an 870), the front door, which calls the kitchen phone, and the bridge between
them, which is online.

An automation publishes a command on snom/kitchen/dial:

`, broker)
}

func (p *printer) say(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	fmt.Fprint(p.w, text)
}

// event shows one line: when, what kind of thing happened, where, and what it was.
func (p *printer) event(kind, where, what string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.opened {
		fmt.Fprintf(p.w, "%s  %-5s  %-26s %s\n", time.Now().Format("15:04:05.000"), kind, where, what)
	}
}

func (p *printer) message(topic string, payload []byte) {
	if strings.HasSuffix(topic, "/loopback") {
		return
	}
	text := string(payload)
	if !isText(payload) {
		text = fmt.Sprintf("(a picture, %d bytes)", len(payload))
	}
	if !strings.HasSuffix(topic, "/result") && !bytes.Contains(payload, []byte(`"event_type":"choice"`)) { // what is long, and not the point
		text = shorten(text, 250)
	}
	p.event("mqtt", topic, text)
}

func (p *printer) request(r snomtest.Request) {
	what := fmt.Sprintf("%s %s -> %d", r.Method, r.Target, r.Status)
	switch {
	case r.Note != "":
		what += " (" + r.Note + ")"
	case r.Status == http.StatusUnauthorized:
		what += " (login required)"
	}
	p.event("phone", r.Phone, what)
}

// shorten cuts text after at most this many bytes, and not within a character.
func shorten(text string, most int) string {
	if len(text) <= most {
		return text
	}
	for most > 0 && !utf8.RuneStart(text[most]) {
		most--
	}
	return text[:most] + "…"
}
