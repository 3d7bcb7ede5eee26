package snomtest

import (
	"encoding/hex"
	"io"
	"net/http"
	"strings"
)

// A request is an HTTP request read the way a small web server reads it: the raw target is cut at the
// first question mark, at ampersands and at the first equals sign of each piece, and only then decoded.
type request struct {
	path   string
	params []param
	header http.Header
}

// A param is one piece of a query.
type param struct {
	name  string // as it was sent
	value string // decoded: %XX, and + for a space
	flag  bool   // it had no equals sign
}

// maxForm bounds the body of a POST.
const maxForm = 64 << 10

func readRequest(r *http.Request) request {
	path, query, _ := strings.Cut(r.RequestURI, "?")
	in := request{path: path, params: readParams(query), header: r.Header}
	if r.Method == http.MethodPost {
		body, err := io.ReadAll(io.LimitReader(r.Body, maxForm))
		if err == nil {
			in.params = append(in.params, readParams(string(body))...)
		}
	}
	return in
}

func readParams(query string) []param {
	var params []param
	for piece := range strings.SplitSeq(query, "&") {
		if piece == "" {
			continue
		}
		name, value, found := strings.Cut(piece, "=")
		params = append(params, param{name: name, value: decode(value), flag: !found})
	}
	return params
}

// decode replaces + by a space and %XX by its byte; what is no escape stays as it is.
func decode(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '+':
			b.WriteByte(' ')
		case s[i] == '%' && i+2 < len(s):
			if v, err := hex.DecodeString(s[i+1 : i+3]); err == nil {
				b.Write(v)
				i += 2
				continue
			}
			b.WriteByte(s[i])
		default:
			b.WriteByte(s[i])
		}
	}
	return b.String()
}

// get returns the value of the first parameter of that name.
func (in request) get(name string) (string, bool) {
	for _, p := range in.params {
		if p.name == name {
			return p.value, true
		}
	}
	return "", false
}
