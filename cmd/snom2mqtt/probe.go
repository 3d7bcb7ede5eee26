package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/snom2mqtt/snom2mqtt/bridge"
	"github.com/snom2mqtt/snom2mqtt/config"
	"github.com/snom2mqtt/snom2mqtt/internal/textfile"
	"github.com/snom2mqtt/snom2mqtt/mqtt"
	"github.com/snom2mqtt/snom2mqtt/sip"
	"github.com/snom2mqtt/snom2mqtt/snom"
	"github.com/snom2mqtt/snom2mqtt/snom/notify"
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
		Use:   "probe <url or phone>",
		Short: "Print what a phone is: model, firmware, MAC address, login, remote control",
		Long: `Ask a phone what it is: model, firmware, MAC address, how it authenticates, whether
it takes remote control, and what to change on it. The phone is the URL of its web
interface, where the http:// may be left out, or the name of a phone in the settings,
which is asked with the login and certificate set there. The phone is not changed.

A phone with a password reports little more than that it requires one. Without a user
name no login is tried, so a probe does not count as a failed one. With --username it
logs in once, with the password of --password-file, of standard input if that is -, or
asked for at the terminal. Be sure of the password: a phone locks its web interface
after a few failed logins.

A sip: URL is asked by OPTIONS (docs/sip.md). Whether its port 3112 serves HTTP is
printed, too: one program of Snom's uses that port, and nothing confirms it.

Over https, the SHA-256 of the phone's certificate is printed; without a login the
certificate is not checked, since nothing secret is sent.

Whether the phone's settings permit remote control cannot be read; only a key shows
it: snom2mqtt send <phone> key VOLUME_UP.

Exit codes: 0 the phone answered, 1 it did not or refused the login, 2 wrong flags.`,
		Example: `  snom2mqtt probe http://192.0.2.10
  snom2mqtt probe 192.0.2.10 --username admin
  snom2mqtt probe 192.0.2.10 --username admin --password-file secret.txt
  snom2mqtt probe kitchen
  snom2mqtt probe sip:27@192.0.2.20
  snom2mqtt probe https://192.0.2.10 --json`,
		Args:              rangeArgs(1, 1),
		ValidArgsFunction: p.completePhone,
		RunE:              func(c *cobra.Command, args []string) error { return p.probe(c, f, args[0]) },
	}
	c.Flags().BoolVar(&f.json, "json", false, "print one line of JSON")
	c.Flags().StringVar(&f.username, "username", "", "log in as this `user`")
	c.Flags().StringVar(&f.passwordFile, "password-file", "", "a `file` with the password; - reads standard input")
	c.Flags().StringVar(&f.pin, "cert-sha256", "", "https: accept the certificate with this `SHA-256` only")
	c.Flags().BoolVar(&f.insecure, "insecure", false, "https: log in without a check of the phone's certificate")
	return c
}

// probe asks one phone and prints what it reported.
func (p *program) probe(c *cobra.Command, f probe, target string) error {
	if f.username == "" && f.passwordFile != "" {
		return seeHelp(c, errors.New("expected --username with --password-file"))
	}
	if notify.IsAddress(target) {
		return p.probeSIP(c, f, target)
	}
	client, login, err := p.probeClient(c, f, target)
	if err != nil {
		return usageError{err}
	}
	info, err := askPhone(c.Context(), client, login)
	if errors.Is(err, snom.ErrUnreachable) {
		err = p.orNamed(c.Context(), target, err)
	}
	if !login && info.Auth != "" && info.Auth != snom.SchemeNone {
		info.Advice = append([]string{"It requires a login. Give --username, and the password when asked for it, by --password-file FILE, or by " +
			"--password-file - from standard input; or name a phone of the settings."}, info.Advice...)
	}
	if info.RemoteControl == snom.Yes {
		info.RemoteControl = snom.Unknown // what the model can do, its settings may forbid; the advice says so
	}
	if perr := p.printInfo(info, f.json); err == nil {
		err = perr
	}
	return err
}

// orNamed adds to an error which names the settings have, where the target may have been meant as one.
func (p *program) orNamed(ctx context.Context, target string, err error) error {
	if !p.configured() || mqtt.ValidName(target) != nil {
		return err
	}
	settings, _, lerr := p.load(ctx)
	if lerr != nil {
		return err
	}
	var names []string
	for _, phone := range settings.Roster.Phones {
		if phone.Name == target {
			return err
		}
		names = append(names, phone.Name)
	}
	slices.Sort(names)
	if most := 10; len(names) > most {
		names = append(names[:most], fmt.Sprintf("and %d more", len(names)-most))
	}
	return fmt.Errorf("%w; no phone of the settings is called %q: they have %s", err, target, strings.Join(names, ", "))
}

// probeSIP asks a phone that is driven by SIP, by OPTIONS and without a login.
func (p *program) probeSIP(c *cobra.Command, f probe, target string) error {
	if f.username+f.passwordFile+f.pin != "" || f.insecure {
		return seeHelp(c, errors.New("expected no login and no certificate with a sip: URL: OPTIONS needs none"))
	}
	settings := config.Config{}
	if p.configured() { // for its PBX
		var err error
		if settings, _, err = p.load(c.Context()); err != nil {
			return err
		}
		p.drivers.close()
	}
	d, err := newDrivers(settings)
	if err != nil {
		return usageError{err}
	}
	defer d.close()
	phone, url, err := d.phone(config.Phone{URL: target, Insecure: true}, 5*time.Second)
	if err != nil {
		return usageError{err}
	}
	var info snom.Info
	if prober, ok := phone.(bridge.Prober); ok {
		info, err = prober.Probe(c.Context())
	}
	if err != nil && strings.HasPrefix(url, "sip:") {
		info.Advice = append(info.Advice, "Nothing answers OPTIONS: check the address, whether network_id_port of the phone is the port in the URL, "+
			"and whether filter_registrar is off.")
	}
	if said := sip.Port3112(c.Context(), hostname(url)); said != "" {
		info.Advice = append(info.Advice, said)
	}
	if perr := p.printInfo(info, f.json); err == nil {
		err = perr
	}
	return err
}

// probeClient makes the client for a phone of the settings or at a URL, and reports whether it has a login.
func (p *program) probeClient(c *cobra.Command, f probe, target string) (_ *snom.Client, login bool, err error) {
	if flags := f.username + f.passwordFile + f.pin; p.configured() && mqtt.ValidName(target) == nil && flags == "" && !f.insecure {
		settings, _, err := p.load(c.Context())
		if err != nil {
			return nil, false, err
		}
		for _, phone := range settings.Roster.Phones {
			if phone.Name == target {
				if notify.IsAddress(phone.URL) {
					return nil, false, fmt.Errorf("%s is driven by SIP: snom2mqtt probe %s", target, phone.URL)
				}
				client, err := snom.NewClient(clientConfig(phone, settings.RequestTimeout, settings.CommandGap))
				return client, phone.Username != "", err
			}
		}
	}
	password, err := p.password(c.Context(), f)
	if err != nil {
		return nil, false, err
	}
	if !strings.Contains(target, "://") {
		target = "http://" + target
	}
	if f.pin != "" && !strings.HasPrefix(strings.ToLower(target), "https://") {
		return nil, false, errors.New("--cert-sha256: expected https:// in the URL: http has no certificate")
	}
	open := f.username == "" && f.pin == "" // nothing secret is sent, and the certificate is shown
	client, err := snom.NewClient(snom.ClientConfig{
		URL: target, Username: f.username, Password: password, Gap: 100 * time.Millisecond,
		TLS: snom.TLSConfig{Insecure: f.insecure || open, PinSHA256: f.pin, Legacy: true},
	})
	return client, f.username != "", err
}

// askPhone asks a phone what it is. A probe logs in only where the phone has accepted a login before, so with a login a
// page is fetched first.
func askPhone(ctx context.Context, client *snom.Client, login bool) (snom.Info, error) {
	if login {
		_, err := client.Send(ctx, snom.Step{Request: "/info.htm"})
		switch {
		case errors.Is(err, snom.ErrUnsupported), errors.Is(err, snom.ErrRefused): // it answered: ask on
		case err != nil:
			return snom.Info{}, err
		}
	}
	return client.Probe(ctx)
}

// maxPassword bounds the file of a password, in bytes.
const maxPassword = 64 << 10

// password returns the password that goes with --username: from a file, from standard input, or from the person at the
// terminal. Without a user name there is none.
func (p *program) password(ctx context.Context, f probe) (string, error) {
	switch {
	case f.username == "":
		return "", nil
	case f.passwordFile == "-":
		return p.passwordInput(ctx)
	case f.passwordFile == "" && term.IsTerminal(int(p.stdin.Fd())):
		return p.passwordTyped(ctx, f.username)
	case f.passwordFile == "":
		return "", errors.New("--username: expected --password-file FILE, or --password-file - for standard input, which is no terminal to ask at")
	}
	data, err := new(textfile.Reader).Read(ctx, f.passwordFile, maxPassword)
	if err != nil {
		return "", fmt.Errorf("--password-file %s: %w; - reads standard input", f.passwordFile, err)
	}
	password, err := textfile.Line(data)
	if err != nil {
		return "", fmt.Errorf("--password-file %s: %w", f.passwordFile, err)
	}
	return password, nil
}

// passwordInput reads the password from standard input until its end.
func (p *program) passwordInput(ctx context.Context) (string, error) {
	type input struct {
		data []byte
		err  error
	}
	read := make(chan input, 1)
	go func() { // ends with the input, or with the process
		data, err := io.ReadAll(io.LimitReader(p.stdin, maxPassword))
		read <- input{data, err}
	}()
	select {
	case in := <-read:
		if in.err != nil {
			return "", fmt.Errorf("--password-file -: %w", in.err)
		}
		password, err := textfile.Line(in.data)
		if err != nil {
			return "", fmt.Errorf("--password-file -: standard input: %s", strings.Replace(err.Error(), "the file", "it", 1))
		}
		return password, nil
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
}

// passwordTyped asks for the password at the terminal, without showing it.
func (p *program) passwordTyped(ctx context.Context, username string) (string, error) {
	terminal := int(p.stdin.Fd())
	shown, err := term.GetState(terminal)
	if err != nil {
		return "", err
	}
	fmt.Fprintf(p.stderr, "Password of %s: ", username)
	typed := make(chan error, 1)
	var password []byte
	go func() { // ends with the line, or with the process
		var err error
		password, err = term.ReadPassword(terminal)
		typed <- err
	}()
	select {
	case err := <-typed:
		fmt.Fprintln(p.stderr)
		if err != nil {
			return "", err
		}
		return textfile.Line(password)
	case <-ctx.Done():
		_ = term.Restore(terminal, shown) // what is typed must be seen again
		return "", context.Cause(ctx)
	}
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
			fmt.Fprintf(t, "%s:\tnot known\n", row[0])
		}
	}
	for _, a := range i.Advice {
		fmt.Fprintf(t, "- %s\n", a)
	}
	return t.Flush()
}
