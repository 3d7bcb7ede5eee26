// Command bench measures the bridge: how much it adds to what the broker and the phone need anyway, how many commands
// it carries, what it takes in memory and in processor time, and that it loses, repeats and reorders nothing.
//
// The generator of commands, the phones and the reader of results are one process with one clock: this one. The bridge
// is a process of its own, as it is installed, and so is the broker. The floors are measured in the same rounds:
// a message through the broker to another process and back, and a request to a phone on a fresh connection with a
// digest challenge that is known. All messages have QoS 1, and all phones want digest.
//
// It runs on Linux only, where a machine has thousands of addresses for phones and /proc has what processes cost.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// A bench is one run of the program.
type bench struct {
	ctx     context.Context //nolint:containedctx // of the whole program: nothing outlives it
	dir     string          // for files of a moment
	self    string
	program string
	other   string
	rivals  installed
	systems []string
	sizes   []int // numbers of phones
	short   bool
	count   int // of rounds
	million int
	calm    float64
	tries   int
	figures []figure
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal kills
	if err := measure(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func measure(ctx context.Context) error {
	var names []string
	for _, p := range parts() {
		names = append(names, p.name)
	}
	b := &bench{ctx: ctx, tries: 4}
	be := flag.String("be", "", "be one of the processes that are measured: echo, pecho, least, pleast or pshow")
	broker := flag.String("broker", "", "address of the broker, for -be")
	port := flag.Int("port", 0, "port of the phones, for -be")
	hears := flag.String("hears", "", "address where phones report events, for -be")
	program := flag.String("program", "bin/snom2mqtt", "the bridge")
	other := flag.String("other", "", "another build of the bridge, to compare in the same rounds")
	rivals := flag.String("rivals", "bin/rivals", "where Node-RED and Python are installed; those that are not are left out")
	install := flag.Bool("install", false, "install them there first, by npm and pip")
	sizes := flag.String("phones", "1,100,1000,10000", "numbers of phones for throughput and memory")
	only := flag.String("only", strings.Join(names, ","), "parts to run")
	earlier := flag.String("add", "", "a file of -json whose figures stand in the report too, where a system's part is not measured now")
	out := flag.String("json", "", "write all figures to this file")
	docs := flag.String("docs", "", "write the picture, and the tables of performance.md, to this directory")
	flag.BoolVar(&b.short, "short", false, "run everything once and briefly: shows that it works, measures nothing")
	flag.IntVar(&b.count, "rounds", 5, "rounds, of which the median counts")
	flag.IntVar(&b.million, "commands", 1_000_000, "commands in the part order")
	flag.Float64Var(&b.calm, "calm", 0.05, "measure again while other work takes more of the machine than this")
	flag.Usage = usage
	flag.Parse()
	if *be != "" {
		return role(ctx, *be, *broker, *port, *hears)
	}
	if err := b.setSizes(*sizes); err != nil {
		return err
	}
	if b.short {
		b.count, b.tries = 1, 1
	}
	chosen := strings.Split(*only, ",")
	for _, c := range chosen {
		if !slices.Contains(names, c) {
			return fmt.Errorf("-only: no such part %q: expected some of %s", c, strings.Join(names, ","))
		}
	}
	if err := b.prepare(*program, *other, *rivals, *install); err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(b.dir) }() // files of a moment
	if err := b.run(chosen); err != nil {
		return err
	}
	r := report{Machine: machineFacts(b), Figures: b.figures}
	if err := r.add(*earlier); err != nil {
		return err
	}
	r.print(os.Stdout)
	return errors.Join(r.save(*out), r.document(*docs))
}

// role runs one of the processes that are measured.
func role(ctx context.Context, be, broker string, port int, hears string) error {
	switch be {
	case "echo":
		return echo(broker)
	case "pecho":
		return echoPaho(ctx, broker)
	case "least":
		return least(broker, port, hears)
	case "pleast":
		return leastPaho(ctx, broker, port)
	case "pshow":
		return leastShow(ctx, broker, port)
	}
	return fmt.Errorf("-be: no such process %q", be)
}

func usage() {
	fmt.Fprintln(flag.CommandLine.Output(), "usage: bench [flags]\n\nParts:")
	for _, p := range parts() {
		fmt.Fprintf(flag.CommandLine.Output(), "  %-11s %s\n", p.name, p.does)
	}
	fmt.Fprintln(flag.CommandLine.Output(), "\nFlags:")
	flag.PrintDefaults()
}

// setSizes reads the numbers of phones.
func (b *bench) setSizes(list string) error {
	for _, n := range strings.Split(list, ",") {
		phones, err := strconv.Atoi(n)
		if err != nil || phones < 1 || phones > 10_000 {
			return fmt.Errorf("-phones: expected numbers from 1 to 10000, not %q", n)
		}
		b.sizes = append(b.sizes, phones)
	}
	return nil
}

// run runs the parts of those names.
func (b *bench) run(names []string) error {
	for _, p := range parts() {
		if slices.Contains(names, p.name) {
			if err := p.run(b); err != nil {
				return err
			}
		}
	}
	return nil
}

// prepare finds what is to be run.
func (b *bench) prepare(program, other, rivals string, install bool) (err error) {
	if b.self, err = os.Executable(); err != nil {
		return err
	}
	for _, p := range []struct {
		path string
		to   *string
	}{{program, &b.program}, {other, &b.other}, {rivals, &b.rivals.dir}} {
		if p.path != "" {
			if *p.to, err = filepath.Abs(p.path); err != nil {
				return err
			}
		}
	}
	if _, err := os.Stat(b.program); err != nil {
		return fmt.Errorf("the bridge is not there: %w; see -program", err)
	}
	if _, err := exec.LookPath("mosquitto"); err != nil {
		if _, err := mosquitto(); err != nil {
			return err
		}
	}
	if install {
		if err := b.rivals.install(b.ctx); err != nil {
			fmt.Fprintln(os.Stderr, "bench: not installed:", err) // those that are there are measured
		}
	}
	b.systems = []string{systemPEcho, systemEcho, systemLeast, systemPLeast, systemOurs}
	if b.other != "" {
		b.systems = append(b.systems, systemOther)
	}
	for _, s := range []string{systemPython, systemNodeRED} {
		if b.rivals.has(s) {
			b.systems = append(b.systems, s)
		} else {
			fmt.Fprintf(os.Stderr, "bench: %s is not in %s and is left out; -install installs it\n", s, b.rivals.dir)
		}
	}
	b.dir, err = os.MkdirTemp("", "snom2mqtt-bench-")
	if err != nil {
		return err
	}
	return os.Chmod(b.dir, 0o755) // Mosquitto, started as root, becomes another user
}

// add takes the parts of systems from an earlier report that this one does not have.
func (r *report) add(path string) error {
	if path == "" {
		return nil
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var earlier report
	if err := json.Unmarshal(data, &earlier); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	has := map[[2]string]bool{}
	for _, f := range r.Figures {
		has[[2]string{f.Part, f.System}] = true
	}
	for _, f := range earlier.Figures {
		if !has[[2]string{f.Part, f.System}] {
			r.Figures = append(r.Figures, f)
		}
	}
	return nil
}

// save writes the report as JSON.
func (r report) save(path string) error {
	if path == "" {
		return nil
	}
	data, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(data, '\n'), 0o644)
}
