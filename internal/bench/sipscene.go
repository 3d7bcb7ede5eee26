package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"
)

// A sipScene is a broker, a thousand phones that are driven by SIP, a client of the broker, and the bridge between them.
type sipScene struct {
	dir     string
	phones  *sipPhones
	broker  string // its address
	client  *client
	results *arrivals // of the commands that the client sent
	bridge  *process
	online  chan struct{} // closed when the bridge is
	reading sync.WaitGroup
	stops   []func() // what ends the scene, the last one first
}

// sipScene starts all but the bridge.
func (b *bench) sipScene(name string) (s *sipScene, err error) {
	s = &sipScene{results: newArrivals(), online: make(chan struct{})}
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	if s.dir, err = b.folder(name + "-"); err != nil {
		return nil, err
	}
	if s.phones, err = newSIPPhones(); err != nil {
		return nil, err
	}
	s.stops = append(s.stops, s.phones.close)
	broker, address, err := startMosquitto(s.dir, nodelay)
	if err != nil {
		return nil, err
	}
	s.stops = append(s.stops, broker.stop)
	s.broker = address
	if s.client, err = newClient(address, "bench-"+name, "ours/+/result", "ours/bridge/state"); err != nil {
		return nil, err
	}
	s.read()
	return s, nil
}

// read takes what the bridge publishes, until the client is closed.
func (s *sipScene) read() {
	online := sync.OnceFunc(func() { close(s.online) })
	s.reading.Go(func() {
		_ = s.client.serve(func(topic, payload []byte) {
			if bytes.HasSuffix(topic, []byte("/state")) {
				if string(payload) == "online" {
					online()
				}
				return
			}
			_, rest, _ := bytes.Cut(payload, []byte(`"id":"`))
			id, _, _ := bytes.Cut(rest, []byte(`"`))
			s.results.arrived(string(id), bytes.Contains(payload, []byte(`"code":"ok"`)))
		})
	})
	s.stops = append(s.stops, func() {
		s.client.close()
		s.reading.Wait()
	})
}

// start starts the bridge with a phones file and further settings, and waits until it is online.
func (s *sipScene) start(b *bench, phonesFile []byte, settings ...string) error {
	file := filepath.Join(s.dir, "phones.yml")
	if err := os.WriteFile(file, phonesFile, 0o600); err != nil {
		return err
	}
	bridge, err := startProcess(s.dir, "ours", append([]string{
		"SNOM2MQTT_MQTT_URL=tcp://" + s.broker, "SNOM2MQTT_BASE_TOPIC=ours", "SNOM2MQTT_PHONES_FILE=" + file, "SNOM2MQTT_CONSOLE_LISTEN=off",
		"SNOM2MQTT_HOMEASSISTANT=false", "SNOM2MQTT_AVAILABILITY_INTERVAL=24h", "SNOM2MQTT_COMMAND_GAP=0s",
	}, settings...), b.program, "run")
	if err != nil {
		return err
	}
	s.bridge = bridge
	s.stops = append(s.stops, bridge.stop)
	select {
	case <-s.online:
		return nil
	case <-time.After(time.Minute):
		return errors.Join(errors.New("snom2mqtt is not online"), bridge.died())
	}
}

// dial sends a command to a phone.
func (s *sipScene) dial(id string, phone int) error {
	s.client.publish(fmt.Appendf(nil, "ours/p%04d/dial", phone), fmt.Appendf(nil, `{"number":"%d","id":"%s"}`, 1000+phone, id))
	return s.client.flush()
}

func (s *sipScene) close() {
	for _, stop := range slices.Backward(s.stops) {
		stop()
	}
}
