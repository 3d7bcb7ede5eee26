package main

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// measured is a report of two rounds, the second on a machine of half the speed.
func measured() report {
	r := report{Machine: map[string]string{"date": "2026-11-22"}}
	for round, slow := range []float64{1, 2} {
		for _, broker := range []string{nodelay, stock} {
			for _, f := range []figure{
				{System: systemFloor, ToPhone50: 100, ToPhone99: 200, ToResult50: 200, ToResult99: 400},
				{System: systemOurs, ToPhone50: 140, ToPhone99: 500, ToResult50: 250, ToResult99: 700, Requests: 1},
				{System: systemNodeRED, ToPhone50: 4000, ToPhone99: 9000, ToResult50: 44_000, ToResult99: 44_500, Requests: 2},
			} {
				f.Part, f.Broker, f.Round, f.Phones, f.Outstanding = "closed", broker, round, 1, 1
				for _, us := range []*float64{&f.ToPhone50, &f.ToPhone99, &f.ToResult50, &f.ToResult99} {
					*us *= slow
				}
				r.Figures = append(r.Figures, f)
			}
		}
		r.Figures = append(r.Figures,
			figure{Part: "throughput", Broker: nodelay, System: systemOurs, Round: round, Phones: 100, Outstanding: 100, PhoneMS: 20, Rate: 4600},
			figure{Part: "throughput", Broker: nodelay, System: systemLeast, Round: round, Phones: 100, Outstanding: 100, PhoneMS: 20, Rate: 5000},
			figure{Part: "memory", Broker: nodelay, System: systemOurs, Round: round, Phones: 1, TouchedMiB: 8 * slow},
			figure{Part: consoleAlone, Broker: nodelay, System: systemOurs, Round: round, Phones: 1, ToResult50: 500 * slow, ToResult99: 1000 * slow},
			figure{Part: consoleReading, Broker: nodelay, System: systemOurs, Round: round, Phones: 1, ToResult50: 500 * slow, ToResult99: 1100 * slow},
			figure{Part: consoleStalled, Broker: nodelay, System: systemOurs, Round: round, Phones: 1, ToResult50: 500 * slow, ToResult99: 1300 * slow},
			figure{Part: "order", Broker: nodelay, System: systemOurs, Round: round, Phones: 100, Commands: 1000, Twice: 1})
	}
	return r
}

// row returns the first row of a table that begins with name.
func row(t *testing.T, in table, name string) []string {
	t.Helper()
	for _, r := range in.rows {
		if strings.HasPrefix(r[0], name) {
			return r
		}
	}
	t.Fatalf("%q has no row %q", in.title, name)
	return nil
}

func TestTargets(t *testing.T) {
	t.Parallel()
	targets := measured().targets()
	for name, want := range map[string][2]string{
		"publish to the phone having the request, median":     {"1.40 x floor", "kept"},
		"the same, 99th percentile":                           {"2.50 x the floor's", "MISSED"},
		"publish to the result, median":                       {"1.25 x floor", "kept"},
		"the same, Mosquitto without":                         {"1.25 x floor", "kept"},
		"100 phones of 20 ms":                                 {"0.92", "kept"},
		"memory after a command to each phone, 1: the worst":  {"16.00 MiB", "MISSED"},
		"out of order, twice or unanswered, of 2000 commands": {"2.00", "MISSED"},
		consoleReading:                {"1.10 x without", "kept"},
		consoleStalled:                {"1.30 x without", "MISSED"},
		"HTTP requests for a command": {"1.00", "kept"},
	} {
		if got := row(t, targets, name); got[2] != want[0] || got[3] != want[1] {
			t.Errorf("%s: %q %q, want %q", name, got[2], got[3], want)
		}
	}
	for _, r := range targets.rows {
		if strings.HasPrefix(r[0], "memory after a command to each phone, 1000") || strings.HasPrefix(r[0], "1000 phones") {
			t.Errorf("%q stands there, and was not measured", r)
		}
	}
}

// A part that was measured again replaces that of an earlier run; the others stay.
func TestAdd(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "earlier.json")
	if err := measured().save(path); err != nil {
		t.Fatal(err)
	}
	r := report{Figures: []figure{{Part: "order", Broker: nodelay, System: systemOurs, Phones: 100, Commands: 7}}}
	if err := r.add(path); err != nil {
		t.Fatal(err)
	}
	if got := row(t, r.order(), systemOurs)[1]; got != "7" {
		t.Errorf("%s commands, want the 7 of now", got)
	}
	if got := row(t, r.targets(), "100 phones of 20 ms")[2]; got != "0.92" {
		t.Errorf("%s, want the 0.92 of before", got)
	}
	if err := r.add(path + "x"); err == nil {
		t.Error("no error for a file that is not there")
	}
}

// A floor is the sum of things that happen one after the other, command by command.
func TestSums(t *testing.T) {
	t.Parallel()
	p50, p99 := percentiles(sums([]float64{1, 2, 30}, []float64{10, 20, 3}))
	if p50 != 22 || p99 != 33 {
		t.Errorf("%v, %v, want 22, 33", p50, p99)
	}
}

func TestPictureIsXML(t *testing.T) {
	t.Parallel()
	picture := measured().picture()
	for d := xml.NewDecoder(bytes.NewReader(picture)); ; {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("%v in %s", err, picture)
		}
	}
	for _, want := range []string{systemOurs, systemNodeRED, "44.00 ms", "4600 /s"} {
		if !bytes.Contains(picture, []byte(want)) {
			t.Errorf("the picture has no %q: %s", want, picture)
		}
	}
}

// The tables replace those of the last time, and nothing else.
func TestDocument(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "pictures"), 0o700); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "performance.md")
	if err := os.WriteFile(path, []byte("# Before\n"+madeFrom+"old\n"+madeTo+"After\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var first string
	for range 2 {
		if err := measured().document(dir); err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		got := string(text)
		if !strings.HasPrefix(got, "# Before\n"+madeFrom) || !strings.HasSuffix(got, madeTo+"After\n") || strings.Contains(got, "old") {
			t.Errorf("%s", got)
		}
		if first == "" {
			first = got
		}
		if got != first {
			t.Errorf("the second time: %s\nthe first time: %s", got, first)
		}
	}
	if err := os.WriteFile(path, []byte("# Before\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := measured().document(dir); err == nil {
		t.Error("no error where there is no place for the tables")
	}
}
