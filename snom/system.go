package snom

import (
	"strings"
)

// fixLILRow is the row of the command fix_lil.
func fixLILRow() *verbRow {
	return &verbRow{
		verb: VerbFixLIL,
		help: VerbHelp{
			Summary:     "fixes the line info layer in screenshots (820, 821)",
			Plain:       "nothing",
			Request:     "/command.htm?FIX_LIL=true",
			Source:      sourceNew,
			Maintenance: true,
			Example:     "fix_lil",
			ExampleJSON: "{}",
		},
		only: fixed{target: "/command.htm?FIX_LIL=true"},
		check: func(m Model, _ argument) (warning string, err error) {
			if !m.IsZero() && !m.is("820 821") {
				return "fix_lil is documented for 820 and 821 only, not for " + m.String(), nil
			}
			return "", nil
		},
	}
}

// rebootRow is the row of the command reboot.
func rebootRow() *verbRow {
	return &verbRow{
		verb: VerbReboot,
		help: VerbHelp{
			Summary:     "restarts the phone",
			Plain:       "nothing",
			Request:     "/advanced_update.htm?reboot=Reboot",
			Source:      sourceBoth,
			Maintenance: true,
			Example:     "reboot",
			ExampleJSON: "{}",
		},
		only:    fixed{target: "/advanced_update.htm?reboot=Reboot"},
		effects: restarts,
	}
}

// resetRow is the row of the command reset.
func resetRow() *verbRow {
	return &verbRow{
		verb: VerbReset,
		help: VerbHelp{
			Summary:     "restores the factory settings; all settings are lost",
			Plain:       "the phone's own name, as a confirmation",
			JSON:        "confirm: the phone's own name",
			Request:     "/advanced_update.htm?reset=Reset",
			Source:      sourceBoth,
			Maintenance: true,
			Example:     "reset kitchen",
			ExampleJSON: `{"confirm":"kitchen"}`,
		},
		parse:   parsed(parseConfirmation),
		read:    oneMember("confirm", parseConfirmation),
		members: []string{"confirm"},
		gated:   true,
		effects: restarts,
	}
}

// firmwareRow is the row of the command firmware.
func firmwareRow() *verbRow {
	return &verbRow{
		verb: VerbFirmware,
		help: VerbHelp{
			Summary:     "loads and installs firmware",
			Plain:       "an http or https URL without user, query and fragment, at most 255 bytes",
			JSON:        "url",
			Request:     "/dummy.htm?swload=load&firmware=…",
			Source:      sourceNew,
			Maintenance: true,
			Example:     "firmware https://firmware.example/snomD735.bin",
			ExampleJSON: `{"url":"https://firmware.example/snomD735.bin"}`,
		},
		parse:   parsed(parseFirmware),
		read:    oneMember("url", parseFirmware),
		members: []string{"url"},
		gated:   true,
		effects: restarts,
	}
}

// FixLIL returns the command that fixes the line info layer of an 820 or 821.
func FixLIL() Command { return made(VerbFixLIL, VerbFixLIL.row().only) }

// Reboot returns the command that restarts the phone.
func Reboot() Command { return made(VerbReboot, VerbReboot.row().only) }

// Reset returns the command that restores the factory settings. The phone's own name confirms it: see
// [Command.Confirmation].
func Reset(name string) (Command, error) { return fromPlain(VerbReset, name) }

// Firmware returns the command that loads and installs the firmware at a URL.
func Firmware(url string) (Command, error) { return fromPlain(VerbFirmware, url) }

// restarts are the effects of a command after which the phone restarts.
func restarts(argument) Effects { return Effects{EndsCalls: true, Restarts: true} }

// A confirmation is the argument of a reset command: the name of the phone.
type confirmation string

func parseConfirmation(text string) (confirmation, *SyntaxError) {
	const expected = "the phone's own name: up to 64 lower-case letters, digits, _ and -, a letter or digit first"
	for i := range len(text) {
		c := text[i]
		if isDigit(c) || 'a' <= c && c <= 'z' || i > 0 && (c == '_' || c == '-') {
			continue
		}
		return "", fault(i, expected)
	}
	if text == "" || len(text) > 64 {
		return "", fault(len(text), expected)
	}
	return confirmation(text), nil
}

func (c confirmation) text() string { return string(c) }

func (confirmation) steps(Dialect) []Step {
	return []Step{{Request: "/advanced_update.htm?reset=Reset"}}
}

// FirmwareModel stands for the model in the URL of a firmware file.
const FirmwareModel = "{model}"

// FirmwareURL returns the URL of the firmware file of a version for a model: that of a template, in which [FirmwareModel]
// stands for the model, or without one that of Snom's server. Empty: it is not known for the model. Snom's paths are those of
// firmware 10 for the D series (fusionpbx issue 6958: files of the D8xx end with swu, others with bin), and were not confirmed
// by Snom.
func FirmwareURL(template, version string, m Model) string {
	name := m.Name()
	switch {
	case template != "" && (name != "" || !strings.Contains(template, FirmwareModel)):
		return strings.ReplaceAll(template, FirmwareModel, name)
	case template != "" || !strings.HasPrefix(name, "D") || !strings.HasPrefix(version, "10."):
		return ""
	}
	ending := "bin"
	if m.RemoteControl() == No && strings.HasPrefix(name, "D8") {
		ending = "swu"
	}
	return "https://downloads.snom.com/fw/" + version + "/bin/snom" + name + "-" + version + "-SIP-r." + ending
}

// A firmware is the argument of a firmware command: a URL, checked.
type firmware string

func parseFirmware(text string) (firmware, *SyntaxError) {
	if len(text) > maxURI {
		return "", fault(maxURI, "at most 255 bytes")
	}
	_, rest, ok := strings.Cut(text, "://")
	if !ok || !strings.HasPrefix(text, "http://") && !strings.HasPrefix(text, "https://") {
		return "", fault(0, "a URL that begins with http:// or https://")
	}
	host, _, ok := strings.Cut(rest, "/")
	if err := checkHost(host); err != nil {
		err.Offset += len(text) - len(rest)
		return "", err
	}
	pos := len(text) - len(rest) + len(host)
	path := text[pos:]
	if !ok || path == "/" {
		return "", fault(len(text), "a path such as /snomD735.bin after the host")
	}
	if n := span(path, "._~/-"); n < len(path) {
		return "", fault(pos+n, "a path of letters, digits and ._~/-")
	}
	for segment := range strings.SplitSeq(path, "/") {
		if segment == "." || segment == ".." {
			return "", fault(pos, "a path without . and .. between slashes")
		}
	}
	return firmware(text), nil
}

func (f firmware) text() string { return string(f) }

func (f firmware) steps(Dialect) []Step {
	target := []byte("/dummy.htm?swload=load&firmware=")
	return []Step{{Request: string(appendEscaped(target, string(f), ":/"))}}
}
