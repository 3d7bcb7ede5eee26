package actionurl

import (
	"slices"
	"strconv"
	"strings"

	"github.com/snom2mqtt/snom2mqtt/internal/cleantext"
)

// The query of an action URL as phones send it. Snom documents the variables and not how their values are
// escaped, so everything is read that can be recognized:
//
//	query       = part *( "&" part )
//	part        = pair | text
//	pair        = name "=" text              ; opens a value, the parts behind it may belong to it
//	name        = 1*64( letter | digit | "_" | "-" ), escaped or not; "call_id" is "call-id";
//	              behind "amp;", as in an URL that was pasted with the escapes of XML
//	text        = *( byte other than "&" ), ";" and "=" included
//	placeholder = "$" id [ index | header ] [ "&" ]          ; $remote, $user_name[1], $sip_header(X-Foo)
//	            | "$(" id [ ":" *byte ] [ index ] ")"        ; $(remote), $(set:dnd_mode[1])
//	            | "${" id "}"                                ; as shells and templates write variables
//	            | "$(" id                                    ; cut, where id is one of Snom's
//	            | "$$" id "$$" | "%%" id "%%"                ; $$REMOTE$$, as DECT bases write variables
//	            | "[" id "]" | "{" id "}" | "<" id ">" | "$[" id "]" | "@" id "@" | "%" id "%" | "#" id "#" | "${" id
//	                                                     ; all of the value, where id is one of Snom's
//	id          = letter *63( letter | digit | "_" | "-" )
//	index       = "[" ( 1*digit | "$" id ) "]"             ; $user_name[$active_line]
//	header      = "(" *byte ")"
//
// Which parts belong to a value depends on the kind of its variable (variables.csv):
//
//	free     text that a person chose, such as a display name: every part up to the next pair of one of Snom's
//	         variables that was not there before, or up to a pair without a name. Empty parts at its end do not belong to it.
//	uri      the first part; more while a quote or an angle bracket is open, or the address did not begin.
//	unknown  the first part; more while they cannot be parts of their own: text that is no name.
//	others   the first part.
//
// Parts that belong to no value are ignored, and so is a pair whose name was there before: what a caller puts
// into a display name does not replace what the phone sent before it.
//
// Escapes: "%XX" is a byte, a "%" in front of anything else is itself. A value is unescaped twice where it, or
// the phone's own address, shows that the phone escaped twice: an address that begins with sip%3A. A "+" is a
// space in display names of a query that writes spaces so (see plusIsSpace), otherwise a plus. Bytes are UTF-8
// where there is any sign of it, otherwise Latin-1; what cannot be read, and control characters, become U+FFFD.
//
// A value that is a placeholder is unknown: the phone did not know the variable. So is a value that contains one,
// with one exception: in text that a person chose, "$" and the name of no variable of Snom's is text ("Ke$ha").

// variables are the values of a query: each name once, in the order in which they came.
type variables struct {
	order  []string
	values map[string]string
}

// A value is one variable of a query with the parts that may belong to it, still escaped.
type value struct {
	name, kind string
	first      string
	more       []string // the parts behind it
}

// Bounds of how many variables are read, and of the parts of one address.
const (
	maxVariables = 2 * maxEventExtra
	maxURIParts  = 16
)

// readVariables splits a query into names and readable values.
func readVariables(query string) variables {
	found := splitQuery(query)
	form, twice := plusIsSpace(query), escapedTwice(found)
	s := variables{values: make(map[string]string, len(found))}
	for _, v := range found {
		text := v.text()
		if twice || v.kind == "uri" && doubled(text) {
			text = unescape(text)
		}
		if form {
			text = v.formText(text)
		}
		s.order = append(s.order, v.name)
		s.values[v.name] = v.clean(unescape(text))
	}
	return s
}

// splitQuery splits a query into its values.
func splitQuery(query string) []value {
	found := make([]value, 0, min(strings.Count(query, "&")+1, maxVariables))
	var open *value // nil: parts are ignored
	for part := range strings.SplitSeq(query, "&") {
		name, text, ok := cutPair(part)
		kind := ""
		if ok {
			kind = variableKind(name)
		}
		opens := ok && (kind != "" || isName(name))
		seen := opens && slices.ContainsFunc(found, func(v value) bool { return v.name == name })
		if open != nil && open.kind == "free" {
			opens = opens && kind != "" && !seen
		}
		switch {
		case opens && (seen || len(found) == maxVariables):
			open = nil
		case opens:
			found = append(found, value{name: name, kind: kind, first: text})
			open = &found[len(found)-1]
		case open != nil:
			open.more = append(open.more, part)
		}
	}
	return found
}

// cutPair splits a part of a query into name and text; false: it has no "=".
func cutPair(part string) (name, text string, ok bool) {
	for strings.HasPrefix(part, "amp;") {
		part = part[len("amp;"):]
	}
	name, text, ok = strings.Cut(part, "=")
	if name = unescape(name); name == "call_id" {
		name = "call-id"
	}
	return name, text, ok
}

// text joins the parts that belong to the value.
func (v value) text() string {
	if len(v.more) == 0 {
		if v.kind == "free" && strings.Trim(v.first, "=") == "" {
			return ""
		}
		return v.first
	}
	n := 0 // of the parts behind the first
	switch v.kind {
	case "free":
		for n < len(v.more) && !strings.HasPrefix(v.more[n], "=") {
			n++
		}
		for n > 0 && (strings.TrimSpace(unescape(v.more[n-1])) == "" || isKnown(v.more[n-1])) { // or a variable without a value
			n--
		}
		if strings.Trim(v.join(n), "&=") == "" {
			return ""
		}
	case "uri":
		for most := min(len(v.more), maxURIParts); n < most && goesOn(v.join(n), v.more[n:most]); {
			n++
		}
	case "":
		for n < len(v.more) && v.more[n] != "" && v.more[n][0] != '=' && !isName(v.more[n]) {
			n++
		}
	}
	return v.join(n)
}

// join returns the first part with the n parts behind it.
func (v value) join(n int) string {
	if n == 0 {
		return v.first
	}
	return v.first + "&" + strings.Join(v.more[:n], "&")
}

// goesOn reports whether an address that begins with text goes on in the parts behind it.
func goesOn(text string, parts []string) bool {
	text = unescape(text)
	ends := ""
	switch {
	case strings.Count(text, `"`)%2 == 1:
		ends = `"`
	case strings.LastIndexByte(text, '<') > strings.LastIndexByte(text, '>'):
		ends = ">"
	case !strings.ContainsAny(text, "@<"):
		ends = "@"
	}
	return ends != "" && slices.ContainsFunc(parts, func(p string) bool { return strings.Contains(unescape(p), ends) })
}

// formText replaces each "+" that is a space in a query that writes spaces so.
func (v value) formText(text string) string {
	switch v.kind {
	case "free":
		return strings.ReplaceAll(text, "+", " ")
	case "uri": // only in a display name in front of one
		if i := strings.Index(strings.ReplaceAll(text, "%3c", "%3C"), "%3C"); i > 0 {
			return strings.ReplaceAll(text[:i], "+", " ") + text[i:]
		}
	}
	return text
}

// clean returns the unescaped text of the value as it may be published, "" when it is unknown.
func (v value) clean(text string) string {
	text = cleantext.Clean(text, maxEventValue)
	if isEnclosed(strings.TrimSpace(text)) {
		return ""
	}
	if v.kind == "uri" && strings.Trim(text, "+ ") == "" { // no number follows
		return ""
	}
	if v.kind == "uri" && slices.Contains(unknownWords, strings.ToLower(strings.TrimSpace(text))) {
		return ""
	}
	switch {
	case v.name == "remote" || v.name == "local":
		return withoutPassword(withoutPlaceholder(strings.TrimSpace(text)))
	case v.kind != "free":
		text = strings.TrimSpace(text)
	}
	if hasPlaceholder(text, v.kind == "free" || v.kind == "") {
		return ""
	}
	if v.kind == "uri" {
		text = withoutPassword(text)
	}
	return text
}

// enclosures are what stands before and behind the name of a variable where another program's way of writing variables was
// used in a URL.
var enclosures = [][2]string{{"[", "]"}, {"$[", "]"}, {"{", "}"}, {"{{", "}}"}, {"<", ">"}, {"@", "@"}, {"%", "%"}, {"#", "#"}, {"${", ""}, {"$", ""}}

// isEnclosed reports whether text is the name of one of Snom's variables, written as programs other than phones do.
func isEnclosed(text string) bool {
	for _, e := range enclosures {
		id, before := strings.CutPrefix(text, e[0])
		id, behind := strings.CutSuffix(id, e[1])
		if before && behind && isKnown(id) {
			return true
		}
	}
	return false
}

// unknownWords are what programs write in place of an address that they do not know. Others than a phone send action URLs,
// too, and no phone is known to send these.
var unknownWords = []string{"unknown", "none", "null", "nil", "undefined", "n/a", "(null)"}

// withoutPlaceholder returns an address without what cannot be known of it because the phone left a variable in
// place: its display name, or all but its display name.
func withoutPlaceholder(address string) string {
	name, address := address[:strings.LastIndexByte(address, '<')+1], address[strings.LastIndexByte(address, '<')+1:]
	if hasPlaceholder(strings.Trim(name, `"< `), true) {
		name = ""
	}
	uri, _, _ := strings.Cut(address, ">")
	if hasPlaceholder(uri, false) {
		address = ""
	}
	return name + address
}

// variableKind returns the kind of one of Snom's variables, "" for all other names.
func variableKind(name string) string {
	for _, v := range variableRows() {
		if v.Name == name {
			return v.Kind
		}
	}
	return ""
}

// isName reports whether s may be the name of a variable, such as user_name1.
func isName(s string) bool { return s != "" && len(s) <= maxName && nameLen(s) == len(s) }

// maxName bounds the name of a variable, in bytes.
const maxName = 64

// nameLen returns how many bytes at the start of s may be part of a name.
func nameLen(s string) int {
	for i := range len(s) {
		c := s[i]
		if !(isLetter(c) || '0' <= c && c <= '9' || c == '_' || c == '-') {
			return i
		}
	}
	return len(s)
}

func isLetter(c byte) bool { return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' }

// hasPlaceholder reports whether text contains a variable that the phone left in place. In free text, which a
// person chose, only what can be nothing else counts.
func hasPlaceholder(text string, free bool) bool {
	if id, _, ok := cutBetween(text[max(0, strings.Index(text, "%%")):], "%%", "%%"); ok && isKnown(id) {
		return true
	}
	for i := 0; i < len(text); i++ {
		if text[i] != '$' {
			continue
		}
		p, ok := cutPlaceholder(text[i:])
		if !ok || free && strings.HasPrefix(text[i:], "${") { // in a name it is text
			continue
		}
		whole := strings.TrimSpace(text[:i]) == "" && strings.Trim(text[i+p.length:], "& ") == "" && !(free && p.word)
		// In an address or a number a variable begins where a part of it begins.
		begins := !free && (p.enclosed || i == 0 || strings.IndexByte(`:<>"@/=,;( `, text[i-1]) >= 0)
		if whole || begins || p.indexed || p.known() {
			return true
		}
	}
	return false
}

// A placeholder is a variable in a URL that the phone did not replace.
type placeholder struct {
	id       string
	length   int  // in bytes, from the first "$"
	indexed  bool // $id[1], $(id[1]) or $(id:what)
	enclosed bool // $(id) or $$id$$
	word     bool // $(id) with an id that may be a word: "$(rain)"
}

// known reports whether p names one of Snom's variables.
func (p placeholder) known() bool {
	if p.enclosed {
		return isKnown(p.id)
	}
	base, _, _ := strings.Cut(p.id, "-")
	return variableKind(p.id) != "" || variableKind(base) != ""
}

// isKnown reports whether id, in letters of any size, is one of Snom's variables or of its functions.
func isKnown(id string) bool {
	id = strings.ReplaceAll(strings.ToLower(id), "call_id", "call-id")
	return variableKind(id) != "" || id == "set" || id == "lines"
}

// cutPlaceholder reads the placeholder that text, which begins with "$", begins with.
func cutPlaceholder(text string) (p placeholder, ok bool) {
	rest := text[1:]
	switch {
	case strings.HasPrefix(rest, "$"):
		inner, _, closed := strings.Cut(rest[1:], "$$")
		return placeholder{id: inner, length: len("$$") + len(inner) + len("$$"), enclosed: true}, closed && isVariable(inner)
	case strings.HasPrefix(rest, "{"):
		inner, _, closed := strings.Cut(rest[1:], "}")
		p = placeholder{id: inner, length: len("${") + len(inner) + len("}"), enclosed: true}
		p.word = !p.known() && !strings.Contains(p.id, "_")
		return p, closed && isVariable(p.id)
	case strings.HasPrefix(rest, "("):
		inner, _, closed := strings.Cut(rest[1:], ")")
		if !closed { // it was cut
			inner = inner[:nameLen(inner)]
			return placeholder{id: inner, length: len("$(") + len(inner), enclosed: true}, isKnown(inner)
		}
		p = placeholder{id: inner, length: len("$(") + len(inner) + len(")"), enclosed: true}
		if end := strings.IndexAny(inner, ":["); end >= 0 {
			p.id, p.indexed = inner[:end], true
		}
		p.word = !p.indexed && !p.known() && !strings.Contains(p.id, "_")
		return p, closed && isVariable(p.id)
	}
	p.id = rest[:min(nameLen(rest), maxName)]
	p.length = len("$") + len(p.id)
	if !isVariable(p.id) {
		return placeholder{}, false
	}
	rest = rest[len(p.id):]
	if inner, _, closed := cutBetween(rest, "[", "]"); closed && isIndex(inner) {
		p.length += len("[") + len(inner) + len("]")
		p.indexed = true
	} else if inner, _, closed := cutBetween(rest, "(", ")"); closed {
		p.length += len("(") + len(inner) + len(")")
	}
	return p, true
}

// isIndex reports whether s is a number, or a variable that stands for one.
func isIndex(s string) bool {
	if id, ok := strings.CutPrefix(s, "$"); ok {
		return id != "" && isVariable(id)
	}
	return s != "" && strings.Trim(s, "0123456789") == ""
}

// isVariable reports whether s may be the name of a variable in a placeholder: a name that begins with a letter.
func isVariable(s string) bool { return isName(s) && isLetter(s[0]) }

// cutBetween returns what stands between before, with which s begins, and after.
func cutBetween(s, before, after string) (inner, rest string, ok bool) {
	if s, ok = strings.CutPrefix(s, before); !ok {
		return "", "", false
	}
	return strings.Cut(s, after)
}

// escapedTwice reports whether the phone escaped its values twice. Its own addresses show it: nothing else there
// begins with an escaped scheme, and a caller does not choose them.
func escapedTwice(found []value) bool {
	return slices.ContainsFunc(found, func(v value) bool {
		return (v.name == "local" || v.name == "active_url" || v.name == "context_url") && doubled(v.first)
	})
}

// doubled reports whether the escaped address text was escaped twice.
func doubled(text string) bool {
	text = strings.ToLower(text)
	if !strings.Contains(text, "%25") {
		return false
	}
	text = strings.TrimPrefix(text, "%253c")
	for _, scheme := range []string{"sip", "sips", "tel"} {
		if strings.HasPrefix(text, scheme+"%253a") {
			return true
		}
	}
	return strings.Contains(text, "%2540") && !strings.Contains(text, "%40") && !strings.Contains(text, "@")
}

// plusIsSpace reports whether a plus in text is a space, as in a form. It is not when the query writes a space
// otherwise, or has a plus in front of a number: a form would have escaped that one. In addresses and numbers a
// plus is a plus in any case.
func plusIsSpace(query string) bool {
	if strings.Contains(query, "%20") || strings.Contains(query, "%2520") || strings.Contains(query, " ") {
		return false
	}
	for i := 1; i+1 < len(query); i++ {
		if query[i] != '+' || query[i+1] < '0' || '9' < query[i+1] {
			continue
		}
		switch before := strings.ToUpper(query[max(0, i-3):i]); {
		case before == "%3A", before == "%3C", strings.ContainsRune("=:<", rune(query[i-1])):
			return false
		}
	}
	return true
}

// unescape replaces each %XX; a % that is not followed by two hexadecimal digits is a %.
func unescape(s string) string {
	if !strings.Contains(s, "%") {
		return s
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			if c, err := strconv.ParseUint(s[i+1:i+3], 16, 8); err == nil {
				b = append(b, byte(c))
				i += 2
				continue
			}
		}
		b = append(b, s[i])
	}
	return string(b)
}
