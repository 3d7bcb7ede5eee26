package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
)

// The exit codes of the program.
const (
	exitDone   = 0 // it did what was asked
	exitFailed = 1 // something failed while it ran
	exitUsage  = 2 // the flags, the arguments or the settings are wrong
)

// A program holds what every subcommand needs of the process: environment and standard streams.
type program struct {
	environ        []string
	stdin          *os.File // where a password is asked for
	stdout, stderr io.Writer
	log            *spooler // what stderr is: it never makes a writer wait
	drivers        *drivers // of the settings that were loaded; nil: none were
}

// run is the program. Its exit codes are exitDone, exitFailed and exitUsage.
func run(ctx context.Context, args, environ []string, stdout, stderr io.Writer) int {
	log := newSpooler(stderr)
	defer log.flush()
	p := &program{environ: environ, stdin: os.Stdin, stdout: stdout, stderr: log, log: log}
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

// inWords returns the text of an error without the name of the package it comes from, which adds nothing to "snom2mqtt:".
func inWords(err error) string {
	text := err.Error()
	for _, origin := range []string{"snom: ", "snomtest: ", "mqtt: "} {
		text = strings.TrimPrefix(text, origin)
	}
	return text
}

// root returns the root command.
func (p *program) root() *cobra.Command {
	version := false
	root := &cobra.Command{
		Use:   "snom2mqtt",
		Short: "Bridge between MQTT and Snom desk phones",
		Long: `snom2mqtt is a bridge between MQTT and Snom desk phones.

Publish to snom/<phone>/key, snom/<phone>/dial and so on; the bridge checks the
payload, controls the phone over HTTP, and publishes the outcome on
snom/<phone>/result.

Without a subcommand it runs the bridge. Settings are environment variables:

  SNOM2MQTT_MQTT_URL=tcp://localhost:1883 \
  SNOM2MQTT_PHONE_0_NAME=kitchen \
  SNOM2MQTT_PHONE_0_URL=http://192.0.2.10 \
  SNOM2MQTT_PHONE_0_USERNAME=admin \
  SNOM2MQTT_PHONE_0_PASSWORD_FILE=/run/secrets/kitchen \
  snom2mqtt

Exit codes: 0 done, 1 failed while running, 2 wrong flags, arguments or settings.`,
		Example: `  snom2mqtt demo                        # try it, without a broker and without a phone
  snom2mqtt probe http://192.0.2.10     # what is this phone?
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
	// Cobra's own flag needs text/template, with which the linker keeps every method of every type.
	root.Flags().BoolVarP(&version, "version", "v", false, "version for snom2mqtt")
	root.SetOut(p.stdout)
	root.SetErr(p.stderr)
	root.SetFlagErrorFunc(badFlag)
	root.CompletionOptions.DisableDefaultCmd = true // completionCommand says the same in fewer words
	root.CompletionOptions.SetDefaultShellCompDirective(cobra.ShellCompDirectiveNoFileComp)
	root.SetHelpCommand(p.helpCommand())
	p.addCommands(root)
	return root
}

// addCommands adds the subcommands, in the groups of --help.
func (p *program) addCommands(root *cobra.Command) {
	for _, group := range []struct {
		id, title string
		commands  []*cobra.Command
	}{
		{"try", "Try it:", []*cobra.Command{p.demoCommand(), p.simulateCommand()}},
		{"phone", "Phones, without a broker:", []*cobra.Command{p.discoverCommand(), p.probeCommand(), p.sendCommand(), p.actionURLsCommand()}},
		{"bridge", "The bridge:", []*cobra.Command{p.checkCommand(), p.schemaCommand(), p.reportCommand(), p.discoveryCommand(), p.runCommand(), p.healthcheckCommand()}},
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
}
