package console

import (
	"html"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// markup is HTML that is written as it is. Everything else that enters a page is escaped.
type markup string

// A page is an HTML document that is being written. There is no template engine: html/template alone makes the program
// 2.4 MB larger, and what a page needs of it is that every value is escaped, which write does.
type page struct {
	b    []byte
	lang string // en or de
	root string // the relative path from the page to the root of the console, such as "../"; it also works behind a path prefix
	now  time.Time
}

// write appends format, in which each {} is replaced by the next argument: a markup as it is, a text, a number or a time
// escaped, so that it is safe as text and within a quoted attribute.
func (p *page) write(format string, args ...any) {
	for {
		before, after, more := strings.Cut(format, "{}")
		p.b = append(p.b, before...)
		if !more {
			return
		}
		p.value(args[0])
		args, format = args[1:], after
	}
}

func (p *page) value(v any) {
	switch v := v.(type) {
	case markup:
		p.b = append(p.b, v...)
	case string:
		p.b = append(p.b, html.EscapeString(v)...)
	case int:
		p.b = strconv.AppendInt(p.b, int64(v), 10)
	case time.Time:
		p.moment(v)
	default:
		panic("console: a page has no way to write this value") // the tests write every page
	}
}

// moment writes a time; a zero one is a dash. Scripts show it in the time zone of the browser.
func (p *page) moment(t time.Time) {
	if t.IsZero() {
		p.write("–")
		return
	}
	layout := "15:04:05"
	if p.now.Sub(t).Abs() > 12*time.Hour {
		layout = "2006-01-02 15:04:05"
	}
	p.write(`<time datetime="{}">{}</time>`, t.UTC().Format("2006-01-02T15:04:05.000Z"), t.Format(layout))
}

// t returns a text of the pages in the page's language.
func (p *page) t(english string) string { return translate(p.lang, english) }

// A place is one entry of the navigation.
type place struct{ path, title string }

// places lists the pages of the navigation.
func (h *handler) places() []place {
	return []place{
		{"", "Phones"}, {"doors", "Doors"}, {"messages", "Messages"}, {"setup", "Set-up"}, {"log", "Log"}, {"about", "About"},
	}
}

// begin writes what stands before the content of a page. at is its path, script the name of its module, or empty.
func (h *handler) begin(r *http.Request, at, title, script string) *page {
	p := &page{b: make([]byte, 0, 16<<10), lang: language(r), root: strings.Repeat("../", strings.Count(at, "/")), now: time.Now()}
	p.write(`<!doctype html>
<html lang="{}" data-root="{}"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark"><title>{} – snom2mqtt</title>
<link rel="icon" href="{}static/icon.svg"><link rel="stylesheet" href="{}static/console.css">`, p.lang, p.root, title, p.root, p.root)
	if script != "" && script != "login" {
		p.write(`<script type="module" src="{}static/{}.js"></script>`, p.root, script)
	}
	p.write(`</head><body><a class="skip" href="#main">{}</a><header><p class="brand"><img src="{}static/icon.svg" alt="" width="28" height="28"> snom2mqtt</p>`,
		p.t("Skip to the content"), p.root)
	if script != "login" {
		p.write(`<nav aria-label="{}"><ul>`, p.t("Pages"))
		for _, one := range h.places() {
			current := markup("")
			if one.path == at || one.path == "" && strings.HasPrefix(at, "phones/") {
				current = ` aria-current="page"`
			}
			p.write(`<li><a href="{}"{}>{}</a></li>`, p.link(one.path), current, p.t(one.title))
		}
		p.write(`</ul></nav>`)
		h.writeState(p, r)
	}
	p.write(`</header><main id="main" tabindex="-1"><h1>{}</h1>`, title)
	return p
}

// link returns the relative address of a page of the console.
func (p *page) link(path string) string {
	if p.root+path == "" {
		return "./"
	}
	return p.root + path
}

// writeState writes whether the bridge takes commands, and the way out of a session.
func (h *handler) writeState(p *page, r *http.Request) {
	p.write(`<p class="bridge" role="status"><span id="live" data-live="off" hidden></span>`)
	h.writeConnection(p, "span", "takes")
	p.write(`</p>`)
	if h.Password != "" && h.sessions.valid(r) {
		p.write(`<form method="post" action="{}logout"><button>{}</button></form>`, p.root, p.t("Log out"))
	}
}

// A connection says how the bridge stands with the broker.
type connection struct {
	takes  bool   // it takes commands
	reason string // in words, in English
	detail string // more of it, an error of a broker or of the system; may be empty
	class  string // good, doubtful or bad: it is shown like that
}

func (h *handler) connection() connection {
	ok, reason, detail := h.Ready()
	switch {
	case !ok:
		return connection{ok, reason, detail, "bad"}
	case detail != "":
		return connection{ok, "Takes commands", detail, "doubtful"}
	}
	return connection{ok, "Takes commands", "", "good"}
}

// words is the connection as a text in English.
func (c connection) words() string {
	switch {
	case c.detail == "":
		return c.reason
	case c.takes:
		return c.reason + ", " + c.detail
	}
	return c.reason + ": " + c.detail
}

// writeConnection writes an element that says how the bridge stands with the broker, as static/console.js changes it.
func (h *handler) writeConnection(p *page, tag, id string) {
	c := h.connection()
	p.write(`<{} id="{}" class="{}">{}`, markup(tag), id, c.class, p.t(c.reason))
	if c.detail != "" {
		mark := ":"
		if c.takes {
			mark = ","
		}
		p.write(`{} <span lang="en">{}</span>`, mark, c.detail)
	}
	p.write(`</{}>`, markup(tag))
}

// send ends the page and writes it as the answer.
func (p *page) send(w http.ResponseWriter, status int) {
	p.write(`</main><div id="said" class="visually-hidden" aria-live="polite"></div></body></html>`)
	head := w.Header()
	head.Set("Content-Type", "text/html; charset=utf-8")
	head.Set("Content-Language", p.lang)
	head.Set("Vary", "Accept-Language, Cookie")
	head.Set("Cache-Control", "no-store")
	head.Set("Content-Length", strconv.Itoa(len(p.b)))
	w.WriteHeader(status)
	_, _ = w.Write(p.b) // a client that has gone is no fault of the console
}
