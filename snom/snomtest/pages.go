package snomtest

import (
	"encoding/xml"
	"fmt"
	"html"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/snom2mqtt/snom2mqtt/snom"
)

// page is what stands behind authentication.
func (p *Phone) page(in request, line *Request) reply {
	if rep, ok := p.screenPage(in, line); ok {
		return rep
	}
	switch in.path {
	case "/", "/index.htm":
		page := p.index() // a real phone may show the list before it clears it
		p.clearLists(in, line)
		return page
	case "/info.htm":
		return p.info()
	case "/settings.xml":
		return p.settingsXML(line)
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
			p.browse(url)
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
	case p.config.UserMode && !p.login.service && (in.path == "/dummy.htm" || in.path == "/advanced_update.htm" || strings.HasPrefix(in.path, "/settings.")):
		line.Note = "blocked in user mode"
	default:
		return reply{}, true
	}
	return errorPage(http.StatusForbidden, "Forbidden"), false
}

// done is the page after a command. What a phone answers here is not documented.
func (p *Phone) done() reply { return p.index() }

// index is the first page; its title is the phone's name when it has one.
func (p *Phone) index() reply {
	title := or(p.settings["phone_name"], "snom "+p.config.Model)
	var calls strings.Builder
	for _, caller := range p.panel.received {
		fmt.Fprintf(&calls, "<tr><td>%s</td></tr>", html.EscapeString(caller))
	}
	return html200(title, "<h1>Operation</h1><form action=index.htm>Dial a number <input name=NUMBER></form>"+
		"<h2>Received calls</h2><table>"+calls.String()+"</table>")
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
		"<h2>Production Information</h2><pre>Mac:"+mac+"\nHardware: "+model+"\n"+p.moduleNames()+"</pre>")
}

// A SettingsFormat is how a phone shows its settings. The format of settings.htm is inferred in all of them.
type SettingsFormat string

// moduleNames are the expansion modules as symcon/Snom finds them in the page. The caller holds the lock.
func (p *Phone) moduleNames() string {
	var names string
	for _, e := range p.modules {
		names += e.Name + " \n"
	}
	return names
}

// The formats.
const (
	SettingsText   SettingsFormat = "text"   // settings.htm alone, with a flag behind each name
	SettingsPlain  SettingsFormat = "plain"  // settings.htm alone, without flags
	SettingsForm   SettingsFormat = "form"   // settings.htm alone, the action URLs in fields of a form
	SettingsSparse SettingsFormat = "sparse" // both, without those that have no value
)

type xmlSetting struct {
	XMLName xml.Name
	Index   string `xml:"idx,attr,omitempty"`
	Perm    string `xml:"perm,attr"`
	Value   string `xml:",chardata"`
}

type xmlEntry struct {
	XMLName xml.Name `xml:"item"`
	Name    string   `xml:"name"`
	Number  string   `xml:"number"`
}

// An xmlKey is a function key as settings.xml has it (service.snom.com, <functionKeys> tag).
type xmlKey struct {
	XMLName xml.Name `xml:"fkey"`
	Index   int      `xml:"idx,attr"`
	Context string   `xml:"context,attr"`
	Label   string   `xml:"label,attr"`
	Short   *string  `xml:"short_label,attr"`
	Perm    string   `xml:"perm,attr"`
	Value   string   `xml:",chardata"`
}

// functionKeys are the keys of the phone, and those that were set. A key is a line until it is set up (service.snom.com,
// Function Key Types).
func (p *Phone) functionKeys() (keys []xmlKey) {
	model, _ := snom.FindModel(p.config.Model)
	_, count := model.KeyCount()
	_, last := p.moduleKeys()
	count = max(count, last)
	for name := range p.settings {
		if kind, n, ok := keySetting(name); ok && kind == "fkey" {
			count = max(count, n+1)
		}
	}
	for i := range count {
		of := func(kind string) string { return p.settings[kind+strconv.Itoa(i)] }
		k := xmlKey{
			Index: i, Context: "active", Label: of("fkey_label"), Perm: p.permission("fkey" + strconv.Itoa(i)), Value: or(of("fkey"), "line"),
		}
		if hasShortLabels(p.config.Model) {
			k.Short = new(of("fkey_short_label"))
		}
		keys = append(keys, k)
	}
	return keys
}

// hasShortLabels reports whether the phone has short labels, as symcon/Snom has it.
func hasShortLabels(model string) bool { return model == "D713" || model == "D735" || model == "D785" }

// keySetting reads the name of a setting of a function key.
func keySetting(name string) (kind string, n int, ok bool) {
	kind = strings.TrimRight(name, "0123456789")
	n, err := strconv.Atoi(name[len(kind):])
	return kind, n, err == nil && n < maxKeys && (kind == "fkey" || kind == "fkey_label" || kind == "fkey_short_label")
}

// maxKeys bounds the keys of a phone (wazo-provd-plugins #279).
const maxKeys = 300

// A shownSetting is a setting as the pages show it.
type shownSetting struct {
	name, index, value string
}

// plainSettings are settings that every phone has, and that do nothing here (nethesis/tancredi snom.tmpl; the values are
// inferred).
func plainSettings() map[string]string {
	return map[string]string{
		"keyboard_lock": "off", "keyboard_lock_emergency": "911 112 110", "vol_handset": "8", "vol_headset": "8", "vol_ringer": "8",
		"vol_speaker": "8", "multicast_listen": "off", "backlight": "15", "dim_timer": "20", "privacy_out": "off",
	}
}

// shownSettings lists the settings by name: those that have a value, and those that every phone has.
func (p *Phone) shownSettings() []shownSetting {
	values := map[string]string{"action_blacklist_url": "", "dnd_off_code": "", "dnd_on_code": "", "language": "English"}
	maps.Copy(values, plainSettings())
	for _, name := range ActionSettings() {
		values[name] = ""
	}
	for name, value := range p.settings {
		values[name] = value
	}
	var list []shownSetting
	for _, name := range slices.Sorted(maps.Keys(values)) {
		value := hidePassword(name, values[name])
		_, _, isKey := keySetting(name)
		if _, identity := identitySetting(name); value == "" && p.config.Shows == SettingsSparse || isDNDMode(name) || identity > 0 || isSlot(name) || isKey {
			continue
		}
		list = append(list, shownSetting{name: name, value: value})
	}
	for i := 1; i <= multicastSlots; i++ {
		if value := p.settings[fmt.Sprint("mc_address", i)]; value != "" || p.config.Shows != SettingsSparse {
			list = append(list, shownSetting{"mc_address", strconv.Itoa(i), value})
		}
	}
	for line := range p.config.Lines {
		list = append(list, shownSetting{"dnd_mode", strconv.Itoa(line + 1), map[bool]string{true: "on", false: "off"}[p.panel.dnd]})
		for _, s := range identitySettings {
			if value := p.ofIdentity(s.name, s.without, line+1); value != "" || p.config.Shows != SettingsSparse {
				list = append(list, shownSetting{s.name, strconv.Itoa(line + 1), value})
			}
		}
	}
	return list
}

// settingsXML lists the settings.
func (p *Phone) settingsXML(line *Request) reply {
	if p.config.Shows != "" && p.config.Shows != SettingsSparse {
		line.Note = "no such page"
		return errorPage(http.StatusNotFound, "Not found")
	}
	list := []xmlSetting{
		{XMLName: xml.Name{Local: "phone_type"}, Perm: "R", Value: "snom" + p.config.Model},
		{XMLName: xml.Name{Local: "firmware_version"}, Perm: "R", Value: p.config.Firmware},
		{XMLName: xml.Name{Local: "http_user"}, Value: p.config.Username},
		{XMLName: xml.Name{Local: "http_pass"}},
	}
	for _, s := range p.shownSettings() {
		list = append(list, xmlSetting{XMLName: xml.Name{Local: s.name}, Index: s.index, Perm: p.permission(s.name), Value: s.value})
	}
	var document struct {
		XMLName xml.Name `xml:"settings"`
		Phone   struct {
			Settings []xmlSetting
		} `xml:"phone-settings"`
		Keys struct {
			Keys []xmlKey
		} `xml:"functionKeys"`
		Directory struct {
			Entries []xmlEntry
		} `xml:"tbook"`
	}
	document.Phone.Settings, document.Keys.Keys = list, p.functionKeys()
	for i, name := range p.config.Directory {
		document.Directory.Entries = append(document.Directory.Entries, xmlEntry{Name: name, Number: strconv.Itoa(100 + i)})
	}
	body, err := xml.MarshalIndent(document, "", " ")
	if err != nil {
		return errorPage(http.StatusInternalServerError, err.Error())
	}
	return reply{status: http.StatusOK, contentType: "text/xml", body: xml.Header + string(body)}
}

// settingsPage is the same for people, with the flags of the older settings files behind the names: & for
// what is read-only (Snom wiki, PERMISSIONFLAG), ! for the rest. That the page looks so is inferred.
func (p *Phone) settingsPage() reply {
	var rows, fields strings.Builder
	for _, s := range p.shownSettings() {
		flag := "!"
		switch {
		case p.config.Shows == SettingsForm && strings.HasPrefix(s.name, "action_"):
			fmt.Fprintf(&fields, "<input name=%q value=%q>\n", s.name, html.EscapeString(s.value))
			continue
		case p.config.Shows == SettingsPlain:
			flag = ""
		case p.permission(s.name) == "R":
			flag = "&"
		}
		fmt.Fprintf(&rows, "%s%s%s: %s\n", s.name, s.index, flag, html.EscapeString(s.value))
	}
	for _, k := range p.functionKeys() {
		flag := "!"
		switch {
		case p.config.Shows == SettingsPlain:
			flag = ""
		case k.Perm == "R":
			flag = "&"
		}
		fmt.Fprintf(&rows, "fkey%d%s: %s\nfkey_label%d%s: %s\n", k.Index, flag, html.EscapeString(k.Value), k.Index, flag, html.EscapeString(k.Label))
		if k.Short != nil {
			fmt.Fprintf(&rows, "fkey_short_label%d%s: %s\n", k.Index, flag, html.EscapeString(*k.Short))
		}
	}
	return html200("snom "+p.config.Model, "<h1>Settings</h1><pre>\n"+rows.String()+"</pre><form>"+fields.String()+"</form>")
}

func (p *Phone) permission(name string) string {
	if _, n, ok := keySetting(name); ok {
		name = "fkey" + strconv.Itoa(n) // the labels are attributes of the key
	}
	if base, _ := identitySetting(name); slices.Contains(p.config.ReadOnly, name) || base != "" && slices.Contains(p.config.ReadOnly, base) {
		return "R"
	}
	return ""
}

// shown is a setting's value as the phone gives it away.
func (p *Phone) shown(name string) string { return hidePassword(name, p.settings[name]) }

// hidePassword returns the value of a setting as a phone gives it away: passwords come out empty.
func hidePassword(name, value string) string {
	if strings.Contains(name, "pass") {
		return ""
	}
	return value
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
		case slices.Contains(p.config.Unkept, s.name):
			line.Note = joinNotes(line.Note, fmt.Sprintf("setting %q keeps its value", s.name))
			continue
		case strings.HasPrefix(s.name, "fkey_short_label") && !hasShortLabels(p.config.Model):
			line.Note = joinNotes(line.Note, fmt.Sprintf("no setting %q on this model", s.name))
			continue
		}
		line.Executed = true
		storeSetting(p.settings, s.name, s.value)
		if store == "save" {
			storeSetting(p.flash, s.name, s.value)
		}
		if isDNDMode(s.name) {
			p.setDND(s.value == "on")
		}
	}
	p.obeyForwarding()
	p.tune()
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
