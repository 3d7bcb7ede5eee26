package bridge

import (
	"cmp"
	"context"
	"sync/atomic"

	"github.com/snom2mqtt/snom2mqtt/snom"
	"github.com/snom2mqtt/snom2mqtt/snom/actionurl"
)

// Phone carries out commands. It knows how: its transport, its dialect, its address. *snom.Client is one.
type Phone interface {
	// Plan returns the steps that carry out cmd on a phone of model m, a warning where that is doubtful, and an error that
	// wraps [snom.ErrUnsupported] where it is certainly impossible. It does no I/O.
	Plan(cmd snom.Command, m snom.Model) (steps []snom.Step, warning string, err error)
	// Send makes the request of one step. It never repeats what may have reached the phone, and writes nothing after the
	// step's NotAfter.
	Send(ctx context.Context, step snom.Step) (snom.Reply, error)
}

// A Pinger is a [Phone] that can report whether it is reachable, at the cost of no login. Without it, a phone is taken
// for reachable until a command finds otherwise.
type Pinger interface {
	Ping(ctx context.Context) error
}

// A Prober is a [Phone] that can be asked what it is, at the cost of no failed login.
type Prober interface {
	Probe(ctx context.Context) (snom.Info, error)
}

// An Identifier is a [Phone] that accepts requests also from a device that may be another one than a phone. Identified
// reports whether anything has shown that it is a phone.
type Identifier interface {
	Identified() bool
}

// A Configurer is a [Phone] whose settings can be read and written.
type Configurer interface {
	// ReadSettings returns the settings called names, as far as the phone shows them; without names, all that it shows.
	ReadSettings(ctx context.Context, names ...string) (map[string]snom.Setting, error)
	// SettingsStep returns the step that writes settings.
	SettingsStep(settings map[string]string) (snom.Step, error)
}

// PhoneConfig is one phone of a [Roster].
type PhoneConfig struct {
	Name  string // [a-z0-9][a-z0-9_-]{0,63}
	URL   string // the phone's address: what belongs to the phone and not to its name is kept by it; empty: the name is
	Phone Phone
	Model snom.Model // as set: it counts where the phone does not say what it is
	HTTPS bool       // requests to the phone go over https
	// NoLogin says that no login is configured.
	NoLogin bool
	// Screen is the size of its display, and LED the number of the light of P1, where the model's is not known; zero: not set.
	Screen snom.Screen
	LED    int
	Keys   *actionurl.Keys    // that have a meaning; nil: none
	Home   *Home              // for programs that show it; nil: nothing is set
	Allow  map[snom.Verb]bool // commands that are enabled although they are disabled by default
	Mask   map[snom.Verb]bool // commands whose argument is not shown
	// Fingerprint and Login are fingerprints of settings: equal texts are equal settings, of everything and of what
	// decides whether a login succeeds. A phone that refused the login is tried again when Login has changed.
	Fingerprint, Login string
}

// A Home is what the settings say of a phone for the programs that show it.
type Home struct {
	Area        string // where it is
	Firmware    string // the newest one for it
	FirmwareURL string // of its file, as [snom.FirmwareURL] takes it; empty: Snom's
}

// A phone is one phone of the roster. It exists for as long as its name is in the roster.
type phone struct {
	b       *Bridge
	name    string
	profile atomic.Pointer[profile] // replaced, never changed; under the state's mutex
	state   phoneState
	poll    pollTime // guarded by the poller's mutex
}

// A profile is what is settled about a phone for now: it is replaced as a whole.
type profile struct {
	PhoneConfig
	model snom.Model // what the phone says that it is, or else that of the settings
	lane  *lane
	stop  string // why no job is taken any more; empty: jobs are taken
}

// newPhone returns a phone of the roster, with nothing known of it and nothing to do.
func newPhone(b *Bridge, cfg PhoneConfig, l *lane) *phone {
	p := &phone{b: b, name: cfg.Name}
	p.profile.Store(&profile{PhoneConfig: cfg, model: cfg.Model, lane: l})
	p.remember(cfg)
	return p
}

// remember puts into the status what the phone had reported to an earlier process. Commands are not checked against that:
// there may be another phone by now. The caller holds the state's mutex, or has made the phone.
func (p *phone) remember(cfg PhoneConfig) {
	if p.b == nil || p.b.cfg.Remembered == nil {
		return
	}
	i := &p.state.identity
	i.model, i.firmware, i.mac = p.b.cfg.Remembered(cfg.Name, cfg.URL)
}

// address is what a lane belongs to.
func (cfg PhoneConfig) address() string { return cmp.Or(cfg.URL, "name:"+cfg.Name) }

// add puts a job into the queue of the phone's lane. The job is answered at once where it is not taken.
func (p *phone) add(j job) {
	for {
		at := p.profile.Load()
		if at.stop != "" {
			j.cancel(Cancelled, at.stop)
			return
		}
		switch at.lane.add(j, p, p.b.cfg.QueueLength) {
		case moved: // the phone has another address, or none, since
			continue
		case Cancelled:
			j.cancel(Cancelled, at.lane.stopped())
		case Busy:
			j.cancel(Busy, p.b.queueFull())
		}
		return
	}
}

// configure gives the phone the settings of now and a lane, and reports whether anything is different. What is known
// of a phone whose settings changed is learned anew.
func (p *phone) configure(cfg PhoneConfig, l *lane) bool {
	s := &p.state
	s.mu.Lock()
	defer s.mu.Unlock()
	was := p.profile.Load()
	if was.Fingerprint == cfg.Fingerprint && was.lane == l {
		return false
	}
	s.forget()
	p.remember(cfg)
	p.profile.Store(&profile{PhoneConfig: cfg, model: cfg.Model, lane: l})
	return true
}
