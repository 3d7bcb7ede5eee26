package snom

import (
	"strconv"
	"strings"
)

// A Display is a document that a phone is to show in its minibrowser.
type Display struct {
	URL      string // where the phone can fetch it
	Document []byte // the document itself
	Firmware string // of the phone, "10.1.184.14"; empty: not known
}

// ShowStep returns the step that makes the phone fetch a document from its URL and show it. Firmware before 8.4.32 takes a
// URL without its http://, and cannot fetch others (Snom wiki, Category:HowTo:Minibrowser).
func (c *Client) ShowStep(d Display) (step Step, fetches bool, err error) {
	target := d.URL
	if before(d.Firmware, 8, 4, 32) {
		target = strings.TrimPrefix(target, "http://")
	}
	request := targetOf("/minibrowser.htm?url=", target, "")
	return Step{Request: request}, true, checkTarget(request)
}

// before reports whether a firmware is known to be older than a version.
func before(firmware string, version ...int) bool {
	parts := strings.Split(firmware, ".")
	for i, least := range version {
		if i >= len(parts) {
			return false
		}
		n, err := strconv.Atoi(parts[i])
		if err != nil || n > least {
			return false
		}
		if n < least {
			return true
		}
	}
	return false
}
