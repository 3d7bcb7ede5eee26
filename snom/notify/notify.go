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
	"github.com/snom2mqtt/snom2mqtt/snom/minibrowser"
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

// Show returns the step that shows a minibrowser document: the document itself where it is short enough, or else one that has the phone
// fetch it from its URL. fetches says which.
func Show(d snom.Display) (step snom.Step, fetches bool, err error) {
	if len(d.Document) <= MaxDocument {
		return stepOf(d.Document), false, nil
	}
	target, err := minibrowser.Web(d.URL)
	if err != nil {
		return snom.Step{}, false, fmt.Errorf("%w: %w", snom.ErrUnsupported, err)
	}
	step, err = silent(target)
	return step, true, err
}

// stepOf is the step of one document.
func stepOf(document []byte) snom.Step {
	return snom.Step{Request: Notification{Event: "xml", ContentType: ContentType, Body: string(document)}.String(), Pause: keyPause}
}

// silent returns the step that has the phone do what a target says, without showing anything. State relevant lets a key act outside the
// minibrowser. Source: nemerald-voip/fspbx, SnomPhoneControlDriver.php, seen on a D862 with firmware 10.1.226.13; Snom wiki
// Via+SIP+NOTIFY for numbers.
func silent(target minibrowser.Target) (snom.Step, error) {
	document, err := minibrowser.Encode(minibrowser.NamesSnom, minibrowser.Silent{Common: minibrowser.Common{
		DocumentID: "snom2mqtt", State: minibrowser.StateRelevant, Fetch: minibrowser.Fetch{After: 10 * time.Millisecond, Target: target},
	}})
	if err != nil {
		return snom.Step{}, fmt.Errorf("%w: %w", snom.ErrUnsupported, err)
	}
	return stepOf(document), nil
}
