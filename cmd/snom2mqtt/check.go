package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/snom2mqtt/snom2mqtt/bridge"
	"github.com/snom2mqtt/snom2mqtt/config"
	"github.com/snom2mqtt/snom2mqtt/snom"
	"github.com/snom2mqtt/snom2mqtt/snom/notify"
)

func (p *program) checkCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "check",
		Short: "Read the settings and report every error",
		Long: `Read the settings from the environment and the files they name, and report every
error at once, each by the name of its variable or its place in the phones file.
Nothing is connected to, and no secret is printed. If the settings are right, the
phones are listed as they were understood, and warnings name what is accepted and
probably not meant, such as a password in quotes.

Exit codes: 0 the settings are right, 2 they are not.`,
		Example: `  SNOM2MQTT_PHONES_FILE=phones.yml snom2mqtt check`,
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, r, err := p.load(cmd.Context())
			if err != nil {
				return err
			}
			for _, w := range p.warnings(cmd.Context(), c) {
				fmt.Fprintln(p.stderr, "warning:", w)
			}
			return p.printSettings(c, r)
		},
	}
}

// warnings lists what is accepted in the settings and probably not meant.
func (p *program) warnings(ctx context.Context, c config.Config) (all []string) {
	for _, w := range c.Warnings {
		all = append(all, w.Error())
	}
	if c.PhoneListen == "" {
		return all
	}
	_, err := baseURL(ctx, c.PhoneBaseURL, c.PhoneListen, "http://192.0.2.1", container(os.DirFS("/"), p.environ))
	if errors.Is(err, errContainer) {
		all = append(all, err.Error())
	}
	return all
}

// printSettings prints what was understood of right settings.
func (p *program) printSettings(c config.Config, r bridge.Roster) error {
	broker := c.MQTT.URL
	if c.BrokerListen != "" {
		broker = "embedded, on " + c.BrokerListen
	}
	t := tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "settings are right: %s, %s, base topic %s, broker %s\n",
		count(len(r.Phones), "phone"), count(len(r.Groups), "group"), c.BaseTopic, broker)
	for _, phone := range c.Roster.Phones {
		login := "no login"
		if phone.Username != "" {
			login = "login as " + phone.Username
		}
		model := "model as the phone reports it"
		if m := phone.Model; m != (snom.Model{}) {
			model = m.Name()
			if m.RemoteControl() == snom.No && !notify.IsAddress(phone.URL) {
				model += ", which has no remote control"
			}
		}
		fmt.Fprintf(t, "  %s\t%s\t%s\t%s\n", phone.Name, phone.URL, login, model)
	}
	for _, d := range c.Roster.Doors {
		camera := "no camera"
		if d.Camera.URL != "" {
			camera = "camera"
		}
		fmt.Fprintf(t, "  %s\tdoor of %s\tcalls from %s\t%s\n", d.Name, strings.Join(d.Phones, ", "), d.Number, camera)
	}
	for _, m := range c.Roster.Macros {
		by := "any phone"
		if m.Phone != "" {
			by = m.Phone
		}
		fmt.Fprintf(t, "  %s\tmacro of %s\t%s\n", m.Name, by, count(len(m.Steps), "step"))
	}
	return t.Flush()
}

// count returns how many of something there are, in words.
func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
