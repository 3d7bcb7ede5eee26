package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/snom2mqtt/snom2mqtt/config"
	"github.com/snom2mqtt/snom2mqtt/internal/settingdoc"
)

// TestDocumentManual: docs/snom2mqtt.1, the page that packages install, is made from the help texts and the settings.
func TestDocumentManual(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	manual(t, &b)
	file := filepath.Join("..", "..", "docs", "snom2mqtt.1")
	if update() {
		if err := os.WriteFile(file, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(have, b.Bytes()) {
		t.Error("docs/snom2mqtt.1 differs from the code: run `make docs`")
	}
	groff, err := exec.LookPath("groff")
	if err != nil {
		return // package groff-base of Debian; the test of the packages renders the page, too
	}
	c := exec.CommandContext(t.Context(), groff, "-man", "-Tutf8", "-wall", "-z")
	c.Stdin = &b
	if out, err := c.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("groff: %v\n%s", err, out)
	}
}

// firstSteps is how to get from an installed package to a first phone. scripts/first-five-minutes.sh runs these lines.
const firstSteps = `Try the service with a simulated phone and the embedded broker:

  snom2mqtt simulate --listen 127.0.0.1:8100 --name kitchen &
  echo SNOM2MQTT_BROKER_LISTEN=127.0.0.1:1883 >> /etc/snom2mqtt/environment
  echo SNOM2MQTT_PHONE_0_NAME=kitchen >> /etc/snom2mqtt/environment
  echo SNOM2MQTT_PHONE_0_URL=http://127.0.0.1:8100 >> /etc/snom2mqtt/environment
  (set -a; . /etc/snom2mqtt/environment; snom2mqtt check)
  systemctl enable --now snom2mqtt
  snom2mqtt healthcheck
  mosquitto_sub -v -t 'snom/#' &
  mosquitto_pub -t snom/kitchen/dial -m +4930123

The last two are of the package mosquitto-clients. With a real phone and a broker that is there, put the phone's address and
login and the URL of the broker into the file instead, after what this prints:

  snom2mqtt probe http://192.0.2.10
`

// manual writes the page.
func manual(t *testing.T, b *bytes.Buffer) {
	t.Helper()
	p := &program{stdout: io.Discard, stderr: io.Discard}
	root := p.root()
	b.WriteString(".\\\" Made from the code by `make docs`; a test fails when it differs.\n")
	b.WriteString(".TH SNOM2MQTT 1 \"\" snom2mqtt \"User Commands\"\n.SH NAME\n")
	fmt.Fprintf(b, "snom2mqtt \\- %s\n", strings.ToLower(root.Short[:1])+root.Short[1:])
	b.WriteString(".SH SYNOPSIS\n.B snom2mqtt\n[\\fIcommand\\fR [\\fIargument\\fR...]] [\\fIflags\\fR]\n.SH DESCRIPTION\n")
	roffText(b, root.Long)
	b.WriteString(".SH FIRST STEPS\n")
	roffText(b, firstSteps)
	b.WriteString(".SH COMMANDS\n")
	for _, c := range root.Commands() {
		manualCommand(b, c)
	}
	b.WriteString(".SH SETTINGS\n")
	roffText(b, `Settings are variables of the environment. A time has a unit, such as 90s or 250ms. The value of a secret may stand in a file
instead, which the variable with _FILE appended names. A phone of the phones file has the keys of PHONE_<n> in small letters.`)
	texts, err := settingdoc.Read(filepath.Join("..", "..", "config", "variables.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range config.Settings() {
		what := texts[s.Name]
		if what == "" {
			t.Errorf("%s has no comment in config/variables.go", s.Name)
		}
		if s.Accepts != "" {
			what += " " + s.Accepts + "."
		}
		if s.Default != "" {
			what += " Default: " + s.Default + "."
		}
		fmt.Fprintf(b, ".TP\n.B %s\n%s\n", roffEscape(s.Name), roffLine(strings.ReplaceAll(what, "`", "")))
	}
	b.WriteString(".SH FILES\n")
	for _, f := range [][2]string{
		{"/etc/snom2mqtt/environment", "The settings of the service, a line NAME=value for each. Only root can read it."},
		{"/etc/snom2mqtt/phones.yml", "Phones and groups, where the setting PHONES_FILE names it. This example is installed with the package."},
		{"/var/lib/snom2mqtt", "What the service keeps across restarts: models and addresses of phones, the secret of their tokens."},
	} {
		fmt.Fprintf(b, ".TP\n.I %s\n%s\n", roffEscape(f[0]), roffLine(f[1]))
	}
	b.WriteString(".SH REMOVAL\n")
	roffText(b, `Removing the package ends the service and keeps settings and state; purging it (apt purge snom2mqtt) deletes both. Before,
clear what the bridge has written into phones and what it has published with the retain flag; docs/removal.md of the project
has the commands.`)
	b.WriteString(".SH SEE ALSO\n")
	roffText(b, "https://github.com/snom2mqtt/snom2mqtt, mosquitto_pub(1), mosquitto_sub(1), systemctl(1)")
}

// manualCommand writes the section of a subcommand.
func manualCommand(b *bytes.Buffer, c *cobra.Command) {
	if c.Hidden {
		return
	}
	fmt.Fprintf(b, ".SS %s\n", roffEscape(strings.TrimSuffix(c.UseLine(), " [flags]")))
	long := c.Long
	if long == "" {
		long = c.Short + "."
	}
	roffText(b, long)
	if flags := strings.TrimRight(c.LocalFlags().FlagUsages(), "\n"); flags != "" {
		roffText(b, "\n"+flags)
	}
	if c.Example != "" {
		b.WriteString(".PP\nExamples:\n")
		roffText(b, "\n"+c.Example)
	}
}

// roffText writes paragraphs; lines that begin with a blank, or have several in a row, are kept as they are.
func roffText(b *bytes.Buffer, text string) {
	for _, paragraph := range strings.Split(strings.Trim(text, "\n"), "\n\n") {
		b.WriteString(".PP\n")
		kept := false
		for line := range strings.SplitSeq(strings.TrimRight(paragraph, "\n"), "\n") {
			if keep := strings.HasPrefix(line, " "); keep != kept {
				b.WriteString(map[bool]string{true: ".RS 0\n.nf\n", false: ".fi\n.RE\n"}[keep])
				kept = keep
			}
			b.WriteString(roffLine(line) + "\n")
		}
		if kept {
			b.WriteString(".fi\n.RE\n")
		}
	}
}

// roffLine returns a line of text; a point or an apostrophe at its start would be a request.
func roffLine(s string) string {
	s = roffEscape(s)
	if strings.HasPrefix(s, ".") || strings.HasPrefix(s, "'") {
		return `\&` + s
	}
	return s
}

// roffEscape returns text in which no character is an escape, and quotes and signs are those of ASCII.
func roffEscape(s string) string {
	return strings.NewReplacer(`\`, `\e`, "-", `\-`, "'", `\(aq`, "`", "\\`", "^", `\(ha`, "~", `\(ti`, "…", "...").Replace(s)
}
