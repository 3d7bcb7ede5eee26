package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/snom2mqtt/snom2mqtt/snom"
)

// A probe is what the flags of probe say.
type probe struct {
	username, passwordFile string
	pin                    string
	insecure, json         bool
}

func (p *program) probeCommand() *cobra.Command {
	f := probe{}
	c := &cobra.Command{
		Use:   "probe <url>",
		Short: "Say what a phone is: model, firmware, MAC, login, whether it can be controlled",
		Long: `Ask a phone what it is: model, firmware, MAC, how it authenticates, whether remote
control is possible, and what to change on it. The URL is that of its web page; the
http:// may be left out. No settings are needed, and the phone is not changed.

Without a user name no login is tried, so a probe never counts as a failed one;
a phone with a password then tells little more than that it wants one. With
--username and --password-file it logs in once: be sure of the password, for a
phone locks its web page after a few failed logins.

Over https, the SHA-256 of the phone's certificate is printed; without a login the
certificate is not checked, since nothing secret is sent.

Exit codes: 0 the phone answered, 1 it did not or refused the login, 2 wrong flags.`,
		Example: `  snom2mqtt probe http://192.0.2.10
  snom2mqtt probe 192.0.2.10 --username admin --password-file secret.txt
  snom2mqtt probe https://192.0.2.10 --json`,
		Args: rangeArgs(1, 1),
		RunE: func(c *cobra.Command, args []string) error {
			if (f.username == "") != (f.passwordFile == "") {
				return seeHelp(c, errors.New("expected --username and --password-file, or neither"))
			}
			client, err := f.client(args[0])
			if err != nil {
				return usageError{err}
			}
			info, err := f.ask(c.Context(), client)
			if perr := p.printInfo(info, f.json); err == nil {
				err = perr
			}
			return err
		},
	}
	c.Flags().BoolVar(&f.json, "json", false, "print one line of JSON")
	c.Flags().StringVar(&f.username, "username", "", "log in as this `user`")
	c.Flags().StringVar(&f.passwordFile, "password-file", "", "a `file` that holds the password")
	c.Flags().StringVar(&f.pin, "cert-sha256", "", "https: accept the certificate with this `SHA-256` only")
	c.Flags().BoolVar(&f.insecure, "insecure", false, "https: log in without a check of the phone's certificate")
	return c
}

// client makes the client for the phone at url.
func (f probe) client(url string) (*snom.Client, error) {
	password, err := readSecret(f.passwordFile)
	if err != nil {
		return nil, err
	}
	if !strings.Contains(url, "://") {
		url = "http://" + url
	}
	if f.pin != "" && !strings.HasPrefix(strings.ToLower(url), "https://") {
		return nil, errors.New("--cert-sha256: expected https:// in the URL: http has no certificate")
	}
	open := f.username == "" && f.pin == "" // nothing secret is sent, and the certificate is shown
	return snom.NewClient(snom.ClientConfig{
		URL: url, Username: f.username, Password: password, Gap: 100 * time.Millisecond,
		TLS: snom.TLSConfig{Insecure: f.insecure || open, PinSHA256: f.pin, Legacy: true},
	})
}

// ask asks the phone what it is. A probe logs in only where the phone has accepted a login before, so
// with a user name a page is fetched first.
func (f probe) ask(ctx context.Context, client *snom.Client) (snom.Info, error) {
	if f.username != "" {
		_, err := client.Send(ctx, snom.Step{Request: "/info.htm"})
		switch {
		case errors.Is(err, snom.ErrUnsupported), errors.Is(err, snom.ErrRefused): // it answered: ask on
		case err != nil:
			return snom.Info{}, err
		}
	}
	return client.Probe(ctx)
}

// readSecret reads a secret from a file, without the one line end that editors leave. No name, no secret.
func readSecret(file string) (string, error) {
	if file == "" {
		return "", nil
	}
	b, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	secret := strings.TrimSuffix(strings.TrimSuffix(string(b), "\n"), "\r")
	if secret == "" {
		return "", fmt.Errorf("%s: the file is empty", file)
	}
	return secret, nil
}

// printInfo prints what a probe found: for a person, or as a line of JSON. Of a phone that said nothing
// only the advice is printed, if there is any.
func (p *program) printInfo(i snom.Info, asJSON bool) error {
	said := i.Auth != "" || i.Model != "" || i.Certificate != "" || i.RemoteControl == snom.No
	if !said && len(i.Advice) == 0 {
		return nil
	}
	if asJSON {
		return encodeJSON(p.stdout, i)
	}
	t := tabwriter.NewWriter(p.stdout, 0, 0, 1, ' ', 0)
	rows := [][2]string{
		{"model", i.Model}, {"firmware", i.Firmware}, {"MAC", i.MAC}, {"login", string(i.Auth)},
		{"remote control", string(i.RemoteControl)}, {"certificate", i.Certificate},
	}
	if !said {
		rows = nil
	}
	for _, row := range rows {
		switch {
		case row[1] != "":
			fmt.Fprintf(t, "%s:\t%s\n", row[0], row[1])
		case row[0] != "certificate":
			fmt.Fprintf(t, "%s:\tnot told\n", row[0])
		}
	}
	for _, a := range i.Advice {
		fmt.Fprintf(t, "- %s\n", a)
	}
	return t.Flush()
}
