package bridge

import (
	"cmp"
	"context"
	"crypto/rand"
	"io"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/snom2mqtt/snom2mqtt/mqtt"
	"github.com/snom2mqtt/snom2mqtt/pages"
	"github.com/snom2mqtt/snom2mqtt/snom"
	"github.com/snom2mqtt/snom2mqtt/snom/actionurl"
	"github.com/snom2mqtt/snom2mqtt/snom/minibrowser"
)

// Times of a door's page; all but the first one are chosen by this project.
const (
	pictureReload = 300 * time.Millisecond // of a picture (Snom wiki, PTZ)
	statusReload  = 2 * time.Second        // of a page on which nothing moves
	streamReload  = time.Minute            // of a page with a stream, which begins again then
	noteTime      = 6 * time.Second        // that it says why the door was not opened
	reported      = 3 * time.Second        // after which the phone has reported the call that the page belongs to
	addressTime   = 300 * time.Millisecond // to find out the bridge's own address: the phone waits for the answer
	pictureTTL    = 5 * time.Second        // that a picture is shown after it was taken
	pictureRetry  = time.Second            // after a camera that gave none
	viewsMost     = 8                      // sizes of a door's picture
)

// The soft keys of a door's page.
const (
	openKey  = "F1"
	closeKey = "F4"
)

// A doorPage is the page of a door on the display of one phone.
type doorPage struct {
	d      *door
	p      *phone
	id     string
	base   string // its address
	call   string // the id of its call; empty: the phone did not name it
	caller string
	screen snom.Screen // of which the picture is made; zero: it shows none
	stream bool        // the phone plays MJPEG
	began  time.Time

	mu      sync.Mutex
	presses int       // of the key that opens; guarded by mu
	opening bool      // one has no answer yet; guarded by mu
	note    string    // the outcome of the last one; guarded by mu
	noted   time.Time // since when; guarded by mu
	over    bool      // the call has ended; guarded by mu
}

// A doorView is the picture of a door in one size.
type doorView struct {
	jpeg   []byte    // nil: none yet
	at     time.Time // when it was taken
	asked  time.Time // when the camera was asked last
	taking bool
}

// Answer returns the document that a phone gets for an event that it reports: the page of the door that calls it, and the
// end of that page. The zero Reply: nothing. It does not block, but for the bridge's own address.
func (b *Bridge) Answer(ctx context.Context, name string, e actionurl.Event) pages.Reply {
	r := b.roster.Load()
	p := r.phones[name]
	if p == nil || len(r.doors) == 0 || b.cfg.Pages == nil || b.claims.taken(name) || b.standby.active() {
		return pages.Reply{}
	}
	for _, of := range slices.Sorted(maps.Keys(r.doors)) {
		d := r.doors[of]
		switch e.Type {
		case actionurl.EventIncoming:
			if d.cfg.Load().is(e.Remote) {
				return d.callsAt(ctx, p, e)
			}
		case actionurl.EventConnected:
			if v := d.pageOf(p, e.CallID); v != nil {
				return v.reply()
			}
		case actionurl.EventDisconnected, actionurl.EventMissed, actionurl.EventOnhook:
			if v := d.pageOf(p, e.CallID); v != nil && (e.CallID != "" || e.Type != actionurl.EventOnhook) {
				v.end()
				return p.closing()
			}
		}
	}
	return pages.Reply{}
}

// pageOf returns the page of the door on a phone that belongs to a call; nil: there is none. An empty id is any.
func (d *door) pageOf(p *phone, call string) *doorPage {
	d.mu.Lock()
	defer d.mu.Unlock()
	if v := d.pages[p.name]; v != nil && (call == "" || v.call == "" || call == v.call) {
		return v
	}
	return nil
}

// callsAt returns the page for a call of the door that comes in at a phone. An event may come twice.
func (d *door) callsAt(ctx context.Context, p *phone, e actionurl.Event) pages.Reply {
	if v := d.pageOf(p, e.CallID); v != nil && (e.CallID != "" && e.CallID == v.call || e.Time.Sub(v.began) < lateRing) {
		return v.reply()
	}
	within, cancel := context.WithTimeout(ctx, addressTime)
	defer cancel()
	base, err := d.b.cfg.PageURL(within, p.name)
	if err != nil {
		d.b.limit.Log(slog.LevelWarn, "page "+d.name, "no page of the door", slog.String("door", d.name), slog.String("phone", p.name), slog.Any("err", err))
		return pages.Reply{}
	}
	cfg, of := d.cfg.Load(), p.profile.Load()
	v := &doorPage{d: d, p: p, id: pages.NewID(), call: e.CallID, caller: callerOf(e.Remote), began: e.Time}
	v.base = base + v.id
	if screen := of.screen(); cfg.Camera != nil && !screen.Mono { // of black and white displays no JPEG is known
		v.screen, v.stream = screen.Between(), of.model.PlaysMJPEG(p.firmware())
	}
	if !d.put(v) {
		return pages.Reply{}
	}
	d.b.cfg.Pages.Shown(p.name, v.id)
	if !v.screen.IsZero() && !v.stream {
		d.look(cfg, v.screen)
	}
	return v.reply()
}

// put makes v the page of the door on its phone.
func (d *door) put(v *doorPage) bool {
	d.mu.Lock()
	if d.removed {
		d.mu.Unlock()
		return false
	}
	old := d.pages[v.p.name]
	if d.pages == nil {
		d.pages = map[string]*doorPage{}
	}
	d.pages[v.p.name] = v
	d.mu.Unlock()
	if old != nil {
		d.b.cfg.Pages.End(v.p.name, old.id)
	}
	err := d.b.cfg.Pages.Put(v.id, pages.Page{Phone: v.p.name, Front: true, Answer: v.answer, Ended: v.ended})
	if err != nil {
		v.ended()
		d.b.limit.Log(slog.LevelWarn, "page "+d.name, "no page of the door", slog.String("door", d.name), slog.String("phone", v.p.name), slog.Any("err", err))
	}
	return err == nil
}

// ended forgets a page that is not shown any more, and with the last one the pictures.
func (v *doorPage) ended() {
	d := v.d
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.pages[v.p.name] == v {
		delete(d.pages, v.p.name)
	}
	if len(d.pages) == 0 {
		d.pages, d.views = nil, nil
	}
}

// end ends the page: its call is over.
func (v *doorPage) end() {
	v.mu.Lock()
	v.over = true
	v.mu.Unlock()
	v.d.b.cfg.Pages.End(v.p.name, v.id)
}

// callerOf is a party as the page shows it.
func callerOf(p actionurl.Party) string {
	number := cmp.Or(p.Number, address(p.URI))
	if p.Name == "" || p.Name == number {
		return number
	}
	return p.Name + " (" + number + ")"
}

// answer answers a request of the phone.
func (v *doorPage) answer(r pages.Request) pages.Reply {
	if v.isOver() {
		v.end()
		return v.p.closing()
	}
	what, which, _ := strings.Cut(r.Part, "/")
	switch what {
	case "":
		return v.reply()
	case "open":
		v.press(which)
		return v.reply()
	case "close":
		v.end()
		return v.p.closing()
	case "picture":
		if jpeg := v.d.picture(v.screen); jpeg != nil {
			return pages.Reply{Type: "image/jpeg", Body: jpeg}
		}
	case "stream":
		if camera := v.d.cfg.Load().Camera; camera != nil && v.stream {
			return pages.Reply{Type: camera.StreamType(), Stream: func(ctx context.Context, w io.Writer) error {
				return camera.Stream(ctx, w, v.screen.Width, v.screen.Height)
			}}
		}
	}
	return pages.Reply{}
}

// isOver reports whether the call that the page belongs to has ended, also where the phone has not said so.
func (v *doorPage) isOver() bool {
	v.mu.Lock()
	over := v.over
	v.mu.Unlock()
	return over || time.Since(v.began) > reported && !v.p.calls().Any(v.d.cfg.Load().is)
}

// press takes a press of the key that opens. Each counts once, also where the phone repeats its request.
func (v *doorPage) press(which string) {
	v.mu.Lock()
	fresh := which == strconv.Itoa(v.presses) && !v.opening
	if fresh {
		v.presses++
		v.opening, v.note = true, ""
	}
	v.mu.Unlock()
	if !fresh {
		return
	}
	d := v.d
	d.b.checkClock(time.Now())
	d.take(openCommand, mqtt.Message{Topic: d.b.cfg.Tree.Command(d.name, openCommand)}, Origin{ID: "page-" + rand.Text()[:10], onResult: v.answered}, time.Now())
}

// answered takes the result of a press.
func (v *doorPage) answered(r *Result) {
	note := ""
	switch {
	case r.OK:
	case r.Code == Forbidden && r.Message == v.d.noCall():
		note = "not opened: answer the call first"
	default:
		note = "not opened: " + string(r.Code)
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.opening, v.note, v.noted = false, note, time.Now()
}

// status is what the page says, and whether that will change soon.
func (v *doorPage) status() (text string, moves bool, presses int) {
	v.d.mu.Lock()
	state := v.d.state
	v.d.mu.Unlock()
	v.mu.Lock()
	defer v.mu.Unlock()
	switch {
	case state == DoorOpen:
		return "open", true, v.presses
	case v.opening || state == DoorOpening:
		return "opening", true, v.presses
	case v.note != "" && time.Since(v.noted) < noteTime:
		return v.note, true, v.presses
	}
	return v.caller, false, v.presses
}

// reply is the page as it is now.
func (v *doorPage) reply() pages.Reply {
	text, moves, presses := v.status()
	links := linker{base: v.base}
	self, err := minibrowser.Web(v.base)
	if err != nil {
		return pages.Reply{}
	}
	common := minibrowser.Common{
		Title: v.d.name + ": " + text, Untraced: true,
		State: minibrowser.StateRelevant, // keys answer the call, and digits are sent as tones in it
		Keys: []minibrowser.SoftKey{
			{Name: openKey, Label: "Open", Target: links.to("open/" + strconv.Itoa(presses))},
			{Name: closeKey, Label: "Close", Target: links.to("close")},
		},
		Fetch: minibrowser.Fetch{After: statusReload, Target: self},
	}
	var main minibrowser.Main
	switch {
	case v.screen.IsZero():
		main = minibrowser.Text{Common: common, Text: v.caller}
	case v.stream:
		if !moves {
			common.Fetch.After = streamReload
		}
		main = minibrowser.ImageFile{Common: common, Target: links.to("stream")}
	case v.d.picture(v.screen) == nil:
		common.Fetch.After = pictureReload
		main = minibrowser.Text{Common: common, Text: v.caller + "\nno picture of the camera yet"}
	default:
		common.Fetch.After = pictureReload
		main = minibrowser.ImageFile{Common: common, Target: links.to("picture")}
	}
	if links.err != nil {
		return pages.Reply{}
	}
	body, err := minibrowser.Encode(minibrowser.NamesFor(v.p.firmware()), main)
	if err != nil {
		return pages.Reply{}
	}
	return pages.Reply{Type: minibrowser.ContentType, Body: body}
}

// picture returns the last picture in a size, if it is young; nil: there is none. The next one is asked for meanwhile.
func (d *door) picture(size snom.Screen) []byte {
	d.look(d.cfg.Load(), size)
	d.mu.Lock()
	defer d.mu.Unlock()
	if v := d.views[size]; v != nil && v.jpeg != nil && time.Since(v.at) < pictureTTL {
		return v.jpeg
	}
	return nil
}

// look asks the camera for a picture in a size, unless it is being asked, or was a moment ago.
func (d *door) look(cfg *DoorConfig, size snom.Screen) {
	now := time.Now()
	d.mu.Lock()
	defer d.mu.Unlock()
	if cfg.Camera == nil || size.IsZero() || len(d.pages) == 0 {
		return
	}
	v := d.views[size]
	if v == nil {
		if len(d.views) >= viewsMost {
			return
		}
		if d.views == nil {
			d.views = map[snom.Screen]*doorView{}
		}
		v = &doorView{}
		d.views[size] = v
	}
	pause := pictureReload / 2
	if v.at.Before(v.asked) {
		pause = pictureRetry
	}
	if v.taking || now.Sub(v.asked) < pause {
		return
	}
	v.taking, v.asked = true, now
	d.b.spawn(func(ctx context.Context) { d.takeView(ctx, cfg, v, size) })
}

// takeView takes a picture for pages.
func (d *door) takeView(ctx context.Context, cfg *DoorConfig, v *doorView, size snom.Screen) {
	within, cancel := context.WithTimeout(ctx, cameraTime)
	defer cancel()
	jpeg, err := cfg.Camera.Scaled(within, size.Width, size.Height)
	d.mu.Lock()
	defer d.mu.Unlock()
	v.taking = false
	if err == nil {
		v.jpeg, v.at = jpeg, time.Now()
		return
	}
	d.b.limit.Log(slog.LevelWarn, "camera "+d.name, "no picture of the camera", slog.String("door", d.name), slog.Any("err", err))
}
