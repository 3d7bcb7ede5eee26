package config_test

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/snom2mqtt/snom2mqtt/config"
)

// secretSettings are all settings that hold a secret, with what else they need.
func secretSettings() map[string]string {
	return map[string]string{
		"MQTT_PASSWORD":      "MQTT_USERNAME=a\n",
		"CONSOLE_PASSWORD":   "",
		"PHONE_TOKEN_SECRET": "",
		"PHONE_0_PASSWORD":   "PHONE_0_USERNAME=a\n",
		"PHONE_0_TOKEN":      "",
	}
}

// windows is text as Windows' own tools write it.
func windows(text string, bigEndian bool) string {
	var b strings.Builder
	for _, u := range append([]uint16{0xFEFF}, utf16.Encode([]rune(text))...) {
		if bigEndian {
			b.Write([]byte{byte(u >> 8), byte(u)})
		} else {
			b.Write([]byte{byte(u), byte(u >> 8)})
		}
	}
	return b.String()
}

// Every file of a secret is read by one rule: what editors and shells of Windows add is not a part of the secret, and what cannot
// be distinguished from it is a fault.
func TestSecretFilesOfEveryEditor(t *testing.T) {
	t.Parallel()
	const secret = "0123456789abcdef"
	good := map[string]string{
		"no end": secret, "LF": secret + "\n", "CR LF": secret + "\r\n", "CR": secret + "\r", "mark": "\uFEFF" + secret, "Notepad": "\uFEFF" + secret + "\r\n",
		"UTF-16 LE": windows(secret+"\r\n", false), "UTF-16 BE": windows(secret, true),
	}
	bad := map[string]string{ // the character or the reason that the fault names
		secret + "\n\n": "empty line", secret + "\r\n\r\n": "empty line", "\n" + secret: "empty line", secret + "\n" + secret: "more than one line",
		secret + "\x00": "U+0000 NUL", secret + " \n": "U+0020 SPACE", " " + secret: "U+0020 SPACE", secret + "\t": "U+0009 TAB",
		secret + "\u00a0": "U+00A0 NO-BREAK SPACE", "\u202a" + secret: "U+202A LEFT-TO-RIGHT EMBEDDING", "": "empty", "\uFEFF": "empty",
		"\xef\xbb\xbf\xef\xbb\xbf" + secret: "U+FEFF", secret + "\xe4": "0xE4", windows(secret, false) + "a": "half a character",
		strings.ReplaceAll(secret, "", "\x00"): "UTF-8",
	}
	for setting, also := range secretSettings() {
		load := func(text string) (config.Config, []string) {
			return load(t, kitchen+also+setting+"_FILE=$DIR/s", map[string]string{"s": text})
		}
		for name, text := range good {
			c, faults := load(text)
			phone := config.Phone{}
			if len(c.Roster.Phones) > 0 {
				phone = c.Roster.Phones[0]
			}
			got := []string{c.MQTT.Password.Reveal(), c.Console.Password.Reveal(), phone.Password.Reveal(), phone.Token.Reveal()}
			if faults != nil || setting != "PHONE_TOKEN_SECRET" && !slices.Contains(got, secret) || setting == "PHONE_TOKEN_SECRET" && len(got[3]) != 32 {
				t.Errorf("%s, %s: %q, faults %q", setting, name, got, faults)
			}
		}
		for text, reason := range bad {
			if _, faults := load(text); len(faults) != 1 || !strings.HasPrefix(faults[0], setting+"_FILE: ") || !strings.Contains(faults[0], reason) {
				t.Errorf("%s of %q: faults %q, expected one with %q", setting, text, faults, reason)
			}
		}
	}
}

// A phones file, and a certificate, may come from Windows too.
func TestOtherFilesOfEveryEditor(t *testing.T) {
	t.Parallel()
	const phones = "phones:\n  kitchen:\n    url: http://a\n    username: bär\n    password: 'ä'\n"
	own := certificate(t)
	crlf := func(s string) string { return strings.ReplaceAll(s, "\n", "\r\n") }
	for _, encode := range []func(string) string{
		func(s string) string { return s },
		crlf,
		func(s string) string { return "\uFEFF" + crlf(s) },
		func(s string) string { return windows(crlf(s), false) },
		func(s string) string { return windows(s, true) },
		func(s string) string { return strings.ReplaceAll(s, "\n", "\r") },
	} {
		c, faults := load(t, "PHONES_FILE=$DIR/p\nMQTT_URL=ssl://a\nMQTT_CA_FILE=$DIR/c\nMQTT_CERT_FILE=$DIR/c\nMQTT_KEY_FILE=$DIR/k",
			map[string]string{"p": encode(phones), "c": encode(own.cert), "k": encode(own.key)})
		if faults != nil || c.Roster.Phones[0].Username != "bär" || c.Roster.Phones[0].Password.Reveal() != "ä" {
			t.Errorf("%.20q: %q", encode(phones), faults)
		}
	}
}

// What cannot be seen is a fault that names the character, in every setting of the environment and in every value of the
// phones file. It comes alone: what follows from it would only confuse.
func TestInvisibleCharactersAreNamed(t *testing.T) {
	t.Parallel()
	chars := map[string]string{
		"\r": "U+000D CARRIAGE RETURN", "\u00a0": "U+00A0 NO-BREAK SPACE", "\u200e": "U+200E LEFT-TO-RIGHT MARK",
		"\u202e": "U+202E RIGHT-TO-LEFT OVERRIDE", "\u200b": "U+200B ZERO WIDTH SPACE", "\ufeff": "U+FEFF", "\t": "U+0009 TAB",
		"\n": "U+000A LINE FEED", "\u00ad": "U+00AD SOFT HYPHEN", "\u2028": "U+2028 LINE SEPARATOR", "\x1b": "U+001B ESCAPE", "\ufffd": "U+FFFD",
	}
	for _, s := range config.Settings() {
		name := strings.TrimPrefix(strings.Replace(s.Name, "<n>", "0", 1), "SNOM2MQTT_")
		for char, called := range chars {
			base := map[string]string{"PHONE_0_NAME": "kitchen", "PHONE_0_URL": "http://192.0.2.10", "MQTT_USERNAME": "a", "PHONE_0_USERNAME": "a", "PHONE_0_PASSWORD": "b"}
			base[name] = "secretvalue" + char
			var environ []string
			for k, v := range base {
				environ = append(environ, "SNOM2MQTT_"+k+"="+v)
			}
			_, err := config.Load(t.Context(), environ)
			faults := slices.DeleteFunc(faultsOf(t, err), func(f config.Fault) bool { return f.Where != "SNOM2MQTT_"+name })
			if len(faults) != 1 || faults[0].Where != "SNOM2MQTT_"+name || !strings.Contains(faults[0].What, called) || strings.Contains(err.Error(), "secretvalue") {
				t.Errorf("%s with %s: %v", name, called, err)
			}
		}
	}
	for char, called := range chars {
		for _, form := range []string{"    password: sec%sret\n", "    password: 'sec%sret'\n", "    password: \"sec%sret\"\n"} {
			if strings.ContainsAny(char, "\r\n") && !strings.Contains(form, `"`) {
				continue // a line end there is a line end of YAML
			}
			if strings.ContainsAny(char, "\r\n") {
				char = map[string]string{"\r": `\r`, "\n": `\n`}[char]
			}
			text := "phones:\n  a:\n    url: http://a\n    username: b\n" + fmt.Sprintf(form, char)
			_, faults := load(t, "PHONES_FILE=$DIR/p", map[string]string{"p": text})
			if len(faults) != 1 || !strings.HasPrefix(faults[0], "$DIR/p:5:") || !strings.Contains(faults[0], called) || strings.Contains(faults[0], "sec") {
				t.Errorf("%q: %q, expected %s", text, faults, called)
			}
		}
	}
	// In comments nothing is lost.
	if _, faults := load(t, "PHONES_FILE=$DIR/p", map[string]string{"p": "# t\u00e9l\u00e9phone\u00a0: \u200fא\tb\nphones:\n  a: {url: http://a} # \u00a0\n"}); faults != nil {
		t.Errorf("comments: %q", faults)
	}
}

// A text that is probably not what was meant is accepted, and a warning says why, without the text.
func TestWarningsOfTextsThatAreProbablyNotMeant(t *testing.T) {
	t.Parallel()
	odd := map[string]string{
		`"secretvalue0123"`: "begins and ends with quotes", "'secretvalue0123'": "begins and ends with quotes", "${secretvalue0123}": "contains ${...}",
		"${secretvalue:-0123}": "contains ${...}", "secretvalue0123 # the door": "contains a #", " secretvalue0123": "begins with a blank",
		"secretvalue0123 ": "ends with a blank", "{{ secretvalue0123 }}": "is a template",
		"\u201csecretvalue0123\u201d": "typographic quotes", "\u201esecretvalue0123\u201c": "typographic quotes", "\u00absecretvalue0123\u00bb": "typographic quotes",
		"$KITCHEN_SECRET_PW": "a $ and a name", "%KITCHEN_SECRET_PW%": "between two %", "$(cat secretvalue0123)": "$(...)",
	}
	plain := []string{"secretvalue0123", `"secretvalue0123`, "secret\"value'0123", "secret#value0123", "$secretvalue0123", "#secretvalue01234", `"`, "sec ret value 012345"}
	check := func(how, where string, warnings []config.Fault, faults []string, what string) {
		t.Helper()
		switch {
		case faults != nil:
			t.Errorf("%s: faults %q", how, faults)
		case what == "" && len(warnings) > 0, what != "" && len(warnings) != 1:
			t.Errorf("%s: warnings %q, expected %q", how, warnings, what)
		case what != "" && (!strings.Contains(warnings[0].Where, where) || !strings.Contains(warnings[0].What, what) || strings.Contains(warnings[0].Error(), "secretvalue")):
			t.Errorf("%s: warning %q, expected %q", how, warnings, what)
		}
	}
	for _, text := range slices.Concat(slices.Sorted(maps.Keys(odd)), plain) {
		for _, setting := range []string{"MQTT_PASSWORD", "CONSOLE_PASSWORD", "PHONE_0_PASSWORD", "MQTT_USERNAME", "MQTT_CLIENT_ID", "PHONE_0_USERNAME"} {
			also := map[string]string{"MQTT_PASSWORD": "MQTT_USERNAME=a\n", "PHONE_0_PASSWORD": "PHONE_0_USERNAME=a\n", "PHONE_0_USERNAME": "PHONE_0_PASSWORD=a\n"}[setting]
			if strings.Contains(text, ":") && setting == "PHONE_0_USERNAME" {
				continue // a fault of its own
			}
			c, faults := load(t, kitchen+also+setting+"="+text, nil)
			check(setting+"="+text, setting, c.Warnings, faults, odd[text])
			if strings.HasSuffix(setting, "PASSWORD") && strings.TrimSpace(text) == text {
				c, faults = load(t, kitchen+also+setting+"_FILE=$DIR/s", map[string]string{"s": text + "\n"})
				check(setting+"_FILE with "+text, setting+"_FILE", c.Warnings, faults, odd[text])
			}
		}
		quoted := strings.ReplaceAll(strings.ReplaceAll(text, `\`, `\\`), `"`, `\"`)
		c, faults := load(t, "PHONES_FILE=$DIR/p", map[string]string{"p": "phones:\n  a:\n    url: http://a\n    username: b\n    password: \"" + quoted + "\"\n"})
		check("phones file: "+text, "p:5:15: a: password", c.Warnings, faults, odd[text])
	}
}

// A password that a comment ends which begins without a blank is perhaps not all that was meant.
func TestWarningOfAPasswordThatACommentEnds(t *testing.T) {
	t.Parallel()
	for line, warned := range map[string]bool{
		"password: secretvalue #1": true, "password: secretvalue  #x # y": true, "password: secretvalue # as on the label": false,
		"password: secretvalue#1": false, "password: \"secretvalue #1\"": false, "password: secretvalue": false, "username: c #1": false,
	} {
		text := "phones:\n  a:\n    url: http://a\n    " + line + "\n"
		if strings.HasPrefix(line, "password") {
			text += "    username: b\n"
		} else {
			text += "    password: d\n"
		}
		c, faults := load(t, "PHONES_FILE=$DIR/p", map[string]string{"p": text})
		about := slices.ContainsFunc(c.Warnings, func(w config.Fault) bool { return strings.Contains(w.What, "begins a comment") })
		if faults != nil || about != warned || about && (!strings.Contains(c.Warnings[0].Where, "a: password") || strings.Contains(c.Warnings[0].Error(), "secretvalue")) {
			t.Errorf("%s: faults %q, warnings %q, expected a warning: %v", line, faults, c.Warnings, warned)
		}
	}
}

// A fault of another setting says that quotes and comments of an env file are a part of it.
func TestFaultsSayWhatIsOddAboutAText(t *testing.T) {
	t.Parallel()
	for setting, hint := range map[string]string{
		`MQTT_URL="tcp://a"`: "quotes", "QUEUE_LENGTH=3 # many": "comment", "PHONE_0_MODEL=${MODEL}": "${...}", "LOG_LEVEL=info ": "ends with a blank",
		"COMMAND_TTL='30s'": "quotes", "PHONE_0_INSECURE= true": "begins with a blank", `PHONES_FILE="p.yml"`: "quotes",
	} {
		_, faults := load(t, kitchen+setting, nil)
		if len(faults) != 1 || !strings.Contains(faults[0], hint) {
			t.Errorf("%s: %q, expected a hint at %q", setting, faults, hint)
		}
	}
	_, faults := load(t, "PHONES_FILE=$DIR/p", map[string]string{"p": "phones:\n  a: {url: \"${URL}\"}\n"})
	if len(faults) != 1 || !strings.Contains(faults[0], "${...}, which is not replaced here") {
		t.Errorf("${URL} in the phones file: %q", faults)
	}
}

// A password is read as YAML means it, however it is written.
func TestSpellingsOfPasswords(t *testing.T) {
	t.Parallel()
	for text, password := range map[string]string{
		"secret": "secret", `"secret"`: "secret", "'secret'": "secret", "0042": "0042", "1e3": "1e3", "0x1F": "0x1F", "1_000": "1_000", "true": "true", "yes": "yes",
		"2026-11-22": "2026-11-22", "12:30:00": "12:30:00", ".inf": ".inf", "+49": "+49", "a b": "a b", "a#b": "a#b", "a #b": "a", "a:b": "a:b", "a{b}": "a{b}",
		"a,b": "a,b", `"a\"b"`: `a"b`, `'a''b'`: "a'b", `"a\\b"`: `a\b`, `'a\b'`: `a\b`, `a\b`: `a\b`, `"\u00e4"`: "ä", "ä": "ä", `"\x41"`: "A", "-a": "-a", "a-": "a-",
		"|-\n      secret": "secret", ">-\n      a\n      b": "a b", "a\n      b": "a b", "\"a\n      b\"": "a b", "'null'": "null", "~a": "~a", `"~"`: "~", "a&b": "a&b", "a*b": "a*b", "a!b": "a!b",
		"a%b": "a%b", "$a": "$a", "a'b": "a'b", `a"b`: `a"b`, "a?b": "a?b", "?a": "?a", "=": "=", "<<": "<<",
	} {
		c, faults := load(t, "PHONES_FILE=$DIR/p", map[string]string{"p": "phones:\n  a:\n    url: http://a\n    username: b\n    password: " + text + "\n"})
		if text == "<<" {
			continue // means something else in YAML 1.1, and is refused
		}
		if faults != nil || c.Roster.Phones[0].Password.Reveal() != password {
			t.Errorf("%s: %q, expected %q", text, faults, password)
		}
	}
}

// A file that is a pipe, a device or a directory is refused at once, at the start and at a reload.
func TestFilesThatBlockAreRefused(t *testing.T) {
	t.Parallel()
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	own := certificate(t)
	for _, path := range []string{pipe, "/dev/zero", filepath.Dir(pipe)} {
		for _, setting := range []string{"PHONES_FILE", "MQTT_PASSWORD_FILE", "MQTT_CA_FILE", "CONSOLE_PASSWORD_FILE", "PHONE_0_PASSWORD_FILE", "PHONE_0_CA_FILE", "PHONE_0_TOKEN_FILE", "PHONE_TOKEN_SECRET_FILE"} {
			started := time.Now()
			_, faults := load(t, "MQTT_URL=ssl://a\nMQTT_USERNAME=a\nPHONE_0_NAME=a\nPHONE_0_URL=https://a\nPHONE_0_USERNAME=a\nPHONE_0_PASSWORD_FILE=$DIR/s\n"+setting+"="+path,
				map[string]string{"s": "secret"})
			if len(faults) != 1 || !strings.HasPrefix(faults[0], setting+": the file cannot be read: it is a") || time.Since(started) > time.Minute {
				t.Errorf("%s=%s: %q after %v", setting, path, faults, time.Since(started))
			}
		}
	}
	c, faults := load(t, "PHONES_FILE=$DIR/p\nMQTT_URL=ssl://a\nMQTT_CA_FILE=$DIR/c", map[string]string{"p": "phones:\n  a: {url: http://a}\n", "c": own.cert})
	if faults != nil {
		t.Fatal(faults)
	}
	for _, path := range []string{c.PhonesFile, c.MQTT.CAFile} {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		if err := syscall.Mkfifo(path, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, err := c.ReloadPhones(t.Context()); err == nil || !strings.Contains(err.Error(), "a named pipe") {
		t.Errorf("a reload: %v", err)
	}
	if _, err := c.MQTT.TLS(); err == nil || !strings.Contains(err.Error(), "a named pipe") {
		t.Errorf("TLS: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := c.ReloadPhones(ctx); err == nil {
		t.Error("a reload whose context has ended succeeds")
	}
}

// Time and memory grow with the file, whatever stands in it.
func TestPhonesFilesThatAreTooMuch(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"too large":          strings.Repeat("# comment\n", 16<<20/10+1),
		"too many values":    "a: [" + strings.Repeat("b,", 2_000_001) + "]\n",
		"too many lines":     strings.Repeat("- a\n", 1_000_001),
		"too deep, braces":   "a: " + strings.Repeat("{a: ", 20) + "\n",
		"too deep, dashes":   strings.Repeat("- ", 100_000) + "a\n",
		"too deep, lines":    nested(20),
		"aliases of aliases": "a: &a [x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c]\nphones: [*d,*d,*d,*d]\n",
	} {
		if _, faults := load(t, "PHONES_FILE=$DIR/p", map[string]string{"p": text}); len(faults) != 1 || len(faults[0]) > 300 {
			t.Errorf("%s: %.300q", name, faults)
		}
	}
}

// nested is a mapping in a mapping, by indentation.
func nested(depth int) string {
	var b strings.Builder
	for i := range depth {
		b.WriteString(strings.Repeat(" ", i) + "a:\n")
	}
	return b.String()
}
