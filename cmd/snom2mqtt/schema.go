package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/snom2mqtt/snom2mqtt/config"
)

func (p *program) schemaCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "schema",
		Short: "Print the JSON schema of the phones file",
		Long: `Print the JSON schema of the phones file, by which editors complete and check it.
It does not find what only the whole shows, such as a phone that a group names and
that does not exist: check does.

An editor with a YAML language server reads the schema that the first line of the
file names:

  # yaml-language-server: $schema=phones.schema.json`,
		Example: `  snom2mqtt schema > phones.schema.json`,
		Args:    noArgs,
		RunE: func(*cobra.Command, []string) error {
			_, err := fmt.Fprint(p.stdout, config.Schema())
			return err
		},
	}
}
