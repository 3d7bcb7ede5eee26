package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/snom2mqtt/snom2mqtt/snom"
	"github.com/snom2mqtt/snom2mqtt/snom/notify"
)

// A family is the models of one series.
type family struct {
	series, file, title string
	models              []snom.Model
}

// families returns the models by series, in the order of models.csv.
func families() (list []family) {
	titles := map[string]string{"M": "M-series DECT phones", "other": "Other devices"}
	for _, m := range snom.Models() {
		i := slices.IndexFunc(list, func(f family) bool { return f.series == m.Series() })
		if i < 0 {
			title := titles[m.Series()]
			if title == "" {
				title = m.Series() + " phones"
			}
			file := strings.ToLower(m.Series()) + ".md"
			if m.Series() == "M" {
				file = "dect.md"
			}
			i, list = len(list), append(list, family{series: m.Series(), file: file, title: title})
		}
		list[i].models = append(list[i].models, m)
	}
	return list
}

// TestDocumentsOfModels: docs/models has a page for each family of models, made from the tables.
func TestDocumentsOfModels(t *testing.T) {
	t.Parallel()
	folder := filepath.Join("..", "..", "docs", "models")
	pages := map[string]func(*bytes.Buffer){"README.md": familiesDoc}
	for _, f := range families() {
		pages[f.file] = f.document
	}
	for name, write := range pages {
		var b bytes.Buffer
		write(&b)
		file := filepath.Join(folder, name)
		if update() {
			if err := os.WriteFile(file, b.Bytes(), 0o644); err != nil { //nolint:gosec // a document
				t.Fatal(err)
			}
		}
		have, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(have, b.Bytes()) {
			t.Errorf("docs/models/%s differs from the tables: run `make docs`", name)
		}
	}
	files, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if pages[f.Name()] == nil {
			t.Errorf("docs/models/%s is of no family", f.Name())
		}
	}
}

// marked is how surely a fact is known, with its source.
func marked(e snom.Evidence, source string) string {
	if source == "" {
		return "no source"
	}
	return "**" + strings.ReplaceAll(string(e), "*", `\*`) + "** " + source
}

const evidenceLegend = "**S** a document of Snom; **S\\*** code of a Snom employee, tried on phones; **3** code or documents of others; " +
	"**I** inferred, not\nconfirmed on a phone."

func familiesDoc(b *bytes.Buffer) {
	b.WriteString("# Models\n\n" + generated)
	b.WriteString("A page for each family: what is known of its models, how they are driven, their keys, lights and displays, and who has\n" +
		"confirmed it. [Reports](https://github.com/snom2mqtt/snom2mqtt/issues/new?template=phone.yml) of real phones are welcome.\n\n")
	table(b, "family", "models", "driven by")
	for _, f := range families() {
		names := make([]string, len(f.models))
		var ways []string
		for i, m := range f.models {
			names[i] = m.Name()
			if way := driven(m); !slices.Contains(ways, way) {
				ways = append(ways, way)
			}
		}
		row(b, fmt.Sprintf("[%s](%s)", f.title, f.file), strings.Join(names, ", "), strings.Join(ways, "; "))
	}
}

// byNotify reports whether a phone of the model can be driven by SIP.
func byNotify(m snom.Model) bool {
	hangup, err := snom.ParseCommand("hangup")
	if err != nil {
		return false
	}
	_, _, err = notify.Plan(hangup, m)
	return err == nil && m.Series() == "D8xx" // docs/sip.md: no source says it of others
}

// driven says how a model is driven.
func driven(m snom.Model) string {
	switch {
	case m.RemoteControl() == snom.Yes:
		return "HTTP"
	case m.RemoteControl() == snom.Unknown && byNotify(m):
		return "HTTP, not confirmed; else SIP"
	case m.RemoteControl() == snom.Unknown:
		return "HTTP, not confirmed"
	case byNotify(m):
		return "SIP"
	}
	return "cannot be driven"
}

// document is the page of a family.
func (f family) document(b *bytes.Buffer) {
	b.WriteString("# " + f.title + "\n\n" + generated)
	b.WriteString("Evidence: " + evidenceLegend + "\n\n## Models\n\n")
	table(b, "model", "driven by", "programmable keys", "identities", "display", "light of `P1`", "remark")
	for _, m := range f.models {
		row(b, m.Name(), driven(m), keyCount(m), known(m.Identities()), display(m), known(m.LED()), m.Remark())
	}
	b.WriteString("\n`PHONE_<n>_MODEL` takes these names, with or without `snom` before them. Without it the bridge asks the phone.\n")
	f.ways(b)
	if !slices.ContainsFunc(f.models, func(m snom.Model) bool { return driven(m) != "cannot be driven" }) {
		f.sources(b)
		return
	}
	f.commands(b)
	f.keys(b)
	f.lightsAndDisplay(b)
	f.sources(b)
}

func keyCount(m snom.Model) string {
	switch least, most := m.KeyCount(); {
	case most > least:
		return fmt.Sprintf("%d or %d, sources disagree", least, most)
	case most > 0:
		return fmt.Sprint(most)
	}
	return "not known"
}

func known(n int) string {
	if n == 0 {
		return "not known"
	}
	return fmt.Sprint(n)
}

func display(m snom.Model) string {
	switch s := m.Screen(); {
	case s.IsZero():
		return "not known"
	case s.Mono:
		return s.String() + ", black and white"
	default:
		return s.String()
	}
}

// ways says how the models are driven and what to set for it.
func (f family) ways(b *bytes.Buffer) {
	b.WriteString("\n## How they are driven\n\n")
	said := map[string]string{
		"HTTP": "By the phone's web interface, with a URL such as `http://192.0.2.10`. `use_hidden_tags` must be off and a password set: " +
			"[phone-setup.md](../phone-setup.md).",
		"SIP": "By SIP NOTIFY, straight or through Asterisk or FreeSWITCH, with a URL such as `sip:27@192.0.2.20` or `asterisk:27`: " +
			"[sip.md](../sip.md).",
		"HTTP, not confirmed; else SIP": "Whether these models have remote control over HTTP is not confirmed: `snom2mqtt probe` says what the phone " +
			"answers. If it refuses, a `sip:` URL drives it: [sip.md](../sip.md).",
		"HTTP, not confirmed": "Whether these models have remote control over HTTP is not confirmed: `snom2mqtt probe` says what the phone answers.",
		"cannot be driven": "These devices take no commands. What phones report by action URLs, and announcements by multicast, need no " +
			"remote control.",
	}
	var done []string
	for _, m := range f.models {
		way := driven(m)
		if slices.Contains(done, way) {
			continue
		}
		done = append(done, way)
		var names []string
		for _, other := range f.models {
			if driven(other) == way {
				names = append(names, other.Name())
			}
		}
		fmt.Fprintf(b, "- %s: %s\n", strings.Join(names, ", "), said[way])
	}
}

// commands lists what the models take, by the same check that a message is checked by.
func (f family) commands(b *bytes.Buffer) {
	b.WriteString("\n## Commands\n\n")
	bySIP := slices.ContainsFunc(f.models, byNotify)
	if bySIP {
		table(b, "command", "over HTTP", "by SIP NOTIFY")
	} else {
		table(b, "command", "over HTTP")
	}
	for _, v := range snom.Verbs() {
		if v.Nests() || v.Paged() {
			continue
		}
		if !bySIP {
			row(b, code(string(v)), f.overHTTP(v))
			continue
		}
		by := "no"
		if i := slices.IndexFunc(notify.Rows(), func(r notify.Row) bool { return r.Verb == v }); i >= 0 {
			by = "yes, " + marked(notify.Rows()[i].Evidence, notify.Rows()[i].Source)
		}
		row(b, code(string(v)), f.overHTTP(v), by)
	}
	b.WriteString("\nThe bridge carries out `run` and `announce` itself: `run` needs what its steps need, `announce` no remote control.\n")
}

// overHTTP says which models take a command over HTTP.
func (f family) overHTTP(v snom.Verb) string {
	if !slices.ContainsFunc(f.models, func(m snom.Model) bool { return m.RemoteControl() != snom.No }) {
		return "-"
	}
	c, err := snom.ParseCommand(v.Help().Example)
	if err != nil {
		return "see [topics.md](../topics.md)"
	}
	var takes, doubts []string
	all := 0
	for _, m := range f.models {
		if m.RemoteControl() == snom.No {
			continue
		}
		all++
		warning, err := m.Check(c)
		switch {
		case err != nil:
		case warning != "":
			doubts = append(doubts, m.Name())
		default:
			takes = append(takes, m.Name())
		}
	}
	var parts []string
	switch {
	case len(takes) == all && all == len(f.models):
		return "yes"
	case len(takes) > 0:
		parts = append(parts, strings.Join(takes, ", "))
	}
	if len(doubts) > 0 {
		parts = append(parts, "not confirmed: "+strings.Join(doubts, ", "))
	}
	if len(parts) == 0 {
		return "no"
	}
	return strings.Join(parts, "; ")
}

// keys lists the keys of which the family has not all or more than others.
func (f family) keys(b *bytes.Buffer) {
	b.WriteString("\n## Keys\n\nAs payload of `key`. [keys.md](../keys.md) has what each does.\n\n")
	type line struct{ models, evidence string }
	var order []line
	names := map[line][]string{}
	for _, k := range snom.KeyTable() {
		var has []string
		for _, m := range f.models {
			press, err := snom.Keys(k.Name)
			if err != nil {
				continue
			}
			if _, err := m.Check(press); err == nil {
				has = append(has, m.Name())
			}
		}
		if len(has) == 0 {
			continue
		}
		l := line{strings.Join(has, ", "), strings.ReplaceAll(string(k.Evidence), "*", `\*`)}
		if len(has) == len(f.models) {
			l.models = "all"
		}
		if names[l] == nil {
			order = append(order, l)
		}
		name := code(k.Name)
		if k.Last != "" {
			name += " … " + code(k.Last)
		}
		names[l] = append(names[l], name)
	}
	if len(order) > 0 {
		table(b, "keys over HTTP", "models", "evidence")
	}
	for _, l := range order {
		row(b, strings.Join(names[l], ", "), l.models, l.evidence)
	}
	if slices.ContainsFunc(f.models, byNotify) {
		fmt.Fprintf(b, "\nBy NOTIFY every name is sent. These were seen to work on a D862: %s.\n", strings.Join(seenByNotify(), ", "))
	}
}

// seenByNotify lists the keys of which there is no doubt that they work by NOTIFY.
func seenByNotify() (list []string) {
	for _, k := range snom.KeyTable() {
		press, err := snom.Keys(k.Name)
		if err != nil {
			continue
		}
		if _, warning, err := notify.Plan(press, snom.Model{}); err == nil && warning == notify.Accepted {
			list = append(list, code(k.Name))
		}
	}
	return list
}

// lightsAndDisplay says what led, show and screen need.
func (f family) lightsAndDisplay(b *bytes.Buffer) {
	b.WriteString("\n## Lights and display\n\n" +
		"`led` addresses the lights of programmable keys by number: the light of `P1` has the number in the table above, and those of\n" +
		"the other keys follow. Where it is not known, the phones file names it with `led_offset`. `show` scales pictures to the\n" +
		"display; where its size is not known, the phones file names it with `display`.\n")
	if slices.ContainsFunc(f.models, func(m snom.Model) bool { return m.Modules() != nil }) {
		b.WriteString("\n## Expansion modules\n\n")
		modulesTable(b, f.models)
	}
}

// sources says who has confirmed what.
func (f family) sources(b *bytes.Buffer) {
	b.WriteString("\n## Who has confirmed what\n\n")
	table(b, "model", "remote control", "keys and identities", "display", "lights")
	for _, m := range f.models {
		row(b, m.Name(), marked(m.Evidence(), m.Source()), marked(m.CountsEvidence(), m.CountsSource()),
			marked(m.ScreenEvidence(), m.ScreenSource()), marked(m.LEDEvidence(), m.LEDSource()))
	}
	b.WriteString("\nNothing here was tried by this project on a phone: it has a simulated one. A\n" +
		"[report](https://github.com/snom2mqtt/snom2mqtt/issues/new?template=phone.yml) of a real phone changes the table.\n")
}
