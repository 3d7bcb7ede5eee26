package snom

import (
	"errors"
	"net/http"
	"strings"
	"testing"
)

// Pages as the sources of [verdicts] describe them.
const (
	phoneManagerPage = `<!DOCTYPE html><html><head><meta charset="utf-8"><title>Phone Manager</title></head><body></body></html>`
	errorPage        = `<HTML><HEAD><TITLE>snom VoIP phone: Error</TITLE></HEAD><BODY>Forbidden</BODY></HTML>`
	loginFailedPage  = `<html><body><p>Login failed!</p></body></html>`
	lockedPage       = `<html><body>Too many unsuccessful login attempts. Please wait.</body></html>`
	indexPage        = `<HTML><HEAD><TITLE>snom D785</TITLE></HEAD><BODY>Welcome</BODY></HTML>`
)

func TestJudge(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name     string
		status   int
		location string
		body     string
		https    bool
		want     error  // nil: the phone did as told
		says     string // in the error
	}{
		{name: "accepted", status: 200},
		{name: "accepted, with a page", status: 200, body: indexPage},
		{name: "dialled", status: 302, location: "index.htm"},
		{name: "dialled, absolute path", status: 302, location: "/index.htm"},
		{name: "dialled, same scheme", status: 302, location: "http://192.0.2.10/index.htm"},
		{name: "dialled over https", status: 302, location: "https://192.0.2.10/index.htm", https: true},
		{name: "dialled, no location", status: 302},
		{name: "dialled, odd location", status: 302, location: "http://[/"},
		{name: "no login", status: 401, want: ErrUnauthorized, says: "HTTP 401"},
		{name: "login failed", status: 200, body: loginFailedPage, want: ErrUnauthorized, says: "login failed"},
		{name: "login failed, in capitals", status: 200, body: "LOGIN FAILED!", want: ErrUnauthorized},
		{name: "locked out", status: 200, body: lockedPage, want: ErrLockedOut},
		{name: "locked out, 401", status: 401, body: lockedPage, want: ErrLockedOut},
		{name: "locked out, 403", status: 403, body: lockedPage, want: ErrLockedOut},
		{name: "hidden tags", status: 403, body: "Forbidden", want: ErrRefused, says: "use_hidden_tags or restrict_uri_queries"},
		{name: "error page", status: 403, body: errorPage, want: ErrRefused},
		{name: "error page that says 200", status: 200, body: errorPage, want: ErrRefused},
		{name: "D8xx", status: 200, body: phoneManagerPage, want: ErrUnsupported, says: "D8xx"},
		{name: "D8xx, other spelling", status: 200, body: "<TITLE lang=en>\n Phone manager </TITLE>", want: ErrUnsupported, says: "D8xx"},
		{name: "D8xx, 404", status: 404, body: phoneManagerPage, want: ErrUnsupported, says: "D8xx"},
		{name: "no such page", status: 404, want: ErrUnsupported, says: "no such page"},
		{name: "DECT base", status: 303, location: "/main.html", want: ErrUnsupported, says: "M series"},
		{name: "wants https", status: 307, location: "https://192.0.2.10/command.htm?key=P1", want: ErrPhone, says: "https"},
		{name: "wants https, by 302", status: 302, location: "HTTPS://192.0.2.10/", want: ErrPhone, says: "https"},
		{name: "307 elsewhere", status: 307, location: "/login.htm", want: ErrPhone, says: "HTTP 307"},
		{name: "307 over https", status: 307, location: "https://192.0.2.10/", https: true, want: ErrPhone, says: "HTTP 307"},
		{name: "created", status: 201, want: ErrPhone, says: "HTTP 201"},
		{name: "broken", status: 500, want: ErrPhone, says: "HTTP 500"},
		{name: "busy", status: 503, body: errorPage, want: ErrPhone, says: "HTTP 503"},
		{name: "D8xx, cut off", status: 200, body: "<title>Phone Manager", want: ErrUnsupported, says: "D8xx"},
		{name: "words, not title", status: 200, body: "<title>snom</title> Phone Manager"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			header := http.Header{}
			if tt.location != "" {
				header.Set("Location", tt.location)
			}
			err := judge(tt.status, header, []byte(tt.body), tt.https)
			if !errors.Is(err, tt.want) || tt.want == nil && err != nil {
				t.Fatalf("judge = %v, want %v", err, tt.want)
			}
			if err != nil && !strings.Contains(err.Error(), tt.says) {
				t.Errorf("judge = %q, want it to say %q", err, tt.says)
			}
		})
	}
}

// A row is of use only when it has a source and when something can come to it.
func TestVerdictsAreSourcedAndReached(t *testing.T) {
	t.Parallel()
	reached := map[string]bool{}
	for status := range 600 {
		for _, body := range []string{"", phoneManagerPage, errorPage, loginFailedPage, lockedPage, indexPage} {
			for _, location := range []string{"", "https://phone.example/"} {
				v := verdictOn(status, http.Header{"Location": {location}}, []byte(body), false)
				reached[v.fact] = true
			}
		}
	}
	for _, v := range verdicts() {
		if v.source == "" || v.fact == "" {
			t.Errorf("%+v: want a fact and a source", v)
		}
		if !reached[v.fact] {
			t.Errorf("%q: no reply comes to it", v.fact)
		}
	}
}

func FuzzJudge(f *testing.F) {
	for _, body := range []string{"", phoneManagerPage, errorPage, loginFailedPage, lockedPage, indexPage, "<title", "<title>"} {
		for _, status := range []int{200, 302, 303, 307, 401, 403, 404, 500} {
			f.Add(status, "", []byte(body), false)
			f.Add(status, "https://phone.example/command.htm?key_dtmf=4711", []byte(body), true)
		}
	}
	f.Fuzz(func(t *testing.T, status int, location string, body []byte, https bool) {
		err := judge(status, http.Header{"Location": {location}}, body, https)
		if err == nil {
			if status != 200 && status != 302 {
				t.Fatalf("judge(%d) = nil, want an error", status)
			}
			return
		}
		kinds := 0
		for _, kind := range []error{ErrUnauthorized, ErrLockedOut, ErrRefused, ErrUnsupported, ErrPhone} {
			if errors.Is(err, kind) {
				kinds++
			}
		}
		if kinds != 1 {
			t.Fatalf("judge = %v wraps %d of the errors, want one", err, kinds)
		}
		if len(err.Error()) > 200 {
			t.Fatalf("judge = %q, want it to repeat nothing of the page", err)
		}
	})
}
