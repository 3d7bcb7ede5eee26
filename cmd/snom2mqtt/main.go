// Command snom2mqtt is the bridge between MQTT and Snom desk phones.
//
// Without a subcommand it is the bridge itself, set up by environment variables; see
// docs/settings.md. `snom2mqtt demo` needs no settings, no broker and no phone.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal kills
	os.Exit(run(ctx, os.Args[1:], os.Environ(), os.Stdout, os.Stderr))
}
