package snom2mqtt_test

import (
	"bytes"
	"go/scanner"
	"go/token"
	"os"
	"os/exec"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
)

// A phrase may not stand in text that people read: comments, messages, log lines and documents.
type phrase struct {
	match *regexp.Regexp
	// has are texts of which each match has one, in small letters: they are found faster than a match.
	has     []string
	example string
	write   string // instead
	// messages restricts the phrase to string literals of the program, prose to comments and documents.
	messages, prose bool
}

// phrases are spoken or figurative English where a technical term exists.
var phrases = []phrase{
	{has: []string{"body", "whoever", "whomever"}, example: "Nobody knows.", match: regexp.MustCompile(`(?i)\b(nobody|somebody|anybody|everybody|whoever|whomever)\b`), write: "the subject itself: a client, a program, a user, none, any"},
	{has: []string{"body else"}, example: "somebody else's", match: regexp.MustCompile(`(?i)\b(somebody|nobody|anybody) else'?s?\b`), write: "another program's"},
	{has: []string{"what becomes of"}, example: "what becomes of it", match: regexp.MustCompile(`(?i)\bwhat becomes of\b`), write: "the outcome of"},
	{has: []string{" told"}, example: "it is told", match: regexp.MustCompile(`(?i)\b(is|are|be|was|were) told\b`), write: "receives, is notified"},
	{has: []string{"alone"}, example: "it is left alone", match: regexp.MustCompile(`(?i)\bleft alone\b|\bleaves? (it|them|the phone) alone\b`), write: "is kept, is not contacted, is ignored"},
	{has: []string{" aside"}, example: "it stands aside", match: regexp.MustCompile(`(?i)\b(stands?|standing|stood) aside\b`), write: "standby"},
	{has: []string{" shut"}, example: "it is shut", match: regexp.MustCompile(`(?i)\b(is|are) shut\b`), write: "is disabled"},
	{has: []string{"without a word"}, example: "without a word", match: regexp.MustCompile(`(?i)\bwithout a word\b`), write: "silently"},
	{has: []string{"worth"}, example: "longer than it was worth", match: regexp.MustCompile(`(?i)\bworth (something|sending)\b|\blonger than it was worth\b`), write: "expired"},
	{has: []string{"farewell", "last word"}, example: "the last word", match: regexp.MustCompile(`(?i)\bfarewell\b|\blast word\b`), write: "shutdown, final message"},
	{has: []string{"believed"}, example: "it is believed", match: regexp.MustCompile(`(?i)\bbelieved\b`), write: "assumed"},
	{has: []string{"mend"}, example: "it mends that", match: regexp.MustCompile(`(?i)\b(mends?|mended|mending)\b`), write: "fixes, repairs"},
	{has: []string{"heart", "the house"}, example: "by heart", match: regexp.MustCompile(`(?i)\bthe heart\b|\bby heart\b|\bof the house\b|\bthe house\b`), write: "the core, the project"},
	{has: []string{"of life"}, example: "a sign of life", match: regexp.MustCompile(`(?i)\ba sign of life\b|\bsigns of life\b`), write: "keep-alive, response"},
	{has: []string{"reach", "phone away"}, example: "out of reach", match: regexp.MustCompile(`(?i)\bcomes? within reach\b|\bout of reach\b|\bphone away\b`), write: "becomes reachable, is unreachable"},
	{has: []string{"lookout", "shelf", "twin"}, example: "a twin", match: regexp.MustCompile(`(?i)\b(lookout|lookouts|shelf|twins?)\b`), write: "poller, retained, standby"},
	{has: []string{"by hand", "so once"}, example: "it says so once", match: regexp.MustCompile(`(?i)\b(say|says|said) (by hand|so once)\b`), write: "published explicitly, logged once"},
	{has: []string{"without saying"}, example: "that goes without saying", match: regexp.MustCompile(`(?i)\bgoes without saying\b|\bgo without saying\b`), write: "is omitted"},
	{has: []string{"hear"}, example: "it hears of it", match: regexp.MustCompile(`(?i)\bhears? (of|that|from|nothing)\b`), write: "receives"},
	{has: []string{"we ", " we", "ours", "our ", " our", " us"}, example: "bounds; ours", match: regexp.MustCompile(`\b([Ww]e|[Oo]urs?|[Oo]urselves)\b|\b(for|to|of|by|from|beside|with|calls?|lets?|makes?|throws|refuses|wedge) us\b`), write: "the thing itself: the bridge, this process, the project, chosen by this project", prose: true},
	{has: []string{" who"}, example: "sent to who waits", match: regexp.MustCompile(`\b(to|by) who\b|(: |^// )who (has|is|clears|shows|typed)\b`), write: "the subject: a client that, a user who", prose: true},
	{has: []string{"them and tells", "what comes of", "what came of"}, example: "what came of it", match: regexp.MustCompile(`\bcounts them and tells\b|\bwhat (comes|came) of (it|them|the)\b`), write: "logs, reports; the outcome of", prose: true},
	{has: []string{"tell", "told"}, example: "what phones told", match: regexp.MustCompile(`(?i)\b(phones?|it|they|broker|bridge) (told|tells?)\b|\btells? (of|events)\b`), write: "reports, answers, shows", prose: true},
	{has: []string{"lost its mind", "of no one", "for no one"}, example: "for no one", match: regexp.MustCompile(`(?i)\blost its mind\b|\b(of|for|to|by) no one\b`), write: "faulty; the subject itself"},
	{has: []string{"want"}, example: "it wants a name", match: regexp.MustCompile(`\b[Ww]ants?\b`), write: "expected", messages: true},
	{has: []string{"be the", "be simulated"}, example: "Be the bridge", match: regexp.MustCompile(`\bBe (the|simulated)\b`), write: "Run", messages: true},
}

// oldNames are parts of identifiers for which a standard term exists.
var oldNames = map[string]string{
	"desk": "request", "ear": "action server", "keeper": "publisher", "shelf": "retained", "twin": "standby",
	"lookout": "poller", "lookers": "pollers", "forgetful": "null store", "trimmer": "packet limiter", "patience": "backoff",
	"farewell": "stop reason", "enlist": "apply", "gathering": "group result", "suspect": "quarantine", "knock": "probe",
	"deaf": "draining", "welcome": "proven", "mend": "normalize", "deed": "action", "resident": "phone", "unlook": "cancel poll",
	"aside": "standby", "fought": "contested", "looped": "received", "trouble": "fault", "owed": "unanswered", "nobody": "none", "whoever": "caller", "silence": "timeout error",
}

// TestWords keeps the language of the project technical: see CONTRIBUTING.md, "How it is written".
func TestWords(t *testing.T) {
	t.Parallel()
	out, err := exec.Command("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard").Output()
	if err != nil {
		t.Skip("git ls-files: not a checkout")
	}
	for name := range strings.SplitSeq(strings.TrimSuffix(string(out), "\x00"), "\x00") {
		if exempt(name) {
			continue
		}
		text, err := os.ReadFile(name)
		if err != nil || bytes.IndexByte(text, 0) >= 0 {
			continue // deleted in the work tree, or a picture
		}
		if strings.HasSuffix(name, ".go") {
			checkIdentifiers(t, name, text)
		}
		if strings.HasSuffix(name, ".go") {
			checkGo(t, name, text)
			continue
		}
		for i, line := range strings.Split(string(text), "\n") {
			checkText(t, name, i+1, line, false)
		}
	}
}

// exempt reports whether a file is not held to the list: inputs of tests, texts of other authors, and the list itself.
func exempt(name string) bool {
	switch path.Base(name) {
	case "words_test.go", "go.sum", "go.mod", "LICENSE", "NOTICE", "THIRD_PARTY_NOTICES", "THIRD_PARTY_LICENSES.txt":
		return true
	}
	return strings.Contains(name, "/testdata/fuzz/") || strings.HasPrefix(name, "LICENSES/") || strings.HasSuffix(name, ".svg")
}

// in returns the phrase in text; empty: it is not there. lower is text in small letters.
func (p phrase) in(text, lower string) string {
	if !slices.ContainsFunc(p.has, func(h string) bool { return strings.Contains(lower, h) }) {
		return ""
	}
	return p.match.FindString(text)
}

func TestPhrases(t *testing.T) {
	t.Parallel()
	for _, p := range phrases {
		if p.in(p.example, strings.ToLower(p.example)) == "" {
			t.Errorf("%s is not found in %q", p.match, p.example)
		}
	}
}

// checkGo checks comments and strings of a Go file. Strings of tests are inputs and are not checked.
func checkGo(t *testing.T, name string, text []byte) {
	t.Helper()
	test := strings.HasSuffix(name, "_test.go")
	set := token.NewFileSet()
	var s scanner.Scanner
	s.Init(set.AddFile(name, -1, len(text)), text, nil, scanner.ScanComments)
	for {
		pos, tok, lit := s.Scan()
		line := set.Position(pos).Line
		switch tok {
		case token.EOF:
			return
		case token.COMMENT:
			for i, part := range strings.Split(lit, "\n") {
				checkText(t, name, line+i, part, false)
			}
		case token.STRING:
			if !test {
				checkText(t, name, line, lit, true)
			}
		}
	}
}

// checkIdentifiers checks the identifiers of a Go file.
func checkIdentifiers(t *testing.T, name string, text []byte) {
	t.Helper()
	set := token.NewFileSet()
	var s scanner.Scanner
	s.Init(set.AddFile(name, -1, len(text)), text, nil, 0)
	seen := map[string]bool{"SilenceErrors": true, "SilenceUsage": true} // these are of cobra
	for {
		pos, tok, lit := s.Scan()
		if tok == token.EOF {
			return
		}
		if tok != token.IDENT || seen[lit] {
			continue
		}
		seen[lit] = true
		for _, part := range camelParts(lit) {
			if write, old := oldNames[part]; old {
				t.Errorf("%s: identifier %s: %q is not a term of the field; use %s", set.Position(pos), lit, part, write)
			}
		}
	}
}

func checkText(t *testing.T, name string, line int, text string, message bool) {
	t.Helper()
	lower := strings.ToLower(text)
	for _, p := range phrases {
		if p.messages && !message || p.prose && message {
			continue
		}
		if found := p.in(text, lower); found != "" {
			t.Errorf("%s:%d: %q: write %s", name, line, found, p.write)
		}
	}
}

// camelParts splits an identifier into its words, in small letters.
func camelParts(id string) (parts []string) {
	var word []rune
	flush := func() {
		if len(word) > 0 {
			parts = append(parts, strings.ToLower(string(word)))
			word = nil
		}
	}
	runes := []rune(id)
	for i, r := range runes {
		if r == '_' {
			flush()
			continue
		}
		upper := unicode.IsUpper(r)
		if upper && i > 0 && (!unicode.IsUpper(runes[i-1]) || i+1 < len(runes) && unicode.IsLower(runes[i+1])) {
			flush()
		}
		word = append(word, r)
	}
	flush()
	return parts
}

func TestCamelParts(t *testing.T) {
	t.Parallel()
	for id, want := range map[string][]string{
		"deskClosed": {"desk", "closed"}, "HTTPServer": {"http", "server"}, "ear": {"ear"}, "year_end": {"year", "end"}, "newMQTTURL": {"new", "mqtturl"},
	} {
		if got := camelParts(id); !slices.Equal(got, want) {
			t.Errorf("camelParts(%q) = %q, want %q", id, got, want)
		}
	}
}
