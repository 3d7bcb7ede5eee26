package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// A usageError is an error in flags, arguments or settings.
type usageError struct{ err error }

func (e usageError) Error() string { return e.err.Error() }
func (e usageError) Unwrap() error { return e.err }

// seeHelp adds which help explains more.
func seeHelp(c *cobra.Command, err error) error {
	return usageError{fmt.Errorf("%w; see %s --help", err, c.CommandPath())}
}

// noArgs and rangeArgs check arguments as cobra's own functions do, with messages of this program.
func noArgs(c *cobra.Command, args []string) error {
	switch {
	case len(args) == 0:
		return nil
	case !c.HasSubCommands():
		return seeHelp(c, fmt.Errorf("%s takes no argument such as %q", c.Name(), args[0]))
	}
	return unknownCommand(c, args[0])
}

func rangeArgs(least, most int) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) < least || len(args) > most {
			return seeHelp(c, fmt.Errorf("usage: %s", strings.TrimSuffix(c.UseLine(), " [flags]")))
		}
		return nil
	}
}

func unknownCommand(c *cobra.Command, name string) error {
	if near := c.SuggestionsFor(name); len(near) > 0 {
		return seeHelp(c, fmt.Errorf("no such command %q; did you mean %s?", name, strings.Join(near, " or ")))
	}
	return seeHelp(c, fmt.Errorf("no such command %q", name))
}

// badFlag returns cobra's error about a flag without the error of the function that read its value.
func badFlag(c *cobra.Command, err error) error {
	if cause := errors.Unwrap(err); cause != nil {
		err = errors.New(strings.TrimSuffix(err.Error(), ": "+cause.Error()))
	}
	return seeHelp(c, err)
}

// helpCommand returns `snom2mqtt help`. Cobra's own one succeeds for unknown commands.
func (p *program) helpCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "help [command]",
		Short: "Print how a command is used",
		Long:  "Print how a command is used: the same as its --help.",
		ValidArgsFunction: func(c *cobra.Command, args []string, _ string) (names []string, _ cobra.ShellCompDirective) {
			if len(args) == 0 {
				for _, sub := range c.Root().Commands() {
					names = append(names, cobra.CompletionWithDesc(sub.Name(), sub.Short))
				}
			}
			return names, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(c *cobra.Command, args []string) error {
			about, rest, err := c.Root().Find(args)
			if err != nil {
				return usageError{err}
			}
			if len(rest) > 0 {
				return unknownCommand(c.Root(), rest[0])
			}
			about.InitDefaultHelpFlag() // otherwise added by Execute only
			about.InitDefaultVersionFlag()
			return about.Help()
		},
	}
}
