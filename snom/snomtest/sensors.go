package snomtest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"strconv"
	"time"
)

// Measure has the phone report what its sensors measure, in lux and degrees Celsius, as a D735 does: by syslog to the setting
// syslog_server (Golpe82/snom-baos777; the rest of the lines is inferred). It reports whether there is a D735 with such a setting.
func (p *Phone) Measure(ctx context.Context, lux, celsius float64) bool {
	p.mu.Lock()
	server, model, mac, dial := p.settings["syslog_server"], p.config.Model, p.config.MAC, p.config.Dial
	p.mu.Unlock()
	if server == "" || model != "D735" {
		return false
	}
	if _, _, err := net.SplitHostPort(server); err != nil {
		server = net.JoinHostPort(server, "514")
	}
	conn, err := dial(ctx, "udp", server)
	if err != nil {
		return false
	}
	defer conn.Close()
	header := "<135>" + time.Now().Format(time.Stamp) + " snom" + model + "-" + mac + " "
	for _, text := range []string{
		fmt.Sprintf("ALS_VALUE:%d", int(math.Round(lux*100/6.5))), "sensor temperature: " + strconv.FormatFloat(celsius, 'f', -1, 64),
	} {
		if _, err := conn.Write([]byte(header + text)); err != nil {
			return false
		}
	}
	return true
}

// measure is the operation.
func measure(p *Phone, value func(string) string) error {
	lux, err := strconv.ParseFloat(cmp.Or(value("light"), "300"), 64)
	if err != nil || lux < 0 || lux > 200_000 {
		return errors.New("light: expected lux")
	}
	celsius, err := strconv.ParseFloat(cmp.Or(value("temperature"), "22.5"), 64)
	if err != nil || celsius < -40 || celsius > 125 {
		return errors.New("temperature: expected degrees Celsius")
	}
	ctx, cancel := context.WithTimeout(context.Background(), actionTimeout)
	defer cancel()
	return happened(p.Measure(ctx, lux, celsius))
}
