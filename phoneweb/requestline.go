package phoneweb

import (
	"bytes"
	"fmt"
	"strings"
)

// A request is the first line of one, normalized.
type request struct{ method, target, version string }

// normalizeLine returns the first line of a request, which comes without its line end, as one that net/http reads. How
// phones escape what they put into an action URL is documented nowhere, and some devices leave spaces as they are.
// Whatever may not stand in a request target is escaped: spaces, quotes, angle brackets, the hash that would begin a
// fragment, control characters, everything beyond ASCII, and a percent sign that escapes nothing. A target in full, as
// for a proxy, loses what stands before its path. False: it is no request line.
//
// An & within a value cannot be distinguished from one between two values here; actionurl.ParseEvent does that.
func normalizeLine(line []byte) (r request, ok bool) {
	method, rest, _ := bytes.Cut(bytes.TrimRight(line, " \t\r"), []byte(" "))
	end := bytes.LastIndexByte(rest, ' ')
	if end < 0 || !bytes.EqualFold(rest[end+1:min(len(rest), end+1+len("HTTP/"))], []byte("HTTP/")) {
		return request{}, false
	}
	target := bytes.TrimLeft(rest[:end], " ")
	if _, full, ok := bytes.Cut(target, []byte("://")); ok && target[0] != '/' {
		target = full[max(0, bytes.IndexByte(full, '/')):]
	}
	escaped := make([]byte, 0, len(target)+16)
	for i, c := range target {
		if mayStand(c) && (c != '%' || escapes(target[i:])) {
			escaped = append(escaped, c)
		} else {
			escaped = fmt.Appendf(escaped, "%%%02X", c)
		}
	}
	return request{string(method), string(escaped), string(rest[end+1:])}, true
}

// mayStand reports whether c may stand in the path and query of a URI (RFC 3986).
func mayStand(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' ||
		strings.IndexByte("-._~!$&'()*+,;=:@/?[]%", c) >= 0
}

// escapes reports whether s begins with %XX.
func escapes(s []byte) bool {
	isHex := func(c byte) bool {
		return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
	}
	return len(s) > 2 && isHex(s[1]) && isHex(s[2])
}
