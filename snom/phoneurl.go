package snom

import (
	"cmp"
	"errors"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// BaseURL returns the base URL of a phone as [Client.URL] has it: with the host in small letters, without the usual port and a slash at
// the end, so that equal addresses are equal texts. The error says what is wrong with text as [ClientConfig.URL], and repeats nothing of it,
// because it may contain a password.
func BaseURL(text string) (string, error) {
	u, err := parsePhoneURL(text)
	if err != nil {
		return "", err
	}
	return u.String(), nil
}

// parsePhoneURL reads a phone's base URL, which a single slash may end. The zone of an IPv6 address may be written as
// in a URL ("%25eth0") or as everywhere else ("%eth0").
func parsePhoneURL(text string) (*url.URL, error) {
	u, err := url.Parse(escapeZone(text))
	if err == nil && u.User != nil {
		return nil, errors.New("snom: phone URL: expected no user name and no password in it")
	}
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || !validHost(u) ||
		u.Path != "" && u.Path != "/" || strings.ContainsAny(text, "?#") {
		return nil, errors.New("snom: phone URL: expected http://host[:port] or https://host[:port], and nothing after it")
	}
	return &url.URL{Scheme: u.Scheme, Host: normalHost(u)}, nil
}

// escapeZone escapes the percent sign before the zone of an address in brackets, if it is not escaped.
func escapeZone(text string) string {
	open, percent, end := strings.Index(text, "["), strings.Index(text, "%"), strings.Index(text, "]")
	if open < 0 || percent < open || end < percent || strings.HasPrefix(text[percent:], "%25") {
		return text
	}
	return text[:percent] + "%25" + text[percent+1:]
}

// normalHost returns host and port of u, with small letters and without a port that is the usual one of its scheme.
func normalHost(u *url.URL) string {
	name, zone, zoned := strings.Cut(u.Hostname(), "%")
	name = strings.ToLower(name)
	if zoned {
		name += "%" + zone // the name of an interface has its own letters
	}
	port, _ := strconv.Atoi(u.Port()) // validHost has checked it
	usual := 80
	if u.Scheme == "https" {
		usual = 443
	}
	switch {
	case port != 0 && port != usual:
		return net.JoinHostPort(name, strconv.Itoa(port))
	case strings.Contains(name, ":"):
		return "[" + name + "]"
	}
	return name
}

// validHost reports whether u has the name or address of a host and, if any, a port that can be dialled.
func validHost(u *url.URL) bool {
	port, err := strconv.ParseUint(cmp.Or(u.Port(), "80"), 10, 16)
	return err == nil && port != 0 && !strings.HasSuffix(u.Host, ":") && ValidHost(u.Hostname())
}

// ValidHost reports whether host is an IP address, with a zone or without, or a name that DNS or mDNS may know; a dot may end it.
func ValidHost(host string) bool {
	if _, err := netip.ParseAddr(host); err == nil {
		return !strings.ContainsFunc(host, func(r rune) bool { return r <= ' ' || r >= 0x7F || strings.ContainsRune(`/?#@[]`, r) })
	}
	host = strings.TrimSuffix(host, ".") // of an absolute name
	if host == "" || len(host) > 253 {
		return false
	}
	odd := func(r rune) bool { return r >= 0x80 || !isAlnum(byte(r)) && r != '-' && r != '_' }
	label := ""
	for label = range strings.SplitSeq(host, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' || strings.ContainsFunc(label, odd) {
			return false
		}
	}
	return strings.Trim(label, "0123456789") != "" // 192.0.2.300 is neither
}

// hostHeader returns the Host header for u: without the zone, which has a meaning on this machine only, and without
// the dot that ends an absolute name, which servers compare.
func hostHeader(u *url.URL) string {
	host, zone, _ := strings.Cut(u.Hostname(), "%")
	if zone != "" {
		return strings.Replace(u.Host, "%"+zone, "", 1)
	}
	if absolute, ok := strings.CutSuffix(host, "."); ok {
		return strings.Replace(u.Host, host, absolute, 1)
	}
	return u.Host
}
