package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/spf13/cobra"

	"github.com/snom2mqtt/snom2mqtt/bridge"
	"github.com/snom2mqtt/snom2mqtt/snom"
)

func (p *program) actionURLsCommand() *cobra.Command {
	var asXML, install, force bool
	c := &cobra.Command{
		Use:   "action-urls <phone>",
		Short: "Print the URLs by which a phone tells its events, or write them into it",
		Long: `Print the URLs that a phone has to call when something happens at it: each with its
name on the page "Action URL Settings" of the phone's web interface, and the name of
its setting. --xml prints them for provisioning. Who knows a URL can tell events in
the phone's name: it holds the phone's token.

--install writes them into the phone, which must not be in user mode. It first reads
what is there: a setting that holds somebody else's URL is left alone, unless --force
is given. Then it reads again, since a phone keeps a read-only setting without a word.
A wrong password costs one failed login. While the bridge runs, a message to
snom/bridge/request/install does the same between two commands.

action_blacklist_url is never set: a phone then rejects calls in silence.

Exit codes: 0 all is as it should be, 1 it is not, 2 the settings are wrong.`,
		Example: `  snom2mqtt action-urls kitchen
  snom2mqtt action-urls kitchen --install
  snom2mqtt action-urls kitchen --xml > actions.xml`,
		Args:              rangeArgs(1, 1),
		ValidArgsFunction: p.completePhone,
		RunE: func(c *cobra.Command, args []string) error {
			settings, phones, err := p.load()
			if err != nil {
				return err
			}
			phone, ok := findPhone(settings.Roster, args[0])
			switch {
			case !ok:
				return usageError{fmt.Errorf("no phone is called %q", args[0])}
			case asXML && install, force && !install:
				return usageError{errors.New("want --xml, or --install with or without --force")}
			}
			urls, err := actionURLs(settings, phone, settings.PhoneListen)
			switch {
			case err != nil:
				return usageError{err}
			case install:
				client, err := clientOf(phones, phone.Name)
				if err != nil {
					return err
				}
				if err := p.install(c.Context(), &paced{Configurable: client, gap: settings.CommandGap}, urls, force); err != nil {
					return err
				}
				_, err = fmt.Fprintf(p.stdout, "It calls %s now. Watch its events: mosquitto_sub -v -t '%s/%s/#'\n",
					hostOf(urls), settings.BaseTopic, phone.Name)
				return err
			case asXML:
				_, err = fmt.Fprint(p.stdout, snom.ProvisioningXML(urls))
				return err
			}
			return p.printActionURLs(urls)
		},
	}
	c.Flags().BoolVar(&asXML, "xml", false, "print them as a document for provisioning")
	c.Flags().BoolVar(&install, "install", false, "write them into the phone")
	c.Flags().BoolVar(&force, "force", false, "with --install: replace what somebody else has set, and write where the phone does not show its settings")
	return c
}

// completePhone offers the configured phones.
func (p *program) completePhone(_ *cobra.Command, args []string, _ string) (names []string, _ cobra.ShellCompDirective) {
	if settings, _, err := p.load(); err == nil && len(args) == 0 {
		for _, phone := range settings.Roster.Phones {
			names = append(names, cobra.CompletionWithDesc(phone.Name, phone.URL))
		}
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

// clientOf is what talks to the phone of that name.
func clientOf(r bridge.Roster, name string) (snom.Configurable, error) {
	for _, p := range r.Phones {
		if p.Name == name {
			return p.Phone, nil
		}
	}
	return nil, fmt.Errorf("no phone is called %q", name)
}

// printActionURLs prints what to paste into the web interface.
func (p *program) printActionURLs(urls []snom.ActionURL) error {
	captions := map[string]string{}
	for _, r := range snom.ActionURLRows() {
		captions[r.Setting] = r.Caption
	}
	for _, u := range urls {
		if _, err := fmt.Fprintf(p.stdout, "%s (%s)\n  %s\n", captions[u.Setting], u.Setting, u.URL); err != nil {
			return err
		}
	}
	return nil
}

// install writes urls into a phone, and says what became of them.
func (p *program) install(ctx context.Context, phone snom.Configurable, urls []snom.ActionURL, force bool) error {
	done, err := snom.Install(ctx, phone, urls, force)
	if err == nil {
		err = done.Err()
	}
	if err == nil || len(done.Written)+len(done.Unchanged) > 0 {
		fmt.Fprintf(p.stdout, "%d written, %d were there already\n", len(done.Written), len(done.Unchanged))
	}
	if err == nil && !done.Checked {
		fmt.Fprintln(p.stdout, "The phone does not show its settings, so nobody looked whether it has kept them.")
	}
	return err
}

// hostOf is where urls point.
func hostOf(urls []snom.ActionURL) string {
	u, err := url.Parse(urls[0].URL)
	if err != nil {
		return ""
	}
	return u.Host
}

// paced leaves a pause between two requests to a phone.
type paced struct {
	snom.Configurable
	gap   time.Duration
	until time.Time
}

func (p *paced) Send(ctx context.Context, s snom.Step) (snom.Reply, error) {
	if err := p.rest(ctx); err != nil {
		return snom.Reply{}, err
	}
	defer p.tire()
	return p.Configurable.Send(ctx, s)
}

func (p *paced) ReadSettings(ctx context.Context) (map[string]snom.Setting, error) {
	if err := p.rest(ctx); err != nil {
		return nil, err
	}
	defer p.tire()
	return p.Configurable.ReadSettings(ctx)
}

func (p *paced) tire() { p.until = time.Now().Add(p.gap) }

func (p *paced) rest(ctx context.Context) error {
	select {
	case <-time.After(time.Until(p.until)):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
