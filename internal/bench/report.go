package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
)

// A report is all that was measured, and on what.
type report struct {
	Machine map[string]string `json:"machine"`
	Figures []figure          `json:"figures"`
}

// A table is a part of the report for people.
type table struct {
	title, note string
	head        []string
	rows        [][]string
}

// of returns the figures of one system in one situation, one for each round. With several numbers outstanding there is
// one situation for each, so that is not asked.
func (r report) of(part, broker, system string, phones int, phoneMS float64) (found []figure) {
	for _, f := range r.Figures {
		if f.Part == part && f.Broker == broker && f.System == system && f.Phones == phones && f.PhoneMS == phoneMS {
			found = append(found, f)
		}
	}
	return found
}

// middle is the median of something over the rounds.
func middle(rounds []figure, of func(figure) float64) float64 {
	var all []float64
	for _, f := range rounds {
		all = append(all, of(f))
	}
	return median(all)
}

// highest is the largest value of all rounds, 0 without rounds.
func highest(rounds []figure, of func(figure) float64) (most float64) {
	for _, f := range rounds {
		most = max(most, of(f))
	}
	return most
}

// ratio is the median of what a system needs, as a multiple of what the floor needs in the same round.
func ratio(system, floor []figure, of func(figure) float64) float64 {
	var all []float64
	for _, f := range system {
		for _, g := range floor {
			if f.Round == g.Round && of(g) > 0 {
				all = append(all, of(f)/of(g))
			}
		}
	}
	return median(all)
}

func toPhone50(f figure) float64  { return f.ToPhone50 }
func toPhone99(f figure) float64  { return f.ToPhone99 }
func toResult50(f figure) float64 { return f.ToResult50 }
func toResult99(f figure) float64 { return f.ToResult99 }
func rate(f figure) float64       { return f.Rate }

// tables are the report for people. What was not measured has none.
func (r report) tables() (all []table) {
	for _, t := range []table{
		r.targets(), r.latency(), r.paced(), r.events(), r.throughput(), r.hang(), r.memory(), r.start(), r.idle(), r.sip(), r.showing(), r.announce(), r.consoleTable(), r.order(),
	} {
		if len(t.rows) > 0 {
			all = append(all, t)
		}
	}
	return all
}

// systems are all systems that were measured in a part, in the order of this list.
func (r report) systems(part string) (all []string) {
	for _, s := range []string{systemFloor, systemPOneWay, systemPEcho, systemGoHTTP, systemBare, systemOneWay, systemEcho, systemHTTP, systemLeast, systemPLeast, systemNotify, systemTwoHTTP, systemOurs, systemOther, systemPython, systemNodeRED} {
		if slices.ContainsFunc(r.Figures, func(f figure) bool { return f.Part == part && f.System == s }) {
			all = append(all, s)
		}
	}
	return all
}

// phones are the numbers of phones in a part.
func (r report) phones(part string) (all []int) {
	for _, f := range r.Figures {
		if f.Part == part && !slices.Contains(all, f.Phones) {
			all = append(all, f.Phones)
		}
	}
	slices.Sort(all)
	return all
}

func (r report) latency() table {
	t := table{
		title: "One phone, one command after the other",
		note: "Microseconds from the publish to the phone having the request, and to the result; median and 99th percentile. " +
			"In brackets: the median over the rounds of the multiple of the floor in the same round.",
		head: []string{"broker", "", "to phone p50", "p99", "to result p50", "p99", "requests", "CPU us"},
	}
	for _, broker := range []string{nodelay, stock, embedded} {
		floor := r.of("closed", broker, systemFloor, 1, 0)
		for _, s := range r.systems("closed") {
			own := r.of("closed", broker, s, 1, 0)
			if len(own) == 0 {
				continue
			}
			times := func(of func(figure) float64) string {
				us := middle(own, of)
				if us == 0 {
					return "-"
				}
				if !slices.Contains(bridges(), s) {
					return fmt.Sprintf("%.0f", us)
				}
				return fmt.Sprintf("%.0f (%.2f)", us, ratio(own, floor, of))
			}
			phone50, phone99 := times(toPhone50), times(toPhone99)
			if onMQTT(s) {
				phone50, phone99 = "-", "-"
			}
			row := []string{broker, s, phone50, phone99, times(toResult50), times(toResult99), "-", "-"}
			if s != systemFloor && s != systemBare && !onMQTT(s) {
				row[6] = fmt.Sprintf("%.2f", middle(own, func(f figure) float64 { return f.Requests }))
			}
			if slices.Contains(bridges(), s) {
				row[7] = fmt.Sprintf("%.0f", middle(own, func(f figure) float64 { return f.CPU }))
			}
			t.rows = append(t.rows, row)
		}
	}
	return t
}

// bridges are the systems that carry out commands.
func bridges() []string {
	return []string{systemLeast, systemPLeast, systemOurs, systemOther, systemPython, systemNodeRED}
}

// onMQTT reports whether a floor asks no phone.
func onMQTT(system string) bool {
	return slices.Contains([]string{systemOneWay, systemEcho, systemPOneWay, systemPEcho}, system)
}

func (r report) paced() table {
	t := table{
		title: "One phone, spaced by 100 ms, and in bursts of ten",
		note:  "Microseconds from the publish to the result. A burst's tenth command waits for nine others.",
		head:  []string{"broker", "", "spaced p50", "p99", "burst p50", "p99"},
	}
	for _, broker := range []string{nodelay, stock, embedded} {
		for _, s := range r.systems("spaced") {
			spaced, burst := r.of("spaced", broker, s, 1, 0), r.of("burst", broker, s, 1, 0)
			if len(spaced) == 0 || len(burst) == 0 {
				continue
			}
			t.rows = append(t.rows, []string{
				broker, s,
				fmt.Sprintf("%.0f", middle(spaced, toResult50)), fmt.Sprintf("%.0f", middle(spaced, toResult99)),
				fmt.Sprintf("%.0f", middle(burst, toResult50)), fmt.Sprintf("%.0f", middle(burst, toResult99)),
			})
		}
	}
	return t
}

func (r report) events() table {
	t := table{
		title: "Events: from the phone to MQTT",
		note:  "Microseconds from the phone's connection to its answer, and to the event at a subscriber; one event after the other.",
		head:  []string{"", "answer p50", "p99", "on MQTT p50", "p99", "added p50"},
	}
	for _, s := range r.systems("events") {
		own := r.of("events", nodelay, s, 200, 0)
		t.rows = append(t.rows, []string{
			s, fmt.Sprintf("%.0f", middle(own, toPhone50)), fmt.Sprintf("%.0f", middle(own, toPhone99)),
			fmt.Sprintf("%.0f", middle(own, toResult50)), fmt.Sprintf("%.0f", middle(own, toResult99)), fmt.Sprintf("%.0f", r.added(s)),
		})
	}
	return t
}

// added is by how much a system's event is later than that of the least bridge in the same round.
func (r report) added(system string) float64 {
	var all []float64
	for _, f := range r.of("events", nodelay, system, 200, 0) {
		for _, g := range r.of("events", nodelay, systemLeast, 200, 0) {
			if f.Round == g.Round {
				all = append(all, f.ToResult50-g.ToResult50)
			}
		}
	}
	return median(all)
}

func (r report) throughput() table {
	t := table{
		title: "Many phones, one command at a time for each, at most 200 in all",
		note: "Commands a second. In brackets, with phones that take 20 ms: of the ideal, which is what the phones themselves can do; " +
			"with phones that answer at once: of the least bridge.",
		head: []string{"phones", "phone time"},
	}
	systems := r.systems("throughput")
	t.head = append(t.head, systems...)
	for _, n := range r.phones("throughput") {
		for _, ms := range []float64{0, 20} {
			row := []string{fmt.Sprint(n), fmt.Sprintf("%.0f ms", ms)}
			least := r.of("throughput", nodelay, systemLeast, n, ms)
			for _, s := range systems {
				own := r.of("throughput", nodelay, s, n, ms)
				cell := fmt.Sprintf("%.0f", middle(own, rate))
				switch {
				case len(own) == 0:
					cell = "-"
				case s == systemEcho || s == systemHTTP && ms == 0 || s == systemLeast && ms == 0:
				case ms > 0:
					cell += fmt.Sprintf(" (%.0f %%)", 100*ofIdeal(own))
				default:
					cell += fmt.Sprintf(" (%.0f %%)", 100*ratio(own, least, rate))
				}
				row = append(row, cell)
			}
			t.rows = append(t.rows, row)
		}
	}
	return t
}

// ofIdeal is the part of the commands that the phones can do which a system had them do.
func ofIdeal(rounds []figure) float64 {
	return middle(rounds, func(f figure) float64 {
		return f.Rate * f.PhoneMS / 1000 / float64(cmp.Or(f.Outstanding, 1))
	})
}

func (r report) hang() table {
	t := table{
		title: "Twenty phones of 20 ms, and one of them never answers",
		note:  "What the others notice: microseconds from the publish to the result, of the commands that ended well.",
		head:  []string{"", "none hangs p50", "p99", "one hangs p50", "p99", "p99 of one to none", "unanswered"},
	}
	for _, s := range r.systems("hang, none does") {
		none, one := r.of("hang, none does", nodelay, s, 20, 20), r.of("hang, one does", nodelay, s, 20, 20)
		t.rows = append(t.rows, []string{
			s, fmt.Sprintf("%.0f", middle(none, toResult50)), fmt.Sprintf("%.0f", middle(none, toResult99)),
			fmt.Sprintf("%.0f", middle(one, toResult50)), fmt.Sprintf("%.0f", middle(one, toResult99)),
			fmt.Sprintf("%.2f", ratio(one, none, toResult99)), fmt.Sprint(total(one, func(f figure) int { return f.Unanswered })),
		})
	}
	return t
}

// total adds something up over the rounds.
func total(rounds []figure, of func(figure) int) (sum int) {
	for _, f := range rounds {
		sum += of(f)
	}
	return sum
}

func (r report) memory() table {
	return r.bySize("memory", table{
		title: "Memory",
		note:  "MiB in RAM (VmRSS): with nothing to do, and after a command to every phone.",
	}, func(rounds []figure) string {
		return fmt.Sprintf("%.1f, then %.1f", middle(rounds, idleMiB), middle(rounds, touchedMiB))
	})
}

// bySize completes the table of a part that has a cell for each number of phones and each system.
func (r report) bySize(part string, t table, cell func(rounds []figure) string) table {
	systems := r.systems(part)
	t.head = append([]string{"phones"}, systems...)
	for _, n := range r.phones(part) {
		row := []string{fmt.Sprint(n)}
		for _, s := range systems {
			row = append(row, cell(r.of(part, nodelay, s, n, 0)))
		}
		t.rows = append(t.rows, row)
	}
	return t
}

func idleMiB(f figure) float64    { return f.MemoryMiB }
func touchedMiB(f figure) float64 { return f.TouchedMiB }
func startMS(f figure) float64    { return f.StartMS }

func (r report) start() table {
	return r.bySize("start", table{
		title: "Start",
		note:  `Milliseconds from the start of the process to "online" at a subscriber.`,
	}, func(rounds []figure) string { return fmt.Sprintf("%.0f", middle(rounds, startMS)) })
}

func (r report) idle() table {
	t := table{
		title: "Doing nothing with 1,000 phones",
		note:  "Processor time, of one processor. snom2mqtt looks every minute whether each phone is there.",
		head:  []string{"", "of a processor"},
	}
	for _, s := range r.systems("idle") {
		t.rows = append(t.rows, []string{s, fmt.Sprintf("%.2f %%", 100*middle(r.of("idle", nodelay, s, 1000, 0), idleCPU))})
	}
	return t
}

func idleCPU(f figure) float64 { return f.IdleCPU }

func (r report) order() table {
	t := table{
		title: "A million commands, four at a time for each of 100 phones",
		head:  []string{"", "commands", "out of order", "twice", "unanswered", "not ok", "two at once at a phone"},
	}
	for _, s := range r.systems("order") {
		own := r.of("order", nodelay, s, 100, 0)
		row := []string{s}
		for _, of := range []func(figure) int{
			func(f figure) int { return f.Commands }, func(f figure) int { return f.Disorder }, func(f figure) int { return f.Twice },
			func(f figure) int { return f.Unanswered }, func(f figure) int { return f.NotOK }, func(f figure) int { return f.Overlaps },
		} {
			row = append(row, fmt.Sprint(total(own, of)))
		}
		t.rows = append(t.rows, row)
	}
	return t
}

// print writes the report for a terminal.
func (r report) print(w io.Writer) {
	for _, t := range r.tables() {
		fmt.Fprintf(w, "\n%s\n", t.title)
		if t.note != "" {
			fmt.Fprintln(w, t.note)
		}
		tab := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		for _, row := range append([][]string{t.head}, t.rows...) {
			fmt.Fprintln(tab, "  "+strings.Join(row, "\t"))
		}
		_ = tab.Flush() // as the others: what the terminal does not take is not there
	}
}
