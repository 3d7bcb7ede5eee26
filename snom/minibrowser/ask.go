package minibrowser

import (
	"errors"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// A question is one thing that a page asks the phone: the phone puts the answer into the query of a URL.
type question struct {
	name    string // of the query parameter
	of      string // the callback
	setting string // that is asked for; empty: it is a number of calls
}

// questions are what [Ask] asks. The callbacks, and the states of calls, are those of docs.snom.io (callbacks, examples
// cb_set and cb_lines). That a phone evaluates them in the URL that a silent page fetches is inferred, and was not confirmed
// on a phone. Texts come last, and the first value of a name counts: a phone that escapes nothing cannot change others by one.
var questions = [...]question{
	{"dnd", "set:dnd_mode[1]", "dnd_mode"},
	{"fa", "set:fwd_all_enabled[1]", "fwd_all_enabled"},
	{"fb", "set:fwd_busy_enabled[1]", "fwd_busy_enabled"},
	{"ft", "set:fwd_time_enabled[1]", "fwd_time_enabled"},
	{"n", "lines", ""},
	{"c", "lines:connected", ""},
	{"h", "lines:holding", ""},
	{"o", "lines:on_hold", ""},
	{"r", "lines:ringing", ""},
	{"d", "lines:calling", ""},
	{"b", "lines:ringback", ""},
	{"fs", "set:fwd_time_secs[1]", "fwd_time_secs"},
	{"fat", "set:fwd_all_target[1]", "fwd_all_target"},
	{"fbt", "set:fwd_busy_target[1]", "fwd_busy_target"},
	{"ftt", "set:fwd_time_target[1]", "fwd_time_target"},
}

// Ask returns a page that shows nothing and has the phone fetch address with its state in the query, which [ReadAnswer]
// reads.
func Ask(address string) (Main, error) {
	target, err := Web(address)
	if err != nil {
		return nil, err
	}
	callbacks := make([]Callback, 0, len(questions))
	for _, q := range questions {
		callbacks = append(callbacks, Callback{q.name, q.of})
	}
	if target, err = target.WithCallbacks(callbacks...); err != nil {
		return nil, err
	}
	return Silent{Common{Fetch: Fetch{time.Millisecond, target}}}, nil
}

// An Answer is what a phone says of its state.
type Answer struct {
	Settings []AskedSetting // of the first identity; those that the phone does not have are missing
	Calls    []AskedCalls   // the first is all of them; empty: it did not say
}

// An AskedSetting is a setting and its value.
type AskedSetting struct{ Name, Value string }

// An AskedCalls is how many calls there are in one state, in the phone's word for it; of any: the empty one.
type AskedCalls struct {
	State string
	N     int
}

// ErrNoAnswer says that a phone fetched the address, and filled in nothing.
var ErrNoAnswer = errors.New("minibrowser: the phone does not fill in callbacks")

const (
	maxAnswer = 4 << 10 // bytes of the query of an answer
	maxLines  = 999
)

// ReadAnswer reads the query of the address that [Ask] named. What is no possible answer to its question is left out.
func ReadAnswer(query string) (Answer, error) {
	var a Answer
	said := map[string]string{}
	for pair := range strings.SplitSeq(query[:min(len(query), maxAnswer)], "&") {
		name, value, _ := strings.Cut(pair, "=")
		if _, again := said[name]; !again {
			said[name] = unescape(value)
		}
	}
	for _, q := range questions {
		value, ok := said[q.name]
		if !ok || strings.Contains(value, "$(") {
			continue
		}
		if q.setting == "" {
			if n, err := strconv.Atoi(value); err == nil && n >= 0 && n <= maxLines && (q.of == "lines" || len(a.Calls) > 0) {
				a.Calls = append(a.Calls, AskedCalls{strings.TrimPrefix(strings.TrimPrefix(q.of, "lines"), ":"), n})
			}
			continue
		}
		if a.accepts(q.setting, value) {
			a.Settings = append(a.Settings, AskedSetting{q.setting, value})
		}
	}
	if len(a.Settings)+len(a.Calls) == 0 {
		return a, ErrNoAnswer
	}
	return a, nil
}

// unescape reads a value as a phone puts it into a URL. How it escapes that is documented nowhere: what is escaped is
// unescaped, and a plus is one.
func unescape(raw string) string {
	text, err := url.PathUnescape(raw)
	if err != nil {
		text = raw
	}
	return strings.TrimSpace(text)
}

// accepts reports whether a setting may have that value. The empty one is no answer but of a number, and only where the
// phone knows the setting beside it.
func (a *Answer) accepts(setting, value string) bool {
	begin, end, _ := strings.Cut(setting, "_target")
	switch {
	case setting != begin+end: // the number of a case of forwarding
		for _, s := range a.Settings {
			if s.Name == begin+"_enabled" {
				return true
			}
		}
		return false
	case strings.HasSuffix(setting, "_secs"):
		n, err := strconv.Atoi(value)
		return err == nil && n >= 0
	}
	return value == "on" || value == "off"
}
