package config

import (
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/snom2mqtt/snom2mqtt/snom"
)

// A Firmware is the newest firmware that the settings name. The zero Firmware: none.
type Firmware struct {
	Version string // "10.1.198.19"
	URL     string // of its file, with [snom.FirmwareModel] for the model; empty: where Snom has it
}

// firmware checks a version, or the URL of a file that names one.
func (c *checker) firmware(f field) Firmware {
	if f.text == "" {
		return Firmware{}
	}
	if isVersion(f.text) {
		return Firmware{Version: f.text}
	}
	one := strings.ReplaceAll(f.text, snom.FirmwareModel, "D735")
	u, err := url.Parse(one)
	version := ""
	if err == nil && u.Scheme == "https" {
		version = versionIn(u.Path)
	}
	if _, err := snom.ParsePayload(snom.VerbFirmware, []byte(one)); err != nil || version == "" {
		c.fault(f, "expected a version such as 10.1.198.19, or an https URL that names one, with {model} for the model")
		return Firmware{}
	}
	return Firmware{Version: version, URL: f.text}
}

// isVersion reports whether text is a version of three or four numbers.
func isVersion(text string) bool {
	parts := strings.Split(text, ".")
	for _, p := range parts {
		if p == "" || len(p) > 5 || strings.Trim(p, "0123456789") != "" {
			return false
		}
	}
	return len(parts) == 3 || len(parts) == 4
}

// versionIn returns the last version in a path; empty: there is none.
func versionIn(path string) (version string) {
	for _, word := range strings.FieldsFunc(path, func(r rune) bool { return r != '.' && (r < '0' || r > '9') }) {
		if word = strings.Trim(word, "."); isVersion(word) {
			version = word
		}
	}
	return version
}

const maxArea = 100 // characters of the name of an area

// area checks the name of an area.
func (c *checker) area(f field) string {
	if strings.ContainsFunc(f.text, unicode.IsControl) || utf8.RuneCountInString(f.text) > maxArea {
		c.fault(f, "expected one line of at most 100 characters")
	}
	return strings.TrimSpace(f.text)
}
