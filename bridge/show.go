package bridge

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/snom2mqtt/snom2mqtt/fetch"
	"github.com/snom2mqtt/snom2mqtt/internal/cleantext"
	"github.com/snom2mqtt/snom2mqtt/pages"
	"github.com/snom2mqtt/snom2mqtt/picture"
	"github.com/snom2mqtt/snom2mqtt/snom"
	"github.com/snom2mqtt/snom2mqtt/snom/actionurl"
	"github.com/snom2mqtt/snom2mqtt/snom/minibrowser"
)

// pageSlack is how much longer a page can be fetched than it is shown: until the phone has it.
const pageSlack = 15 * time.Second

// linkSlack is how much longer than the page is shown its links count: phones are no clocks (docs.snom.io, main_subelements), and
// the last press must arrive.
const linkSlack = 2 * time.Second

// pictureTime bounds how long a picture may take to be fetched.
const pictureTime = 5 * time.Second

// A display is a show command while it is carried out.
type display struct {
	of      snom.Show
	to      *phone
	id      string // of the command
	picture picture.Picture
	bottom  int // where the picture of a text ends, in lines of the display
	pin     [sha256.Size]byte
	chosen  atomic.Bool               // a link of the page was followed: the others are over
	until   atomic.Pointer[time.Time] // when the page is closed; nil: the phone has not fetched it
	page    string                    // the address of the page
}

// show carries out a show command.
func (c *command) show(ctx context.Context, p pacedPhone, s snom.Show) {
	d := &display{of: s, to: c.to, id: c.id}
	if code, why := c.prepare(ctx, p, d); code != "" {
		c.fail(code, why)
		return
	}
	life := s.Duration + pageSlack
	if s.Hold || s.Input.Kind == snom.InputNumber || s.Input.Kind == snom.InputPhone { // these may be asked again
		life = pages.MaxLife
	}
	if s.Closes() {
		life = pageSlack
	}
	c.display(ctx, p, sheet{life: life, front: true, file: d.picture.Data, main: d.main, part: d.part, fetched: d.opened})
}

// prepare gets what the page needs besides the command, or says why it cannot.
func (c *command) prepare(ctx context.Context, p pacedPhone, d *display) (code Code, why string) {
	b := c.to.b
	if code, why := p.checkShow(d); code != "" {
		return code, why
	}
	file := d.of.Image
	if d.of.ImageURL != "" {
		pending := b.cfg.Pictures.Get(ctx, fetch.Request{URL: d.of.ImageURL, Bytes: picture.MaxBytes, Time: pictureTime})
		defer pending.Release()
		if file, code, why = p.awaitPicture(ctx, pending); code != "" {
			return code, why
		}
	}
	if file == nil {
		return "", ""
	}
	screen := p.screen().Between()
	d.bottom = bottomOf(p.screen())
	if d.of.Text != "" || d.of.Title != "" {
		screen.Height = screen.Height * 2 / 3 // the rest is the text's
	}
	fit, err := b.cfg.Scaler.Fit(file, picture.Display{Width: screen.Width, Height: screen.Height, Mono: screen.Mono})
	if err != nil {
		return Invalid, "image: " + strings.TrimPrefix(err.Error(), "picture: ")
	}
	d.picture = fit
	if d.of.Image != nil {
		d.of.Image = fit.Data // the page keeps no other
	}
	if !time.Now().Before(c.expires) {
		return Expired, "expired while its picture was fetched"
	}
	return "", ""
}

// fetchCode is the code for a picture that could not be fetched: a file that can never be shown is a fault of the payload.
func fetchCode(err error) Code {
	switch {
	case errors.Is(err, fetch.ErrTooLong):
		return Invalid
	case errors.Is(err, fetch.ErrBusy):
		return Busy
	}
	return Unreachable
}

// hostForbidden is said of a picture that may not be fetched.
const hostForbidden = "image: IMAGE_HOSTS does not allow this host, or it is a phone's"

// checkShow says why a page cannot be shown, as far as that is known without a request, and reads the PIN that it asks for.
func (p pacedPhone) checkShow(d *display) (code Code, why string) {
	b := p.phone.b
	if why := p.canDisplay(b); why != "" {
		return Unsupported, why
	}
	if name := d.of.Input.PINFile; name != "" {
		pin, err := b.cfg.PIN(name)
		if err != nil {
			return Invalid, "pin_file: " + words(err)
		}
		d.pin = sha256.Sum256([]byte(pin))
	}
	if d.of.ImageURL != "" && b.cfg.Pictures.Rules.Check(d.of.ImageURL) != nil {
		return Forbidden, hostForbidden
	}
	return "", ""
}

// awaitPicture waits for a picture while the phone is kept. A job that ends this one does not wait for it.
func (p pacedPhone) awaitPicture(ctx context.Context, pending fetch.Pending) (file []byte, code Code, why string) {
	if !p.await(ctx, pending.Done(), pictureTime+time.Second) {
		p.lane.mu.Lock()
		cut := p.lane.interrupted(p)
		p.lane.mu.Unlock()
		if cut.code != "" {
			return nil, cut.code, cut.why + " while its picture was fetched"
		}
		return nil, Unreachable, "image: no answer in time"
	}
	fetched, err := pending.File()
	switch {
	case errors.Is(err, fetch.ErrHost):
		return nil, Forbidden, hostForbidden
	case err != nil:
		return nil, fetchCode(err), "image: " + strings.TrimPrefix(err.Error(), "fetch: ")
	}
	return fetched.Body, "", ""
}

// screen is the size of the phone's display: as set, or that of its model.
func (p *profile) screen() snom.Screen {
	if !p.Screen.IsZero() {
		return p.Screen
	}
	return p.model.Screen()
}

// topBar is the height of the bar at the top of the display (docs.snom.io, SnomIPPhoneText).
const topBar = 23

// bottomOf is the line of the display where the bar at its bottom begins, or the display ends.
func bottomOf(s snom.Screen) int {
	if between := s.Between().Height; between != s.Height {
		return topBar + between
	}
	return s.Height
}

// main makes the page.
func (d *display) main(base string) (minibrowser.Main, error) {
	d.page = base
	return d.asking(base, "")
}

// asking makes the page, where again says why an input is asked for once more.
func (d *display) asking(base, again string) (minibrowser.Main, error) {
	s, links := d.of, linker{base: base}
	common := minibrowser.Common{Title: s.Title, Untraced: true}
	switch {
	case s.Closes():
		return minibrowser.Text{Common: minibrowser.Common{Untraced: true, Fetch: minibrowser.CloseAfter(time.Millisecond)}}, nil
	case !s.Hold:
		common.Fetch = minibrowser.CloseAfter(s.Duration)
	}
	for _, b := range s.Buttons {
		common.Keys = append(common.Keys, minibrowser.SoftKey{Name: b.Key, Label: b.Label, Target: links.to("b/" + url.PathEscape(b.Key))})
	}
	switch {
	case len(s.Menu) > 0:
		common.Title = joined(s.Title, s.Text)
		menu := minibrowser.Menu{Common: common, Select: true}
		for i, one := range s.Menu {
			menu.Items = append(menu.Items, minibrowser.Item{Name: one.Label, Target: links.to("m/" + strconv.Itoa(i))})
		}
		return menu, links.err
	case s.Input != snom.Input{}:
		common.Title = ""
		return minibrowser.Input{
			Common: common, Prompt: joined(s.Title, s.Text, s.Input.Prompt, again), Kind: inputKind(s.Input.Kind), Target: links.to("in?v=" + minibrowser.Typed),
		}, links.err
	case d.picture.Data == nil:
		return minibrowser.Text{Common: common, Text: s.Text}, nil
	case s.Text == "" && s.Title == "":
		return minibrowser.ImageFile{Common: common, Target: links.to("picture")}, links.err
	}
	return minibrowser.Text{Common: common, Text: s.Text, Picture: &minibrowser.Picture{
		Target: links.to("picture"), Y: d.bottom - d.picture.Height, Width: d.picture.Width, Height: d.picture.Height,
	}}, links.err
}

// joined are the texts that are not empty, with a colon between them.
func joined(texts ...string) string {
	var all []string
	for _, t := range texts {
		if t != "" {
			all = append(all, t)
		}
	}
	return strings.Join(all, ": ")
}

// inputKind is how the minibrowser calls a kind of input.
func inputKind(k snom.InputKind) minibrowser.Kind {
	switch k {
	case snom.InputNumber:
		return minibrowser.KindNumber
	case snom.InputPhone:
		return minibrowser.KindPhone
	case snom.InputPIN:
		return minibrowser.KindPIN
	}
	return minibrowser.KindText
}

// A linker makes targets of the parts of a page, and keeps the first error.
type linker struct {
	base string
	err  error
}

func (l *linker) to(part string) minibrowser.Target {
	t, err := minibrowser.Web(l.base + "/" + part)
	if err != nil && l.err == nil {
		l.err = err
	}
	return t
}

// part answers a request for a part of the page. A link counts once, and with it the page is over.
func (d *display) part(r pages.Request) pages.Reply {
	if r.Part == "picture" && d.picture.Data != nil {
		return pages.Reply{Type: d.picture.Type, Body: d.picture.Data}
	}
	choice, ok := d.choice(r)
	if !ok || !d.isOpen() {
		return pages.Reply{}
	}
	if choice.Text != nil && !d.of.Input.Kind.Takes(*choice.Text) {
		return d.askAgain()
	}
	if !d.chosen.CompareAndSwap(false, true) {
		return pages.Reply{}
	}
	b := d.to.b
	b.cfg.Pages.End(d.to.name, d.page[strings.LastIndexByte(d.page, '/')+1:])
	b.Event(d.to.name, actionurl.Event{Type: actionurl.EventChoice, Choice: &choice, Time: time.Now()})
	return d.to.closing()
}

// opened notes that the phone has fetched the page, and shows it from now on.
func (d *display) opened() {
	until := time.Now().Add(pages.MaxLife)
	if !d.of.Hold {
		until = time.Now().Add(d.of.Duration + linkSlack)
	}
	d.until.Store(&until)
}

// isOpen reports whether the phone shows the page.
func (d *display) isOpen() bool {
	until := d.until.Load()
	return until != nil && !time.Now().After(*until)
}

// askAgain asks for an input once more that is not what was asked for. It is the same page, and its time begins again.
func (d *display) askAgain() pages.Reply {
	expected := "expected a number"
	if d.of.Input.Kind == snom.InputPhone {
		expected = "expected a phone number"
	}
	main, err := d.asking(d.page, expected)
	if err != nil {
		return pages.Reply{}
	}
	body, err := minibrowser.Encode(minibrowser.NamesFor(d.to.firmware()), main)
	if err != nil {
		return pages.Reply{}
	}
	d.opened()
	return pages.Reply{Type: minibrowser.ContentType, Body: body}
}

// choice reads which link was followed, and what was typed.
func (d *display) choice(r pages.Request) (actionurl.Choice, bool) {
	kind, which, _ := strings.Cut(r.Part, "/")
	switch kind {
	case "m":
		i, err := strconv.Atoi(which)
		if err != nil || i < 0 || i >= len(d.of.Menu) || strconv.Itoa(i) != which {
			return actionurl.Choice{}, false
		}
		return actionurl.Choice{Choice: d.of.Menu[i].Choice, Show: d.id}, true
	case "b":
		for _, b := range d.of.Buttons {
			if b.Key == which {
				return actionurl.Choice{Choice: b.Choice.Choice, Show: d.id}, true
			}
		}
	case "in":
		raw, ok := strings.CutPrefix(r.Query, "v=")
		if !ok || which != "" || d.of.Input == (snom.Input{}) {
			return actionurl.Choice{}, false
		}
		c := actionurl.Choice{Choice: d.of.Input.Choice, Show: d.id}
		text := typed(raw, d.of.Input.Kind)
		if d.of.Input.Kind == snom.InputPIN {
			got := sha256.Sum256([]byte(text))
			right := subtle.ConstantTimeCompare(got[:], d.pin[:]) == 1
			c.PINOK = &right
		} else {
			c.Text = &text
		}
		return c, true
	}
	return actionurl.Choice{}, false
}

// maxTyped bounds what is read of a text that was typed, in bytes.
const maxTyped = 512

// typed reads what a phone puts into a URL for what was typed. How it escapes that is documented nowhere: what is escaped is
// unescaped, a plus in a text is a space, and what is not UTF-8 is Latin-1.
func typed(raw string, kind snom.InputKind) string {
	if kind == snom.InputText {
		raw = strings.ReplaceAll(raw, "+", " ")
	}
	text, err := url.PathUnescape(raw)
	if err != nil {
		text = raw
	}
	return cleantext.Clean(text, maxTyped)
}
