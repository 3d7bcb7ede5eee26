package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"html"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"time"
)

// machineFacts says what was measured, on what.
func machineFacts(b *bench) map[string]string {
	return map[string]string{
		"date":       time.Now().UTC().Format(time.DateOnly),
		"processors": fmt.Sprintf("%d x %s", runtime.NumCPU(), field("/proc/cpuinfo", "model name")),
		"memory":     field("/proc/meminfo", "MemTotal"),
		"kernel":     said(b.ctx, `\S+`, "uname", "-r"),
		"Go":         runtime.Version(),
		"Mosquitto":  said(b.ctx, `[0-9]+\.[0-9]+\.[0-9]+`, mosquittoPath(), "-h"),
		"snom2mqtt":  said(b.ctx, `snom2mqtt (\S+)`, b.program, "version"),
		"Python":     said(b.ctx, `[0-9]+\.[0-9]+\.[0-9]+`, b.rivals.python(), "--version"),
		"Node.js":    said(b.ctx, `[0-9]+\.[0-9]+\.[0-9]+`, "node", "--version"),
		"Node-RED":   nodeREDVersion,
	}
}

func mosquittoPath() string {
	path, err := mosquitto()
	if err != nil {
		return "mosquitto"
	}
	return path
}

// field is what a file of /proc says of a name, the first time.
func field(file, name string) string {
	text, err := os.ReadFile(file)
	if err != nil {
		return "unknown"
	}
	for line := range strings.Lines(string(text)) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return "unknown"
}

// said is the part of what a program prints that matches a pattern, or the group in it.
func said(ctx context.Context, pattern, program string, args ...string) string {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	out, _ := exec.CommandContext(ctx, program, args...).CombinedOutput() // Mosquitto's help is an error
	m := regexp.MustCompile(pattern).FindSubmatch(out)
	if m == nil {
		return "not there"
	}
	return string(m[len(m)-1])
}

// The part of performance.md that is made here.
const (
	madeFrom = "<!-- What follows is written by make bench. -->\n"
	madeTo   = "<!-- What was written by make bench ends here. -->\n"
)

// document writes the picture, and the tables into performance.md.
func (r report) document(dir string) error {
	if dir == "" {
		return nil
	}
	if err := os.WriteFile(filepath.Join(dir, "pictures", "performance.svg"), r.picture(), 0o644); err != nil {
		return err
	}
	path := filepath.Join(dir, "performance.md")
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	before, rest, ok1 := bytes.Cut(text, []byte(madeFrom))
	_, after, ok2 := bytes.Cut(rest, []byte(madeTo))
	if !ok1 || !ok2 {
		return errors.New(path + ": the lines are missing between which the tables belong: " + madeFrom + madeTo)
	}
	out := bytes.NewBuffer(bytes.Clone(before))
	out.WriteString(madeFrom)
	r.markdown(out)
	out.WriteString(madeTo)
	out.Write(after)
	return os.WriteFile(path, out.Bytes(), 0o644)
}

// markdown writes the tables.
func (r report) markdown(out *bytes.Buffer) {
	m := r.Machine
	fmt.Fprintf(out, "\nMeasured on %s: %s, %s of memory, Linux %s, Go %s, Mosquitto %s, snom2mqtt %s, Python %s, Node.js %s with Node-RED %s.\n",
		m["date"], m["processors"], m["memory"], m["kernel"], strings.TrimPrefix(m["Go"], "go"), m["Mosquitto"], m["snom2mqtt"],
		m["Python"], m["Node.js"], m["Node-RED"])
	for _, t := range r.tables() {
		fmt.Fprintf(out, "\n### %s\n\n", t.title)
		if t.note != "" {
			fmt.Fprintf(out, "%s\n\n", t.note)
		}
		fmt.Fprintf(out, "| %s |\n|%s\n", strings.Join(t.head, " | "), strings.Repeat("---|", len(t.head)))
		for _, row := range t.rows {
			fmt.Fprintf(out, "| %s |\n", strings.Join(row, " | "))
		}
	}
	out.WriteByte('\n')
}

// A bar is one line of the picture.
type bar struct {
	name  string
	value float64
	label string
}

// picture draws what matters most: how long a command takes, and how many a second a hundred phones carry out.
func (r report) picture() []byte {
	const width, left, right, step = 760, 150, 110, 26
	var out bytes.Buffer
	y := 28
	text := func(x, y int, class, anchor, s string) {
		fmt.Fprintf(&out, `<text x="%d" y="%d" class="%s" text-anchor="%s">%s</text>`+"\n", x, y, class, anchor, html.EscapeString(s))
	}
	panel := func(title string, bars []bar, least, most float64, logarithmic bool) {
		if len(bars) == 0 {
			return
		}
		text(8, y, "title", "start", title)
		y += 12
		for _, b := range bars {
			part := b.value / most
			if logarithmic {
				part = math.Log(b.value/least) / math.Log(most/least)
			}
			class := "other"
			if b.name == systemOurs {
				class = "ours"
			}
			length := int(math.Round(max(part, 0.002) * (width - left - right)))
			fmt.Fprintf(&out, `<rect x="%d" y="%d" width="%d" height="18" class="%s"/>`+"\n", left, y, length, class)
			text(left-8, y+14, "", "end", b.name)
			text(left+length+6, y+14, "", "start", b.label)
			y += step
		}
		y += 24
	}
	for _, broker := range []string{nodelay, stock} {
		var bars []bar
		for _, s := range []string{systemFloor, systemLeast, systemOurs, systemPython, systemNodeRED} {
			if ms := middle(r.of("closed", broker, s, 1, 0), toResult50) / 1000; ms > 0 {
				bars = append(bars, bar{s, ms, fmt.Sprintf("%.2f ms", ms)})
			}
		}
		panel("From publish to result, median, one phone ("+broker+"; each step of the scale is ten times the last)", bars, 0.1, 100, true)
	}
	var bars []bar
	for _, s := range []string{systemLeast, systemOurs, systemPython, systemNodeRED} {
		if n := middle(r.of("throughput", nodelay, s, 100, 20), rate); n > 0 {
			bars = append(bars, bar{s, n, fmt.Sprintf("%.0f /s", n)})
		}
	}
	panel("Commands a second, 100 phones of 20 ms (they can do 5,000)", bars, 0, 5000, false)
	const style = "text{font:14px sans-serif;fill:#555}.title{font-weight:bold}.ours{fill:#2a7}.other{fill:#9ab}"
	return fmt.Appendf(nil, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d">`+"\n<style>%s</style>\n%s</svg>\n",
		width, y, width, y, style, out.Bytes())
}
