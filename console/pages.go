package console

import (
	"context"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/snom2mqtt/snom2mqtt/bridge"
	"github.com/snom2mqtt/snom2mqtt/internal/loglevel"
)

// messagesPage shows what happens. Without JavaScript it streams what happens within a minute.
func (h *handler) messagesPage(w http.ResponseWriter, r *http.Request) {
	if r.URL.Query().Get("stream") != "" {
		h.streamMessages(w, r)
		return
	}
	p := h.begin(r, "messages", translate(language(r), "Messages"), "messages")
	p.write(`<form class="filter" id="filter" role="search"><label>{} <input type="search" id="q" autocomplete="off" maxlength="64"></label>
<label>{} <select id="kind"><option value="">{}</option>`, p.t("Text"), p.t("Kind"), p.t("all"))
	for _, kind := range []string{"command", "result", "event", "status", "response", "ring", "door"} {
		p.option(kind, p.t(kind), "")
	}
	p.write(`</select></label><button type="button" id="pause" aria-pressed="false">{}</button><button type="button" id="clear">{}</button><output id="count"></output></form>
<noscript><p>{} <a href="?stream=1">{}</a></p></noscript>`, p.t("Pause"), p.t("Clear"),
		p.t("Without JavaScript this page does not follow by itself."), p.t("Show what happens within a minute"))
	p.messagesTable("")
	p.write(`</tbody></table></div><section aria-labelledby="codes"><h2 id="codes">{}</h2><dl class="codes">`, p.t("The codes of results"))
	for _, c := range codesIn(p.lang) {
		p.write(`<dt><code id="code-{}">{}</code></dt><dd>{} <small>{}</small></dd>`, c.Code, c.Code, c.Meaning, c.Advice)
	}
	p.write(`</dl></section>`)
	p.send(w, http.StatusOK)
}

// messagesTable begins the table of messages.
func (p *page) messagesTable(attributes markup) {
	p.write(`<div class="scroll" tabindex="0" role="region" aria-label="{}"><table id="messages"{}><thead><tr>`, p.t("Messages"), attributes)
	for _, title := range []string{"Time", "Kind", "Phone", "Message"} {
		p.write(`<th scope="col">{}</th>`, p.t(title))
	}
	p.write(`</tr></thead><tbody>`)
}

// streamFor is how long a page without JavaScript is written to.
const streamFor = time.Minute

// streamMessages writes messages into a page as they come.
func (h *handler) streamMessages(w http.ResponseWriter, r *http.Request) {
	s, leave, ok := h.stream(w, "text/html; charset=utf-8")
	if !ok {
		return
	}
	defer leave()
	at := s.hub.now()
	p := h.begin(r, "messages", translate(language(r), "Messages"), "")
	p.write(`<p>{}</p>`, p.t("This page shows what happens within a minute from now."))
	p.messagesTable("")
	s.b.Write(p.b)
	end := time.NewTimer(streamFor)
	defer end.Stop()
	for s.flush() {
		select {
		case <-at.more:
			var frames []*frame
			more := false
			if frames, at, more = s.hub.after(at); !more {
				return
			}
			time.Sleep(s.turn())
			for _, one := range frames {
				row := page{lang: p.lang, now: time.Now()}
				row.write(`<tr><td>{}</td><td>{}</td><td>{}</td><td><code>{}</code></td></tr>`, row.now.Format("15:04:05"), row.t(one.name), one.phone, one.document())
				s.b.Write(row.b)
			}
		case <-end.C:
			s.b.WriteString(`</tbody></table></div></main></body></html>`)
			s.flush()
			return
		case <-h.stopped:
			return
		case <-r.Context().Done():
			return
		}
	}
}

// setupPage shows what is missing, for each phone, and how the bridge stands.
func (h *handler) setupPage(w http.ResponseWriter, r *http.Request) {
	p := h.begin(r, "setup", translate(language(r), "Set-up"), "setup")
	p.write(`<section aria-labelledby="broker"><h2 id="broker">{}</h2>`, p.t("Connection to the broker"))
	h.writeConnection(p, "p", "brokerwords")
	p.write(`<p><code>mosquitto_sub {} -v -t '{}/#'</code></p></section>`, h.BrokerFlags, h.Tree.Base)
	p.write(`<div id="faulty">`)
	if faults := h.faults(); len(faults) == 0 {
		p.write(`<section aria-labelledby="faults"><h2 id="faults">{}</h2><p class="good">{}</p></section>`, p.t("The settings"), p.t("No fault is known."))
	} else {
		p.faults(faults)
	}
	p.write(`</div><section aria-labelledby="each"><h2 id="each">{}</h2><p class="hint">{}</p><p class="hint">{} <code>snom2mqtt action-urls {}</code></p><div id="setup" data-readonly="{}">`, p.t("Each phone"),
		p.t("Probe asks the phone what it is and costs no failed login. Install writes the bridge's action URLs into the phone, so that it reports its calls; URLs of other hosts are kept."),
		p.t("What to enter by hand, and into which setting, is printed by:"), "<"+p.t("Phone")+">", yes(h.ReadOnly))
	n := 0
	for _, wanting := range []bool{true, false} { // those that lack something first
		for v := range h.Bridge.Views() {
			checks := h.checks(&v)
			if (checks != nil) != wanting {
				continue
			}
			if n++; n > phonesShown {
				break
			}
			h.phoneSetup(p, &v, checks)
		}
	}
	p.write(`</div></section>`)
	p.send(w, http.StatusOK)
}

// checks lists what is missing at a phone, in English; nil: nothing that is known.
func (h *handler) checks(v *bridge.View) (missing []string) {
	add := func(when bool, text string) {
		if when {
			missing = append(missing, text)
		}
	}
	add(v.Reachable == bridge.SwitchOff, "The phone is not reachable: check that it is on, and its address in the settings.")
	add(v.Reachable == bridge.SwitchUnknown, "It is not known yet whether the phone is reachable.")
	add(v.Load.LockedOut, "The phone refused the login: correct user name and password in the settings, then reload.")
	add(v.Model == "", "The model is not known: send a command, or set MODEL for this phone.")
	add(uncontrolled(v), "The phone has no remote control over HTTP.")
	add(v.Silent, "Phones cannot report their calls: set PHONE_LISTEN to an address that the phones reach, restart, and install the action URLs.")
	add(!v.Silent && v.LastEvent.Type == "" && v.Reachable == bridge.SwitchOn,
		"The phone has reported nothing since the bridge started: install the action URLs if they are not installed, then lift and replace the handset.")
	add(h.missesAnnouncements(v), "The phone does not listen to all announcements that are for it: install writes their addresses into the phone, too.")
	add(v.Status.Registered == bridge.SwitchOff, "The phone is not registered at its telephone system: check the identity on the phone.")
	return missing
}

// missesAnnouncements reports whether announcements are for the phone at an address that it does not listen to.
func (h *handler) missesAnnouncements(v *bridge.View) bool {
	return slices.ContainsFunc(h.Bridge.Listening(v.Phone), func(l bridge.Listening) bool { return l.Listens == bridge.SwitchOff })
}

// phoneSetup writes what is missing at one phone.
func (h *handler) phoneSetup(p *page, v *bridge.View, missing []string) {
	p.write(`<article class="setup" data-phone="{}"><h3><a href="phones/{}">{}</a> <small>{}</small></h3><div data-part="checks">`, v.Phone, v.Phone, v.Phone, string(v.Model))
	if v.Problem != "" {
		p.write(`<p class="bad">`)
		p.reason(string(v.Problem))
		p.write(`</p><p>`)
		p.reason(string(v.Remedy))
		p.write(`</p>`)
	}
	if v.Why != "" {
		p.write(`<p class="bad" lang="en">{}</p>`, v.Why)
	}
	if missing == nil {
		p.write(`<p class="good">{}</p>`, p.t("Nothing is missing."))
	} else {
		p.write(`<ul>`)
		for _, one := range missing {
			p.write(`<li>{}</li>`, p.t(one))
		}
		p.write(`</ul>`)
	}
	p.write(`</div><div class="row"><button type="button" data-request="probe"{}>{}</button><button type="button" data-request="install"{}>{}</button></div><div class="answers" role="status"></div></article>`,
		h.disabled(), p.t("Probe"), h.disabled(), p.t("Install action URLs"))
}

// logPage shows the last lines of the log.
func (h *handler) logPage(w http.ResponseWriter, r *http.Request) {
	p := h.begin(r, "log", translate(language(r), "Log"), "log")
	want := searchOf(r)
	found, last := h.Journal.find(want)
	p.write(`<form class="filter" method="get" role="search"><label>{} <input type="search" name="q" id="q" value="{}" autocomplete="off" maxlength="64"></label>
<label>{} <select name="level" id="level"><option value="">{}</option>`, p.t("Text"), want.text, p.t("Least level"), p.t("all"))
	for _, level := range loglevel.Names() {
		p.option(level, level, want.level)
	}
	p.write(`</select></label><button class="noscript">{}</button><button type="button" id="pause" aria-pressed="false">{}</button>
<a id="download" href="log.txt?{}" download>{}</a></form>`, p.t("Filter"), p.t("Pause"), url.Values{"q": {want.text}, "level": {want.level}}.Encode(), p.t("Download"))
	p.write(`<form id="loglevel" class="row"><label>{} <select name="level"{}>`, p.t("Log from now on"), h.disabled())
	for _, level := range loglevel.Names() {
		p.option(level, level, h.logLevel(r.Context()))
	}
	p.write(`</select></label><button{}>{}</button></form><div id="answer" role="status"></div><p class="hint">{}</p><ol id="log" class="log" data-last="{}" lang="en">`,
		h.disabled(), p.t("Set"), p.t("The last 128 KiB are kept. In containers and under systemd the whole log is with the system."), int(last)) //nolint:gosec // a count of lines
	for _, l := range found {
		p.write(`<li class="{}">{}</li>`, l.Level, l.Text)
	}
	p.write(`</ol>`)
	p.send(w, http.StatusOK)
}

// logLevel is the least level that is logged.
func (h *handler) logLevel(ctx context.Context) string {
	for _, level := range loglevel.All() {
		if h.Log.Enabled(ctx, level) {
			return loglevel.Name(level)
		}
	}
	return loglevel.Name(slog.LevelError)
}

// aboutPage says what the program is.
func (h *handler) aboutPage(w http.ResponseWriter, r *http.Request) {
	p := h.begin(r, "about", translate(language(r), "About"), "about")
	p.write(`<dl class="facts"><dt>snom2mqtt</dt><dd>{} <small>{}</small></dd><dt>Go</dt><dd>{}</dd><dt>{}</dt><dd>`, h.About.Version, h.About.Revision, h.About.Go, p.t("Running since"))
	p.moment(h.About.Started)
	p.write(`</dd><dt>{}</dt><dd>{}</dd><dt>{}</dt><dd>{}</dd><dt>{}</dt><dd>`, p.t("Features"), strings.Join(h.About.Features, ", "), p.t("Base topic"), h.Tree.Base, p.t("Console"))
	switch {
	case h.ReadOnly:
		p.write("{}", p.t("read-only"))
	default:
		p.write("{}", p.t("reads and sends"))
	}
	p.write(`</dd></dl>`)
	if h.Report != nil {
		p.write(`<p><a class="button" href="api/report" download>{}</a></p><p class="hint">{}</p>`, p.t("Download a report"),
			p.t("For a bug report: versions, settings, what the phones are. It holds no password, no code and no token."))
	}
	p.write(`<ul><li><a href="api/openapi.json">{}</a></li><li><a href="metrics">{}</a></li><li><a href="https://github.com/snom2mqtt/snom2mqtt" rel="noreferrer">{}</a></li></ul>`,
		p.t("The API for programs (OpenAPI)"), p.t("Metrics for Prometheus"), p.t("The project, its documents and its licence (MIT)"))
	p.send(w, http.StatusOK)
}
