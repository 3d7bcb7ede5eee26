package main

import (
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/snom2mqtt/snom2mqtt/bridge"
	"github.com/snom2mqtt/snom2mqtt/config"
	"github.com/snom2mqtt/snom2mqtt/snom"
)

func (p *program) checkCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "check",
		Short: "Read the settings and say every fault",
		Long: `Read the settings from the environment and the files they name, and say every
fault at once, each by the name of its variable or its place in the phones file.
Nothing is connected to, and no secret is shown. Where the settings are right, the
phones are listed as they were understood.

Exit codes: 0 the settings are right, 2 they are not.`,
		Example: `  SNOM2MQTT_PHONES_FILE=phones.yml snom2mqtt check`,
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, r, err := p.load(cmd.Context())
			if err != nil {
				return err
			}
			return p.printSettings(c, r)
		},
	}
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
	for i, phone := range c.Roster.Phones {
		login := "no login"
		if phone.Username != "" {
			login = "login as " + phone.Username
		}
		model := "model learnt from the phone"
		if m := r.Phones[i].Model; m != (snom.Model{}) {
			model = m.Name()
			if m.RemoteControl() == snom.No {
				model += ", which takes no remote control"
			}
		}
		fmt.Fprintf(t, "  %s\t%s\t%s\t%s\n", phone.Name, phone.URL, login, model)
	}
	return t.Flush()
}

// count is how many of something there are, in words.
func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
