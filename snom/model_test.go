package snom_test

import (
	"encoding/csv"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/snom2mqtt/snom2mqtt/snom"
)

// table reads a CSV file into maps by column.
func table(tb testing.TB, file string) []map[string]string {
	tb.Helper()
	f, err := os.Open(file)
	if err != nil {
		tb.Fatal(err)
	}
	defer f.Close()
	records, err := csv.NewReader(f).ReadAll()
	if err != nil {
		tb.Fatal(err)
	}
	var rows []map[string]string
	for _, record := range records[1:] {
		row := map[string]string{}
		for i, column := range records[0] {
			row[column] = record[i]
		}
		rows = append(rows, row)
	}
	return rows
}

// modelOf finds a model that is known.
func modelOf(tb testing.TB, name string) snom.Model {
	tb.Helper()
	m, ok := snom.FindModel(name)
	if !ok {
		tb.Fatalf("FindModel(%q): not found", name)
	}
	return m
}

var marks = []snom.Evidence{snom.EvidenceDocumented, snom.EvidenceSeen, snom.EvidenceReported, snom.EvidenceInferred}

func TestKeysAgainstTable(t *testing.T) {
	t.Parallel()
	keys := snom.KeyTable()
	rows := table(t, "keys.csv")
	if len(keys) != len(rows) {
		t.Fatalf("%d keys, %d rows", len(keys), len(rows))
	}
	var known []string // what only, except and usual may name
	for _, m := range snom.Models() {
		known = append(known, m.Name(), m.Series())
	}
	seen := map[string]bool{}
	for i, row := range rows {
		k := keys[i]
		if k.Name != row["key"] || k.Last != row["last"] || k.Does != row["does"] || k.Only != row["only"] ||
			k.Except != row["except"] || k.Usual != row["usual"] || string(k.Evidence) != row["mark"] ||
			k.Source != row["source"] || k.Remark != row["remark"] {
			t.Errorf("row %d: got %+v, want %v", i, k, row)
		}
		if k.Does == "" || k.Source == "" || !slices.Contains(marks, k.Evidence) || seen[k.Name] || k.Where() == "" {
			t.Errorf("%s: seen %v, %+v", k.Name, seen[k.Name], k)
		}
		seen[k.Name] = true
		for _, name := range strings.Fields(k.Only + " " + k.Except + " " + k.Usual) {
			if !slices.Contains(known, name) {
				t.Errorf("%s: there is no model or series %q", k.Name, name)
			}
		}
		if k.Except != "" && k.Only+k.Usual != "" {
			t.Errorf("%s: Where says nothing of more than except", k.Name)
		}
		if got := commandOf(t, "key "+k.Name).Argument(); got != k.Name {
			t.Errorf("key %s = %q", k.Name, got)
		}
		if k.Last == "" {
			continue
		}
		prefix := strings.TrimRight(k.Name, "0123456789")
		first, err1 := strconv.Atoi(k.Name[len(prefix):])
		last, err2 := strconv.Atoi(k.Last[len(prefix):])
		if err := errors.Join(err1, err2); err != nil {
			t.Fatal(err)
		}
		for n := range 1100 {
			name := prefix + strconv.Itoa(n)
			_, err := snom.ParseCommand("key " + name)
			want := n >= first && n <= last || seen[name] || slices.ContainsFunc(keys, func(k snom.Key) bool { return k.Name == name })
			if (err == nil) != want {
				t.Errorf("key %s: %v, want good: %v", name, err, want)
			}
		}
	}
}

// TestKeysOfTheSources has the names as Snom's two pages list them, and what is known from elsewhere.
func TestKeysOfTheSources(t *testing.T) {
	t.Parallel()
	const names = `CANCEL ENTER OFFHOOK ONHOOK RIGHT LEFT UP DOWN VOLUME_UP VOLUME_DOWN MENU REDIAL DND REC
		F1 F2 F3 F4 SPEAKER HEADSET TRANSFER F_HOLD F_R 0 1 2 3 4 5 6 7 8 9 * # P1 P4 P5 P12 P15 P300 EK0 EK1 EK299
		DISCONNECT CLEAR FUNCTION RECALL MUTE F_ADR_BOOK CONFERENCE HELP SNOM
		F_ACCEPTED_LIST F_MISSED_LIST F_CALL_LIST F_CANCEL F_CONFERENCE F_DIRECTORY_SEARCH F_DND F_FAVORITES F_MUTE
		F_NEXT_ID F_PREV_ID F_NONE F_OK F_REDIAL F_REDIRECT F_SETTINGS F_STATUS F_TRANSFER F_VOICEMAIL_INFO F_UP F_DOWN
		F_LEFT F_RIGHT F_CALL_AGENT_LOGGEDIN F_CALL_AGENT_READY`
	for _, name := range strings.Fields(names) {
		if _, err := snom.ParseCommand("key " + name); err != nil {
			t.Error(err)
		}
	}
}

func TestModelsAgainstTable(t *testing.T) {
	t.Parallel()
	models := snom.Models()
	rows := table(t, "models.csv")
	if len(models) != len(rows) {
		t.Fatalf("%d models, %d rows", len(models), len(rows))
	}
	series := []string{"1xx", "2xx", "3xx", "7xx", "8xx", "D1xx", "D3xx", "D7xx", "D8xx", "M", "other"}
	itoa := func(n int, cell string) string {
		if n == 0 && cell == "" {
			return ""
		}
		return strconv.Itoa(n)
	}
	for i, row := range rows {
		m := models[i]
		least, most := m.KeyCount()
		if m.Name() != row["model"] || m.Series() != row["series"] || string(m.RemoteControl()) != row["remote_control"] ||
			string(m.Evidence()) != row["mark"] || m.Source() != row["source"] || itoa(least, row["keys_least"]) != row["keys_least"] ||
			itoa(most, row["keys_most"]) != row["keys_most"] || itoa(m.Identities(), row["identities"]) != row["identities"] ||
			string(m.CountsEvidence()) != row["counts_mark"] || m.CountsSource() != row["counts_source"] || m.Remark() != row["remark"] {
			t.Errorf("row %d: got %+v, want %v", i, m, row)
		}
		if least > most || m.Identities() > 12 || !slices.Contains(series, m.Series()) || m.IsZero() {
			t.Errorf("%s: %d to %d keys, %d identities, series %q", m, least, most, m.Identities(), m.Series())
		}
		if known := m.RemoteControl() != snom.Unknown; known != (m.Source() != "") || known != slices.Contains(marks, m.Evidence()) {
			t.Errorf("%s: remote control %s by %q, mark %q", m, m.RemoteControl(), m.Source(), m.Evidence())
		}
		if counted := most+m.Identities() > 0; counted != (m.CountsSource() != "") || counted != slices.Contains(marks, m.CountsEvidence()) {
			t.Errorf("%s: counts by %q, mark %q", m, m.CountsSource(), m.CountsEvidence())
		}
		if m.RemoteControl() == snom.No && m.Remark() == "" {
			t.Errorf("%s: no reason why it cannot be controlled", m)
		}
		for _, name := range append(strings.Fields(row["aliases"]), m.Name()) {
			for _, spelling := range []string{name, "snom" + name, "snom " + name, "Snom-" + name, "SNOM_" + name, strings.ToLower(name)} {
				if found := modelOf(t, spelling); found != m {
					t.Errorf("FindModel(%q) = %v, want %v", spelling, found, m)
				}
			}
		}
	}
	for _, name := range []string{"", "snom", "999", "D73", "D7355", "T46", strings.Repeat("x", 1<<20)} {
		if m, ok := snom.FindModel(name); ok || !m.IsZero() {
			t.Errorf("FindModel = %v, want none", m)
		}
	}
}

func TestModelString(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		model snom.Model
		want  string
	}{{modelOf(t, "D735"), "D735"}, {modelOf(t, "320"), "snom 320"}, {snom.Model{}, "unknown model"}} {
		if got := tt.model.String(); got != tt.want {
			t.Errorf("got %q, want %q", got, tt.want)
		}
	}
}

func TestModelDialect(t *testing.T) {
	t.Parallel()
	for names, want := range map[string]snom.Dialect{
		"D305 D385 D712 D735 D785 D862":                        snom.DialectNew,
		"190 300 320 370 710 760 820 870 M700 MP ET635 IP830C": "",
	} {
		for _, name := range strings.Fields(names) {
			if got := modelOf(t, name).Dialect(); got != want {
				t.Errorf("%s: dialect %q, want %q", name, got, want)
			}
		}
	}
	if got := (snom.Model{}).Dialect(); got != "" {
		t.Errorf("zero Model: dialect %q, want none", got)
	}
}

// TestModelsOfTheSources has the numbers of programmable keys as Snom's pages give them.
func TestModelsOfTheSources(t *testing.T) {
	t.Parallel()
	for names, want := range map[string]int{"300": 4, "320 360 370 820": 12, "870": 15, "190 200 220": 5} {
		for _, name := range strings.Fields(names) {
			if least, _ := modelOf(t, name).KeyCount(); least != want {
				t.Errorf("%s: %d keys, want %d", name, least, want)
			}
		}
	}
	for answer, names := range map[snom.Support]string{
		snom.Yes:     "100 190 220 300 370 710 760 820 870 D305 D385 D712 D785",
		snom.No:      "D862 D865 D892 D895M M300 M900",
		snom.Unknown: "D120 D140 D150 D810 D812 D815 MP PA1 ET605 ET635 ET685 IP830C",
	} {
		for _, name := range strings.Fields(names) {
			if got := modelOf(t, name).RemoteControl(); got != answer {
				t.Errorf("%s: remote control %s, want %s", name, got, answer)
			}
		}
	}
	if got := (snom.Model{}).RemoteControl(); got != snom.Unknown {
		t.Errorf("zero Model: remote control %s", got)
	}
}

func TestModelCheck(t *testing.T) {
	t.Parallel()
	const fine, lacks = "", "ERROR"
	tests := []struct {
		models   string // "-" is the zero Model
		commands []string
		want     string // a part of the warning; lacks: ErrUnsupported
	}{
		{"-", []string{"touch 1 1", "key F4", "key P300", "key EK299", "key CLEAR", "key DISCONNECT", "fix_lil", "logoff 12"}, fine},
		{"-", []string{"key F_STATUS"}, "no source says that it can be pressed"},
		{"870", []string{"touch 1 1", "key P15", "hangup", "transfer 1"}, fine},
		{"320 820 821 D735 190", []string{"touch 1 1"}, lacks},
		{"190 200", []string{"key F4", "key P1;F4"}, lacks},
		{"190 200 220 300 D735", []string{"key F1", "key F3"}, fine},
		{"220 300 D735", []string{"key F4"}, fine},
		{"870", []string{"key F1", "key F2", "key F3", "key F4"}, lacks},
		{"D862 D892M M900 M100SC", []string{"answer", "dial 1", "reboot", "key 1", "firmware http://h/p", "hangup", "ring 1"}, lacks},
		{"D810 D812 D815", []string{"answer", "dial 1"}, "if it refuses, a sip: URL drives it"},
		{"100 105 190 200 220", []string{"key CLEAR", "key FUNCTION", "key RECALL", "key DISCONNECT"}, fine},
		{"300 320 710 820 870 D385 D785 D150", []string{"key CLEAR", "key FUNCTION", "key RECALL"}, lacks},
		{"300 320 710 820 870 D385 D785", []string{"key DISCONNECT"}, "is documented for 1xx, 2xx only"},
		{"220 300 320 360 370", []string{"key EK0", "key EK299"}, fine},
		{"D305 D385", []string{"key EK0"}, "is documented for 3xx, 220 only"},
		{"190 200 710 820 870 D735 D785", []string{"key EK0"}, lacks},
		{"300", []string{"key P4"}, fine},
		{"300", []string{"key P5", "key P6"}, "sources disagree whether snom 300 has 4 or 6 keys"},
		{"300", []string{"key P7"}, "P7 is beyond the 6 keys of snom 300"},
		{"820", []string{"key P12"}, fine},
		{"820", []string{"key P13"}, "sources disagree"},
		{"D735", []string{"key P32"}, fine},
		{"D735", []string{"key P33", "key P1;P33;P34"}, "P33 is beyond the 32 keys of D735"},
		{"D735", []string{"led P33 red"}, "P33 is beyond the 32 keys of D735"},
		{"100", []string{"key P300"}, fine}, // no source says how many it has
		{"D735", []string{"key F_STATUS", "key HELP", "key 1;F_OK"}, "no source says that it can be pressed"},
		{"D735", []string{"key F_HOLD", "key F_R", "key F_ADR_BOOK", "key MUTE"}, fine},
		{"820 821", []string{"fix_lil"}, fine},
		{"870 320 D735", []string{"fix_lil"}, "documented for 820 and 821 only"},
		{"D713", []string{"logoff 6", "reregister 6", "logoff all"}, fine},
		{"D713", []string{"logoff 7", "reregister 12"}, "D713 has 6 identities only"},
		{"190", []string{"logoff 12"}, fine}, // no source says how many it has
		{"D120 D150 MP PA1 ET635 IP830C", []string{"answer", "key F_STATUS", "reboot"}, "no source says whether"},
		{"D735 320", []string{"transfer 1", "transfer complete", `dtmf {"digits":"1","method":"keys"}`, "hangup current", "answer"}, fine},
	}
	for _, tt := range tests {
		for _, name := range strings.Fields(tt.models) {
			var m snom.Model
			if name != "-" {
				m = modelOf(t, name)
			}
			for _, text := range tt.commands {
				warning, err := m.Check(commandOf(t, text))
				if tt.want == lacks {
					if !errors.Is(err, snom.ErrUnsupported) || warning != "" || !strings.Contains(err.Error(), m.String()) {
						t.Errorf("%s: %s: got %q, %v, want ErrUnsupported", m, text, warning, err)
					}
				} else if err != nil || !strings.Contains(warning, tt.want) || (warning == "") != (tt.want == "") {
					t.Errorf("%s: %s: got %q, %v, want %q", m, text, warning, err, tt.want)
				}
			}
		}
	}
}

func TestKeyWhere(t *testing.T) {
	t.Parallel()
	want := map[string]string{
		"CANCEL": "all", "F1": "all but 870", "CLEAR": "1xx, 2xx", "EK0": "3xx, 220, perhaps D3xx",
		"DISCONNECT": "1xx, 2xx, perhaps others",
	}
	for _, k := range snom.KeyTable() {
		if w, ok := want[k.Name]; ok && k.Where() != w {
			t.Errorf("%s: got %q, want %q", k.Name, k.Where(), w)
		}
	}
}

// TestTablesAreCopies: what a caller does to its copy changes nothing.
func TestTablesAreCopies(t *testing.T) {
	t.Parallel()
	snom.KeyTable()[0].Name = "X"
	snom.Models()[0] = snom.Model{}
	if k, m := snom.KeyTable()[0].Name, snom.Models()[0].Name(); k != "CANCEL" || m != "100" {
		t.Errorf("got %q and %q, want CANCEL and 100", k, m)
	}
}

// TestModelCheckRedacted: for every key of every model the same is said as without redaction, and the key is not.
func TestModelCheckRedacted(t *testing.T) {
	t.Parallel()
	for _, m := range append(snom.Models(), snom.Model{}) {
		for _, k := range snom.KeyTable() {
			names := []string{k.Name}
			if k.Last != "" {
				names = append(names, k.Last)
			}
			for _, name := range names {
				c := commandOf(t, "key "+name)
				warning, err := m.Check(c)
				redacted, redactedErr := m.CheckRedacted(c)
				if (warning == "") != (redacted == "") || (err == nil) != (redactedErr == nil) || errors.Is(err, snom.ErrUnsupported) != errors.Is(redactedErr, snom.ErrUnsupported) {
					t.Errorf("%s, %s: %q, %v; redacted %q, %v", m, name, warning, err, redacted, redactedErr)
				}
				if m.RemoteControl() == snom.No || len(name) < 2 {
					continue // a single digit is in many a sentence
				}
				for said := range strings.FieldsSeq(redacted + " " + fmt.Sprint(redactedErr)) {
					if strings.Trim(said, ".,:;()") == name {
						t.Errorf("%s, %s: redacted %q, %v", m, name, redacted, redactedErr)
					}
				}
			}
		}
	}
}

// TestKeysOfModels: a model can press every key that it is said to have, without a doubt that comes from the table of keys.
func TestKeysOfModels(t *testing.T) {
	t.Parallel()
	for _, m := range append(snom.Models(), snom.Model{}) {
		keys := m.Keys()
		if len(keys) < 10 || !slices.Contains(keys, "ENTER") || slices.Contains(keys, "EK0") || slices.Contains(keys, "P300") {
			t.Errorf("%s: Keys() = %q", m, keys)
		}
		if m.RemoteControl() == snom.No {
			continue
		}
		for _, key := range keys {
			c, err := snom.Keys(key)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := m.Check(c); err != nil {
				t.Errorf("%s: %s: %v", m, key, err)
			}
		}
	}
	d735, _ := snom.FindModel("D735")
	if _, most := d735.KeyCount(); !slices.Contains(d735.Keys(), fmt.Sprint("P", most)) || slices.Contains(d735.Keys(), fmt.Sprint("P", most+1)) {
		t.Errorf("D735: %q", d735.Keys())
	}
}

func TestFirmwareURL(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ template, version, model, expected string }{
		{"", "10.1.198.19", "D735", "https://downloads.snom.com/fw/10.1.198.19/bin/snomD735-10.1.198.19-SIP-r.bin"},
		{"", "10.1.226.16", "D862", "https://downloads.snom.com/fw/10.1.226.16/bin/snomD862-10.1.226.16-SIP-r.swu"},
		{"", "8.7.5.35", "370", ""}, {"", "10.1.198.19", "", ""}, {"", "8.9.3.80", "D715", ""},
		{"https://fw.example/{model}.bin", "10.1.198.19", "D735", "https://fw.example/D735.bin"},
		{"https://fw.example/{model}.bin", "10.1.198.19", "", ""},
		{"https://fw.example/x.bin", "10.1.198.19", "", "https://fw.example/x.bin"},
	} {
		m, _ := snom.FindModel(tt.model)
		if got := snom.FirmwareURL(tt.template, tt.version, m); got != tt.expected {
			t.Errorf("%+v: %s", tt, got)
		}
	}
}
