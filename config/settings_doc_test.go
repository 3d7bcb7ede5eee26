package config_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/snom2mqtt/snom2mqtt/config"
	"github.com/snom2mqtt/snom2mqtt/internal/settingdoc"
)

// settingTexts returns the comments of the rows in variables.go, by the name of the setting.
func settingTexts(t *testing.T) map[string]string {
	t.Helper()
	texts, err := settingdoc.Read("variables.go")
	if err != nil {
		t.Fatal(err)
	}
	return texts
}

// writeSettings writes docs/settings.md.
func writeSettings(t *testing.T, w io.Writer) {
	t.Helper()
	texts := settingTexts(t)
	b := bufio.NewWriter(w)
	fmt.Fprint(b, settingsHead)
	for _, s := range config.Settings() {
		def, what := "-", texts[s.Name]
		if what == "" {
			t.Errorf("%s has no comment", s.Name)
		}
		if s.Default != "" {
			def = "`" + s.Default + "`"
		}
		if s.Secret {
			what = "**Secret.** " + what
		}
		if s.Accepts != "" {
			what += " " + asCode(s.Accepts) + "."
		}
		fmt.Fprintf(b, "| `%s` | %s | %s |\n", strings.TrimPrefix(s.Name, "SNOM2MQTT_"), def, what)
	}
	fmt.Fprint(b, settingsFoot)
	if err := b.Flush(); err != nil {
		t.Fatal(err)
	}
}

// asCode returns "a, b or c" and "1 to 10" with the words as code.
func asCode(accepts string) string {
	var b bytes.Buffer
	for i, word := range strings.Fields(accepts) {
		if i > 0 {
			b.WriteByte(' ')
		}
		bare := strings.TrimSuffix(word, ",")
		if bare == "or" || bare == "to" {
			b.WriteString(word)
			continue
		}
		fmt.Fprintf(&b, "`%s`%s", bare, word[len(bare):])
	}
	return b.String()
}

const settingsHead = "<!-- Made from the code by `make docs`. Do not edit. -->\n" + `
# Settings

All settings are environment variables. Their names begin with ` + "`SNOM2MQTT_`" + `, which the table leaves
out. A name with that prefix that is not in the table is an error, so that a misspelt one is not ignored.
An empty variable counts as not set. All faults are reported at once; ` + "`snom2mqtt check`" + ` does only that, and
lists what is accepted and probably not meant. No fault shows the value of a setting, since it may be a secret.

The smallest configuration is a phone and a broker:

` + "```sh" + `
SNOM2MQTT_MQTT_URL=tcp://broker.example:1883
SNOM2MQTT_PHONE_0_NAME=kitchen
SNOM2MQTT_PHONE_0_URL=http://192.0.2.10
` + "```" + `

Phones are numbered from 0 without a gap. Times have a unit, such as ` + "`90s`, `1m30s` or `250ms`" + `. Lists have
commas between their parts.

| variable | default | what |
|---|---|---|
`

const settingsFoot = `
## Secrets from files

Each setting that is marked as secret may also be given as a file, as containers do it: add ` + "`_FILE`" + ` to its
name and set that to the path. Giving both is an error. The files are read once when the program starts; those
of the phones file are read again with it.

All files that settings name are read by the same rules: regular files only (or links to them), not pipes or devices; UTF-8, or
UTF-16 with a byte order mark; line ends of any system. A byte order mark is not a part of the text. A file that does not
answer for 5 s, as on a file server that is away, is an error.

The file of a secret has one line. Its line end is not a part of the secret. An empty file, a second line (an empty one as
well), a blank at an end, NUL and characters that cannot be seen are errors that name the character: with one of them the password
would be wrong, and a phone locks its web interface after a few failed logins.

## What is easily overlooked

- ` + "`docker run --env-file`" + ` keeps quotes, blanks and comments behind a value: ` + "`NAME=\"secret\" # door`" + ` is all of it the
  value. Compose, systemd and shells remove quotes. A value that begins and ends with the same quote, begins or ends with a
  blank, contains ` + "`${...}`" + ` or a comment is a warning of ` + "`snom2mqtt check`" + ` and in the log.
- ` + "`${NAME}`" + ` is replaced by Compose and shells, not in the phones file.
- A carriage return at the end (an env file written by Windows), a no-break space, a direction mark and their kind are errors in every
  setting: ` + "`contains an invisible character, U+00A0 NO-BREAK SPACE`" + `.
- Compose before 2.24 does not know ` + "`env_file: {path, required}`" + `: see the comment in ` + "`docker-compose.yml`" + `.

` + "```sh" + `
SNOM2MQTT_MQTT_USERNAME=snom2mqtt
SNOM2MQTT_MQTT_PASSWORD_FILE=/run/secrets/mqtt_password
` + "```" + `

## The phones file

` + "`PHONES_FILE`" + ` names a YAML file. It is the better place for more than a handful of phones, and the only one for
groups. The keys of a phone are those of the table in small letters, without ` + "`PHONE_<n>_`" + `. Paths in it are
relative to the directory it stands in. Editors that know JSON schemas complete and check it when its first line is

` + "```yaml" + `
# yaml-language-server: $schema=https://raw.githubusercontent.com/snom2mqtt/snom2mqtt/main/config/phones.schema.json
` + "```" + `

or names a file that ` + "`snom2mqtt schema`" + ` has written.

` + "```yaml" + `
` + config.PhonesFileExample + "```" + `

` + "`" + `paging` + "`" + ` gives phones and groups, also ` + "`" + `all` + "`" + `, a multicast address for [announcements](announcements.md): an IPv4 address
from 224.0.0.0 to 239.255.255.255 with a port, a different one for each. Its options are those of the phones:

| option | values | what |
|---|---|---|
| ` + "`" + `interrupt` + "`" + ` | 0 (default), 1, 2, 3 | in a call: not played; the call is interrupted and goes on afterwards; mixed into the call (D3x5, D7xx); the call is held |
| ` + "`" + `priority` + "`" + ` | 0 to 10, 5 unless given | when several are in use: 10 is the highest |
| ` + "`" + `speaker` + "`" + ` | ` + "`" + `true` + "`" + `, ` + "`" + `false` + "`" + ` (default) | always by the loudspeaker |
| ` + "`" + `volmax` + "`" + ` | ` + "`" + `true` + "`" + `, ` + "`" + `false` + "`" + ` (default) | always at full volume |

The group ` + "`all`" + `, every phone, always exists. Names and addresses must not occur twice, also not
here and among the numbered phones. An unknown key is an error, with its line and column. Tags,
anchors and aliases are errors. The file may have 16 MiB and two million values, nested 16 deep; 30,000 phones take
a fraction of a second and 30 MiB while they are read.

## Reload

On ` + "`SIGHUP`" + `, and on a message to ` + "`<base>/bridge/request/reload`" + `, the phones file is read again with the files it
names. A file with a fault changes nothing: the faults are logged, and the settings in use stay. Variables are read at
the start only.

## Kubernetes

For every Service, Kubernetes adds variables to the containers of the namespace. Those of a Service whose name
begins with ` + "`snom2mqtt`" + ` look like settings that do not exist. Put ` + "`enableServiceLinks: false`" + ` into the pod's spec,
or give the Service another name.
`
