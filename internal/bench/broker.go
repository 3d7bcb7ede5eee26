package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// The brokers that are measured.
const (
	nodelay  = "mosquitto, nodelay"  // set_tcp_nodelay true
	stock    = "mosquitto, as it is" // Nagle's algorithm is on: a second small packet waits for an acknowledgement
	embedded = "embedded"            // in the bridge's own process
)

// mosquitto finds the program. Debian keeps servers in /usr/sbin, which is not in every PATH.
func mosquitto() (string, error) {
	for _, place := range []string{"mosquitto", "/usr/sbin/mosquitto", "/usr/local/sbin/mosquitto"} {
		if path, err := exec.LookPath(place); err == nil {
			return path, nil
		}
	}
	return "", errors.New("mosquitto is not installed")
}

// startMosquitto runs a Mosquitto and returns it with its address.
func startMosquitto(dir, kind string) (*process, string, error) {
	path, err := mosquitto()
	if err != nil {
		return nil, "", err
	}
	addr := freeAddr()
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, "", err
	}
	conf := filepath.Join(dir, "mosquitto.conf")
	text := fmt.Sprintf("listener %s %s\nallow_anonymous true\npersistence false\nlog_type error\nset_tcp_nodelay %t\n",
		port, host, kind == nodelay)
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		return nil, "", err
	}
	// As root it would become a user that cannot read its configuration.
	p, err := startProcess(dir, "mosquitto", nil, path, "-c", conf)
	if err != nil {
		return nil, "", err
	}
	if err := reachable(p, addr); err != nil {
		p.stop()
		return nil, "", err
	}
	return p, addr, nil
}

// freeAddr is a port of this machine that was free a moment ago.
func freeAddr() string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "127.0.0.1:0"
	}
	defer l.Close()
	return l.Addr().String()
}

// reachable waits until p listens.
func reachable(p *process, addr string) error {
	for range 1000 {
		if c, err := net.Dial("tcp", addr); err == nil {
			return c.Close()
		}
		if err := p.died(); err != nil {
			return err
		}
		time.Sleep(10 * time.Millisecond)
	}
	return fmt.Errorf("%s does not listen", p.name)
}
