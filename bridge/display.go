package bridge

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/snom2mqtt/snom2mqtt/pages"
	"github.com/snom2mqtt/snom2mqtt/snom"
	"github.com/snom2mqtt/snom2mqtt/snom/minibrowser"
)

// A Displayer is a [Phone] that can show documents of its minibrowser.
type Displayer interface {
	// ShowStep returns the step that makes the phone show d, and whether the phone fetches it from its URL then, or has it
	// with the step. It does no I/O.
	ShowStep(d snom.Display) (step snom.Step, fetches bool, err error)
}

// fetchTime is how long a phone may take to fetch a page that it is to show, before the result says that it has not.
const fetchTime = 2 * time.Second

// noPages is why nothing can be shown.
const noPages = "phones fetch pages from the bridge: set PHONE_LISTEN (SNOM2MQTT_PHONE_LISTEN)"

// A sheet is a page that a command makes a phone show.
type sheet struct {
	life  time.Duration // how long it can be fetched; zero: an hour
	front bool          // it is shown on the display: what was shown before ends
	file  []byte        // that its parts keep, and perhaps those of other sheets, too
	// main makes the page. Its own address is base; those of its parts are base, a slash and the name of the part.
	main func(base string) (minibrowser.Main, error)
	// part answers requests for parts; nil: it has none. It must not block.
	part func(pages.Request) pages.Reply
	// fetched, if set, is called whenever the phone fetches the page itself, and where it has the page with the request. It must
	// not block.
	fetched func()
	// answered, if set, is closed when the phone has followed what the page says, which it must do within answerTime.
	answered <-chan struct{}
}

// canDisplay says why the bridge can show nothing on the phone, or nothing.
func (p *profile) canDisplay(b *Bridge) (why string) {
	switch _, ok := p.Phone.(Displayer); {
	case b.cfg.Pages == nil:
		return cmp.Or(b.cfg.NoPages, noPages)
	case !ok:
		return "it has no way to show pages"
	}
	return ""
}

// display makes the phone show a page, and reports whether the phone accepted that. It waits a moment for the phone to
// fetch the page; a phone that does not is no failure, and the result's message says so.
func (c *command) display(ctx context.Context, p pacedPhone, s sheet) bool {
	b := c.to.b
	if why := p.canDisplay(b); why != "" {
		return c.fail(Unsupported, why)
	}
	base, err := b.cfg.PageURL(ctx, c.to.name)
	if err != nil {
		return c.fail(Unsupported, "the phone could not fetch a page from the bridge: "+words(err))
	}
	id := pages.NewID()
	at := base + id
	document, err := c.document(s, at)
	if err != nil {
		return c.fail(Internal, words(err))
	}
	step, fetches, err := p.Phone.(Displayer).ShowStep(snom.Display{URL: at, Document: document, Firmware: c.to.firmware()})
	if err != nil {
		return c.fail(codeOf(err), words(err))
	}
	fetched := make(chan struct{})
	first := sync.OnceFunc(func() {
		close(fetched)
		if s.front {
			b.cfg.Pages.Shown(c.to.name, id)
		}
	})
	isShown := func() {
		if s.fetched != nil {
			s.fetched()
		}
		first()
	}
	if err := b.cfg.Pages.Put(id, s.page(c.to.name, document, isShown)); err != nil {
		return c.fail(Busy, strings.TrimPrefix(words(err), "pages: "))
	}
	if !c.request(ctx, p, step, func(error) bool { return false }) {
		if c.result.Code != Timeout { // then the phone may fetch it yet
			b.cfg.Pages.End(c.to.name, id)
		}
		return false
	}
	if !fetches {
		isShown()
	}
	if s.answered != nil {
		return c.awaitAnswer(ctx, p, s.answered, fetched, originOf(base))
	}
	if fetches && !p.await(ctx, fetched, fetchTime) {
		c.result.Message = notFetched + originOf(base)
	}
	return true
}

// notFetched is said of a page that the phone has accepted and not fetched, before the address that it must reach.
const notFetched = "the phone accepted it, and has not fetched the page yet: it must reach "

// document makes the document of a page whose address is at.
func (c *command) document(s sheet, at string) ([]byte, error) {
	main, err := s.main(at)
	if err != nil {
		return nil, err
	}
	return minibrowser.Encode(minibrowser.NamesFor(c.to.firmware()), main)
}

// page returns what phones fetch. fetched is called when the page itself is.
func (s sheet) page(phone string, document []byte, fetched func()) pages.Page {
	return pages.Page{
		Phone: phone, Life: s.life, Front: s.front, Size: len(document), File: s.file,
		Answer: func(r pages.Request) pages.Reply {
			switch {
			case r.Part == "":
				fetched()
				return pages.Reply{Type: minibrowser.ContentType, Body: document}
			case s.part == nil:
				return pages.Reply{}
			}
			return s.part(r)
		},
	}
}

// wouldDisplay is the request that would make the phone show a page, without what is secret in its URL.
func (c *command) wouldDisplay(ctx context.Context, p pacedPhone) (string, error) {
	b := c.to.b
	if why := p.canDisplay(b); why != "" {
		return "", fmt.Errorf("%w: %s", snom.ErrUnsupported, why)
	}
	base, err := b.cfg.PageURL(ctx, c.to.name)
	if err != nil {
		return "", fmt.Errorf("%w: %w", snom.ErrUnsupported, err)
	}
	step, _, err := p.Phone.(Displayer).ShowStep(snom.Display{URL: originOf(base) + "/page/" + c.to.name + "/TOKEN/PAGE", Firmware: c.to.firmware()})
	return step.Shown(c.secret), err
}

// closing is the answer to a link of a page that is over: a page that closes itself at once.
func (p *phone) closing() pages.Reply {
	body, err := minibrowser.Encode(minibrowser.NamesFor(p.firmware()), minibrowser.Text{Common: minibrowser.Common{
		Untraced: true, Fetch: minibrowser.CloseAfter(time.Millisecond),
	}})
	if err != nil {
		return pages.Reply{}
	}
	return pages.Reply{Type: minibrowser.ContentType, Body: body}
}

// originOf returns the scheme and host of a URL.
func originOf(text string) string {
	scheme, rest, _ := strings.Cut(text, "://")
	host, _, _ := strings.Cut(rest, "/")
	return scheme + "://" + host
}

// firmware is what the phone says it runs; empty: not known.
func (p *phone) firmware() string {
	p.state.mu.Lock()
	defer p.state.mu.Unlock()
	return p.state.identity.firmware
}

// await waits for done, for at most a time, and reports whether it came. A job that interrupts the command ends it.
func (p pacedPhone) await(ctx context.Context, done <-chan struct{}, most time.Duration) bool {
	l, until := p.lane, time.Now().Add(most)
	timer := time.NewTimer(most)
	defer timer.Stop()
	for {
		l.mu.Lock()
		why := l.interrupted(p)
		l.expect(time.Now(), time.Until(until))
		wake := l.wake
		l.mu.Unlock()
		if why.code != "" {
			return false
		}
		select {
		case <-done:
			return true
		case <-timer.C:
			return false
		case <-ctx.Done():
			return false
		case <-wake:
		}
	}
}
