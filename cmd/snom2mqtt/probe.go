package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/snom2mqtt/snom2mqtt/snom"
)

func (p *program) probeCommand() *cobra.Command {
	var asJSON, insecure bool
	var username, passwordFile string
	c := &cobra.Command{
		Use:   "probe <url>",
		Short: "Say what a phone is: model, firmware, MAC, login, whether it can be controlled",
		Long: `Ask a phone what it is: model, firmware, MAC, how it authenticates, whether remote
control is possible, and what to change on it.

Without a user name no login is tried, so a probe never counts as a failed one;
a phone with a password then tells little more than that it wants one. With
--username and --password-file it logs in once: be sure of the password, for a
phone locks its web page after a few failed logins.`,
		Example: `  snom2mqtt probe http://192.0.2.10
  snom2mqtt probe 192.0.2.10 --username admin --password-file secret.txt`,
		Args: rangeArgs(1, 1),
		RunE: func(c *cobra.Command, args []string) error {
			password, err := readSecret(passwordFile)
			if err != nil {
				return usageError{err}
			}
			url := args[0]
			if !strings.Contains(url, "://") {
				url = "http://" + url
			}
			client, err := snom.NewClient(snom.ClientConfig{
				URL: url, Username: username, Password: password,
				// Without a login nothing secret is sent, and the certificate itself is shown.
				TLS: snom.TLSConfig{Insecure: insecure || username == "", Legacy: true},
			})
			if err != nil {
				return usageError{err}
			}
			if username != "" { // a probe logs in only where the phone has accepted a login before
				if _, err := client.Send(c.Context(), snom.Step{Target: "/info.htm"}); err != nil {
					return err
				}
			}
			info, err := client.Probe(c.Context())
			if err != nil {
				return err
			}
			if asJSON {
				return json.NewEncoder(p.stdout).Encode(info)
			}
			return p.printInfo(info)
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print one line of JSON")
	c.Flags().StringVar(&username, "username", "", "log in as this user")
	c.Flags().StringVar(&passwordFile, "password-file", "", "the password, in a file")
	c.Flags().BoolVar(&insecure, "insecure", false, "with a login, do not check the phone's certificate")
	c.MarkFlagsRequiredTogether("username", "password-file")
	return c
}

// readSecret reads a secret from a file, without the line end that editors leave. No name, no secret.
func readSecret(file string) (string, error) {
	if file == "" {
		return "", nil
	}
	b, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	return strings.TrimSuffix(strings.TrimSuffix(string(b), "\n"), "\r"), nil
}

// printInfo prints what a probe found, for a person.
func (p *program) printInfo(i snom.Info) error {
	unknown := func(s string) string {
		if s == "" {
			return "not told"
		}
		return s
	}
	rows := [][2]string{
		{"model", unknown(i.Model)}, {"firmware", unknown(i.Firmware)}, {"MAC", unknown(i.MAC)},
		{"login", unknown(string(i.Auth))}, {"remote control", string(i.RemoteControl)},
	}
	if i.Certificate != "" {
		rows = append(rows, [2]string{"certificate", i.Certificate})
	}
	for _, r := range rows {
		if _, err := fmt.Fprintf(p.stdout, "%-15s %s\n", r[0]+":", r[1]); err != nil {
			return err
		}
	}
	for _, a := range i.Advice {
		if _, err := fmt.Fprintf(p.stdout, "- %s\n", a); err != nil {
			return err
		}
	}
	return nil
}
