package actionurl

import (
	_ "embed"
	"encoding/xml"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/snom2mqtt/snom2mqtt/internal/csvtable"
	"github.com/snom2mqtt/snom2mqtt/snom"
)

// Row is one row of the table of action URLs.
type Row struct {
	Setting  string    // name of the phone's setting: "action_incoming_url"
	Type     EventType // in plain words: "incoming"
	Caption  string    // in the phone's web interface
	Never    bool      // must not point here; see Remark
	Evidence snom.Evidence
	Source   string
	Remark   string
}

// VariableRow is one row of the table of variables that a phone puts into an action URL.
type VariableRow struct {
	Name     string // without the $
	Kind     string // "uri", "text", "number", "free" (text that a caller chose), "setting"
	Sent     bool   // URLs asks for it
	Means    string
	Evidence snom.Evidence
	Source   string
	Remark   string
}

//go:embed events.csv
var eventsCSV string

//go:embed variables.csv
var variablesCSV string

var rows = sync.OnceValue(func() []Row {
	var rows []Row
	for _, r := range csvtable.Rows(eventsCSV) {
		rows = append(rows, Row{
			Setting: r[0], Type: EventType(r[1]), Caption: r[2], Never: r[3] == "never",
			Evidence: snom.Evidence(r[4]), Source: r[5], Remark: r[6],
		})
	}
	return rows
})

var variableRows = sync.OnceValue(func() []VariableRow {
	var rows []VariableRow
	for _, r := range csvtable.Rows(variablesCSV) {
		rows = append(rows, VariableRow{
			Name: r[0], Kind: r[1], Sent: r[2] == "yes", Means: r[3],
			Evidence: snom.Evidence(r[4]), Source: r[5], Remark: r[6],
		})
	}
	return rows
})

// Rows returns the table of all action URLs, those included that are never set.
func Rows() []Row { return slices.Clone(rows()) }

// VariableRows returns the table of variables, in the order in which URLs asks for them.
func VariableRows() []VariableRow { return slices.Clone(variableRows()) }

// EventTypes returns every type of event that ParseEvent gives, in the order of the table.
func EventTypes() []EventType {
	var types []EventType
	for _, r := range rows() {
		if !r.Never {
			types = append(types, r.Type)
		}
	}
	return types
}

// An URL is one setting of a phone, with its value.
type URL struct{ Setting, URL string }

// URLs returns the settings that make a phone report everything it can: for each event the
// URL <base>/a/<phone>/<token>/<event type>?<variables>. The phone replaces the $variables.
// base is where phones reach the receiver, "http://192.0.2.5:8090".
//
// What the far end of a call chooses comes last, so that a display name which the phone does not
// escape cannot pass for something else. action_blacklist_url is left out: see events.csv.
func URLs(base, phone, token string) []URL {
	var names []string
	for _, v := range variableRows() {
		if v.Sent {
			names = append(names, v.Name+"=$"+v.Name)
		}
	}
	start := strings.TrimRight(base, "/") + "/a/" + url.PathEscape(phone) + "/" + url.PathEscape(token) + "/"
	var urls []URL
	for _, r := range rows() {
		if !r.Never {
			urls = append(urls, URL{r.Setting, start + string(r.Type) + "?" + strings.Join(names, "&")})
		}
	}
	return urls
}

// ProvisioningXML returns the document that sets urls and keys when a phone is provisioned with it. The
// settings stay writable (perm=""), but provisioning overwrites them (Snom wiki, PERMISSIONFLAG; <functionKeys> tag).
func ProvisioningXML(urls []URL, keys ...KeySetting) string {
	var b strings.Builder
	b.WriteString(xml.Header + "<settings>\n  <phone-settings>\n")
	for _, u := range urls {
		b.WriteString("    <" + u.Setting + ` perm="">`)
		_ = xml.EscapeText(&b, []byte(u.URL)) // a Builder does not fail
		b.WriteString("</" + u.Setting + ">\n")
	}
	b.WriteString("  </phone-settings>\n")
	if len(keys) > 0 {
		b.WriteString("  <functionKeys>\n")
	}
	for _, k := range keys {
		b.WriteString(`    <fkey idx="` + strconv.Itoa(k.Key.Number()-1) + `" context="active"`)
		for _, one := range k.Labels {
			name := strings.TrimRight(strings.TrimPrefix(one.Setting, "fkey_"), "0123456789")
			b.WriteString(" " + name + `="`)
			_ = xml.EscapeText(&b, []byte(one.URL))
			b.WriteString(`"`)
		}
		b.WriteString(` perm="">`)
		_ = xml.EscapeText(&b, []byte(k.Type.URL))
		b.WriteString("</fkey>\n")
	}
	if len(keys) > 0 {
		b.WriteString("  </functionKeys>\n")
	}
	b.WriteString("</settings>\n")
	return b.String()
}
