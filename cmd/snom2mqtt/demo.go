package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/snom2mqtt/snom2mqtt/snom/snomtest"
)

// The login of the demo's phones. It is no secret: they listen on loopback only.
const (
	demoUser     = "admin"
	demoPassword = "demo"
)

func (p *program) demoCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "demo",
		Short: "Show it all in one process: broker, bridge and two simulated phones",
		Long: `Run an MQTT broker, the bridge and two simulated phones in one process, on
loopback only and without any settings; send one command, show what happens, and
stay up for you to try more. Nothing is written to disk.`,
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

// demo is the bridge as it always is, set up for phones and a broker that are made here.
func (p *program) demo(ctx context.Context) error {
	show := &stage{w: p.stdout}
	phones := demoPhones(show.request)
	set := newPhoneSet(ctx)
	defer set.close()
	environ := []string{
		"SNOM2MQTT_BROKER_LISTEN=" + free("127.0.0.1:1883"),
		"SNOM2MQTT_CONSOLE_LISTEN=" + free("127.0.0.1:8080"),
		"SNOM2MQTT_LOG_LEVEL=warn",
	}
	for i, phone := range phones {
		url, err := set.serve(phone, "127.0.0.1:0", nil)
		if err != nil {
			return err
		}
		setting := fmt.Sprintf("SNOM2MQTT_PHONE_%d_", i)
		environ = append(environ, setting+"NAME="+phone.Name(), setting+"URL="+url, setting+"USERNAME="+demoUser, setting+"PASSWORD="+demoPassword)
	}
	control, err := set.control("127.0.0.1:0", phones)
	if err != nil {
		return err
	}
	inner := &program{environ: environ, stdout: p.stdout, stderr: p.stderr}
	settings, roster, err := inner.load()
	if err != nil {
		return err
	}
	level := &slog.LevelVar{}
	level.Set(settings.LogLevel)
	s, err := newService(settings, roster, level, logger(p.stderr, settings.LogFormat, level))
	if err != nil {
		return err
	}
	online, answered := make(chan struct{}), make(chan struct{})
	var onlineOnce, answeredOnce sync.Once
	err = s.broker.Watch("snom/#", func(topic string, payload []byte) {
		show.message(topic, payload)
		switch {
		case topic == "snom/bridge/state" && string(payload) == "online":
			onlineOnce.Do(func() { close(online) })
		case topic == "snom/kitchen/result":
			answeredOnce.Do(func() { close(answered) })
		}
	})
	if err != nil {
		return err
	}
	running, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- s.run(running, nil) }()

	host, port, _ := net.SplitHostPort(s.broker.Addr().String()) // it is listening there
	show.say("snom2mqtt demo: an MQTT broker on %s, two simulated phones (kitchen, a D735; hall, an 870)\n"+
		"and the bridge between them. Every message and every request is shown.\n", s.broker.Addr())
	for _, step := range []struct {
		on   <-chan struct{}
		then func() error
	}{
		{online, func() error {
			show.say("\nAn automation publishes a command:\n")
			return s.broker.Publish("snom/kitchen/dial", []byte("+4930123"))
		}},
		{answered, func() error { show.say("%s", demoHints(host, port, s.console.Addr().String(), control)); return nil }},
	} {
		select {
		case <-step.on:
			if err := step.then(); err != nil {
				return err
			}
		case err := <-ended:
			return err
		}
	}
	return <-ended
}

// demoHints is what to try next.
func demoHints(host, port, console, control string) string {
	at := fmt.Sprintf("-h %s -p %s", host, port)
	return fmt.Sprintf(`
The result came back. Now try it yourself (mosquitto_pub and mosquitto_sub are in
Debian's mosquitto-clients):

  mosquitto_sub %[1]s -v -t 'snom/#'
  mosquitto_pub %[1]s -t snom/kitchen/key -m 'OFFHOOK;1;2;3;ENTER'
  mosquitto_pub %[1]s -t snom/hall/touch -m '240 136'
  mosquitto_pub %[1]s -t snom/all/ring -m 3
  mosquitto_pub %[1]s -t snom/kitchen/dtmf -m '{"id":"door-1","digits":"12#"}'
  mosquitto_pub %[1]s -t snom/kitchen/hangup -n
  mosquitto_pub %[1]s -t snom/kitchen/key -m 'OFFHOK'      (a typo: see the answer)
  mosquitto_pub %[1]s -t snom/bridge/request/probe -m hall

Let the simulated kitchen phone ring, as if the front door had called:

  curl -X POST '%[3]s/phones/kitchen/ring?number=%%2B4930123&name=Front+door'

Is the bridge well?  curl http://%[2]s/readyz
Ctrl-C ends it.

`, at, console, control)
}

// free returns addr, or the same host with any port where addr is taken.
func free(addr string) string {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		host, _, _ := net.SplitHostPort(addr) // our own constants
		return net.JoinHostPort(host, "0")
	}
	_ = l.Close() // nobody has connected
	return addr
}

// A stage shows what happens, one line each, in the order in which it happens.
type stage struct {
	mu sync.Mutex
	w  io.Writer
}

func (s *stage) say(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fmt.Fprintf(s.w, format, args...)
}

func (s *stage) message(topic string, payload []byte) {
	if strings.HasSuffix(topic, "/loopback") {
		return
	}
	const most = 400
	text := string(payload)
	if len(text) > most {
		text = text[:most] + "…"
	}
	s.say("%s  mqtt   %-26s %s\n", now(), topic, text)
}

func (s *stage) request(r snomtest.Request) {
	note := ""
	if r.Note != "" {
		note = "  (" + r.Note + ")"
	}
	s.say("%s  phone  %-26s %s %s -> %d%s\n", now(), r.Phone, r.Method, r.Target, r.Status, note)
}

func now() string { return time.Now().Format("15:04:05.000") }
