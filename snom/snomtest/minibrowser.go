package snomtest

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"image"
	"io"
	"maps"
	"mime"
	"mime/multipart"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	_ "image/jpeg" // formats that a phone knows
	_ "image/png"

	"github.com/snom2mqtt/snom2mqtt/snom"
)

// A minibrowser is what the minibrowser shows, and what it objects to.
type minibrowser struct {
	page       *document
	from       string // the host that the page came from
	serial     int    // of pages: what a page planned is over when another one is shown
	selected   int    // item of a menu, from 0
	lights     map[int]string
	complaints []string

	picture []byte // that the page shows, as it came; nil: none has come
	frames  int    // how many pictures of an MJPEG stream the page has shown
	stop    func() // ends the stream that is played; nil: none is

	late time.Duration // that it fetches documents
}

// An element of a document, with names in small letters: the phone does not distinguish them.
type element struct {
	name     string
	at       map[string]string
	text     string
	children []element
}

// A document is one page.
type document struct {
	kind string // "text", "menu", …
	element
}

// maxComplaints bounds what the minibrowser remembers of what it objects to.
const maxComplaints = 100

func (p *Phone) complain(format string, args ...any) {
	if s := &p.browser; len(s.complaints) < maxComplaints {
		s.complaints = append(s.complaints, fmt.Sprintf(format, args...))
	}
}

// Complaints returns what the minibrowser objected to so far: bad XML, elements and attributes that it does not know,
// pictures that are too large, slow answers, fragments that need mb_trusted_hosts.
func (p *Phone) Complaints() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.browser.complaints)
}

// HoldFetches has the minibrowser fetch documents so much later than it is asked to, as a phone that is busy.
func (p *Phone) HoldFetches(late time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.browser.late = late
}

// wait waits for a time, and reports whether it has passed before ctx ended.
func wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// Lights returns the lights that documents have set, by number: "red blink".
func (p *Phone) Lights() map[int]string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return maps.Clone(p.browser.lights)
}

// slowAnswer is when a phone shows an animation while it waits (Snom wiki, Category:HowTo:Minibrowser).
const slowAnswer = 500 * time.Millisecond

// browse fetches a document and shows it. The caller holds the lock.
func (p *Phone) browse(address string) {
	boot, late := p.boots, p.browser.late
	p.spawn(func(ctx context.Context) {
		if late > 0 && !wait(ctx, late) {
			return
		}
		begin := time.Now()
		status, contentType, body, err := p.download(ctx, address)
		took := time.Since(begin)
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.boots != boot || ctx.Err() != nil {
			return
		}
		switch {
		case err != nil:
			p.complain("a page cannot be fetched: %v", err)
			return
		case status != http.StatusOK:
			p.complain("a page is answered with HTTP %d", status)
			return
		case took > slowAnswer:
			p.complain("a page took %v", took.Round(time.Millisecond))
		}
		if !strings.Contains(contentType, "xml") {
			p.complain("a page is of type %q", contentType)
		}
		p.openPage(hostOf(address), body)
	})
}

// hostOf is the host of a URL, without its port.
func hostOf(address string) string {
	_, rest, _ := strings.Cut(address, "://")
	host, _, _ := strings.Cut(rest, "/")
	if name, _, err := net.SplitHostPort(host); err == nil {
		return name
	}
	return host
}

// download fetches a file.
func (p *Phone) download(ctx context.Context, address string) (status int, contentType string, body []byte, err error) {
	if !strings.HasPrefix(address, "http://") {
		address = "http://" + address // as firmware before 8.4.32 takes it
	}
	client := &http.Client{
		Timeout:   actionTimeout,
		Transport: &http.Transport{DialContext: p.config.Dial, DisableKeepAlives: true},
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return 0, "", nil, errors.New("no URL")
	}
	request.Header.Set("User-Agent", p.userAgent())
	reply, err := client.Do(request)
	if err != nil {
		return 0, "", nil, err
	}
	defer reply.Body.Close()
	body, err = io.ReadAll(io.LimitReader(reply.Body, maxDocument))
	return reply.StatusCode, reply.Header.Get("Content-Type"), body, err
}

// parse reads a document as strictly as XML allows.
func (p *Phone) parse(body []byte) (*document, error) {
	d := xml.NewDecoder(bytes.NewReader(body))
	root := element{}
	open := []*element{&root}
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		top := open[len(open)-1]
		switch t := token.(type) {
		case xml.StartElement:
			e := element{name: strings.ToLower(t.Name.Local), at: map[string]string{}}
			for _, a := range t.Attr {
				name := strings.ToLower(a.Name.Local)
				if _, twice := e.at[name]; twice {
					return nil, fmt.Errorf("the attribute %s of %s twice", name, e.name)
				}
				e.at[name] = a.Value
			}
			if e.name == "br" {
				top.text += "\n"
			}
			top.children = append(top.children, e)
			open = append(open, &top.children[len(top.children)-1])
		case xml.EndElement:
			open = open[:len(open)-1]
		case xml.CharData:
			top.text += string(t)
		}
	}
	if len(root.children) != 1 {
		return nil, fmt.Errorf("%d main elements", len(root.children))
	}
	main := root.children[0]
	if strings.TrimSpace(root.text) != "" {
		return nil, errors.New("text outside of the main element")
	}
	kind, ok := strings.CutPrefix(main.name, "snomipphone")
	if !ok {
		if kind, ok = strings.CutPrefix(main.name, "ipphone"); !ok {
			return nil, fmt.Errorf("main element %q", main.name)
		}
		if !p.knowsPlainNames() {
			return nil, fmt.Errorf("main element %q, which firmware %s does not know", main.name, p.config.Firmware)
		}
	}
	if !slices.Contains(mainElements(), kind) {
		return nil, fmt.Errorf("main element %q", main.name)
	}
	p.checkDocument(main)
	return &document{kind, main}, nil
}

// knowsPlainNames reports whether the firmware knows IPPhone… (since 10.1.82.0).
func (p *Phone) knowsPlainNames() bool {
	var a, b, c int
	if n, _ := fmt.Sscanf(p.config.Firmware, "%d.%d.%d", &a, &b, &c); n < 3 {
		return false
	}
	return a > 10 || a == 10 && (b > 1 || b == 1 && c >= 82)
}

// openPage shows a document. The caller holds the lock.
func (p *Phone) openPage(host string, body []byte) {
	if len(body) > largeDocument {
		p.complain("a page of %d bytes or more, expected at most %d", len(body), largeDocument)
	}
	d, err := p.parse(body)
	if err != nil {
		p.complain("bad XML: %v", err)
		return
	}
	for _, one := range d.all("led") {
		p.setLight(one)
	}
	if d.kind == "batch" && len(d.children) > 0 {
		first := d.children[0]
		d = &document{strings.TrimPrefix(strings.TrimPrefix(first.name, "snom"), "ipphone"), first}
	}
	if d.kind != "silent" {
		p.browser.serial++
		p.browser.page, p.browser.from, p.browser.selected = d, host, 0
		p.stopStream()
		if d.kind != "imagefile" { // a picture that reloads stays until the next one is there
			p.browser.picture = nil
		}
		p.loadPictures(d)
	}
	for _, f := range d.all("fetch") {
		p.fetchLater(d, f, host)
	}
}

// fetchLater does what a page plans.
func (p *Phone) fetchLater(d *document, f element, host string) {
	mil, err := strconv.Atoi(f.at["mil"])
	if err != nil || mil < 1 {
		p.complain("fetch of %q ms", f.at["mil"])
	}
	serial, boot := p.browser.serial, p.boots
	p.later(time.Duration(mil)*time.Millisecond, func() {
		if p.boots == boot && (p.browser.serial == serial || d.kind == "silent") {
			p.follow(f.text, host)
		}
	})
}

// all returns the elements of that name, whatever they stand in.
func (e element) all(name string) []element {
	var list []element
	for _, c := range e.children {
		if c.name == name {
			list = append(list, c)
		} else {
			list = append(list, c.all(name)...)
		}
	}
	return list
}

// value is the text of the first element of that name; empty: there is none.
func (e element) value(name string) string {
	if all := e.all(name); len(all) > 0 {
		return strings.TrimSpace(all[0].text)
	}
	return ""
}

// setLight sets a light.
func (p *Phone) setLight(e element) {
	n, err := strconv.Atoi(e.at["number"])
	state := strings.ToLower(strings.TrimSpace(e.text))
	color := strings.ToLower(e.at["color"])
	switch {
	case err != nil || n < 0:
		p.complain("light number %q", e.at["number"])
		return
	case !slices.Contains(strings.Fields("on off blink blinkfast blinkslow"), state):
		p.complain("light %d: %q", n, state)
		return
	case color != "" && !slices.Contains(strings.Fields("red green orange redgreen greenorange"), color):
		p.complain("light %d: color %q", n, color)
		return
	case strings.Contains(color, "redgreen") && state == "on", strings.Contains(color, "greenorange") && state == "on":
		p.complain("light %d: %s needs a blink", n, color)
	}
	if last := p.lastLight(); last > 0 && n > last {
		p.complain("light %d, of which the last is %d", n, last)
	}
	if p.browser.lights == nil {
		p.browser.lights = map[int]string{}
	}
	if state == "off" {
		delete(p.browser.lights, n)
		return
	}
	p.browser.lights[n] = strings.TrimSpace(color + " " + strings.TrimPrefix(state, "on"))
}

// loadPictures fetches the pictures of a page and looks at their size.
func (p *Phone) loadPictures(d *document) {
	var urls []string
	if d.kind == "imagefile" {
		urls = append(urls, d.value("url"))
	}
	if d.kind == "text" {
		for _, i := range d.all("image") {
			urls = append(urls, i.value("url"))
		}
	}
	if len(urls) == 0 {
		return
	}
	serial := p.browser.serial
	shown, stop := context.WithCancel(context.Background())
	p.browser.stop = stop // when another page is shown
	for _, address := range urls {
		p.spawn(func(ctx context.Context) {
			defer context.AfterFunc(ctx, stop)()
			if err := p.loadPicture(shown, serial, address); err != nil && ctx.Err() == nil {
				p.mu.Lock()
				defer p.mu.Unlock()
				p.complain("a picture cannot be fetched: %v", err)
			}
		})
	}
}

// loadPicture fetches a picture, or plays a stream of pictures, until ctx ends.
func (p *Phone) loadPicture(ctx context.Context, serial int, address string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return errors.New("no URL")
	}
	request.Header.Set("User-Agent", p.userAgent())
	client := &http.Client{Transport: &http.Transport{DialContext: p.config.Dial, DisableKeepAlives: true}}
	reply, err := client.Do(request)
	switch {
	case ctx.Err() != nil: // another page is shown
		return nil
	case err != nil:
		return err
	}
	defer reply.Body.Close()
	contentType := reply.Header.Get("Content-Type")
	kind, params, err := mime.ParseMediaType(contentType)
	switch {
	case reply.StatusCode != http.StatusOK:
		return fmt.Errorf("HTTP %d", reply.StatusCode)
	case err != nil || kind != "multipart/x-mixed-replace":
		return p.showPicture(reply.Body, serial, contentType)
	}
	if model, _ := snom.FindModel(p.config.Model); !model.PlaysMJPEG(p.config.Firmware) {
		return fmt.Errorf("a stream, which a %s with firmware %s does not play", p.config.Model, p.config.Firmware)
	}
	parts := multipart.NewReader(reply.Body, params["boundary"])
	for {
		part, err := parts.NextRawPart()
		if err != nil {
			return nil // the stream has ended
		}
		if err := p.showPicture(part, serial, part.Header.Get("Content-Type")); err != nil && ctx.Err() == nil {
			return err
		}
	}
}

// showPicture shows a picture, if its page is still shown.
func (p *Phone) showPicture(file io.Reader, serial int, contentType string) error {
	body, err := io.ReadAll(io.LimitReader(file, maxDocument))
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.browser.serial != serial {
		return nil
	}
	if err != nil {
		return err
	}
	if !p.checkPicture(body, contentType) {
		return nil
	}
	p.browser.picture = body
	p.browser.frames++
	return nil
}

// Picture returns the picture that the page shows, as it came, and how many came for the page; nil: there is none.
func (p *Phone) Picture() (file []byte, frames int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.browser.picture, p.browser.frames
}

// displayOf is the size of the display. Of a model whose display no source describes it is that of most.
func displayOf(model string) snom.Screen {
	m, _ := snom.FindModel(model)
	if s := m.Screen(); !s.IsZero() {
		return s
	}
	return snom.Screen{Width: 320, Height: 240}
}

// follow does what a target says: the caller holds the lock.
func (p *Phone) follow(target, host string) {
	target = p.evaluate(strings.TrimSpace(target))
	scheme, rest, ok := strings.Cut(target, "://")
	switch {
	case target == "":
		return
	case scheme == "http" && ok:
		p.browse(target)
		return
	case scheme != "snom" && scheme != "phone" || !ok:
		p.complain("target %q", target)
		return
	}
	what, fragment, _ := strings.Cut(rest, "#")
	switch what {
	case "mb_exit":
		p.closePage()
	case "mb_nop":
	default:
		p.complain("target %q", target)
	}
	for one := range strings.SplitSeq(fragment, "&") {
		name, value, _ := strings.Cut(one, "=")
		kind, _, _ := strings.Cut(name, ":")
		switch kind {
		case "":
		case "key":
			p.press(decode(value), 0)
		case "numberdial":
			p.dial(decode(value), 0)
		case "set", "toggleset", "setcache", "flush", "clearcache", "reloadset", "next_edit_mode", "action_ifc", "var_ifc":
			if !slices.Contains(strings.Fields(p.settings["mb_trusted_hosts"]), host) {
				p.complain("fragment %s from %s, which mb_trusted_hosts does not have", kind, host)
			}
		default:
			p.complain("fragment %q", one)
		}
	}
}

// Callbacks are what a minibrowser does with callbacks in a URL. That it fills them in where the page is silent is inferred.
type Callbacks string

// What a minibrowser may do with callbacks.
const (
	CallbacksLeft    Callbacks = "left"    // it requests the URL as it is
	CallbacksIgnored Callbacks = "ignored" // it does not request the URL
)

// evaluate replaces callbacks, $(…) and $[…].
func (p *Phone) evaluate(text string) string {
	switch callbacks := p.config.Callbacks; {
	case callbacks == CallbacksLeft:
		return text
	case callbacks == CallbacksIgnored && strings.Contains(text, "$("):
		return ""
	}
	for {
		begin := strings.Index(text, "$(")
		if begin < 0 {
			return text
		}
		end := strings.Index(text[begin:], ")")
		if end < 0 {
			return text
		}
		text = text[:begin] + p.callback(text[begin+2:begin+end]) + text[begin+end+1:]
	}
}

// callback is the value of a callback.
func (p *Phone) callback(name string) string {
	kind, of, _ := strings.Cut(name, ":")
	switch kind {
	case "set":
		setting := strings.NewReplacer("[", "", "]", "").Replace(of)
		if isDNDMode(setting) {
			return map[bool]string{true: "on", false: "off"}[p.panel.dnd]
		}
		if base, identity := identitySetting(setting); identity > 0 {
			return EncodingPercent.Escape(hidePassword(base, p.ofIdentity(base, withoutWriting(base), identity)))
		}
		return EncodingPercent.Escape(p.shown(setting))
	case "lines":
		n := 0
		for _, c := range p.panel.calls {
			state := map[CallState]string{CallRinging: "ringing", CallDialing: "calling", CallConnected: "connected", CallHeld: "holding"}[c.State]
			if of == "" || of == state {
				n++
			}
		}
		return strconv.Itoa(n)
	case "gui_display_xsize":
		return strconv.Itoa(displayOf(p.config.Model).Width)
	case "gui_display_ysize":
		return strconv.Itoa(displayOf(p.config.Model).Height)
	}
	p.complain("callback %q", name)
	return ""
}

// closePage closes the minibrowser.
func (p *Phone) closePage() {
	p.browser.serial++
	p.browser.page, p.browser.picture = nil, nil
	p.stopStream()
}

// stopStream ends the MJPEG stream that the page shows, if it shows one.
func (p *Phone) stopStream() {
	p.browser.frames = 0
	if stop := p.browser.stop; stop != nil {
		p.browser.stop = nil
		stop()
	}
}

// items are the choices of a menu, those of sub-menus after their own.
func (d *document) items() []element {
	if d == nil || d.kind != "menu" {
		return nil
	}
	return d.all("menuitem")
}

// Choose chooses an item of the menu, by its name or its number from 1. It reports whether there is one.
func (p *Phone) Choose(item string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, e := range p.browser.page.items() {
		if e.at["name"] == item || strconv.Itoa(i+1) == item {
			p.follow(e.value("url"), p.browser.from)
			return true
		}
	}
	return false
}

// TypeText types a text into the input that is shown, and confirms it. It reports whether there is one.
func (p *Phone) TypeText(text string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	d := p.browser.page
	if d == nil || d.kind != "input" {
		return false
	}
	token := d.value("inputtoken")
	if token == "" {
		p.complain("an input without a token")
		return false
	}
	p.follow(strings.ReplaceAll(d.value("url"), token, p.config.Encoding.Escape(text)), p.browser.from)
	return true
}

// browserKey has the minibrowser take a key while it shows a page, and reports whether it does.
func (p *Phone) browserKey(key string) bool {
	d := p.browser.page
	if d == nil {
		return false
	}
	for _, k := range d.all("softkeyitem") {
		if k.value("name") == key {
			if as := k.value("softkey"); as != "" {
				return true
			}
			p.follow(k.value("url"), p.browser.from)
			return true
		}
	}
	items := d.items()
	switch {
	case key == "CANCEL" || key == "F_CANCEL":
		p.closePage()
		return true
	case len(items) == 0:
	case key == "DOWN" || key == "UP":
		step := map[string]int{"DOWN": 1, "UP": len(items) - 1}[key]
		p.browser.selected = (p.browser.selected + step) % len(items)
		return true
	case key == "ENTER":
		p.follow(items[p.browser.selected].value("url"), p.browser.from)
		return true
	case len(key) == 1 && d.at["speedselect"] == "enter" && "1" <= key && key <= "9":
		if n := int(key[0] - '1'); n < len(items) {
			p.follow(items[n].value("url"), p.browser.from)
		}
		return true
	}
	return d.at["state"] == "" && strings.Contains("0123456789*#", key)
}

// pictureSize is the size of the picture that has come, for [Phone.Screen].
func (p *Phone) pictureSize() string {
	size, _, err := image.DecodeConfig(bytes.NewReader(p.browser.picture))
	if err != nil {
		return ""
	}
	return fmt.Sprintf(" %d x %d", size.Width, size.Height)
}

// Screen returns what is to be seen of the minibrowser as text: the page, the labels of keys, the lights, and what it
// objected to.
func (p *Phone) Screen() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var b strings.Builder
	d := p.browser.page
	if d == nil {
		b.WriteString("(idle)\n")
	} else {
		fmt.Fprintf(&b, "[%s] %s\n", d.kind, d.value("title"))
		switch d.kind {
		case "text":
			for _, c := range d.children {
				if c.name == "text" {
					b.WriteString(c.text + "\n")
				}
				if c.name == "image" {
					fmt.Fprintf(&b, "(picture %s x %s)\n", c.value("width"), c.value("height"))
				}
			}
		case "menu":
			for i, e := range d.items() {
				fmt.Fprintf(&b, "%s%d %s\n", map[bool]string{true: ">", false: " "}[i == p.browser.selected], i+1, e.at["name"])
			}
		case "input":
			fmt.Fprintf(&b, "%s: ____ (%s)\n", d.value("displayname"), d.value("inputflags"))
		case "image", "imagefile":
			b.WriteString("(picture" + p.pictureSize() + ")\n")
		case "directory":
			for _, e := range d.all("directoryentry") {
				fmt.Fprintf(&b, " %s %s\n", e.value("name"), e.value("telephone"))
			}
		}
		for _, k := range d.all("softkeyitem") {
			fmt.Fprintf(&b, "%s: %s\n", k.value("name"), k.value("label"))
		}
	}
	for _, n := range slices.Sorted(maps.Keys(p.browser.lights)) {
		fmt.Fprintf(&b, "LED %d: %s\n", n, p.browser.lights[n])
	}
	for _, c := range p.browser.complaints {
		fmt.Fprintf(&b, "! %s\n", c)
	}
	return b.String()
}
