package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// version and revision are set by the linker in release builds.
var (
	version  = ""
	revision = ""
)

func (p *program) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print version, revision and Go version",
		Args:  noArgs,
		RunE: func(*cobra.Command, []string) error {
			_, err := fmt.Fprint(p.stdout, versionText())
			return err
		},
	}
}

// versionText returns what `version` and --version print.
func versionText() string {
	v, r := versionOf()
	return fmt.Sprintf("snom2mqtt %s\nrevision %s\n%s %s/%s\n", v, r, runtime.Version(), runtime.GOOS, runtime.GOARCH)
}

// versionOf returns the version and the revision, from the linker or from the build information.
func versionOf() (v, r string) {
	v, r = version, revision
	info, ok := debug.ReadBuildInfo()
	if !ok {
		info = &debug.BuildInfo{}
	}
	if v == "" {
		v = info.Main.Version
	}
	if v == "" || v == "(devel)" {
		v = "devel"
	}
	var dirty bool
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision" && r == "":
			r = s.Value
		case s.Key == "vcs.modified":
			dirty = s.Value == "true"
		}
	}
	if r == "" {
		return v, "unknown"
	}
	if dirty && revision == "" {
		r += " (modified)"
	}
	return v, r
}
