package console

import (
	"cmp"
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/snom2mqtt/snom2mqtt/bridge"
	"github.com/snom2mqtt/snom2mqtt/snom"
)

// phonePage shows one phone: what is known of it, its keypad, and what it is asked.
func (h *handler) phonePage(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	v, ok := h.Bridge.View(name)
	if !ok {
		p := h.begin(r, "phones/x", translate(language(r), "No such phone"), "")
		p.write(`<p>{} <a href="{}">{}</a></p>`, p.t("No phone of this bridge is called so."), p.link(""), p.t("All phones"))
		p.send(w, http.StatusNotFound)
		return
	}
	p := h.begin(r, "phones/"+name, name, "phone")
	p.write(`<p class="crumbs"><a href="{}">{}</a></p><div id="phone" data-phone="{}" data-readonly="{}">`, p.link(""), p.t("All phones"), name, yes(h.ReadOnly))
	if h.ReadOnly {
		p.write(`<p class="note">{}</p>`, p.t("The console is read-only: it sends nothing."))
	}
	p.write(`<div class="columns"><section aria-labelledby="known"><h2 id="known">{}</h2>`, p.t("State"))
	h.known(p, &v)
	p.write(`</section><section aria-labelledby="pad" class="pad"><h2 id="pad">{}</h2>`, p.t("Keypad"))
	h.keypad(p, &v)
	p.write(`</section><section aria-labelledby="do"><h2 id="do">{}</h2>`, p.t("Commands"))
	h.commands(p, &v)
	p.write(`</section></div>`)
	p.write(`<section aria-labelledby="sent"><h2 id="sent">{}</h2><p class="hint" id="nothing">{}</p><ol id="presses" class="presses"></ol></section>`,
		p.t("Sent from here"), p.t("Every press shows the message that does the same, and the phone's answer."))
	p.write(`<section aria-labelledby="happened"><h2 id="happened">{}</h2><ol id="happenings" class="happenings"></ol></section>`, p.t("Events and results"))
	p.write(`<details><summary>{}</summary><pre id="status" tabindex="0">{}</pre></details></div>`, p.t("The status as it is published"), indented(v.Status))
	p.send(w, http.StatusOK)
}

func yes(b bool) string {
	if b {
		return "true"
	}
	return "false"
}

func indented(document any) string {
	text, err := json.MarshalIndent(document, "", "  ")
	if err != nil {
		return ""
	}
	return string(text)
}

// known writes what is known of the phone. static/phone.js changes the rows with a name.
func (h *handler) known(p *page, v *bridge.View) {
	p.write(`<dl class="facts">`)
	row := func(title, name, value string) {
		p.write(`<dt>{}</dt><dd data-fact="{}">{}</dd>`, p.t(title), name, value)
	}
	p.write(`<dt>{}</dt><dd data-fact="state">`, p.t("State"))
	p.state(v)
	p.write(`</dd>`)
	row("Other party", "party", party(v))
	row("Registration", "registration", p.registration(v))
	p.write(`<dt>{}</dt><dd data-fact="problem">`, p.t("Problem"))
	p.problem(v)
	p.write(`</dd><dt>{}</dt><dd data-fact="remedy">`, p.t("Remedy"))
	p.reason(string(v.Remedy))
	p.write(`</dd>`)
	row("Do not disturb", "dnd", p.onOff(v.Status.DND))
	row("Forwarding", "forwarding", p.onOff(v.Status.Forwarding))
	row("Handset", "hook", p.t(map[string]string{"on": "on the hook", "off": "off the hook"}[string(v.Status.Hook)]))
	row("Missed calls", "missed", p.number(v.Status.Missed, v.Silent))
	row("Lights", "lights", lights(v))
	row("Last caller", "caller", strings.TrimSpace(string(v.Status.LastCaller.Name)+" "+string(v.Status.LastCaller.Number)))
	p.write(`<dt>{}</dt><dd data-fact="event">`, p.t("Last event"))
	if v.LastEvent.Type != "" {
		p.write(`{} `, eventWords(p.lang, string(v.LastEvent.Type)))
		p.moment(v.LastEvent.Time.Time)
	}
	p.write(`</dd>`)
	row("Model", "model", strings.TrimSpace(string(v.Model)+" "+v.Is.Series()))
	row("Firmware", "firmware", string(v.Firmware))
	row("MAC address", "mac", string(v.MAC))
	row("Address", "url", v.Config.URL)
	row("Groups", "groups", strings.Join(h.groupsOf(v.Phone), ", "))
	if all := h.Bridge.Listening(v.Phone); all != nil {
		row("Announcements", "listening", p.listening(all))
	}
	row("Commands that wait", "waiting", p.number(v.Load.Waiting, false))
	p.write(`<dt>{}</dt><dd data-fact="seen">`, p.t("Last answer"))
	p.moment(v.LastSeen.Time)
	p.write(`</dd></dl>`)
}

// lights lists the lights that were switched on.
func lights(v *bridge.View) string {
	if v.Status.Panel == nil {
		return ""
	}
	var all []string
	for _, key := range slices.Sorted(maps.Keys(v.Status.Panel.Lights)) {
		all = append(all, key+" "+v.Status.Panel.Lights[key])
	}
	return strings.Join(all, ", ")
}

// listening says to which multicast addresses the phone listens.
func (p *page) listening(all []bridge.Listening) string {
	texts := make([]string, 0, len(all))
	for _, l := range all {
		does := p.t("not known: probe the phone")
		switch l.Listens {
		case bridge.SwitchOn:
			does = p.t("listens")
		case bridge.SwitchOff:
			does = p.t("does not listen")
		}
		texts = append(texts, l.Address+" ("+l.Name+"): "+does)
	}
	return strings.Join(texts, "; ")
}

func (p *page) onOff(s bridge.Switch) string {
	switch s {
	case bridge.SwitchOn:
		return p.t("on")
	case bridge.SwitchOff:
		return p.t("off")
	}
	return ""
}

func (p *page) number(n int, unknown bool) string {
	if unknown {
		return ""
	}
	b := page{}
	b.value(n)
	return string(b.b)
}

// keypad draws the keys of the phone's model.
func (h *handler) keypad(p *page, v *bridge.View) {
	keys := keysOf(v)
	disabled := h.disabled()
	p.screen(v, disabled)
	if uncontrolled(v) {
		p.write(`<p class="note">{}</p>`, p.t("Phones of this model have no remote control over HTTP."))
	}
	groups := []struct{ name, title string }{
		{"line", "Programmable keys"}, {"soft", "Soft keys"}, {"navigation", "Navigation"}, {"digits", "Digits"}, {"call", "Function keys"}, {"other", "Further keys"},
	}
	for _, group := range groups {
		tag := "fieldset"
		if group.name == "other" {
			p.write(`<details><summary>{}</summary>`, p.t(group.title))
		}
		p.write(`<{} class="keys {}"><legend>{}</legend>`, markup(tag), group.name, p.t(group.title))
		for _, k := range keys {
			if k.Group != group.name {
				continue
			}
			doubtful, title := markup(""), about(p.lang, "key ", k.Does, k.Does)
			if k.Warning != "" {
				doubtful, title = ` class="doubtful"`, title+". "+p.warning(k)
			}
			if group.name == "line" {
				p.lineKey(v, k.Key, title, markup(doubtful+disabled))
				continue
			}
			p.write(`<button type="button" data-key="{}" title="{}" aria-label="{}"{}{}>{}</button>`, k.Key, title, spoken(k.Key), doubtful, disabled, label(k.Key))
		}
		p.write(`</{}>`, markup(tag))
		if group.name == "other" {
			p.write(`</details>`)
		}
	}
	p.write(`<label class="row">{} <input id="hold" type="number" min="0" max="60000" step="100" inputmode="numeric" placeholder="0"{}> ms</label>`, p.t("Hold the key for"), disabled)
}

// warning is what is doubtful about a key. What holds for most of the doubtful keys is in the page's language, all else in English.
func (p *page) warning(k KeyDocument) string {
	if text, ok := strings.CutPrefix(k.Warning, k.Key+" "); ok {
		return k.Key + " " + p.t(text)
	}
	return k.Warning
}

// lineKey writes a programmable key: what it is for, by the settings, and its light, as far as it was set. static/phone.js
// changes the light.
func (p *page) lineKey(v *bridge.View, name, title string, attributes markup) {
	text, light := "", ""
	if key, ok := v.Config.Keys.Find(name); ok {
		text = cmp.Or(key.Label, key.Name, key.Open, key.Run)
	}
	if v.Status.Panel != nil {
		light = v.Status.Panel.Lights[name]
	}
	words := name
	if text != "" {
		words += ", " + text
	}
	spoken, lit := words, markup(" hidden")
	if light != "" {
		spoken, lit = words+", "+p.t("light")+" "+light, ""
	}
	color, effect, _ := strings.Cut(light, " ")
	p.write(`<button type="button" data-key="{}" title="{}" data-words="{}" aria-label="{}"{}>{}`, name, title, words, spoken, attributes, name)
	if text != "" {
		p.write(` <small>{}</small>`, text)
	}
	p.write(`<span class="light" data-light="{}" data-color="{}" data-effect="{}" aria-hidden="true"{}></span></button>`, name, color, effect, lit)
}

// uncontrolled reports whether a phone is driven by its web interface and cannot be.
func uncontrolled(v *bridge.View) bool {
	return strings.HasPrefix(v.Config.URL, "http") && (v.RemoteControl == snom.No || v.Is.RemoteControl() == snom.No)
}

// screen is the place of the picture of the phone's screen, where the settings allow that.
func (p *page) screen(v *bridge.View, disabled markup) {
	if v.Config.Allow[snom.VerbScreen] {
		p.write(`<div class="screen row"><button type="button" id="screen"{}>{}</button><img id="picture" alt="{}" hidden></div>`,
			disabled, p.t("Show the screen"), p.t("The phone's screen"))
	}
}

// disabled is the attribute of controls that a read-only console does not offer.
func (h *handler) disabled() markup {
	if h.ReadOnly {
		return " disabled"
	}
	return ""
}

// commands writes the fields and buttons of commands.
func (h *handler) commands(p *page, v *bridge.View) {
	disabled := h.disabled()
	field := func(command, title, label, member, attributes string, button string) {
		p.write(`<form data-command="{}" data-member="{}" class="row"><label>{} <input name="argument" aria-label="{}" {}{} required></label><button{}>{}</button></form>`,
			command, member, p.t(label), p.t(title), markup(attributes), disabled, disabled, p.t(button))
	}
	field("dial", "Number or SIP URI", "Number", "number", `inputmode="tel" autocomplete="off" maxlength="255"`, "Dial")
	field("dtmf", "Tones", "Tones", "digits", `autocomplete="off" maxlength="64" pattern="[0-9A-Da-d*#]+"`, "Send tones")
	field("transfer", "Transfer to", "Transfer to", "number", `inputmode="tel" autocomplete="off" maxlength="255"`, "Transfer")
	p.write(`<form data-command="ring" data-member="ringer" class="row"><label>{} <select name="argument"{}>`, p.t("Ringer"), disabled)
	for n := 1; n <= 9; n++ {
		p.write(`<option>{}</option>`, n)
	}
	p.write(`</select></label><button{}>{}</button></form><div class="row">`, disabled, p.t("Ring"))
	for _, one := range []struct{ command, payload, title string }{
		{"answer", "", "Answer"}, {"hangup", "", "Hang up"}, {"mute", "", "Mute"}, {"dnd", "toggle", "Do not disturb"},
	} {
		p.write(`<button type="button" data-send="{}" data-payload="{}"{}>{}</button>`, one.command, one.payload, disabled, p.t(one.title))
	}
	p.write(`</div>`)
	h.macros(p, v, disabled)
	p.write(`<form id="any" class="any"><h3>{}</h3><label>{} <select name="command"{}>`, p.t("Any command"), p.t("Command"), disabled)
	for _, c := range commandsOf(v) {
		attribute, note := markup(""), ""
		if c.Disabled {
			attribute, note = " disabled", " ("+p.t("disabled by the settings")+")"
		}
		p.write(`<option value="{}" data-help="{}" data-example="{}"{}>{}{}</option>`, c.Command, strings.TrimSpace(c.Summary+". "+c.Plain), c.Example, attribute, c.Command, note)
	}
	p.write(`</select></label><label>{} <textarea name="payload" rows="2" spellcheck="false" autocomplete="off" maxlength="300000"{}></textarea></label>
<p class="hint" id="help" lang="en"></p><button{}>{}</button></form>`, p.t("Payload: text or JSON"), disabled, disabled, p.t("Send"))
	h.dryRun(p, disabled)
}

// macros writes a button for each macro that this phone may run.
func (h *handler) macros(p *page, v *bridge.View, disabled markup) {
	begun := false
	for _, m := range h.Bridge.Macros() {
		if m.Phone != "" && m.Phone != v.Phone {
			continue
		}
		if !begun {
			p.write(`<h3>{}</h3><div class="row">`, p.t("Macros"))
			begun = true
		}
		p.write(`<button type="button" data-send="{}" data-payload="{}"{}>{}</button>`, string(snom.VerbRun), m.Name, disabled, m.Name)
	}
	if begun {
		p.write(`</div>`)
	}
}

// dryRun writes the choice to send nothing to the phone.
func (h *handler) dryRun(p *page, disabled markup) {
	p.write(`<label class="row"><span><input type="checkbox" id="dry"{}> {}</span></label>`, disabled, p.t("Dry run: check everything, send nothing"))
}
