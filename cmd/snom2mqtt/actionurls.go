package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"github.com/snom2mqtt/snom2mqtt/bridge"
	"github.com/snom2mqtt/snom2mqtt/config"
	"github.com/snom2mqtt/snom2mqtt/snom"
	"github.com/snom2mqtt/snom2mqtt/snom/actionurl"
)

func (p *program) actionURLsCommand() *cobra.Command {
	var f urlFlags
	c := &cobra.Command{
		Use:   "action-urls <phone>",
		Short: "Print the action URLs of a phone, or install them in it",
		Long: `Print the URLs that a phone requests when something happens at it: each with its
name on the page "Action URL Settings" of the phone's web interface, and the name of
its setting; then the keys that the phones file sets up, with their labels. --xml prints
them for provisioning. A URL contains the phone's token: keep it secret, it is enough to
report events in the phone's name.

--install writes them into the phone, which must not be in user mode. It reads the
settings first: a URL of another program, and a key with another use, is kept unless
--force is given, and nothing is written to a phone whose settings cannot be read. Then it reads them again, since a
phone silently keeps a read-only setting. A wrong password costs one failed login.
While the bridge runs, a message to snom/bridge/request/install does the same between
two commands.

action_blacklist_url is never set: the phone would silently reject calls.

Exit codes: 0 installed or printed, 1 not installed, 2 wrong settings or usage.`,
		Example: `  snom2mqtt action-urls kitchen
  snom2mqtt action-urls kitchen --install
  snom2mqtt action-urls kitchen --xml > actions.xml`,
		Args:              rangeArgs(1, 1),
		ValidArgsFunction: p.completePhone,
		RunE: func(c *cobra.Command, args []string) error {
			if f.xml && f.install || f.force && !f.install {
				return seeHelp(c, errors.New("expected --xml, or --install with or without --force"))
			}
			return p.actionURLs(c, f, args[0])
		},
	}
	c.Flags().BoolVar(&f.xml, "xml", false, "print them as a document for provisioning")
	c.Flags().BoolVar(&f.install, "install", false, "write them into the phone")
	c.Flags().BoolVar(&f.force, "force", false, "with --install: overwrite URLs of other programs, and settings that cannot be read")
	return c
}

// urlFlags are the flags of action-urls.
type urlFlags struct{ xml, install, force bool }

func (p *program) actionURLs(c *cobra.Command, f urlFlags, name string) error {
	settings, phones, err := p.load(c.Context())
	if err != nil {
		return err
	}
	defer p.drivers.close()
	if err := knowsPhone(phones, name); err != nil {
		return seeHelp(c, err)
	}
	// The phones of both are the same, in the same order.
	i := slices.IndexFunc(settings.Roster.Phones, func(p config.Phone) bool { return p.Name == name })
	urls, err := actionURLs(c.Context(), settings, settings.Roster.Phones[i], settings.PhoneListen, container(os.DirFS("/"), p.environ))
	keys := actionurl.KeySettings(urls, phones.Phones[i].Keys, phones.Phones[i].Model)
	if err == nil && !f.install && len(keys) > 0 && phones.Phones[i].Model.IsZero() {
		fmt.Fprintf(p.stderr, "No short labels of keys are printed, since the settings do not name the model of %s: model, or PHONE_<n>_MODEL.\n", name)
	}
	switch {
	case err != nil:
		return usageError{err}
	case f.xml:
		_, err = fmt.Fprint(p.stdout, actionurl.ProvisioningXML(urls, keys...))
		return err
	case !f.install:
		return p.printActionURLs(urls, keys)
	}
	phone, ok := phones.Phones[i].Phone.(actionurl.Configurable)
	if !ok {
		return fmt.Errorf("phone %s: its settings cannot be written", name)
	}
	if prober, ok := phones.Phones[i].Phone.(bridge.Prober); ok && len(keys) > 0 && phones.Phones[i].Model.IsZero() {
		if info, err := prober.Probe(c.Context()); err == nil { // else what the model has is not known
			model, _ := snom.FindModel(info.Model)
			keys = actionurl.KeySettings(urls, phones.Phones[i].Keys, model)
		}
	}
	if err := p.install(c.Context(), phone, urls, keys, f.force); err != nil {
		return err
	}
	_, err = fmt.Fprintf(p.stdout, "The phone calls %s now. Watch its events: mosquitto_sub -v -t '%s/%s/#'\n", hostOf(urls), settings.BaseTopic, name)
	return err
}

// completePhone completes the names of the configured phones.
func (p *program) completePhone(c *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return p.completeSend(c, args, typed)
}

// printActionURLs prints what to paste into the web interface.
func (p *program) printActionURLs(urls []actionurl.URL, keys []actionurl.KeySetting) error {
	captions := map[string]string{}
	for _, r := range actionurl.Rows() {
		captions[r.Setting] = r.Caption
	}
	for _, u := range urls {
		if _, err := fmt.Fprintf(p.stdout, "%s (%s)\n  %s\n", captions[u.Setting], u.Setting, u.URL); err != nil {
			return err
		}
	}
	for _, k := range keys {
		if _, err := fmt.Fprintf(p.stdout, "Key %s (%s)\n  %s\n", k.Key.Key, k.Type.Setting, k.Type.URL); err != nil {
			return err
		}
		for _, l := range k.Labels {
			if _, err := fmt.Fprintf(p.stdout, "Label of %s (%s)\n  %s\n", k.Key.Key, l.Setting, l.URL); err != nil {
				return err
			}
		}
	}
	return nil
}

// install writes urls and keys into a phone, and prints the outcome.
func (p *program) install(ctx context.Context, phone actionurl.Configurable, urls []actionurl.URL, keys []actionurl.KeySetting, force bool) error {
	done, err := actionurl.Install(ctx, phone, urls, force)
	if err == nil && len(keys) > 0 {
		var more actionurl.Installation
		more, err = actionurl.InstallKeys(ctx, phone, keys, force)
		done = done.Join(more)
	}
	if err == nil {
		err = done.Err()
	}
	if err == nil || len(done.Written)+len(done.Unchanged) > 0 {
		fmt.Fprintf(p.stdout, "%d written, %d were there already\n", len(done.Written), len(done.Unchanged))
	}
	if err == nil && !done.Checked {
		fmt.Fprintln(p.stdout, "The phone does not show its settings: whether it kept them is unknown.")
	}
	return err
}

// hostOf returns the host of urls.
func hostOf(urls []actionurl.URL) string {
	u, err := url.Parse(urls[0].URL)
	if err != nil {
		return ""
	}
	return u.Host
}
