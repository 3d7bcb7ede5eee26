package console

import (
	"cmp"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/snom2mqtt/snom2mqtt/bridge"
	"github.com/snom2mqtt/snom2mqtt/callstate"
)

// phonesShown is how many phones stand on one page.
const phonesShown = 1000

// sorted returns a list in order.
func sorted(list []string) []string {
	slices.Sort(list)
	return list
}

// states are the states that phones are filtered by.
func states() []string {
	return []string{"online", "offline", "unknown", "idle", "ringing", "dialing", "connected", "held", "unregistered", "problem"}
}

// A selection says which phones are shown.
type selection struct{ text, state string }

func selectionOf(r *http.Request) selection {
	s := selection{text: strings.ToLower(r.URL.Query().Get("q"))}
	if state := r.URL.Query().Get("state"); slices.Contains(states(), state) {
		s.state = state
	}
	return s
}

// takes reports whether a phone is shown.
func (s selection) takes(v *bridge.View) bool {
	if s.text != "" {
		remote := v.Status.Call.Remote
		if !strings.Contains(strings.ToLower(strings.Join([]string{v.Phone, string(v.Model), remote.Number, remote.Name}, "\n")), s.text) {
			return false
		}
	}
	return s.state == "" || slices.Contains(strings.Fields(statesOf(v)), s.state)
}

// statesOf are the states of a phone, separated by spaces.
func statesOf(v *bridge.View) string {
	all := []string{reach(v.Reachable)}
	if call := v.Status.Call; v.Reachable == bridge.SwitchOn && !v.Silent && call.State != callstate.Ended {
		all = append(all, string(call.State))
	}
	if v.Status.Registered == bridge.SwitchOff {
		all = append(all, "unregistered")
	}
	if v.Problem != "" || v.Load.LockedOut {
		all = append(all, "problem")
	}
	return strings.Join(all, " ")
}

// reach is the reachability of a phone in a word.
func reach(s bridge.Switch) string {
	switch s {
	case bridge.SwitchOn:
		return "online"
	case bridge.SwitchOff:
		return "offline"
	}
	return "unknown"
}

// phonesPage shows all phones.
func (h *handler) phonesPage(w http.ResponseWriter, r *http.Request) {
	p := h.begin(r, "", translate(language(r), "Phones"), "phones")
	want := selectionOf(r)
	first, _ := strconv.Atoi(r.URL.Query().Get("from")) // what is no number is 0
	found, all := 0, 0
	rows := page{lang: p.lang, now: p.now}
	whole := first == 0 // all are on the page, those that are not asked for hidden, so that a script may show them
	for range h.Bridge.Views() {
		if all++; all > phonesShown {
			whole = false
		}
	}
	for v := range h.Bridge.Views() {
		taken := want.takes(&v)
		if whole || taken && found >= first && found < first+phonesShown {
			rows.phoneRow(&v, taken)
		}
		if taken {
			found++
		}
	}
	p.faults(h.faults())
	p.write(`<form class="filter" method="get" role="search"><label>{} <input type="search" name="q" id="q" value="{}" autocomplete="off" maxlength="64"></label>
<label>{} <select name="state" id="state"><option value="">{}</option>`, p.t("Name, model or other party"), want.text, p.t("State"), p.t("all"))
	for _, state := range states() {
		p.option(state, p.t(state), want.state)
	}
	p.write(`</select></label><button class="noscript">{}</button><output id="count" for="q state">{}</output></form>`, p.t("Filter"), p.counted(found, all))
	if all == 0 {
		p.write(`<p>{}</p>`, p.t("There are no phones in the settings."))
	}
	p.write(`<div class="scroll" tabindex="0" role="region" aria-label="{}"><table id="phones" data-whole="{}"><thead><tr>`, p.t("Phones"), yes(whole))
	for _, title := range []string{"Phone", "State", "Other party", "Registration", "Problem", "Last event"} {
		p.write(`<th scope="col">{}</th>`, p.t(title))
	}
	p.write("</tr></thead><tbody>\n{}</tbody></table></div>", markup(rows.b))
	h.pager(p, want, first, found)
	p.send(w, http.StatusOK)
}

// counted says how many phones are shown.
func (p *page) counted(found, all int) string {
	if found == all {
		return strconv.Itoa(all) + " " + p.t("phones")
	}
	return strconv.Itoa(found) + " / " + strconv.Itoa(all) + " " + p.t("phones")
}

// pager leads to the phones before and after those that are shown.
func (h *handler) pager(p *page, want selection, first, found int) {
	if first == 0 && found <= phonesShown {
		return
	}
	p.write(`<nav aria-label="{}" class="pager">`, p.t("Further phones"))
	for _, to := range []struct {
		from int
		text string
	}{{first - phonesShown, "Before"}, {first + phonesShown, "After"}} {
		if to.from > -phonesShown && to.from < found && to.from != first {
			p.write(`<a href="?{}">{}</a> `, url.Values{"q": {want.text}, "state": {want.state}, "from": {strconv.Itoa(max(0, to.from))}}.Encode(), p.t(to.text))
		}
	}
	p.write(`</nav>`)
}

func (p *page) option(value, text, chosen string) {
	selected := markup("")
	if value == chosen {
		selected = " selected"
	}
	p.write(`<option value="{}"{}>{}</option>`, value, selected, text)
}

// faults shows what is wrong with the settings.
func (p *page) faults(all []string) {
	if len(all) == 0 {
		return
	}
	p.write(`<section class="fault"><h2>{}</h2><ul lang="en">`, p.t("The settings"))
	for _, fault := range all {
		p.write(`<li>{}</li>`, fault)
	}
	p.write(`</ul></section>`)
}

// phoneRow writes the row of one phone, as static/phones.js changes it.
func (p *page) phoneRow(v *bridge.View, shown bool) {
	hidden := markup("")
	if !shown {
		hidden = " hidden"
	}
	p.write(`<tr data-phone="{}" data-model="{}"{}><th scope="row"><a href="phones/{}">{}</a> <small>{}</small></th><td>`,
		v.Phone, string(v.Model), hidden, v.Phone, v.Phone, string(v.Model))
	p.state(v)
	p.write(`</td><td>{}</td><td>{}</td><td>`, party(v), p.registration(v))
	p.problem(v)
	p.write(`</td><td>`)
	if v.LastEvent.Type != "" {
		p.write(`{} `, eventWords(p.lang, string(v.LastEvent.Type)))
		p.moment(v.LastEvent.Time.Time)
	}
	p.write("</td></tr>\n")
}

// state writes whether the phone is reachable, and its call.
func (p *page) state(v *bridge.View) {
	word := reach(v.Reachable)
	call := v.Status.Call
	if v.Reachable == bridge.SwitchOn && !v.Silent && call.State != "" {
		word = string(call.State)
	}
	p.write(`<span class="state {}">{}</span>`, word, p.t(word))
	if v.Status.DND == bridge.SwitchOn {
		p.write(` <span class="tag">{}</span>`, p.t("do not disturb"))
	}
}

// party is the other party of the phone's call.
func party(v *bridge.View) string {
	remote := v.Status.Call.Remote
	if remote.Name != "" && remote.Number != "" && remote.Name != remote.Number {
		return remote.Name + " " + remote.Number
	}
	return cmp.Or(remote.Name, remote.Number, remote.URI)
}

func (p *page) registration(v *bridge.View) string {
	switch v.Status.Registered {
	case bridge.SwitchOn:
		return p.t("registered")
	case bridge.SwitchOff:
		return p.t("not registered")
	}
	return ""
}

// problem writes what is wrong with the phone.
func (p *page) problem(v *bridge.View) {
	english := string(v.Problem)
	switch {
	case english != "":
	case v.Load.LockedOut:
		p.write("{}", p.t("refused the login"))
	case v.Reachable == bridge.SwitchOff:
		english = v.Why
	}
	p.reason(english)
}

// reason writes a text of the bridge, in the page's language if it is a usual one; empty: nothing.
func (p *page) reason(english string) {
	switch text := p.t(english); {
	case english == "":
	case text != english:
		p.write("{}", text)
	default:
		p.write(`<span lang="en">{}</span>`, english)
	}
}

// eventWords is the name of a kind of event for people.
func eventWords(lang, kind string) string {
	return translate(lang, strings.ReplaceAll(kind, "_", " "))
}
