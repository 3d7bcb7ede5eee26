package snom

import "strings"

// A firmware is the argument of a firmware command: a URL, checked.
type firmware string

func parseFirmware(text string) (firmware, *SyntaxError) {
	if len(text) > maxURI {
		return "", fault(maxURI, "at most 255 bytes")
	}
	_, rest, ok := strings.Cut(text, "://")
	if !ok || !strings.HasPrefix(text, "http://") && !strings.HasPrefix(text, "https://") {
		return "", fault(0, "a URL that begins with http:// or https://")
	}
	host, _, ok := strings.Cut(rest, "/")
	if err := checkHost(host); err != nil {
		err.Offset += len(text) - len(rest)
		return "", err
	}
	pos := len(text) - len(rest) + len(host)
	path := text[pos:]
	if !ok || path == "/" {
		return "", fault(len(text), "a path such as /snomD735.bin after the host")
	}
	if n := span(path, "._~/-"); n < len(path) {
		return "", fault(pos+n, "a path of letters, digits and ._~/-")
	}
	for segment := range strings.SplitSeq(path, "/") {
		if segment == "." || segment == ".." {
			return "", fault(pos, "a path without . and .. between slashes")
		}
	}
	return firmware(text), nil
}

func (f firmware) text() string { return string(f) }

func (f firmware) steps(Dialect) []Step {
	target := []byte("/dummy.htm?swload=load&firmware=")
	return []Step{{Target: string(appendEscaped(target, string(f), ":/"))}}
}
