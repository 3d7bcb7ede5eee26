package bridge

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/snom2mqtt/snom2mqtt/snom"
	"github.com/snom2mqtt/snom2mqtt/snom/minibrowser"
)

// runDisplay carries out a command for which the phone fetches a page.
func (c *command) runDisplay(ctx context.Context, p pacedPhone) {
	if c.again != nil {
		c.again.run(ctx, c, p)
		return
	}
	if s, ok := c.command.Show(); ok {
		c.show(ctx, p, s)
		return
	}
	if l, ok := c.command.LED(); ok {
		c.light(ctx, p, l)
		return
	}
	if c.command.Asks() {
		c.question(ctx, p)
	}
}

// light carries out a led command.
func (c *command) light(ctx context.Context, p pacedPhone, l snom.LED) {
	leds, p, ok := c.leds(ctx, p, l)
	if !ok {
		return
	}
	page := lightsSheet(leds...)
	page.fetched = func() { c.to.update(func(s *phoneState) { s.setLight(l) }) } // only then has the phone got it
	c.display(ctx, p, page)
}

// leds returns lights as a document has them, and the phone with its model; where a number is not known the command has failed.
func (c *command) leds(ctx context.Context, p pacedPhone, lights ...snom.LED) (leds []minibrowser.LED, is pacedPhone, ok bool) {
	for i := range lights {
		if lights[i].Key == snom.MessageLED || p.LED != 0 || !p.model.IsZero() {
			continue
		}
		var err error
		if p, err = p.identified(ctx); err != nil {
			c.failStep(err)
			return nil, p, false
		}
		break
	}
	for _, l := range lights {
		led, why := p.led(l)
		if why != "" {
			return nil, p, c.fail(Unsupported, why)
		}
		leds = append(leds, led)
	}
	return leds, p, true
}

// identified asks the phone for its model, on which the numbers of its lights depend, and returns the phone with what is known then.
// A phone that requires a login says it after one only: reading a setting is one. The error says that the phone cannot be
// reached, or refuses the login.
func (p pacedPhone) identified(ctx context.Context) (pacedPhone, error) {
	_, err := p.readSettings(ctx, "phone_type")
	switch codeOf(err) {
	case Unauthorized, LockedOut, Unreachable, Timeout, Expired:
		return p, err
	}
	info, err := p.probe(ctx)
	p.phone.update(func(s *phoneState) {
		s.accepted()
		s.learn(info, err)
	})
	return pacedPhone{p.phone.profile.Load(), p.phone}, nil
}

// lightsSheet is a page that sets lights and shows nothing.
func lightsSheet(leds ...minibrowser.LED) sheet {
	return sheet{life: pageSlack, main: func(string) (minibrowser.Main, error) {
		return minibrowser.Silent{Common: minibrowser.Common{LEDs: leds}}, nil
	}}
}

// led returns a light as a document has it, or says why its number is not known.
func (p *profile) led(l snom.LED) (led minibrowser.LED, why string) {
	number, ok := p.model.LEDNumber(l, p.LED)
	switch {
	case !ok && p.model.IsZero():
		return led, "the phone does not say its model, on which the numbers of its lights depend: set model, or led_offset, the number of the light of P1"
	case !ok:
		return led, fmt.Sprintf("no source says which numbers the lights of %s have: set led_offset, the number of the light of P1", p.model)
	}
	led = minibrowser.LED{Number: number, Color: minibrowser.Color(l.Color), Light: minibrowser.LightOn}
	switch {
	case l.Color == "":
		led.Light = minibrowser.LightOff
	case l.Effect != "":
		led.Light = minibrowser.Light(l.Effect)
	}
	return led, ""
}

// A panel is what is known of a phone as a wall panel, and by asking it. Phones that are none and were not asked have no
// panel.
type panel struct {
	lights []snom.LED // that are on, by key; replaced, never changed
	dark   []snom.LED // that should be on, and that the phone did not receive since it started; replaced, never changed
	status *Panel     // what is published; replaced, never changed

	measured Reading   // by its sensors
	shownAt  time.Time // when a measurement was published last
	waiting  bool      // one is held back
}

// A Panel is what is published of a phone as a wall panel, and what it said when it was asked.
type Panel struct {
	// Lights are those that were switched on, by key: "red blink".
	Lights map[string]string `json:"lights,omitempty"`
	// Asked is what the phone said when it was asked last; nil: it was not.
	Asked *Asked `json:"asked,omitempty"`
	// Light is what the phone's sensor measures in lux, and Temperature in degrees Celsius.
	Light       *float64 `json:"light,omitempty"`
	Temperature *float64 `json:"temperature,omitempty"`
}

// setLight notes a light that the phone was sent. One that is off need not be noted: it is off after a restart. The caller
// holds the lock.
func (s *phoneState) setLight(l snom.LED) {
	if s.panel == nil {
		s.panel = &panel{}
	}
	other := func(one snom.LED) bool { return one.Key == l.Key }
	s.panel.dark = slices.DeleteFunc(slices.Clone(s.panel.dark), other)
	lights := slices.DeleteFunc(slices.Clone(s.panel.lights), other)
	if l.Color != "" {
		lights = append(lights, l)
		slices.SortFunc(lights, func(a, b snom.LED) int { return strings.Compare(a.Key, b.Key) })
	}
	s.showLights(slices.Clip(lights))
}

// showLights puts lights into the status. The caller holds the lock, and there is a panel.
func (s *phoneState) showLights(lights []snom.LED) {
	s.panel.lights = lights
	is := s.panel.copied()
	is.Lights = make(map[string]string, len(lights))
	for _, one := range lights {
		is.Lights[one.Key] = one.State()
	}
	s.panel.status = &is
}

// copied is a copy of what is published.
func (p *panel) copied() Panel {
	if p.status == nil {
		return Panel{}
	}
	return *p.status
}

// maxOldStatus bounds the retained status that lights are read from, in bytes.
const maxOldStatus = 32 << 10

// retainedLights returns the lights of a status that an earlier process published, by key.
func retainedLights(document []byte) (lights []snom.LED) {
	var old struct {
		Lights map[string]string `json:"lights"`
	}
	if len(document) > maxOldStatus || !bytes.Contains(document, []byte(`"lights"`)) || json.Unmarshal(document, &old) != nil {
		return nil
	}
	for key, state := range old.Lights {
		c, err := snom.ParsePayload(snom.VerbLED, []byte(key+" "+state))
		if err != nil {
			continue
		}
		if l, ok := c.LED(); ok && l.Color != "" {
			lights = append(lights, l)
		}
	}
	slices.SortFunc(lights, func(a, b snom.LED) int { return strings.Compare(a.Key, b.Key) })
	return slices.CompactFunc(lights, func(a, b snom.LED) bool { return a.Key == b.Key })
}

// restoreLights takes over the lights that an earlier process had set, and sets them again: the phone may have started
// meanwhile. The caller holds the lock.
func (p *phone) restoreLights(document []byte) {
	if p.b.cfg.Pages == nil || p.state.panel != nil {
		return
	}
	lights := retainedLights(document)
	if len(lights) == 0 {
		return
	}
	p.change(func(s *phoneState) {
		s.panel = &panel{}
		s.showLights(lights)
	})
	// Not all phones at once, where there are many.
	p.relight(relightAfter+rand.N(time.Duration(len(p.b.roster.Load().names))*relightSpread), relightTries)
}

// lights are the lights that should be on. The caller holds the lock.
func (s *phoneState) lights() []snom.LED {
	if s.panel == nil {
		return nil
	}
	return append(slices.Clone(s.panel.lights), s.panel.dark...)
}

// noteRelit notes whether the phone received its lights after it has started. What it did not receive is off, and is tried again when it
// starts the next time. The caller holds the lock, and there is a panel.
func (s *phoneState) noteRelit(lights []snom.LED, shown bool) {
	for _, l := range lights {
		switch {
		case !slices.Contains(s.lights(), l): // it was switched meanwhile
		case shown:
			s.setLight(l)
		default:
			s.setLight(snom.LED{Key: l.Key})
			s.panel.dark = append(slices.Clip(s.panel.dark), l)
		}
	}
}

// panelStatus is what is published of the phone as a wall panel, and of what it was asked. The caller holds the lock.
func (s *phoneState) panelStatus() *Panel {
	if s.panel == nil {
		return nil
	}
	return s.panel.status
}

// How long after its start a phone is sent its lights, and how often that is tried: the pause doubles.
const (
	relightAfter = 2 * time.Second
	relightTries = 4
	// relightSpread is how much later, for each phone, lights may be set after a restart of the bridge.
	relightSpread = 5 * time.Millisecond
)

// A relighting is why a command sets the lights of a phone that has started.
type relighting struct {
	lights []snom.LED
	after  time.Duration // the pause before this try
	tries  int           // that are left
}

// relight sets the lights again of a phone that has started, since it has forgotten them. What the phone could not be sent
// in the end is a result.
func (p *phone) relight(after time.Duration, tries int) {
	time.AfterFunc(after, func() {
		p.state.mu.Lock()
		lights := p.state.lights()
		p.state.mu.Unlock()
		if len(lights) == 0 || p.b.standby.active() || p.b.claims.taken(p.name) {
			return
		}
		first, err := snom.SetLED(lights[0])
		if err != nil {
			return // a light that was set can be set again
		}
		var all []string
		for _, l := range lights {
			all = append(all, l.Key+" "+l.State())
		}
		now := time.Now()
		p.add(&command{
			to: p, command: first, name: string(first.Verb()), argument: strings.Join(all, ", "), received: now, expires: now.Add(p.b.cfg.Rules.TTL),
			again: &relighting{lights: lights, after: after, tries: tries},
		})
	})
}

// run sets the lights, all of them by one page.
func (r *relighting) run(ctx context.Context, c *command, p pacedPhone) {
	leds, p, ok := c.leds(ctx, p, r.lights...)
	if !ok {
		return
	}
	page := lightsSheet(leds...)
	page.fetched = func() { c.to.update(func(s *phoneState) { s.noteRelit(r.lights, true) }) }
	c.display(ctx, p, page)
}

// quiet reports whether the result is not published: the lights are set, the bridge stops, or it is tried again.
func (r *relighting) quiet(c *command, code Code) bool {
	switch {
	case code == OK && !strings.HasPrefix(c.result.Message, notFetched), code == Cancelled:
		return true
	case slices.Contains([]Code{OK, Unreachable, Timeout, Expired, Busy}, code): // OK: it has not fetched the page
		if r.tries > 1 {
			c.to.relight(2*r.after, r.tries-1)
			return true
		}
	}
	c.to.update(func(s *phoneState) { s.noteRelit(r.lights, false) })
	return false
}
