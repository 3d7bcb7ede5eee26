package snom

import (
	"bytes"
	"cmp"
	"html"
	"regexp"
	"strings"
	"sync"
)

// An infoPage is what a page of a phone says about the phone. What it does not say is empty.
type infoPage struct {
	model    string // without "snom", in capitals: "D735", "320", "M900"
	firmware string // "10.1.184.14"
	mac      string // twelve hexadecimal digits in lower case
}

// readInfoPage reads info.htm, or the title of any other page. It is tolerant, because what is known of
// the page comes from programs that search it (symcon/Snom, SnomDeskphone/module.php and its history:
// "Mac:" and "Hardware:" in a block of its own, before that "MAC Address" and its value in two table
// cells, and "snom D785" in the title; Greenbone, gb_snom_http_detect.nasl: "snomD305-8325FE" and
// "snom 320" in the title), and how it writes the firmware is not shown anywhere: the name that a phone gives
// itself in SIP and HTTP is looked for ("snomD785-SIP 10.1.33.33"; wazo-platform/wazo-provd-plugins), and
// a version after the word firmware.
func readInfoPage(body []byte) infoPage {
	p := infoPatterns()
	lower := bytes.ToLower(body)
	text := html.UnescapeString(p.tag.ReplaceAllString(string(lower), "\n"))
	self := find(p.self, text)
	return infoPage{
		model: strings.ToUpper(cmp.Or(
			find(p.hardware, text)[1],
			self[1],
			find(p.title, string(pageTitle(lower)))[1],
		)),
		firmware: cmp.Or(self[2], find(p.firmware, text)[1]),
		mac:      strings.ReplaceAll(strings.ReplaceAll(find(p.mac, text)[1], ":", ""), "-", ""),
	}
}

// patterns are what is looked for in a page in lower case. Go's regular expressions take a time that only
// grows with the length of the page, whatever stands there.
type patterns struct{ tag, hardware, self, title, firmware, mac *regexp.Regexp }

var infoPatterns = sync.OnceValue(func() patterns {
	const (
		model   = `([a-z]{0,2}[0-9]{3}[a-z]{0,2}|pa1|mp)\b` // as [Models] are called, and not a version such as 1.0
		version = `([0-9]{1,4}(?:\.[0-9]{1,6}){2,5})\b`
		gap     = `[\s:=\x{a0}]*`
	)
	return patterns{
		tag:      regexp.MustCompile(`<[^<>]*>`),
		hardware: regexp.MustCompile(`\b(?:hardware|phone[ _-]?type)` + gap + `(?:snom)?[ -]?` + model),
		self:     regexp.MustCompile(`\bsnom[ -]?` + model + `-sip[ /]` + version),
		title:    regexp.MustCompile(`^snom[ -]?` + model),
		firmware: regexp.MustCompile(`\bfirmware(?:[ _-]?version)?` + gap + `[a-z]?` + version),
		mac:      regexp.MustCompile(`\bmac(?:[ _-]?address)?` + gap + `([0-9a-f]{2}(?:[:-]?[0-9a-f]{2}){5})\b`),
	}
})

// find returns the match of p in text and its groups, which are empty when there is none.
func find(p *regexp.Regexp, text string) []string {
	if found := p.FindStringSubmatch(text); found != nil {
		return found
	}
	return make([]string, 1+p.NumSubexp())
}
