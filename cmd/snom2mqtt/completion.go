package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/snom2mqtt/snom2mqtt/snom"
)

func (p *program) completionCommand() *cobra.Command {
	shells := []string{"bash", "zsh", "fish", "powershell"}
	return &cobra.Command{
		Use:   "completion <shell>",
		Short: "Print a script that completes commands: bash, zsh, fish or powershell",
		Long: `Print a script for a shell that completes subcommands, flags, the names of the phones
in the settings, and the commands of phones. Shells: bash, zsh, fish, powershell.`,
		Example: `  source <(snom2mqtt completion bash)          # for this shell
  snom2mqtt completion bash > /etc/bash_completion.d/snom2mqtt
  snom2mqtt completion zsh > "${fpath[1]}/_snom2mqtt"
  snom2mqtt completion fish > ~/.config/fish/completions/snom2mqtt.fish`,
		Args: rangeArgs(1, 1), ValidArgs: shells,
		DisableFlagsInUseLine: true,
		RunE: func(c *cobra.Command, args []string) error {
			switch args[0] {
			case "bash":
				return c.Root().GenBashCompletionV2(p.stdout, true)
			case "zsh":
				return c.Root().GenZshCompletion(p.stdout)
			case "fish":
				return c.Root().GenFishCompletion(p.stdout, true)
			case "powershell":
				return c.Root().GenPowerShellCompletionWithDesc(p.stdout)
			}
			return seeHelp(c, fmt.Errorf("no such shell %q: expected %s", args[0], oneOf(shells)))
		},
	}
}

// completeSend offers the configured phones, then the commands.
func (p *program) completeSend(c *cobra.Command, args []string, _ string) (words []string, _ cobra.ShellCompDirective) {
	switch len(args) {
	case 0:
		settings, _, err := p.load(c.Context())
		if err != nil {
			break // `check` reports why
		}
		for _, phone := range settings.Roster.Phones {
			words = append(words, cobra.CompletionWithDesc(phone.Name, phone.URL))
		}
	case 1:
		for _, v := range snom.Verbs() {
			if !v.Displays() {
				words = append(words, cobra.CompletionWithDesc(string(v), v.Help().Summary))
			}
		}
	}
	return words, cobra.ShellCompDirectiveNoFileComp
}

// offer completes the value of a flag.
func offer(c *cobra.Command, flag string, values []string) {
	if err := c.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp)); err != nil {
		panic(err) // no such flag in this package
	}
}
