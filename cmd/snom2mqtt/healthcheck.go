package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// healthTimeout is how long /healthz may take; the health check of a container has a longer timeout.
const healthTimeout = 3 * time.Second

func (p *program) healthcheckCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "healthcheck",
		Short: "Check the health of the running bridge (for containers)",
		Long: `Request /healthz of the bridge with the same SNOM2MQTT_CONSOLE_LISTEN; no other
setting is needed. It answers 503 if the bridge made no progress for 30 s. Healthy is
not ready: /readyz reports whether commands are accepted and answered now. A broker
that is unreachable is no reason to restart the bridge.

Exit codes: 0 healthy, 1 not healthy or no answer.`,
		Example: `  HEALTHCHECK CMD ["/snom2mqtt", "healthcheck"]                # in a Dockerfile
  SNOM2MQTT_CONSOLE_LISTEN=127.0.0.1:8081 snom2mqtt healthcheck`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			at, err := consoleURL(p.environ)
			if err != nil {
				return err
			}
			return checkHealth(c.Context(), at)
		},
	}
}

// consoleURL returns the URL of the console of a bridge with this environment. Only that one setting is
// read: an error in the phones file must not make a running bridge look unhealthy.
func consoleURL(environ []string) (string, error) {
	listen := "127.0.0.1:8080"
	for _, e := range environ {
		if v, ok := strings.CutPrefix(e, "SNOM2MQTT_CONSOLE_LISTEN="); ok && v != "" {
			listen = v
		}
	}
	if listen == "off" {
		return "", errors.New("SNOM2MQTT_CONSOLE_LISTEN is off: there is no console to ask")
	}
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return "", errors.New("SNOM2MQTT_CONSOLE_LISTEN: expected host:port")
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return "http://" + net.JoinHostPort(host, port), nil
}

func checkHealth(ctx context.Context, base string) error {
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/healthz", nil)
	if err != nil {
		return err
	}
	client := &http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true}, // and no proxy
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	resp, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("not healthy: %w", err)
	}
	defer resp.Body.Close()
	var answer struct{ Status, Reason string }
	err = json.NewDecoder(io.LimitReader(resp.Body, 4<<10)).Decode(&answer)
	switch {
	case resp.StatusCode != http.StatusOK:
		return fmt.Errorf("not healthy: %s", strings.TrimSpace(resp.Status+" "+answer.Reason))
	case err != nil || answer.Status != "ok": // another program has that port
		return fmt.Errorf("not healthy: the program at %s is not the bridge", base)
	}
	return nil
}
