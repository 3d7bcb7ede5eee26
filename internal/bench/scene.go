package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"sync"
	"time"
)

// A scene is a broker with all that runs at it.
type scene struct {
	broker    *process // nil: it is in snom2mqtt
	phones    *phones
	gen       *generator
	systems   map[string]*process
	addr      string            // of the broker
	online    map[string]int64  // when systems said so
	receivers map[string]string // where systems hear phones
	reading   sync.WaitGroup
}

// A staging says what to put into a scene.
type staging struct {
	broker  string
	phones  int
	systems []string
	env     []string // further settings of snom2mqtt
	brief   bool     // the start is all that matters
	hear    bool     // phones report events
}

// stage builds a scene and waits until everything in it is ready.
func (b *bench) stage(st staging) (*scene, error) {
	s := &scene{systems: map[string]*process{}, online: map[string]int64{}}
	if err := b.fill(s, st); err != nil {
		s.strike()
		return nil, err
	}
	return s, nil
}

// folder makes a folder whose name begins with prefix. Mosquitto, started as root, becomes another user, who may read it.
func (b *bench) folder(prefix string) (string, error) {
	dir, err := os.MkdirTemp(b.dir, prefix)
	if err != nil {
		return "", err
	}
	return dir, os.Chmod(dir, 0o755)
}

func (b *bench) fill(s *scene, st staging) error {
	dir, err := b.folder("scene-")
	if err != nil {
		return err
	}
	if s.phones, err = newPhones(st.phones); err != nil {
		return err
	}
	setup := bridgeSetup{
		dir: dir, self: b.self, program: b.program, other: b.other, rivals: b.rivals, port: s.phones.port, phones: st.phones,
		env: append([]string{"SNOM2MQTT_AVAILABILITY_INTERVAL=24h"}, st.env...),
	}
	if st.hear {
		s.receivers = map[string]string{}
		for _, system := range st.systems {
			s.receivers[system] = freeAddr()
		}
		setup.receivers = s.receivers
	}
	if st.broker == embedded {
		setup.embeds, setup.broker = true, freeAddr()
		if err := s.start(setup, systemOurs); err != nil {
			return err
		}
		if err := reachable(s.systems[systemOurs], setup.broker); err != nil {
			return err
		}
	} else if s.broker, setup.broker, err = startMosquitto(dir, st.broker); err != nil {
		return err
	}
	s.addr = setup.broker
	if s.gen, err = newGenerator(s.addr, s.phones, st.phones); err != nil {
		return err
	}
	s.reading.Go(func() { _ = s.gen.client.serve(s.gen.receive) }) // ends when it is closed
	for _, system := range st.systems {
		if s.systems[system] == nil {
			if err := s.start(setup, system); err != nil {
				return err
			}
		}
		if s.online[system], err = s.gen.await(b.ctx, base(system), "online"); err != nil {
			return errors.Join(err, s.systems[system].died())
		}
	}
	if st.brief {
		return nil
	}
	for _, p := range s.systems {
		p.settle()
	}
	return nil
}

func (s *scene) start(setup bridgeSetup, system string) error {
	p, err := setup.start(system)
	if err == nil {
		s.systems[system] = p
	}
	return err
}

// strike ends everything in the scene.
func (s *scene) strike() {
	for _, system := range slices.Sorted(maps.Keys(s.systems)) {
		s.systems[system].stop()
	}
	if s.gen != nil {
		s.gen.client.close()
		s.reading.Wait()
	}
	if s.broker != nil {
		s.broker.stop()
	}
	if s.phones != nil {
		_ = s.phones.close()
	}
}

// A figure is what was measured of one system in one round.
type figure struct {
	Part        string  `json:"part"`
	Broker      string  `json:"broker"`
	System      string  `json:"system"`
	Round       int     `json:"round"`
	Phones      int     `json:"phones"`
	Outstanding int     `json:"outstanding,omitempty"`
	PhoneMS     float64 `json:"phone_ms"` // that the phone takes for a command

	Commands   int     `json:"commands"`
	ToPhone50  float64 `json:"to_phone_p50_us,omitempty"`
	ToPhone99  float64 `json:"to_phone_p99_us,omitempty"`
	ToResult50 float64 `json:"to_result_p50_us,omitempty"`
	ToResult99 float64 `json:"to_result_p99_us,omitempty"`
	Rate       float64 `json:"commands_per_s,omitempty"`
	Requests   float64 `json:"requests_per_command"`
	CPU        float64 `json:"cpu_us_per_command,omitempty"`
	BrokerCPU  float64 `json:"broker_cpu_us_per_command,omitempty"`
	BenchCPU   float64 `json:"bench_cpu_us_per_command,omitempty"` // generator, phones and subscriber
	Others     float64 `json:"cpu_of_others"`                      // part of the machine that had nothing to do with the measurement

	Disorder   int `json:"out_of_order"`
	Twice      int `json:"twice"`
	Unanswered int `json:"unanswered"`
	NotOK      int `json:"not_ok"`
	Overlaps   int `json:"two_at_once"`

	MemoryMiB  float64 `json:"memory_mib,omitempty"`       // idle
	TouchedMiB float64 `json:"memory_after_mib,omitempty"` // after a command to every phone
	StartMS    float64 `json:"start_ms,omitempty"`         // from the start of the process to "online"
	IdleCPU    float64 `json:"idle_cpu,omitempty"`         // of one processor
	Jitter99   float64 `json:"jitter_p99_us,omitempty"`    // how late packets of announcements arrive

	toPhone, toResult []float64 // in the order of the commands
}

// measure sends a load to a system. Where other work on the machine took too much of it, the measurement is made
// again, some times; the calmest one counts.
func (b *bench) measure(s *scene, system string, l load) (best figure, err error) {
	for range b.tries {
		f, err := s.measureOnce(b.ctx, system, l)
		if err != nil {
			return f, err
		}
		if best.Commands == 0 || f.Others < best.Others {
			best = f
		}
		if best.Others <= b.calm {
			break
		}
	}
	return best, nil
}

func (s *scene) measureOnce(ctx context.Context, system string, l load) (figure, error) {
	l.base = base(system)
	p := s.systems[system]
	used := s.used(p)
	requests, overlaps := s.phones.requests.Load(), s.phones.overlaps.Load()
	machine, own := machineTime(), s.ownTime()
	begin := now()
	var r *run
	var err error
	switch system {
	case systemHTTP:
		r, err = s.gen.http(ctx, l, func() dialler { return newCaller("") })
	case systemGoHTTP:
		r, err = s.gen.http(ctx, l, func() dialler { return newLibraryCaller() })
	case systemPOneWay:
		r, err = s.gen.oneWayPaho(ctx, s.addr, l)
	case systemOneWay:
		r, err = s.gen.oneWay(ctx, s.addr, l)
	default:
		if receiver := s.receivers[system]; receiver != "" {
			r, err = s.gen.report(ctx, l, receiver)
		} else {
			r, err = s.gen.carry(ctx, l)
		}
	}
	if err != nil {
		return figure{}, err
	}
	took := time.Duration(now() - begin)
	f := r.figure(!slices.Contains([]string{systemEcho, systemOneWay, systemPEcho, systemPOneWay}, system) && s.receivers == nil)
	f.System, f.Phones, f.Outstanding = system, l.phones, l.outstanding
	f.PhoneMS = float64(s.phones.time.Load()) / 1e6
	for i, d := range s.used(p) {
		*[]*float64{&f.CPU, &f.BrokerCPU, &f.BenchCPU}[i] = micros(d-used[i]) / float64(max(f.Commands, 1))
	}
	if p != nil {
		if err := p.died(); err != nil {
			return f, err
		}
	}
	f.Requests = float64(s.phones.requests.Load()-requests) / float64(max(f.Commands, 1))
	f.Overlaps = int(s.phones.overlaps.Load() - overlaps)
	f.Others = max(0, float64(machineTime()-machine-(s.ownTime()-own))/float64(took)/float64(processors()))
	return f, nil
}

// used is the processor time of a system, of the broker and of this process.
func (s *scene) used(system *process) (t [3]time.Duration) {
	if system != nil {
		t[0] = system.cpu()
	}
	if s.broker != nil {
		t[1] = s.broker.cpu()
	}
	t[2] = ownTime()
	return t
}

// ownTime is the processor time of all that belongs to the scene.
func (s *scene) ownTime() time.Duration {
	sum := ownTime()
	if s.broker != nil {
		sum += s.broker.cpu()
	}
	for _, p := range s.systems {
		sum += p.cpu()
	}
	return sum
}

// figure is what a run comes to. phones says that phones were asked.
func (r *run) figure(phones bool) figure {
	f := figure{Commands: int(r.sent.Load()), Disorder: int(r.disorder.Load())}
	var first, last int64
	for i := range f.Commands {
		rec := &r.records[i]
		if first == 0 {
			first = rec.sent
		}
		if seen := rec.seen.Load(); seen > 0 {
			f.toPhone = append(f.toPhone, float64(seen-rec.sent)/1e3)
		}
		if rec.done > 0 {
			if rec.ok {
				f.toResult = append(f.toResult, float64(rec.done-rec.sent)/1e3)
			}
			last = max(last, rec.done)
		}
		if rec.said == 0 {
			f.Unanswered++
		} else if !rec.ok {
			f.NotOK++
		}
		if rec.said > 1 || rec.runs.Load() > 1 {
			f.Twice++
		}
		if phones && rec.ok && rec.runs.Load() == 0 {
			f.NotOK++ // the bridge says what is not true
		}
	}
	f.ToPhone50, f.ToPhone99 = percentiles(f.toPhone)
	f.ToResult50, f.ToResult99 = percentiles(f.toResult)
	if last > first {
		f.Rate = float64(len(f.toResult)) / (float64(last-first) / 1e9)
	}
	return f
}

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

func (f figure) String() string {
	return fmt.Sprintf("%-10s %-20s %-10s %5d/%-4d %3.0fms  phone %7.0f /%7.0f  result %7.0f /%7.0f  %7.0f/s  %.2f req  %4.0f+%3.0f+%3.0f us CPU  others %.0f%%",
		f.Part, f.Broker, f.System, f.Phones, f.Outstanding, f.PhoneMS, f.ToPhone50, f.ToPhone99, f.ToResult50, f.ToResult99, f.Rate, f.Requests, f.CPU, f.BrokerCPU, f.BenchCPU, 100*f.Others)
}
