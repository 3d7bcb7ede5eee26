// Package notify says which SIP NOTIFY carries out a command on a phone without remote control over HTTP, such as a D862.
//
// [Plan] turns a command into steps. The request of a step is a [Notification] as text, which a transport sends: package sip
// straight to the phone or through a proxy, packages asterisk and freeswitch through a PBX. What commands become is one table,
// with the source of each row; what is not in the table is not supported.
package notify

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/snom2mqtt/snom2mqtt/snom"
)

// ContentType is the media type of a minibrowser document in a NOTIFY. Source: Snom wiki Via+SIP+NOTIFY.
const ContentType = "application/snomxml"

// MaxDocument is how long a document may be in a NOTIFY, in bytes. RFC 3261 section 18.1.1 limits what goes over UDP to
// 1,300 bytes, headers included; the headers take less than 500.
const MaxDocument = 1300 - 500

// keyPause is how long a phone needs after a key before it takes the next one: until it has drawn its screen. Source:
// nemerald-voip/fspbx, documentation on phone control, seen on a D862.
const keyPause = 2 * time.Second

// A Notification is the part of a NOTIFY that a phone acts on.
type Notification struct {
	Event       string // "xml", or "check-sync;reboot=true"
	ContentType string // empty: no body
	Body        string
}

// String returns the notification as text: a head as in SIP, an empty line, and the body. It is the request of a [snom.Step].
func (n Notification) String() string {
	if n.ContentType == "" {
		return "Event: " + n.Event + "\n\n"
	}
	return "Event: " + n.Event + "\nContent-Type: " + n.ContentType + "\n\n" + n.Body
}

var errRequest = errors.New("snom: request of a step: expected a notification, as package notify makes it")

// Parse reads the request of a step back.
func Parse(request string) (Notification, error) {
	var n Notification
	head, body, found := strings.Cut(request, "\n\n")
	event, kind, typed := strings.Cut(head, "\n")
	var ok bool
	if n.Event, ok = strings.CutPrefix(event, "Event: "); !found || !ok || !plain(n.Event) {
		return Notification{}, errRequest
	}
	if typed {
		n.ContentType, ok = strings.CutPrefix(kind, "Content-Type: ")
		if !ok || !plain(n.ContentType) {
			return Notification{}, errRequest
		}
		n.Body = body
	}
	if !typed && body != "" {
		return Notification{}, errRequest
	}
	return n, nil
}

// plain reports whether text fits into one header line.
func plain(text string) bool {
	return text != "" && !strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r >= 0x7F })
}

// Document returns the step that shows a minibrowser document, which has at most [MaxDocument] bytes.
func Document(document []byte) (snom.Step, error) {
	if len(document) > MaxDocument {
		return snom.Step{}, fmt.Errorf("snom: document of a NOTIFY: expected at most %d bytes", MaxDocument)
	}
	return step(string(document)), nil
}

// Page returns the step that has the phone fetch and show the page at a URL.
func Page(url string) snom.Step {
	return step(`<?xml version="1.0" encoding="UTF-8"?><SnomIPPhoneSilent state="relevant"><fetch mil="10">` + escape(url) + `</fetch></SnomIPPhoneSilent>`)
}

// step is the step of one document.
func step(document string) snom.Step {
	return snom.Step{Request: Notification{Event: "xml", ContentType: ContentType, Body: document}.String(), Pause: keyPause}
}

// fragment returns the step that has the phone carry out one fragment. An element of its own, state relevant, lets a key act
// outside the minibrowser. Source: nemerald-voip/fspbx, SnomPhoneControlDriver.php, seen on a D862 with firmware 10.1.226.13.
func fragment(name, value string) snom.Step {
	return step(`<?xml version="1.0" encoding="UTF-8"?><SnomIPPhoneSilent state="relevant" document_id="snom2mqtt"><fetch mil="10">snom://mb_nop#` +
		name + "=" + escape(value) + `</fetch></SnomIPPhoneSilent>`)
}

// dial returns the step that calls a number. Source: Snom wiki Via+SIP+NOTIFY.
func dial(number string) snom.Step {
	return step(`<?xml version="1.0" encoding="UTF-8"?><SnomIPPhoneSilent document_id="snom2mqtt"><fetch mil="10">snom://mb_exit#numberdial=` +
		escape(number) + `</fetch></SnomIPPhoneSilent>`)
}

// escape writes a value into an XML text, without a character that ends it or a fragment, and without a comma, at which
// Asterisk cuts a text.
func escape(text string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;", "'", "&#39;", ",", "&#44;").Replace(text)
}
