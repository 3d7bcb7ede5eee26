package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
)

// The exit codes of the program.
const (
	exitDone   = 0 // it did what was asked
	exitFailed = 1 // something failed while it ran
	exitUsage  = 2 // the flags, the arguments or the settings are wrong
)

// A program is what every subcommand is given: the world outside.
type program struct {
	environ        []string
	stdout, stderr io.Writer
	log            *spooler // what stderr is: it never makes a writer wait
}

// run is the program. Its exit codes are exitDone, exitFailed and exitUsage.
func run(ctx context.Context, args, environ []string, stdout, stderr io.Writer) int {
	log := newSpooler(stderr)
	defer log.flush()
	p := &program{environ: environ, stdout: stdout, stderr: log, log: log}
	root := p.root()
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitDone
	}
	fmt.Fprintln(log, "snom2mqtt:", inWords(err))
	if errors.As(err, new(usageError)) {
		return exitUsage
	}
	return exitFailed
}

// inWords is an error as the program tells it: without the name of the package it is from, where
// that says nothing that "snom2mqtt:" does not say.
func inWords(err error) string {
	text := err.Error()
	for _, origin := range []string{"snom: ", "snomtest: ", "mqtt: "} {
		text = strings.TrimPrefix(text, origin)
	}
	return text
}

// root is the command line.
func (p *program) root() *cobra.Command {
	version := false
	root := &cobra.Command{
		Use:   "snom2mqtt",
		Short: "Bridge between MQTT and Snom desk phones",
		Long: `snom2mqtt is a bridge between MQTT and Snom desk phones.

Publish to snom/<phone>/key, snom/<phone>/dial and so on; the bridge checks the
payload, drives the phone over HTTP, and publishes what became of it on
snom/<phone>/result.

Without a subcommand it is the bridge, set up by environment variables:

  SNOM2MQTT_MQTT_URL=tcp://localhost:1883 \
  SNOM2MQTT_PHONE_0_NAME=kitchen \
  SNOM2MQTT_PHONE_0_URL=http://192.0.2.10 \
  SNOM2MQTT_PHONE_0_USERNAME=admin \
  SNOM2MQTT_PHONE_0_PASSWORD_FILE=/run/secrets/kitchen \
  snom2mqtt

Exit codes: 0 done, 1 failed while running, 2 wrong flags, arguments or settings.`,
		Example: `  snom2mqtt demo                        # see it work, without a broker and without a phone
  snom2mqtt probe http://192.0.2.10     # what is this phone, and can it be controlled?
  snom2mqtt check                       # are the settings right?
  snom2mqtt send kitchen dial +4930123  # one command, without a broker`,
		Args:                       noArgs,
		SilenceErrors:              true,
		SilenceUsage:               true,
		SuggestionsMinimumDistance: 2,
		RunE: func(c *cobra.Command, args []string) error {
			if version {
				fmt.Fprint(p.stdout, versionText())
				return nil
			}
			return p.bridge(c, args)
		},
	}
	// Not cobra's own flag: a template for it links text/template, and with that the linker must keep every method
	// of every type.
	root.Flags().BoolVarP(&version, "version", "v", false, "version for snom2mqtt")
	root.SetOut(p.stdout)
	root.SetErr(p.stderr)
	root.SetFlagErrorFunc(badFlag)
	root.CompletionOptions.DisableDefaultCmd = true // ours says the same in fewer words
	root.CompletionOptions.SetDefaultShellCompDirective(cobra.ShellCompDirectiveNoFileComp)
	root.SetHelpCommand(p.helpCommand())
	for _, group := range []struct {
		id, title string
		commands  []*cobra.Command
	}{
		{"try", "To try it:", []*cobra.Command{p.demoCommand(), p.simulateCommand()}},
		{"phone", "One phone, without a broker:", []*cobra.Command{p.probeCommand(), p.sendCommand(), p.actionURLsCommand()}},
		{"bridge", "The bridge:", []*cobra.Command{p.checkCommand(), p.discoveryCommand(), p.runCommand(), p.healthcheckCommand()}},
		{"", "", []*cobra.Command{p.appCommand(), p.completionCommand(), p.versionCommand()}},
	} {
		if group.id != "" {
			root.AddGroup(&cobra.Group{ID: group.id, Title: group.title})
		}
		for _, c := range group.commands {
			c.GroupID = group.id
			root.AddCommand(c)
		}
	}
	return root
}
