package snomtest

import (
	"encoding/xml"
	"errors"
	"io"
	"strconv"
	"strings"
	"time"
)

// showDocument carries out a minibrowser document that came in a NOTIFY from a host. The phone is locked.
func (p *Phone) showDocument(text, host string, line *Request) {
	element, relevant, url, err := readDocument(text)
	switch {
	case err != nil:
		line.Note = "no XML: " + err.Error()
		return
	case element != "snomipphonesilent" && element != "ipphonesilent", url == "", strings.HasPrefix(url, "http"):
		line.Executed = true // it is shown, sets lights, or is fetched
		p.openPage(host, []byte(text))
		return
	}
	_, fragments, found := strings.Cut(url, "#")
	known := strings.HasPrefix(url, "snom://mb_") || strings.HasPrefix(url, "phone://mb_")
	if !found || !known {
		line.Note = "nothing that this phone knows"
		return
	}
	for fragment := range strings.SplitSeq(fragments, "&") {
		name, value, _ := strings.Cut(fragment, "=")
		value = strings.ReplaceAll(value, "%23", "#")
		p.carryOutFragment(name, value, relevant, line)
	}
}

// readDocument reads the main element of a document, whether its state is relevant, and what it fetches.
func readDocument(text string) (element string, relevant bool, url string, err error) {
	d := xml.NewDecoder(strings.NewReader(text))
	fetch := false
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			if element == "" {
				return "", false, "", errors.New("no element")
			}
			return element, relevant, strings.TrimSpace(url), nil
		}
		if err != nil {
			return "", false, "", err
		}
		switch t := token.(type) {
		case xml.StartElement:
			fetch = strings.EqualFold(t.Name.Local, "fetch")
			if element == "" {
				element = strings.ToLower(t.Name.Local)
				for _, a := range t.Attr {
					relevant = relevant || strings.EqualFold(a.Name.Local, "state") && a.Value == "relevant"
				}
			}
		case xml.EndElement:
			fetch = false
		case xml.CharData:
			if fetch {
				url += string(t)
			}
		}
	}
}

// carryOutFragment carries out one fragment of a URL. The phone is locked.
func (p *Phone) carryOutFragment(name, value string, relevant bool, line *Request) {
	now := time.Now()
	switch name {
	case "key":
		switch {
		case !relevant:
			line.Note = joinNotes(line.Note, "the key "+value+" stays in the minibrowser: the document's state is not relevant")
		case now.Before(p.panel.nextKey):
			line.Note = joinNotes(line.Note, "the key "+value+" is lost: it came within two seconds of the last one")
		case !p.hasKey(value):
			line.Note = joinNotes(line.Note, "no key "+value)
		default:
			p.panel.nextKey = now.Add(keyGap)
			line.Executed, line.Keys = true, append(line.Keys, value)
			if value != "OFFHOOK" { // it does not answer a call
				p.press(value, 0)
			}
		}
	case "numberdial":
		line.Executed = true
		if held := p.panel.newest(CallHeld); p.panel.transferring && held != nil {
			p.panel.transferring = false
			p.fire("action_blind_transfer", held, nil)
			p.end(held)
			return
		}
		p.dial(value, 0)
	case "reregister", "unregister":
		n, err := strconv.Atoi(value)
		if err != nil || n < -1 || n >= len(p.panel.registered) || n < 0 && name == "reregister" {
			line.Note = joinNotes(line.Note, "no identity "+value)
			return
		}
		line.Executed = true
		for i := range p.panel.registered {
			switch {
			case n >= 0 && i != n:
			case name == "reregister":
				p.register(i)
			default:
				p.logOff(i)
			}
		}
	case "calllistclear":
		line.Executed = true
		switch value {
		case "Missed":
			p.panel.missed = 0
		case "Received":
			p.panel.received = nil
		}
	default: // "set" among them, which the phone ignores even from a trusted host
		line.Note = joinNotes(line.Note, "it ignores the fragment "+name)
	}
}
