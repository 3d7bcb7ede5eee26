package main

import "fmt"

// targets holds what was measured of snom2mqtt against what is promised.
func (r report) targets() table {
	t := table{
		title: "What is promised, and what was measured",
		head:  []string{"", "promised", "measured", ""},
	}
	add := func(measured bool, name, promised, value string, kept bool) {
		if !measured {
			return
		}
		verdict := "kept"
		if !kept {
			verdict = "MISSED"
		}
		t.rows = append(t.rows, []string{name, promised, value, verdict})
	}
	most := func(rounds int, name, unit string, value, limit float64) {
		add(rounds > 0, name, fmt.Sprintf("at most %g%s", limit, unit), fmt.Sprintf("%.2f%s", value, unit), value < limit+0.005)
	}

	ours, floor := r.of("closed", nodelay, systemOurs, 1, 0), r.of("closed", nodelay, systemFloor, 1, 0)
	most(len(ours), "publish to the phone having the request, median", " x floor", ratio(ours, floor, toPhone50), 1.5)
	most(len(ours), "the same, 99th percentile", " x the floor's", ratio(ours, floor, toPhone99), 2)
	most(len(ours), "publish to the result, median", " x floor", ratio(ours, floor, toResult50), 1.4)
	slow, slowFloor := r.of("closed", stock, systemOurs, 1, 0), r.of("closed", stock, systemFloor, 1, 0)
	most(len(slow), "the same, Mosquitto without set_tcp_nodelay", " x floor", ratio(slow, slowFloor, toResult50), 1.4)
	requests := func(f figure) float64 { return f.Requests }
	most(len(ours), "HTTP requests for a command", "", middle(ours, requests), 1)
	first := r.of("memory", nodelay, systemOurs, 1, 0)
	most(len(first), "the same, for the first one of a phone", "", middle(first, requests), 2)
	for _, want := range []struct {
		phones int
		took   float64 // by a phone for a request, in ms
		share  float64
	}{{100, 20, 0.90}, {1000, 20, 0.90}, {100, 0, 0.75}, {1000, 0, 0.75}} {
		own := r.of("throughput", nodelay, systemOurs, want.phones, want.took)
		for _, of := range []struct{ system, words string }{
			{systemLeast, "the least bridge"},
			{systemPLeast, "the least bridge with the same libraries"},
		} {
			least := r.of("throughput", nodelay, of.system, want.phones, want.took)
			share := ratio(own, least, rate)
			add(len(own) > 0 && len(least) > 0, fmt.Sprintf("%d phones of %g ms: commands a second, as a share of %s of the same round", want.phones, want.took, of.words),
				fmt.Sprintf("at least %.2f", want.share), fmt.Sprintf("%.2f", share), share >= want.share-0.005)
		}
	}
	none, one := r.of("hang, none does", nodelay, systemOurs, 20, 20), r.of("hang, one does", nodelay, systemOurs, 20, 20)
	most(len(one), "one of 20 phones hangs: 99th percentile of the others", " x without", ratio(one, none, toResult99), 1.2)
	unanswered := func(f figure) int { return f.Unanswered }
	most(len(one), "the same: commands without an answer", "", float64(total(one, unanswered)), 0)
	for _, want := range []struct {
		phones int
		mib    float64
	}{{1, 12}, {1000, 25}, {10_000, 60}} {
		own := r.of("memory", nodelay, systemOurs, want.phones, 0)
		most(len(own), fmt.Sprintf("memory after a command to each phone, %d: the worst round", want.phones), " MiB", highest(own, touchedMiB), want.mib)
	}
	for _, want := range []struct {
		phones int
		ms     float64
	}{{1, 30}, {10_000, 150}} {
		own := r.of("start", nodelay, systemOurs, want.phones, 0)
		most(len(own), fmt.Sprintf("start to online, phones: %d", want.phones), " ms", middle(own, startMS), want.ms)
	}
	pages, pagesFloor := r.of("show", nodelay, systemOurs, 1, 0), r.of("show", nodelay, systemPLeast, 1, 0)
	most(len(pages), "show to the phone having the page, median", " x the least bridge with the same libraries", ratio(pages, pagesFloor, toPhone50), 1.3)
	r.announceTargets(most)
	r.consoleTargets(most)
	order := r.of("order", nodelay, systemOurs, 100, 0)
	bad := total(order, func(f figure) int { return f.Disorder + f.Twice + f.Unanswered })
	most(len(order), fmt.Sprintf("out of order, twice or unanswered, of %d commands", total(order, func(f figure) int { return f.Commands })), "", float64(bad), 0)
	idle := r.of("idle", nodelay, systemOurs, 1000, 0)
	most(len(idle), "idle with 1,000 phones", " % of a processor", 100*middle(idle, idleCPU), 0.5)
	return t
}
