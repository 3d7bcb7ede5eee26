package snom

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
)

// Pages as the sources of [verdicts] describe them.
const (
	phoneManagerPage = `<!DOCTYPE html><html><head><meta charset="utf-8"><title>Phone Manager</title></head><body></body></html>`
	errorPage        = `<HTML><HEAD><TITLE>snom VoIP phone: Error</TITLE></HEAD><BODY>Forbidden</BODY></HTML>`
	loginFailedPage  = `<html><body><p>Login failed!</p></body></html>`
	lockedPage       = `<html><body>Too many unsuccessful login attempts. Please wait.</body></html>`
	loginTitlePage   = `<html><head><title>Login</title></head><body>Login failed! Too many unsuccessful login attempts</body></html>`
	indexPage        = `<HTML><HEAD><TITLE>snom D785</TITLE></HEAD><BODY>Welcome</BODY></HTML>`
	callListPage     = `<HTML><HEAD><TITLE>snom D785</TITLE></HEAD><BODY><form>Dial a number <input name=NUMBER></form>` +
		`<table><tr><td>Login failed!</td><td>+4930123</td></tr><tr><td>3 unsuccessful login attempts</td></tr></table></BODY></HTML>`
	namedPage    = `<HTML><HEAD><TITLE>Reception</TITLE></HEAD><BODY>Welcome to your snom</BODY></HTML>`
	routerPage   = `<html><head><title>Router</title></head><body>Welcome</body></html>`
	routerList   = `<html><head><title>Router</title></head><body><table><tr><td>snom-d735<td>00:04:13:AA:BB:CC</table></body></html>`
	printerPage  = `<html><head><title>Printer</title></head><form>User <input name=u> Password <input type="password" name=p></form></html>`
	formPage     = `<html><title>snom D735</title><form action=/login><input name=user><input name=pass TYPE = 'Password'/></form></html>`
	identityPage = `<html><title>snom D735</title><form>Account <input name=a> Name <input name=b> Registrar <input name=c> Proxy <input name=d>` +
		`Password <input type=password name=user_pass1></form></html>`
)

func TestVerdicts(t *testing.T) {
	t.Parallel()
	const (
		command = "/command.htm?key=P1"
		clear   = "/index.htm?receiveddel=clear"
	)
	login := func(a *answer) { a.carried, a.configured = true, true }
	configured := func(a *answer) { a.configured = true }
	known := func(by proof) func(*answer) { return func(a *answer) { a.identified = by } }
	tests := []struct {
		name     string
		status   int
		location string
		server   string
		body     string
		target   string // empty: command
		set      func(*answer)
		expected error  // nil: the phone did as told
		says     string // in the error
	}{
		{name: "accepted", status: 200},
		{name: "accepted, with a page", status: 200, body: indexPage},
		{name: "accepted, with a page of a phone that has a name", status: 200, body: namedPage},
		{name: "accepted, with a name and nothing else", status: 200, server: "snom embedded", body: routerPage},
		{name: "accepted by a phone of another brand", status: 200, server: "VTech embedded", body: routerPage},
		{name: "accepted by a phone of another brand, by its title", status: 200, body: "<html><title>Doro IP840c</title>"},
		{name: "accepted, with a page that says nothing", status: 200, body: "<html><body>done</body></html>"},
		{name: "accepted, with a MAC address", status: 200, body: "<html>00:04:13:aa:bb:cc</html>"},
		{name: "accepted, in words", status: 200, body: "OK"},
		{name: "no login", status: 401, expected: ErrUnauthorized, says: "HTTP 401"},
		{name: "hidden tags", status: 403, body: "Forbidden", expected: ErrRefused, says: "use_hidden_tags or restrict_uri_queries"},
		{name: "error page", status: 403, body: errorPage, expected: ErrRefused},
		{name: "error page that says 200", status: 200, body: errorPage, expected: ErrRefused},
		{name: "no such page", status: 404, expected: ErrUnsupported, says: "no such page"},
		{name: "DECT base", status: 303, location: "/main.html", expected: ErrUnsupported, says: "M series"},
		{name: "created", status: 201, expected: ErrPhone, says: "HTTP 201"},
		{name: "broken", status: 500, expected: ErrPhone, says: "HTTP 500"},
		{name: "busy", status: 503, body: errorPage, expected: ErrPhone, says: "HTTP 503"},

		{name: "D8xx", status: 200, body: phoneManagerPage, expected: ErrUnsupported, says: "D8xx"},
		{name: "D8xx, other spelling", status: 200, body: "<TITLE lang=en>\n Phone manager </TITLE>", expected: ErrUnsupported, says: "D8xx"},
		{name: "D8xx, 404", status: 404, body: phoneManagerPage, expected: ErrUnsupported, says: "D8xx"},
		{name: "D8xx, cut off", status: 200, body: "<title>Phone Manager", expected: ErrUnsupported, says: "D8xx"},
		{name: "words, not title", status: 200, body: "<title>snom</title> Phone Manager"},
		{name: "D8xx by its own word", status: 200, body: indexPage, set: func(a *answer) { a.noControl = true }, expected: ErrUnsupported, says: "no remote control"},
		{name: "D8xx by its own word, redirect", status: 302, location: "index.htm", set: func(a *answer) { a.noControl = true }, expected: ErrUnsupported},

		{name: "dialled", status: 302, location: "index.htm"},
		{name: "dialled, absolute path", status: 302, location: "/index.htm"},
		{name: "dialled, in capitals", status: 302, location: "/INDEX.HTM"},
		{name: "dialled, dot", status: 302, location: "./index.htm"},
		{name: "dialled, with a query", status: 302, location: "/index.htm?a=b#c"},
		{name: "dialled, same host", status: 302, location: "http://phone.example/index.htm"},
		{name: "dialled, same host in capitals", status: 302, location: "http://PHONE.example:8080/index.htm"},
		{name: "dialled, its address", status: 302, location: "http://192.0.2.10/index.htm"},
		{name: "dialled over https", status: 302, location: "https://phone.example/index.htm", set: func(a *answer) { a.https = true }},
		{name: "redirect without a target", status: 302, expected: ErrPhone, says: "nowhere"},
		{name: "redirect without a target, of a known phone", status: 302, set: known(byServer), expected: ErrPhone, says: "nowhere"},
		{name: "redirect to a login page", status: 302, location: "/login.htm", expected: ErrPhone, says: "another page"},
		{name: "redirect to a login page in a query", status: 302, location: "/login.htm?next=/index.htm", expected: ErrPhone},
		{name: "redirect to the root", status: 302, location: "/", expected: ErrPhone},
		{name: "redirect to another file", status: 302, location: "/web/index.htm", expected: ErrPhone},
		{name: "redirect to index.html", status: 302, location: "/index.html", expected: ErrPhone},
		{name: "redirect to another host", status: 302, location: "http://192.0.2.11/index.htm", expected: ErrPhone, says: "another device"},
		{name: "redirect to another host by name", status: 302, location: "http://phone.example.evil.example/index.htm", expected: ErrPhone},
		{name: "redirect to another host without a scheme", status: 302, location: "//portal.example/index.htm", expected: ErrPhone},
		{name: "redirect to a user of another host", status: 302, location: "http://phone.example@portal.example/index.htm", expected: ErrPhone},
		{name: "redirect to nowhere", status: 302, location: "http://[/", expected: ErrPhone},
		{name: "redirect to another scheme", status: 302, location: "ftp://phone.example/index.htm", expected: ErrPhone},
		{name: "redirect to something opaque", status: 302, location: "http:index.htm", expected: ErrPhone},
		{name: "redirect of another server", status: 302, location: "/index.htm", server: "GoAhead-Webs", expected: ErrPhone, says: "not one of a Snom"},
		{name: "requires https", status: 307, location: "https://phone.example/command.htm?key=P1", expected: ErrPhone, says: "https"},
		{name: "requires https, by 302", status: 302, location: "HTTPS://phone.example/", expected: ErrPhone, says: "https"},
		{name: "the port serves https", status: 400, body: "Client sent an HTTP request to an HTTPS server.\n", expected: ErrPhone, says: "https"},
		{name: "the port serves https, nginx", status: 400, server: "nginx", body: "<title>400 The plain HTTP request was sent to HTTPS port</title>", expected: ErrPhone, says: "https"},
		{name: "the port serves https, Apache", status: 400, body: "You're speaking plain HTTP to an SSL-enabled server port.", expected: ErrPhone, says: "https"},
		{name: "400", status: 400, body: "Bad request", expected: ErrPhone, says: "HTTP 400: that status"},
		{name: "400 over https", status: 400, body: "https", set: func(a *answer) { a.https = true }, expected: ErrPhone, says: "HTTP 400: that status"},
		{name: "307 elsewhere", status: 307, location: "/login.htm", expected: ErrPhone, says: "HTTP 307"},
		{name: "307 over https", status: 307, location: "https://phone.example/", set: func(a *answer) { a.https = true }, expected: ErrPhone, says: "HTTP 307"},

		{name: "another server", status: 200, server: "nginx/1.24", body: "OK", expected: ErrPhone, says: "not one of a Snom"},
		{name: "another server, empty", status: 200, server: "lighttpd", expected: ErrPhone},
		{name: "another server before a phone", status: 200, server: "nginx", body: indexPage},
		{name: "another server before a phone that is known", status: 200, server: "nginx", set: known(byTitle)},
		{name: "another server where the phone was", status: 200, server: "HP HTTP Server", set: known(byServer), expected: ErrPhone},
		{name: "another page", status: 200, body: routerPage, expected: ErrPhone, says: "not one of a Snom"},
		{name: "another page of a known phone", status: 200, body: routerPage, set: known(byServer)},
		{name: "another page that repeats the program's name", status: 200, body: "<html><title>Test</title>Your browser is snom2mqtt</html>", expected: ErrPhone},
		{name: "another page that repeats its address", status: 200, body: "<title>Welcome</title>Welcome to snom.example</html>", set: func(a *answer) { a.host = "snom.example" }, expected: ErrPhone},
		{name: "router that lists phones", status: 200, server: "lighttpd/1.4", body: routerList, expected: ErrPhone, says: "not one of a Snom"},
		{name: "router that lists phones, without a name", status: 200, body: routerList, expected: ErrPhone, says: "not one of a Snom"},
		{name: "router that lists MAC addresses with dashes", status: 200, body: strings.ReplaceAll(strings.ReplaceAll(routerList, ":", "-"), "snom-d735", ""), expected: ErrPhone},
		{name: "another server that lists phones", status: 200, server: "Apache", body: "snom 000413aabbcc", expected: ErrPhone},
		{name: "router that lists phones, where the phone was", status: 200, server: "lighttpd", body: routerList, set: known(byServer), expected: ErrPhone},
		{name: "router that lists phones, info page", status: 200, server: "lighttpd", body: routerList, target: infoTarget, expected: ErrPhone},
		{name: "info page of a phone that has a name", status: 200, body: strings.ReplaceAll(routerList, "Router", "Hall"), target: infoTarget},
		{name: "printer", status: 200, body: printerPage, expected: ErrPhone, says: "login page"},
		{name: "printer where the phone was", status: 200, body: printerPage, set: known(byServer), expected: ErrPhone, says: "login page"},
		{name: "login form of a Snom", status: 200, body: formPage, expected: ErrPhone, says: "login page"},
		{name: "login form, with a login", status: 200, body: formPage, set: login, expected: ErrPhone},
		{name: "form without types", status: 200, body: "<title>Router</title><form action=/login>Password <input name=p></form>", expected: ErrPhone, says: "login page"},
		{name: "settings of an identity", status: 200, body: identityPage, target: "/line_login.htm?PLAY_RINGER:1=+Ringer"},
		{name: "settings of another device", status: 200, body: strings.ReplaceAll(identityPage, "snom", "PBX"), expected: ErrPhone, says: "login page"},

		{name: "login failed", status: 200, body: loginFailedPage, set: login, expected: ErrUnauthorized, says: "login failed"},
		{name: "login failed, in capitals", status: 200, body: "LOGIN FAILED!", set: login, expected: ErrUnauthorized},
		{name: "login failed, by its title", status: 200, body: "<title>Login</title>Login failed!", set: login, expected: ErrUnauthorized},
		{name: "login failed, by its form", status: 200, body: strings.Replace(formPage, "<form", "Login failed!<form", 1), set: login, expected: ErrUnauthorized},
		{name: "login failed, first page", status: 200, body: "<title>Login</title>Login failed!", target: clear, set: login, expected: ErrUnauthorized},
		{name: "login failed, without one", status: 200, body: loginFailedPage, expected: ErrPhone},
		{name: "login failed, without one, a login configured", status: 200, body: loginTitlePage[:60] + "Login failed!", set: configured, expected: ErrPhone},
		{name: "locked out", status: 200, body: lockedPage, set: login, expected: ErrLockedOut},
		{name: "locked out, 401", status: 401, body: lockedPage, set: configured, expected: ErrLockedOut},
		{name: "locked out, 401, no login to give", status: 401, body: lockedPage, expected: ErrUnauthorized, says: "requires a login"},
		{name: "login failed, 401, no login sent", status: 401, body: loginFailedPage, set: configured, expected: ErrUnauthorized, says: "requires a login"},
		{name: "locked out, 403", status: 403, body: lockedPage, set: configured, expected: ErrLockedOut},
		{name: "a name on a 403 page, no login to give", status: 403, body: "<title>snom VoIP Phone: Error</title>caller Login failed!", expected: ErrRefused},
		{name: "a name on a 403 page, before the login", status: 403, body: "<title>snom VoIP Phone: Error</title>caller Login failed!", set: configured, expected: ErrRefused},
		{name: "a name like a form in the list", status: 200, body: "<title>snom</title>Login failed!<input type=password name=passw>", target: clear, set: login},
		{name: "a name like a form in the list, of an unknown device", status: 200, body: "<title>Hall</title>Login failed!<input type=password name=passw>", target: clear, set: login, expected: ErrPhone},
		{name: "a name like a whole form in the list", status: 200, body: strings.Replace(callListPage, "Login failed!", "Login failed!<form><input type=password></form>", 1), target: clear, set: login},
		{name: "a title with a login in the list", status: 200, body: "<title>Welcome Login Snom</title><td>Login failed!</td>", target: clear, set: login, expected: ErrPhone, says: "login page"},
		{name: "a login form of a Snom in place of the list", status: 200, body: formPage, target: clear, set: login, expected: ErrPhone, says: "login page"},
		{name: "locked out, before the login", status: 200, body: loginTitlePage, set: configured, expected: ErrLockedOut},
		{name: "locked out, no login to give", status: 200, body: loginTitlePage, expected: ErrPhone},
		{name: "a caller in the list", status: 200, body: callListPage, target: clear, set: login},
		{name: "a caller in the list, no login", status: 200, body: callListPage, target: clear},
		{name: "a caller in the list after a command", status: 200, body: callListPage, set: login},
		{name: "a caller in a list without a title", status: 200, body: "<td>Login failed!</td>", target: clear, set: login},
		{name: "a caller in a short list, title in words", status: 200, body: strings.Replace(callListPage, "snom D785", "snom Login", 1), target: clear, set: login},
		{name: "a caller in a long list", status: 200, body: "<title>Login</title>" + strings.Repeat("<td>Login failed!</td>", 1000), target: clear, set: known(byServer)},
		{name: "a name in the directory", status: 200, body: "<settings><phone-settings><a>Login failed!</a></phone-settings></settings>", target: settingsXML, set: login},
		{name: "a name in the settings", status: 200, body: "name!: Login failed!\npass!: unsuccessful login attempts\n", target: settingsPage, set: login},
		{name: "a name in a bare first page", status: 200, body: "unsuccessful login attempts", target: "/", set: login},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			a := &answer{
				head:   &replyHead{status: tt.status, location: tt.location, server: tt.server},
				lower:  []byte(strings.ToLower(tt.body)),
				target: command, host: "phone.example:8080", remote: netip.MustParseAddr("192.0.2.10"),
			}
			if a.title = pageTitle(a.lower); tt.target != "" {
				a.target = tt.target
			}
			if tt.set != nil {
				tt.set(a)
			}
			err := a.verdict().on(tt.status)
			if !errors.Is(err, tt.expected) || tt.expected == nil && err != nil {
				t.Fatalf("verdict = %v, expected %v", err, tt.expected)
			}
			if err != nil && !strings.Contains(err.Error(), tt.says) {
				t.Errorf("verdict = %q, expected it to say %q", err, tt.says)
			}
		})
	}
}

// A row is of use only when it has a source and when something can come to it.
func TestVerdictsAreSourcedAndReached(t *testing.T) {
	t.Parallel()
	reached := map[string]bool{}
	for status := range 600 {
		for _, body := range []string{"", phoneManagerPage, errorPage, loginFailedPage, lockedPage, indexPage, printerPage, routerPage} {
			for _, location := range []string{"", "https://phone.example/", "/login.htm", "/index.htm"} {
				for _, set := range []func(*answer){
					func(*answer) {},
					func(a *answer) { a.carried, a.configured = true, true },
					func(a *answer) { a.noControl = true },
					func(a *answer) { a.head.other = 200 },
				} {
					a := &answer{head: &replyHead{status: status, location: location}, lower: []byte(strings.ToLower(body))}
					a.title = pageTitle(a.lower)
					set(a)
					reached[a.verdict().fact] = true
				}
			}
		}
	}
	for _, v := range verdicts {
		if v.source == "" || v.fact == "" {
			t.Errorf("%q: expected a fact and a source", v.fact)
		}
		if !reached[v.fact] {
			t.Errorf("%q: no reply comes to it", v.fact)
		}
	}
}

func FuzzVerdict(f *testing.F) {
	for _, body := range []string{"", phoneManagerPage, errorPage, loginFailedPage, lockedPage, indexPage, printerPage, formPage, "<title", "<title>", "<input type=password", "<input type = '"} {
		for _, status := range []int{200, 302, 303, 307, 401, 403, 404, 500} {
			f.Add(status, "", "snom", []byte(body), false)
			f.Add(status, "https://phone.example/command.htm?key_dtmf=4711", "x", []byte(body), true)
		}
	}
	f.Fuzz(func(t *testing.T, status int, location, server string, body []byte, login bool) {
		a := &answer{head: &replyHead{status: status, location: location, server: server}, target: "/command.htm?key=P1", host: "phone.example", carried: login, configured: login}
		lowerASCII(body)
		a.lower, a.title = body, pageTitle(body)
		err := a.verdict().on(status)
		if err == nil {
			if status != 200 && status != 302 {
				t.Fatalf("verdict(%d) = nil, expected an error", status)
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
			t.Fatalf("verdict = %v wraps %d of the errors, expected one", err, kinds)
		}
		if !login && errors.Is(err, ErrUnauthorized) && status != 401 && status != 403 {
			t.Fatalf("verdict(%d) = %v, and no login was sent", status, err)
		}
		if len(err.Error()) > 200 {
			t.Fatalf("verdict = %q, expected it to repeat nothing of the page", err)
		}
	})
}
