package main

import (
	"fmt"
	"os"
	"slices"
	"time"
)

// A part is one question that is asked of all systems.
type part struct {
	name string
	does string
	run  func(*bench) error
}

// parts lists them in the order in which they are run.
func parts() []part {
	return []part{
		{"latency", "one phone that answers at once: one command after the other, spaced, and in bursts; three brokers", (*bench).latency},
		{"events", "phones that report events, one after the other, until these are on MQTT", (*bench).events},
		{"throughput", "1 to 10,000 phones, one command at a time for each; phones that answer at once or in 20 ms", (*bench).throughput},
		{"hang", "20 phones, of which one never answers: its effect on the others", (*bench).hang},
		{"memory", "memory when idle and after a command to every phone, 1 to 10,000 phones", (*bench).memory},
		{"start", "from the start of the process to \"online\"", (*bench).start},
		{"idle", "processor time of doing nothing with 1,000 phones, availability on", (*bench).idle},
		{"sip", "1,000 phones driven by SIP that answer in 20 ms, beside a bare NOTIFY", (*bench).sip},
		{"show", "a page on the display of a phone, beside the least bridge with the libraries, and beside a message and two HTTP exchanges", (*bench).show},
		{"announce", "20 announcements at once beside commands, and how late their packets arrive", (*bench).announce},
		{"console", "one phone, without readers of the console, with those that read and do not read, and with 5,000 connections held", (*bench).console},
		{"order", "a million commands, several at a time for each phone: lost, twice, out of order", (*bench).order},
	}
}

// bridges are the systems that are bridges, of those that are to be run.
func (b *bench) bridges(of ...string) (all []string) {
	for _, s := range of {
		if slices.Contains(b.systems, s) {
			all = append(all, s)
		}
	}
	return all
}

// latency measures one phone.
func (b *bench) latency() error {
	for _, broker := range []string{nodelay, stock, embedded} {
		systems := b.bridges(systemPEcho, systemEcho, systemLeast, systemOurs, systemOther, systemPython, systemNodeRED)
		if broker == embedded {
			systems = b.bridges(systemPEcho, systemEcho, systemOurs) // the broker lives and dies with it
		}
		err := b.on(staging{broker: broker, phones: 1, systems: systems}, func(s *scene) error {
			loads := []struct {
				part  string
				extra []string // floors that are no process
				load  load
			}{
				{"closed", []string{systemPOneWay, systemGoHTTP, systemOneWay, systemHTTP}, load{outstanding: 1, count: b.full(2000, 200), limit: 2 * time.Second}},
				{"spaced", nil, load{burst: 1, count: b.full(15, 3), every: 100 * time.Millisecond}},
				{"burst", nil, load{burst: 10, count: b.full(200, 20), every: 20 * time.Millisecond}},
			}
			return b.rounds(s, func(round int) error {
				for _, l := range loads {
					l.load.phones = 1
					for _, system := range rotate(slices.Concat(l.extra, systems), round) {
						if err := b.record(s, l.part, broker, system, round, l.load); err != nil {
							return err
						}
					}
				}
				b.addFloor(systemFloor, systemPOneWay, systemPEcho, systemGoHTTP, broker, round)
				b.addFloor(systemBare, systemOneWay, systemEcho, systemHTTP, broker, round)
				return nil
			})
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// events measures the way back, on a broker without Nagle's algorithm. Its floor is the least bridge.
func (b *bench) events() error {
	const phones = 200 // each may report so much at a time
	systems := b.bridges(systemLeast, systemOurs, systemOther)
	return b.on(staging{broker: nodelay, phones: phones, systems: systems, hear: true}, func(s *scene) error {
		for round := range b.count {
			for _, system := range rotate(systems, round) {
				l := load{phones: phones, outstanding: 1, count: b.full(1000, 200), limit: 2 * time.Second}
				if err := b.record(s, "events", nodelay, system, round, l); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// throughput measures many phones.
func (b *bench) throughput() error {
	for _, phones := range b.sizes {
		systems := b.bridges(systemEcho, systemLeast, systemPLeast, systemOurs, systemOther, systemPython, systemNodeRED)
		err := b.on(staging{broker: nodelay, phones: phones, systems: systems}, func(s *scene) error {
			return b.rounds(s, func(round int) error {
				for _, took := range []time.Duration{0, 20 * time.Millisecond} {
					s.phones.time.Store(int64(took))
					l := load{phones: phones, outstanding: min(phones, 200), count: b.full(100_000, 10_000), limit: b.fullTime(3*time.Second, time.Second/2)}
					for _, system := range rotate(append([]string{systemHTTP}, systems...), round) {
						if err := b.record(s, "throughput", nodelay, system, round, l); err != nil {
							return err
						}
					}
				}
				return nil
			})
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// hang measures what a phone that never answers does to the others.
func (b *bench) hang() error {
	systems := b.bridges(systemOurs, systemOther, systemPython, systemNodeRED)
	st := staging{broker: nodelay, phones: 20, systems: systems, env: []string{"SNOM2MQTT_REQUEST_TIMEOUT=1s"}}
	return b.on(st, func(s *scene) error {
		s.phones.time.Store(int64(20 * time.Millisecond))
		return b.rounds(s, func(round int) error {
			for _, dead := range []int{-1, 7} {
				s.phones.hanging.Store(int64(dead))
				for _, system := range rotate(systems, round) {
					name := "hang, none does"
					if dead >= 0 {
						name = "hang, one does"
					}
					l := load{phones: 20, outstanding: 20, count: 100_000, limit: b.fullTime(4*time.Second, time.Second)}
					if err := b.record(s, name, nodelay, system, round, l); err != nil {
						return err
					}
				}
			}
			return nil
		})
	})
}

// memory measures how much memory a bridge takes: a build of snom2mqtt once a round, each time in a new process, the others
// once.
func (b *bench) memory() error {
	for _, phones := range b.sizes {
		for round := range b.count {
			for _, system := range rotate(b.bridges(systemOurs, systemOther, systemPython, systemNodeRED), round) {
				if round > 0 && system != systemOurs && system != systemOther {
					continue
				}
				if err := b.memoryOf(system, phones, round); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// memoryOf measures a new process of a system: when it is idle, and after a command to each phone.
func (b *bench) memoryOf(system string, phones, round int) error {
	return b.on(staging{broker: nodelay, phones: phones, systems: []string{system}}, func(s *scene) error {
		p := s.systems[system]
		if err := b.sleep(b.fullTime(8*time.Second, time.Second)); err != nil { // the start is over
			return err
		}
		idle := p.rss()
		f, err := b.measure(s, system, load{phones: phones, outstanding: min(phones, 200), count: phones})
		if err != nil {
			return err
		}
		p.settle()
		f.Part, f.Broker, f.Round, f.MemoryMiB, f.TouchedMiB = "memory", nodelay, round, idle, p.rss()
		b.add(f)
		return nil
	})
}

// start measures how long a bridge takes to be there.
func (b *bench) start() error {
	for _, phones := range []int{1, 1000, 10_000} {
		for round := range b.full(7, 2) {
			for _, system := range rotate(b.bridges(systemOurs, systemOther, systemPython, systemNodeRED), round) {
				err := b.on(staging{broker: nodelay, phones: phones, systems: []string{system}, brief: true}, func(s *scene) error {
					b.add(figure{Part: "start", Broker: nodelay, System: system, Round: round, Phones: phones,
						StartMS: float64(s.online[system]-s.systems[system].began) / 1e6})
					return nil
				})
				if err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// idle measures what a bridge costs that has nothing to do.
func (b *bench) idle() error {
	for _, system := range b.bridges(systemOurs, systemOther, systemPython, systemNodeRED) {
		st := staging{broker: nodelay, phones: 1000, systems: []string{system}, env: []string{"SNOM2MQTT_AVAILABILITY_INTERVAL=60s"}}
		err := b.on(st, func(s *scene) error {
			p := s.systems[system]
			// Once, so that it knows all phones and has asked them what they are.
			if _, err := b.measure(s, system, load{phones: 1000, outstanding: 100, count: 1000}); err != nil {
				return err
			}
			if err := b.sleep(b.fullTime(5*time.Second, time.Second)); err != nil {
				return err
			}
			used, begin := p.cpu(), now()
			if err := b.sleep(b.fullTime(130*time.Second, 3*time.Second)); err != nil {
				return err
			}
			b.add(figure{Part: "idle", Broker: nodelay, System: system, Phones: 1000, IdleCPU: float64(p.cpu()-used) / float64(now()-begin)})
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// order sends very many commands.
func (b *bench) order() error {
	st := staging{broker: nodelay, phones: 100, systems: []string{systemOurs}}
	return b.on(st, func(s *scene) error {
		f, err := s.measureOnce(b.ctx, systemOurs, load{phones: 100, outstanding: 400, count: b.full(b.million, 20_000)})
		f.Part, f.Broker = "order", nodelay
		b.add(f)
		return err
	})
}

// on builds a scene, has it used, and strikes it.
func (b *bench) on(st staging, use func(*scene) error) error {
	s, err := b.stage(st)
	if err != nil {
		return err
	}
	defer s.strike()
	return use(s)
}

// rounds repeats something, after every system has had a few commands for every phone.
func (b *bench) rounds(s *scene, do func(round int) error) error {
	for system := range s.systems {
		l := load{base: base(system), phones: len(s.gen.names), outstanding: min(len(s.gen.names), 100), count: max(50, len(s.gen.names))}
		if _, err := s.gen.carry(b.ctx, l); err != nil {
			return err
		}
	}
	if err := b.sleep(2 * time.Second); err != nil { // a bridge may ask a phone what it is after its first command
		return err
	}
	for round := range b.count {
		if err := do(round); err != nil {
			return err
		}
	}
	return nil
}

// addFloor adds the floor of one command after the other: a message to the bridge and a request to the phone; and for
// the result, a message to the bridge and one back, and the phone's answer. Each command's floor is the sum of what was
// measured of its parts in that round.
func (b *bench) addFloor(name, oneWay, echo, request, broker string, round int) {
	samples := func(system string) figure {
		i := slices.IndexFunc(b.figures, func(f figure) bool {
			return f.Part == "closed" && f.Broker == broker && f.System == system && f.Round == round
		})
		if i < 0 {
			return figure{}
		}
		return b.figures[i]
	}
	there, back, asked := samples(oneWay), samples(echo), samples(request)
	f := figure{Part: "closed", Broker: broker, System: name, Round: round, Phones: 1, Outstanding: 1}
	f.ToPhone50, f.ToPhone99 = percentiles(sums(there.toResult, asked.toPhone))
	f.ToResult50, f.ToResult99 = percentiles(sums(back.toResult, asked.toResult))
	b.add(f)
}

// record measures and keeps the figure.
func (b *bench) record(s *scene, part, broker, system string, round int, l load) error {
	f, err := b.measure(s, system, l)
	if err != nil {
		return fmt.Errorf("%s, %s: %w", part, system, err)
	}
	f.Part, f.Broker, f.Round = part, broker, round
	b.add(f)
	return nil
}

func (b *bench) add(f figure) {
	b.figures = append(b.figures, f)
	fmt.Fprintln(os.Stderr, f)
}

// full is a number for a full run, or for a short one.
func (b *bench) full(n, short int) int {
	if b.short {
		return short
	}
	return n
}

func (b *bench) fullTime(d, short time.Duration) time.Duration {
	return time.Duration(b.full(int(d), int(short)))
}

// sleep waits, or says that it was interrupted.
func (b *bench) sleep(d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-b.ctx.Done():
		return errStopped
	}
}

// rotate lets each round begin with another system.
func rotate(systems []string, round int) []string {
	if len(systems) == 0 {
		return nil
	}
	n := round % len(systems)
	return slices.Concat(systems[n:], systems[:n])
}
