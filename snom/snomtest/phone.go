package snomtest

import (
	"context"
	"fmt"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/snom2mqtt/snom2mqtt/snom"
)

// Config says what kind of phone it is. The zero Config is a phone as it comes out of the box: a D735
// with current firmware, no password, no quirks.
type Config struct {
	Name     string // in Requests and for ControlHandler; empty: "phone"
	Model    string // "D735", "snom320", "870", ...; empty: "D735"
	Firmware string // empty: "10.1.184.14"
	MAC      string // twelve hexadecimal digits; empty: made from Name, in Snom's range 000413
	// Dialect is the spelling of the firmware generation: "new" knows F_HOLD, the ringer caption
	// " Ringer" and lists cleared by "clear"; "old" knows F_R, "Play Ringer" and "0"; empty: both.
	Dialect  string
	OldPages bool // info.htm and the title in the markup of earlier firmware

	Auth               Auth
	Username, Password string
	// ServiceUsername and ServicePassword are the maintenance account, service_mode_login and service_mode_password: with
	// it the phone is as if it were not in user mode (Snomio/Documentation, docs/xml_definitions). Empty: it has none.
	ServiceUsername, ServicePassword string
	Realm                            string        // empty: "snom"
	NonceUses                        int           // requests a digest nonce is good for; 0: any number
	NonceLife                        time.Duration // how long it is good; 0: until the phone reboots
	NoStale                          bool          // a nonce that is used up gets a new one, but not the word stale=true
	LoginPage                        bool          // refuse credentials by a page with status 200 instead of 401
	// Challenge, when set, spells the WWW-Authenticate headers of a 401 instead of the phone.
	Challenge func(nonce string, stale bool) []string

	HiddenTags         bool // the setting use_hidden_tags: blocks remote control
	RestrictURIQueries bool // the setting restrict_uri_queries: blocks requests with parameters
	UserMode           bool // the setting admin_mode=off: settings cannot be read or written, but see ServiceUsername
	HTTPSOnly          bool // plain requests are sent to https by a 307
	LegacyTLS          bool // NewTLSServer speaks only TLS 1.0, with a cipher suite of that age

	// NeedKeepAlive gives it the quirk of D3xx and D7xx: the reply is empty without the header
	// "Connection: keep-alive", but minibrowser.htm hangs for eight seconds with it.
	NeedKeepAlive bool
	OneConnection bool          // the next connection waits until the last is closed
	HangUpReused  bool          // a second request on a connection finds it closed
	Latency       time.Duration // before each reply
	RebootTime    time.Duration // after a reboot requested over HTTP; 0: 30 s

	Screen   []byte            // what screen.bmp and its siblings are instead of a picture of their own
	Settings map[string]string // stored settings, action URLs among them
	Shows    SettingsFormat    // how it shows them; empty: as XML and as text
	// Directory holds names of its directory, which settings.xml shows as well.
	Directory []string
	ReadOnly  []string  // settings provisioned with permission R: writing them changes nothing
	Unkept    []string  // settings that are not shown as read-only, and stay as they are when they are written
	DeadDND   bool      // the key DND does nothing, as where it is disabled
	Lines     []string  // identities, user@host; nil: 27@pbx.example
	Encoding  Encoding  // of what action URLs carry; empty: EncodingPercent
	Callbacks Callbacks // what its minibrowser does with callbacks in a URL; empty: it fills them in
	// LikeD765 gives the phone the habits that users of a D765 saw in its action URLs: declining a call
	// calls action_disconnected_url, twice with two seconds between, a missed call calls it before
	// action_missed_url, $local has no scheme, and $nr_ongoing_calls is left in the URL as it is.
	LikeD765 bool

	// Dial connects to where action URLs point; nil: a net.Dialer.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
	// OnRequest, if set, is called with each request before the reply is sent. It may block, and must not call
	// methods of the phone that wait for requests.
	OnRequest func(Request)
	// OnAction, if set, is called with each action URL after the phone called it.
	OnAction func(Action)
	// FaultOf chooses the fault for one request, not carried out yet; when it returns none, the
	// fault of SetFault holds.
	FaultOf func(Request) Fault
}

// A Request is what the phone saw of one HTTP request, and its outcome.
type Request struct {
	Time       time.Time `json:"time"`
	Phone      string    `json:"phone"`
	Remote     string    `json:"remote"`
	Method     string    `json:"method"`
	Target     string    `json:"target"`     // path and query, byte for byte
	Status     int       `json:"status"`     // 0: no reply, or a broken one
	Auth       string    `json:"auth"`       // what the request carried: "none", "basic", "digest"
	Authorized bool      `json:"authorized"` // the phone let it in
	Executed   bool      `json:"executed"`   // it changed something, or pressed something
	Keys       []string  `json:"keys,omitempty"`
	Connection string    `json:"connection,omitempty"` // the Connection header
	Note       string    `json:"note,omitempty"`       // what was odd; empty for a request that was all right
}

// A Phone is one simulated phone. Make it with [New], inside the bubble when there is one.
// It is safe for concurrent use.
type Phone struct {
	config  Config
	single  chan struct{} // filled by the one request being served, with OneConnection
	stop    context.CancelFunc
	spawn   func(func(context.Context))           // starts what may run until Close
	onClose func(func()) (unregister func() bool) // calls back when Close is called
	wait    func()

	mu        sync.Mutex // guards what follows
	login     login
	fault     Fault
	held      chan struct{} // requests wait while not nil
	serving   int
	served    time.Time // end of the last request
	down      bool
	boots     int
	until     time.Time // end of the key sequence that is playing
	requests  []Request
	settings  map[string]string
	flash     map[string]string // what a reboot brings back
	listeners []*listener
	panel     panel
	browser   minibrowser
	modules   []snom.Module // expansion modules, the first beside the phone
	outbox    []Action
	sending   bool
	quiet     chan struct{} // closed when nothing is being sent
	radio     radio
	actions   []Action
}

// maxLog bounds the requests and the actions a phone remembers; the oldest half goes first.
const maxLog = 1 << 16

// New returns a phone that is switched on. Close it when it has called action URLs or rebooted.
func New(c Config) *Phone {
	c.Name = or(c.Name, "phone")
	c.Model = canonicalModel(or(c.Model, "D735"))
	c.Firmware = or(c.Firmware, "10.1.184.14")
	c.MAC = or(c.MAC, macOf(c.Name))
	c.Realm = or(c.Realm, "snom")
	c.Encoding = or(c.Encoding, EncodingPercent)
	if c.RebootTime == 0 {
		c.RebootTime = 30 * time.Second
	}
	if c.Lines == nil {
		c.Lines = []string{"27@pbx.example"}
	}
	if c.Dial == nil {
		c.Dial = new(net.Dialer).DialContext
	}
	// What the phone does on its own ends with Close.
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	p := &Phone{
		config:   c,
		single:   make(chan struct{}, 1),
		stop:     stop,
		spawn:    func(f func(context.Context)) { running.Go(func() { f(ctx) }) },
		onClose:  func(f func()) func() bool { return context.AfterFunc(ctx, f) },
		wait:     running.Wait,
		settings: maps.Clone(c.Settings),
		flash:    maps.Clone(c.Settings),
		quiet:    make(chan struct{}),
		requests: []Request{},
		actions:  []Action{},
	}
	if p.settings == nil {
		p.settings, p.flash = map[string]string{}, map[string]string{}
	}
	close(p.quiet)
	p.panel = newPanel(len(c.Lines))
	return p
}

// Close switches the phone off permanently: what it does on its own ends, requests it keeps waiting are
// hung up on. It returns when nothing of the phone runs any more. It never fails.
func (p *Phone) Close() error {
	p.stop()
	p.wait()
	return nil
}

// Name returns the name from the Config.
func (p *Phone) Name() string { return p.config.Name }

// Requests returns every request so far, oldest first.
func (p *Phone) Requests() []Request {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.requests)
}

// Executed returns the requests that were carried out, oldest first.
func (p *Phone) Executed() []Request {
	return slices.DeleteFunc(p.Requests(), func(r Request) bool { return !r.Executed })
}

// FailedLogins returns how many requests came with wrong credentials since New.
func (p *Phone) FailedLogins() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.login.failed
}

// Locked says whether bad logins have blocked the web interface.
func (p *Phone) Locked() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.login.locked(time.Now())
}

// SetPassword changes the password, as a user of the web interface would.
func (p *Phone) SetPassword(password string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.config.Password = password
}

// SetAuth changes the setting http_scheme, as a user of the web interface would.
func (p *Phone) SetAuth(a Auth) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.config.Auth = a
}

// ForgetNonces makes the phone answer the next digest request with a fresh challenge.
func (p *Phone) ForgetNonces() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.login.nonces = nil
}

// Playing returns how long the key sequences that were accepted still take; 0 when none plays.
func (p *Phone) Playing() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.playing(time.Now())
}

func (p *Phone) playing(now time.Time) time.Duration { return max(0, p.until.Sub(now)) }

// Settings returns a copy of the settings as they are now: those of the Config and those written by
// dummy.htm. The phone itself acts on the action URLs, on dnd_mode (on, off) and on where all calls are forwarded.
func (p *Phone) Settings() map[string]string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return maps.Clone(p.settings)
}

// Set writes a setting as the provisioning server would: at once, permanently, whatever its permission.
func (p *Phone) Set(name, value string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.settings[name], p.flash[name] = value, value
	p.tune()
}

// Hold makes requests wait, before the phone looks at them, until release is called.
// Release may be called again.
func (p *Phone) Hold() (release func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	held := make(chan struct{})
	p.held = held
	return sync.OnceFunc(func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		close(held)
		if p.held == held {
			p.held = nil
		}
	})
}

// Reboot switches the phone off and, when down has passed, on again: it refuses connections, drops
// those it has, and forgets nonces, failed logins, calls, key sequences and settings that were not
// stored. Once up it calls action_setup_url, and action_log_on_url for each line.
func (p *Phone) Reboot(down time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.reboot(down)
}

func (p *Phone) reboot(down time.Duration) {
	p.boots++
	boot := p.boots
	p.down = true
	p.until = time.Time{}
	p.login.nonces, p.login.strikes, p.login.until = nil, 0, time.Time{}
	p.settings = maps.Clone(p.flash)
	p.panel.reboot()
	p.stopStream()
	p.browser = minibrowser{serial: p.browser.serial + 1, complaints: p.browser.complaints}
	p.shut()
	p.tune()
	p.later(down, func() {
		if p.boots != boot {
			return // switched off again meanwhile
		}
		p.down = false
		p.open()
		p.tune()
		p.started()
	})
}

// later calls f after d with the phone locked, unless it is closed by then.
func (p *Phone) later(d time.Duration, f func()) {
	p.spawn(func(ctx context.Context) {
		if pause(ctx, d) != nil {
			return
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		f()
	})
}

// pause waits for d, or until ctx ends.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// ServeHTTP answers one request the way the phone would.
func (p *Phone) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer p.onClose(cancel)()
	line := Request{
		Time: time.Now(), Phone: p.config.Name, Remote: r.RemoteAddr, Method: r.Method, Target: r.RequestURI,
		Connection: strings.Join(r.Header["Connection"], ", "), Auth: schemeOf(r),
	}
	choked, leave, err := p.enter(ctx)
	if err != nil {
		panic(http.ErrAbortHandler) // it was kept waiting, and its client has gone
	}
	defer leave()
	rep := p.answer(r, &line, choked)
	p.record(line)
	rep.send(ctx, w)
}

// enter lets a request in when the phone is ready for it: at once, or after Hold, after the request
// before it with OneConnection, and after Latency.
func (p *Phone) enter(ctx context.Context) (choked bool, leave func(), err error) {
	p.mu.Lock()
	held := p.held
	choked = p.serving > 0 || time.Since(p.served) < chokeGap
	p.serving++
	p.mu.Unlock()
	leave = func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.serving--
		p.served = time.Now()
	}
	if held != nil {
		select {
		case <-held:
		case <-ctx.Done():
			leave()
			return false, nil, context.Cause(ctx)
		}
	}
	if p.config.OneConnection {
		select {
		case p.single <- struct{}{}:
		case <-ctx.Done():
			leave()
			return false, nil, context.Cause(ctx)
		}
		out := leave
		leave = func() { out(); <-p.single }
	}
	if p.config.Latency > 0 {
		if err := pause(ctx, p.config.Latency); err != nil {
			leave()
			return false, nil, err
		}
	}
	return choked, leave, nil
}

// answer is what the phone makes of a request: everything up to sending the reply.
func (p *Phone) answer(r *http.Request, line *Request, choked bool) reply {
	in := readRequest(r)
	again := reused(r)
	var chosen Fault
	if p.config.FaultOf != nil {
		chosen = p.config.FaultOf(*line)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.down {
		line.Note = "the phone is down"
		return reply{manner: hangUp}
	}
	if p.config.HangUpReused && again {
		line.Note = "reused connection"
		return reply{manner: hangUp}
	}
	fault := faults()[or(chosen, p.fault)]
	if fault.onlyChoked && !choked {
		fault = failure{}
	}
	if fault.instead != nil {
		line.Note = "fault"
		rep := *fault.instead
		line.Status = rep.statusSeen()
		return rep
	}
	rep := p.consider(r, in, line)
	if fault.manner != nil && line.Authorized {
		line.Note = joinNotes(line.Note, "fault")
		rep.manner, rep.whole = fault.manner, fault.whole
	}
	line.Status = rep.statusSeen()
	return rep
}

// consider takes a request past everything that stands before a page, in the order a phone does.
func (p *Phone) consider(r *http.Request, in request, line *Request) reply {
	if p.config.NeedKeepAlive {
		if rep, odd := keepAliveQuirk(in, line); odd {
			return rep
		}
	}
	if p.config.HTTPSOnly && r.TLS == nil {
		line.Note = "the phone requires https"
		return toHTTPS(r)
	}
	switch generationOf(p.config.Model) {
	case generationD8:
		line.Note = "a D8xx takes no commands"
		return phoneManager()
	case generationM:
		line.Note = "a base takes no commands"
		return base(in)
	}
	if rep, ok := p.admit(r, line); !ok {
		return rep
	}
	line.Authorized = true
	if rep, ok := p.permit(in, line); !ok {
		return rep
	}
	return p.page(in, line)
}

// keepAliveQuirk is how D3xx and D7xx treat the Connection header: without "keep-alive" the reply is
// empty; on minibrowser.htm it is the other way round, there the header makes the phone hang for
// about eight seconds (symcon/Snom, SnomDeskphone/module.php and its history).
func keepAliveQuirk(in request, line *Request) (reply, bool) {
	keepAlive := strings.Contains(strings.ToLower(line.Connection), "keep-alive")
	switch {
	case in.path == "/minibrowser.htm" && keepAlive:
		line.Note = "hangs: Connection: keep-alive on minibrowser.htm"
		return reply{manner: hangFor(8 * time.Second)}, true
	case in.path != "/minibrowser.htm" && !keepAlive:
		line.Note = "empty reply: no Connection: keep-alive"
		return reply{manner: hangUp}, true
	}
	return reply{}, false
}

func (p *Phone) record(line Request) {
	p.mu.Lock()
	p.requests = remember(p.requests, line)
	p.mu.Unlock()
	if p.config.OnRequest != nil {
		p.config.OnRequest(line)
	}
}

func remember[T any](log []T, entry T) []T {
	if len(log) >= maxLog {
		log = slices.Delete(log, 0, maxLog/2)
	}
	return append(log, entry)
}

func or[T comparable](value, otherwise T) T {
	var zero T
	if value == zero {
		return otherwise
	}
	return value
}

func joinNotes(notes ...string) string {
	return strings.Join(slices.DeleteFunc(notes, func(n string) bool { return n == "" }), "; ")
}

// macOf makes an address in Snom's range that is always the same for a name.
func macOf(name string) string {
	var sum uint32
	for _, b := range []byte(name) {
		sum = sum*31 + uint32(b)
	}
	return fmt.Sprintf("000413%06X", sum&0xffffff)
}
