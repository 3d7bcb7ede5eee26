package snomtest

import (
	"encoding/xml"
	"fmt"
	"html"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"
)

// page is what stands behind authentication.
func (p *Phone) page(in request, line *Request) reply {
	switch in.path {
	case "/", "/index.htm":
		p.clearLists(in, line)
		return p.index()
	case "/info.htm":
		return p.info()
	case "/settings.xml":
		return p.settingsXML()
	case "/settings.htm":
		return p.settingsPage()
	case "/command.htm":
		return p.command(in, line)
	case "/line_login.htm":
		p.playRinger(in, line)
	case "/advanced_update.htm":
		return p.advancedUpdate(in, line)
	case "/dummy.htm":
		return p.dummy(in, line)
	case "/minibrowser.htm":
		if url, _ := in.get("url"); url == "" {
			line.Note = "no url"
		} else {
			line.Executed = true
		}
	default:
		line.Note = "no such page"
		return errorPage(http.StatusNotFound, "Not found")
	}
	return p.done()
}

// permit refuses what the settings of the phone forbid. That the refusal is a 403 is inferred. With
// use_hidden_tags no remote control is possible (Snom blog, 2009-08-14); which few requests with
// parameters remain possible is not said, so none do.
func (p *Phone) permit(in request, line *Request) (reply, bool) {
	switch {
	case p.config.HiddenTags && len(in.params) > 0:
		line.Note = "blocked by use_hidden_tags"
	case p.config.RestrictURIQueries && len(in.params) > 0:
		line.Note = "blocked by restrict_uri_queries"
	case p.config.UserMode && (in.path == "/dummy.htm" || in.path == "/advanced_update.htm" || strings.HasPrefix(in.path, "/settings.")):
		line.Note = "blocked in user mode"
	default:
		return reply{}, true
	}
	return errorPage(http.StatusForbidden, "Forbidden"), false
}

// done is the page after a command. Nobody has written down what a phone really says here.
func (p *Phone) done() reply { return p.index() }

// index is the first page; its title is the phone's name when it has one.
func (p *Phone) index() reply {
	title := or(p.settings["phone_name"], "snom "+p.config.Model)
	return html200(title, "<h1>Operation</h1><form action=index.htm>Dial a number <input name=NUMBER></form>")
}

// info has the facts in the two markups that symcon/Snom has read over the years. Where the firmware
// stands in them is inferred.
func (p *Phone) info() reply {
	model, mac, firmware := p.config.Model, p.config.MAC, "snom"+p.config.Model+"-SIP "+p.config.Firmware
	if p.config.OldPages {
		return html200("snom "+model, "<h1>System Information</h1><TABLE>"+
			"<TR><TD>Phone Type:</TD><TD>snom"+model+"</TD></TR>"+
			"<TR><TD>MAC Address</TD><TD>"+mac+"</TD></TR>"+
			"<TR><TD>Firmware-Version:</TD><TD>"+firmware+"</TD></TR></TABLE>")
	}
	return html200("snom "+model, "<h1>System Information</h1><pre>Firmware-Version: "+firmware+"</pre>"+
		"<h2>Production Information</h2><pre>Mac:"+mac+"\nHardware: "+model+"\n</pre>")
}

type xmlSetting struct {
	XMLName xml.Name
	Perm    string `xml:"perm,attr"`
	Value   string `xml:",chardata"`
}

// settingsXML lists the settings; passwords come out empty.
func (p *Phone) settingsXML() reply {
	list := []xmlSetting{
		{XMLName: xml.Name{Local: "phone_type"}, Perm: "R", Value: "snom" + p.config.Model},
		{XMLName: xml.Name{Local: "firmware_version"}, Perm: "R", Value: p.config.Firmware},
		{XMLName: xml.Name{Local: "http_user"}, Value: p.config.Username},
		{XMLName: xml.Name{Local: "http_pass"}},
	}
	for _, name := range slices.Sorted(maps.Keys(p.settings)) {
		list = append(list, xmlSetting{XMLName: xml.Name{Local: name}, Perm: p.permission(name), Value: p.shown(name)})
	}
	var document struct {
		XMLName xml.Name `xml:"settings"`
		Phone   struct {
			Settings []xmlSetting
		} `xml:"phone-settings"`
	}
	document.Phone.Settings = list
	body, err := xml.MarshalIndent(document, "", " ")
	if err != nil {
		return errorPage(http.StatusInternalServerError, err.Error())
	}
	return reply{status: http.StatusOK, contentType: "text/xml", body: xml.Header + string(body)}
}

// settingsPage is the same for people, with the flags of the older settings files behind the names: & for
// what is read-only (Snom wiki, PERMISSIONFLAG), ! for the rest. That the page looks so is inferred.
func (p *Phone) settingsPage() reply {
	var rows strings.Builder
	for _, name := range slices.Sorted(maps.Keys(p.settings)) {
		flag := "!"
		if p.permission(name) == "R" {
			flag = "&"
		}
		fmt.Fprintf(&rows, "%s%s: %s\n", name, flag, html.EscapeString(p.shown(name)))
	}
	return html200("snom "+p.config.Model, "<h1>Settings</h1><pre>\n"+rows.String()+"</pre>")
}

func (p *Phone) permission(name string) string {
	if slices.Contains(p.config.ReadOnly, name) {
		return "R"
	}
	return ""
}

// shown is a setting's value as the phone gives it away.
func (p *Phone) shown(name string) string {
	if strings.Contains(name, "pass") {
		return ""
	}
	return p.settings[name]
}

// dummy stores settings, loads firmware and reboots.
func (p *Phone) dummy(in request, line *Request) reply {
	what, _ := in.get("settings")
	load, _ := in.get("swload")
	reboot, _ := in.get("REBOOT")
	switch {
	case what == "save":
		p.saveSettings(in, line)
	case load == "load":
		if url, _ := in.get("firmware"); url == "" {
			line.Note = "no firmware"
		} else {
			line.Executed = true
			p.rebootSoon()
		}
	case reboot == "true":
		line.Executed = true
		p.rebootSoon()
	default:
		line.Note = "nothing to do"
	}
	return p.done()
}

// saveSettings writes every other parameter as a setting; without store_settings=save a reboot brings
// the old ones back. What is read-only stays as it is, and the phone does not say so.
func (p *Phone) saveSettings(in request, line *Request) {
	store, _ := in.get("store_settings")
	for _, s := range in.params {
		switch {
		case s.name == "settings" || s.name == "store_settings":
			continue
		case s.flag || strings.Trim(s.name, "abcdefghijklmnopqrstuvwxyz0123456789_") != "":
			line.Note = joinNotes(line.Note, fmt.Sprintf("no setting %q", s.name))
			continue
		case p.permission(s.name) == "R":
			line.Note = joinNotes(line.Note, fmt.Sprintf("setting %q is read-only", s.name))
			continue
		}
		line.Executed = true
		p.settings[s.name] = s.value
		if store == "save" {
			p.flash[s.name] = s.value
		}
		if isDNDMode(s.name) {
			p.setDND(s.value == "on")
		}
	}
}

// advancedUpdate reboots and resets; beroNet's code has the values in lower case.
func (p *Phone) advancedUpdate(in request, line *Request) reply {
	reboot, _ := in.get("reboot")
	reset, _ := in.get("reset")
	switch {
	case strings.EqualFold(reboot, "Reboot"):
		line.Executed = true
		p.rebootSoon()
	case strings.EqualFold(reset, "Reset"):
		line.Executed = true
		p.config.Auth, p.config.Password = AuthNone, "" // as out of the box
		clear(p.settings)
		clear(p.flash)
		p.rebootSoon()
	default:
		line.Note = "nothing to do"
	}
	return p.done()
}

// rebootSoon reboots once the reply is out.
func (p *Phone) rebootSoon() {
	down := p.config.RebootTime
	p.later(100*time.Millisecond, func() { p.reboot(down) })
}

// html200 is a page that is all right.
func html200(title, body string) reply { return pageOf(http.StatusOK, title, body) }

// errorPage has the title that Greenbone's gb_snom_http_detect.nasl knows.
func errorPage(status int, text string) reply {
	return pageOf(status, "snom VoIP phone: Error", fmt.Sprintf("<h1>%d %s</h1>", status, text))
}

func pageOf(status int, title, body string) reply {
	return reply{status: status, body: fmt.Sprintf(
		"<HTML><HEAD><TITLE>%s</TITLE></HEAD><BODY>%s</BODY></HTML>\n", html.EscapeString(title), body)}
}

// phoneManager is what the D8xx generation answers to everything it does not know (symcon/Snom).
func phoneManager() reply {
	return html200("Phone Manager", "<div id=app></div><script src=/app.js></script>")
}

// base is how an M900 answers: 303 on the first page, 404 on settings.xml (symcon/Snom, history); 404
// for all others is inferred.
func base(in request) reply {
	if in.path == "/" {
		return reply{status: http.StatusSeeOther, location: "/main.html"}
	}
	return errorPage(http.StatusNotFound, "Not found")
}

// toHTTPS sends a plain request to the same page by https.
func toHTTPS(r *http.Request) reply {
	return reply{status: http.StatusTemporaryRedirect, location: "https://" + r.Host + r.RequestURI}
}
