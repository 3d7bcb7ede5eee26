package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// healthTimeout is how long /healthz may take; a container's watchdog waits longer.
const healthTimeout = 3 * time.Second

func (p *program) healthcheckCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "healthcheck",
		Short: "Ask the running bridge whether it is alive (for containers)",
		Long: `Ask /healthz of the bridge that runs with the same SNOM2MQTT_CONSOLE_LISTEN.
Exit code 0 when it says that it is alive, else 1.`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return checkHealth(c.Context(), consoleURL(p.environ))
		},
	}
}

// consoleURL is where the console of a bridge with this environment is. Only that one setting is
// read: a phones file at fault must not make a running bridge look ill.
func consoleURL(environ []string) string {
	listen := "127.0.0.1:8080"
	for _, e := range environ {
		if v, ok := strings.CutPrefix(e, "SNOM2MQTT_CONSOLE_LISTEN="); ok && v != "" {
			listen = v
		}
	}
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return "http://" + listen
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return "http://" + net.JoinHostPort(host, port)
}

func checkHealth(ctx context.Context, base string) error {
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/healthz", nil)
	if err != nil {
		return err
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("not alive: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		body, _ := io.ReadAll(io.LimitReader(resp.Body, 200)) // what it says is a hint only
		return fmt.Errorf("not alive: %s %s", resp.Status, strings.TrimSpace(string(body)))
	}
	return nil
}
