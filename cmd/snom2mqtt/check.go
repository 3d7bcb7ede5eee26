package main

import (
	"fmt"

	"github.com/spf13/cobra"
)

func (p *program) checkCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "check",
		Short: "Read the settings and say every fault",
		Long: `Read the settings from the environment and the files they name, and say every
fault at once. Nothing is connected to. Exit code 2 when there is one.`,
		Args: noArgs,
		RunE: func(*cobra.Command, []string) error {
			c, r, err := p.load()
			if err != nil {
				return err
			}
			broker := c.MQTT.URL
			if c.BrokerListen != "" {
				broker = "embedded, on " + c.BrokerListen
			}
			_, err = fmt.Fprintf(p.stdout, "settings are right: %d phones, %d groups, base topic %s, broker %s\n",
				len(r.Phones), len(r.Groups), c.BaseTopic, broker)
			return err
		},
	}
}
