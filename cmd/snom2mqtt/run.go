package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"
)

// The exit codes of the program.
const (
	exitDone   = 0 // it did what was asked
	exitFailed = 1 // something failed while it ran
	exitUsage  = 2 // the flags, the arguments or the settings are wrong
)

// A usageError is a fault of whoever called the program: flags, arguments or settings.
type usageError struct{ err error }

func (e usageError) Error() string { return e.err.Error() }
func (e usageError) Unwrap() error { return e.err }

// errSilent ends the program with exitFailed where everything was said already.
var errSilent = errors.New("said already")

// A program is what every subcommand is given: the world outside.
type program struct {
	environ        []string
	stdout, stderr io.Writer
}

// run is the program. Its exit codes are exitDone, exitFailed and exitUsage.
func run(ctx context.Context, args, environ []string, stdout, stderr io.Writer) int {
	p := &program{environ: environ, stdout: stdout, stderr: stderr}
	root := p.root()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	var usage usageError
	switch {
	case err == nil:
		return exitDone
	case errors.Is(err, errSilent):
		return exitFailed
	case errors.As(err, &usage):
		fmt.Fprintln(stderr, "snom2mqtt:", err)
		return exitUsage
	}
	fmt.Fprintln(stderr, "snom2mqtt:", err)
	return exitFailed
}

// root is the command line.
func (p *program) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "snom2mqtt",
		Short: "Bridge between MQTT and Snom desk phones",
		Long: `snom2mqtt makes every Snom desk phone a part of a smart home or office.

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

To see it work without a broker and without a phone: snom2mqtt demo

Exit codes: 0 done, 1 failed while running, 2 wrong flags, arguments or settings.`,
		Args:          noArgs,
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE:          p.bridge,
	}
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return usageError{fmt.Errorf("%w; see %s --help", err, c.CommandPath())}
	})
	root.AddCommand(p.runCommand(), p.demoCommand(), p.simulateCommand(), p.sendCommand(), p.probeCommand(),
		p.actionURLsCommand(), p.checkCommand(), p.healthcheckCommand(), p.versionCommand())
	return root
}

// noArgs and exactArgs are cobra's checks, as errors of usage.
func noArgs(c *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usageError{fmt.Errorf("unknown command or argument %q; see %s --help", args[0], c.CommandPath())}
	}
	return nil
}

func rangeArgs(least, most int) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) < least || len(args) > most {
			return usageError{fmt.Errorf("want %s; see %s --help", c.UseLine(), c.CommandPath())}
		}
		return nil
	}
}
