package actionurl

import (
	"fmt"
	"math/rand/v2"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// leftInPlace are ways in which a variable stands in a query when the phone did not replace it.
func leftInPlace(variable string) []string {
	return []string{
		"$" + variable, "$" + variable + "&", "$" + variable + "[1]", "$" + variable + "[12]&", "$(" + variable + ")",
		"$(" + variable + "[1])", "$(set:" + variable + ")", "$(set:" + variable + "[1])", "$$" + strings.ToUpper(variable) + "$$",
		"%24" + variable, "%24" + variable + "%26", "%24" + variable + "%5B1%5D", "%24%28" + variable + "%29",
		"%24%24" + strings.ToUpper(variable) + "%24%24", " $" + variable, "$" + variable + "%20",
	}
}

// A variable that the phone left in place is unknown, wherever and however it stands.
func TestPlaceholders(t *testing.T) {
	t.Parallel()
	parse := func(query string) Event {
		e, err := ParseEvent("incoming", query, time.Time{})
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	unknown := Event{Type: EventIncoming, Direction: DirectionIn}
	var queries []string
	for _, v := range variableRows() {
		for _, setting := range []string{v.Name, "user_name", "user_realname"} {
			for _, left := range leftInPlace(setting) {
				queries = append(queries, v.Name+"="+left)
				if v.Kind == "uri" {
					for _, within := range []string{"sip:%s@pbx", "sip:27@%s", "sip:%s", "<sip:%s@pbx>", "<sip:27@%s;transport=udp>;tag=1",
						"%s@pbx", "sips:%s:secret@pbx", "tel:%s", "sip:27@pbx;line=%s"} {
						queries = append(queries, v.Name+"="+fmt.Sprintf(within, left))
					}
				}
			}
		}
	}
	queries = append(queries,
		"remote=$user_name[1]&local=$user_uid[1]", "remote=$remote&&local=$local&", "remote=$(remote)&display_remote=$(display_remote)",
		"remote=$$REMOTE$$&display_remote=$$REMOTE_NAME$$", "nr_ongoing_calls=$nr_ongoing_calls&&&", "call-id=$(call-id)&csta_id=$csta_id[0]",
		"display_remote=Call from $display_remote", "display_remote=$display_remote of $user_name[1]", "display_remote=\"$display_remote\"",
		`display_remote=$(set:user_realname[1])!`, "cancel_reason=Reason $cancel_reason", "redirect_number=0$redirect_number",
		"redirect_number=+49/$user_idle_number1", "active_key=P$active_key", "call-id=$call-id@$user_host1", "mac=00:$mac",
		"who=$remote", "who=x$(remote)", "who=$user_name[1]", "who=a $remote", `local="$display_local" <sip:$user_name1@$user_host1>`,
		"context_url=<sip:$context_url>;tag=$tag",
		// As programs other than phones write variables.
		"remote={remote}", "remote=$[remote]", "remote=${remote", "remote=@remote@", "remote=<remote>", "remote=%7Bremote%7D", "remote=+", "remote=%2B",
		"remote=%20%2b%20", "remote=@pbx.example", "remote=sip:@pbx.example;user=phone", "local=<sip:@pbx>;tag=1", "display_remote=++",
		"remote=%20&display_remote=%20%C2%A0", "local={{local}}", "remote=#remote#", "remote=%25remote%25", "display_remote={display_remote}", "display_remote=<display_remote>",
		"display_remote=@DISPLAY_REMOTE@", "remote={REMOTE}&local=[local]", "remote=$user_name[$active_line]", "display_remote=$user_name[$active_line]",
		"call-id={call_id}", "mac=<mac>", "remote=$[remote]&&local=@local@&")
	for _, query := range queries {
		if got := parse(query); !reflect.DeepEqual(got, unknown) {
			t.Errorf("%q: %+v, expected nothing to be known", query, got)
		}
		if got := parse("csta_id=7&" + query); !strings.Contains(query, "csta_id=") && fmt.Sprint(got.Extra) != "[{csta_id 7}]" {
			t.Errorf("%q behind another value: %+v", query, got)
		}
	}
}

// What is not a placeholder is text, in names and in addresses.
func TestDollarsThatAreText(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"Ke$ha", "A$AP Rocky", "$100", "US$ 5", "$", "$$", "$$$", "$money$", "$$$$", "100 $", "$1 Shop", "Cash & $Carry",
		"$(rm -rf /)", "$(reboot)", "$ remote", "a$b$c", "${remote}", "$[1]", "$()", "$$ $$", "Ka$h [1]", "$Remote Control", "Five$(5)", "Tom $localhost"} {
		for _, sent := range []string{name, url.PathEscape(name)} {
			e, err := ParseEvent("incoming", "remote=sip:5@pbx&display_remote="+sent, time.Time{})
			if err != nil || e.Remote.Name != name || e.Remote.Number != "5" {
				t.Errorf("%q: %+v, %v, expected the name", sent, e.Remote, err)
			}
		}
	}
	for sent, number := range map[string]string{"sip:cash$desk@pbx": "cash$desk", "sip:5$@pbx": "5$", "5$5": "5$5", "sip:%24%24@pbx": "$$"} {
		e, err := ParseEvent("incoming", "remote="+sent, time.Time{})
		if err != nil || e.Remote.Number != number {
			t.Errorf("%q: %+v, %v, expected %q", sent, e.Remote, err, number)
		}
	}
}

// Every part of a query is read for what it is: empty and odd parts do not become part of their neighbours.
func TestGrammar(t *testing.T) {
	t.Parallel()
	party := func(number, name, uri string) Party { return Party{Number: number, Name: name, URI: uri} }
	at := func(n string) Party { return party(n, "", "sip:"+n+"@pbx") }
	tests := []struct {
		name, query string
		expected    Event
	}{
		{"empty parts", "&&call-id=a&&&remote=sip:5@pbx&&local=sip:27@pbx&&", Event{CallID: "a", Remote: at("5"), Local: at("27"), Line: "27@pbx"}},
		{"parts without a name", "=&=x&call-id=a&=&remote=sip:5@pbx&=y&mac=1&=", Event{CallID: "a", Remote: at("5"), Extra: []Variable{{"mac", "1"}}}},
		{"parts without a value", "debug&call-id=a&debug&remote=sip:5@pbx&x&mac=1&y&mine=2&z", Event{CallID: "a", Remote: at("5"),
			Extra: []Variable{{"mac", "1"}, {"mine", "2"}}}},
		{"odd parts", "call-id=a&%&remote=sip:5@pbx&a b&mac=1& &phone_ip=192.0.2.1&?&nr_ongoing_calls=1&;", Event{CallID: "a", Remote: at("5"), Calls: 1, CallsKnown: true,
			Extra: []Variable{{"mac", "1"}, {"phone_ip", "192.0.2.1"}}}},
		{"empty parts around a name", "display_local=Desk&&display_remote=Tom&&&remote=sip:5@pbx", Event{Remote: party("5", "Tom", "sip:5@pbx"), Local: Party{Name: "Desk"}}},
		{"nothing but separators as a name", "remote=sip:5@pbx&display_remote=&&=&", Event{Remote: at("5")}},
		{"a reason and a name with ampersands", "cancel_reason=Busy & gone&&display_remote=Tom & Jerry", Event{Reason: "Busy & gone", Remote: Party{Name: "Tom & Jerry"}}},
		{"a variable of the owner with ampersands", "who=Tom & Jerry&x=1", Event{Extra: []Variable{{"who", "Tom & Jerry"}, {"x", "1"}}}},
		{"semicolons", "remote=sip:547@10.1.1.1:3072;line=abc&local=sip:27@pbx;transport=tls;line=2&x=a;b;c", Event{Line: "27@pbx",
			Remote: party("547", "", "sip:547@10.1.1.1:3072;line=abc"), Local: party("27", "", "sip:27@pbx;transport=tls;line=2"), Extra: []Variable{{"x", "a;b;c"}}}},
		{"an ampersand in an address", `remote="Tom & Jerry" <sip:5@pbx>&local=sip:a&b@pbx`, Event{Line: "a&b@pbx",
			Remote: party("5", "Tom & Jerry", "sip:5@pbx"), Local: party("a&b", "", "sip:a&b@pbx")}},
		{"an ampersand in an address, in brackets", `remote=Tom & Jerry & Co <sip:5@pbx>&x=1`, Event{Remote: party("5", "Tom & Jerry & Co", "sip:5@pbx"), Extra: []Variable{{"x", "1"}}}},
		{"an address that is complete", `remote=<sip:5@pbx>&foo@bar&local=sip:27@pbx&"x"`, Event{Remote: at("5"), Local: at("27"), Line: "27@pbx"}},
		{"a bracket that is not closed", "remote=<sip:5@pbx&foo&local=sip:27@pbx", Event{Remote: at("5"), Local: at("27"), Line: "27@pbx"}},
		{"pasted from XML twice", "call-id=a&amp;amp;remote=sip:5@pbx&amp;x=1", Event{CallID: "a", Remote: at("5"), Extra: []Variable{{"x", "1"}}}},
		{"escaped names", "call%2Did=a&%72emote=sip:5@pbx&display%5fremote=Tom", Event{CallID: "a", Remote: party("5", "Tom", "sip:5@pbx")}},
		{"escaped twice", "call-id=a%2540b&local=sip%253A27%2540pbx&remote=sip%253A%252B49%2540pbx&display_remote=Front%2520d%25C3%25B6or%2525", Event{CallID: "a@b", Line: "27@pbx",
			Local: at("27"), Remote: party("+49", "Front döor%", "sip:+49@pbx")}},
		{"escaped twice, in brackets", "active_url=%253Csip%253A27%2540pbx%253E&remote=5%252F6", Event{Local: at("27"), Line: "27@pbx", Remote: Party{Number: "5/6"},
			Extra: []Variable{{"active_url", "<sip:27@pbx>"}}}},
		{"escaped twice, the other side only", "local=sip:27@pbx&remote=sip%253A5%2540pbx&display_remote=100%2525", Event{Line: "27@pbx", Local: at("27"),
			Remote: party("5", "100%25", "sip:5@pbx")}},
		{"a name that looks escaped twice", "local=sip%3A27%40pbx&remote=sip%3A5%40pbx&display_remote=sip%253A6%2540pbx", Event{Line: "27@pbx", Local: at("27"),
			Remote: party("5", "sip%3A6%40pbx", "sip:5@pbx")}},
		{"broken escapes", "call-id=%&remote=sip:5%2@pbx&mac=%zz&x=%%41%4&y=%u00e4&display_remote=%C3", Event{CallID: "%", Remote: party("5%2", "Ã", "sip:5%2@pbx"),
			Extra: []Variable{{"mac", "%zz"}, {"x", "%A%4"}, {"y", "%u00e4"}}}},
		{"charsets", "x=%E2%82&remote=sip:m%FCller@pbx&display_local=K\xe4the&display_remote=%D0%9C%D0%B8%D1%80", Event{Local: Party{Name: "Käthe"},
			Remote: party("müller", "Мир", "sip:müller@pbx"), Extra: []Variable{{"x", "â\uFFFD"}}}},
		{"blanks around", "call-id= a &remote= sip:5@pbx &nr_ongoing_calls=%201 ", Event{CallID: "a", Remote: at("5"), Calls: 1, CallsKnown: true}},
		{"blanks only", "call-id=%20&remote=+&mac=%20%20", Event{}},
		{"variables without a value behind a name", "display_remote=A& &local&remote=sip:5@pbx", Event{Remote: party("5", "A", "sip:5@pbx")}},
		{"a plus in front of a number", "remote=+5", Event{Remote: Party{Number: "+5"}}},
		{"counts that are none", "nr_ongoing_calls=-1", Event{Extra: []Variable{{"nr_ongoing_calls", "-1"}}}},
		{"an address without user", "remote=sip:@pbx&local=@", Event{}},
		{"equals signs", "call-id==a=b=&x==", Event{CallID: "=a=b=", Extra: []Variable{{"x", "="}}}},
		{"a name with a placeholder and an address", `remote="$display_remote" <sip:5@pbx>`, Event{Remote: at("5")}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := ParseEvent("hold", tt.query, time.Time{})
			tt.expected.Type = EventHold
			if err != nil || !reflect.DeepEqual(got, tt.expected) {
				t.Errorf("ParseEvent(%q) =\n%+v, %v, expected\n%+v", tt.query, got, err, tt.expected)
			}
		})
	}
}

// FuzzGrammar writes queries by the grammar - values in every order, escaped in several ways, placeholders in the
// place of some, empty and odd parts in between - and checks that each value is read as it was meant.
func FuzzGrammar(f *testing.F) {
	for seed := range uint64(20) {
		f.Add(seed, "Tom & Jerry", "+4930123")
	}
	f.Add(uint64(1), "Ke$ha", "27")
	f.Add(uint64(2), "=&=", "a&b")
	f.Fuzz(func(t *testing.T, seed uint64, name, number string) {
		rng := rand.New(rand.NewPCG(seed, 1))
		clean := strings.Map(func(r rune) rune {
			if r < ' ' || r == 0x7f || r == '\uFFFD' || strings.ContainsRune(`"<>\@:;?%$ `, r) || r >= 0x80 && r < 0xa0 {
				return -1
			}
			return r
		}, number)
		if clean == "" || len(clean) > 100 {
			clean = "27"
		}
		name = strings.Map(func(r rune) rune {
			if r < ' ' || r == 0x7f || r == '\uFFFD' || r == '$' || r >= 0x80 && r < 0xa0 {
				return -1
			}
			return r
		}, name)
		if len(name) > 200 {
			name = ""
		}
		escapes := []func(string) string{
			func(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") },
			func(s string) string { return strings.ToLower(url.PathEscape(s)) },
			func(s string) string { return url.PathEscape(url.PathEscape(s)) },
		}
		n := rng.IntN(len(escapes))
		if n == 1 && strings.ToLower(name+clean) != name+clean {
			n = 0 // which would make small letters of them
		}
		full := func(s string) string { // everything that could be read as something else
			s = escapes[n](s)
			if n == 2 {
				return strings.NewReplacer("&", "%2526", "+", "%252B", ":", "%253A", "@", "%2540", "=", "%253D").Replace(s)
			}
			return strings.NewReplacer("&", "%26", "+", "%2B", ":", "%3A", "@", "%40", "=", "%3D").Replace(s)
		}
		expected := Event{Type: EventHold, Line: "27@pbx", CallID: "3c26-ab", Calls: 2, CallsKnown: true, Key: "P5",
			Local:  Party{Number: "27", URI: "sip:27@pbx"},
			Remote: Party{Number: clean, Name: name, URI: "sip:" + clean + "@pbx.example"}}
		left := func() string { return leftInPlace("remote")[rng.IntN(len(leftInPlace("remote")))] }
		pairs := map[string]string{
			"local": full("sip:27@pbx"), "call-id": "3c26-ab", "nr_ongoing_calls": "2", "active_key": "P5",
			"remote": full("sip:" + clean + "@pbx.example"), "display_remote": full(name),
		}
		for which, forget := range map[string]func(){
			"call-id": func() { expected.CallID = "" }, "nr_ongoing_calls": func() { expected.Calls, expected.CallsKnown = 0, false },
			"active_key": func() { expected.Key = "" }, "remote": func() { expected.Remote.Number, expected.Remote.URI = "", "" },
			"display_remote": func() { expected.Remote.Name = "" },
		} {
			if len(which)+int(seed%7) == 13 {
				pairs[which] = left()
				forget()
			}
		}
		var order []string
		for p := range pairs {
			order = append(order, p)
		}
		slices.Sort(order)
		rng.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
		var query strings.Builder
		between := func(afterName bool) {
			odd := []string{"", "&", "&&", "&=", "&=x", "&debug", "&%", "& "}
			if afterName { // only empty parts are not text
				odd = odd[:3]
			}
			query.WriteString(odd[rng.IntN(len(odd))])
		}
		for i, p := range order {
			if i > 0 {
				query.WriteString([]string{"&", "&", "&amp;"}[rng.IntN(3)])
			}
			query.WriteString(p + "=" + pairs[p])
			if i < len(order)-1 || p != "display_remote" {
				between(p == "display_remote")
			}
		}
		got, err := ParseEvent("hold", query.String(), time.Time{})
		if err != nil || !reflect.DeepEqual(got, expected) {
			t.Errorf("%q =\n%+v, %v, expected\n%+v", query.String(), got, err, expected)
		}
	})
}

// A query of nothing but separators within an open quote takes no more time than another one of its length.
func TestManyParts(t *testing.T) { // not parallel: it counts allocations
	for _, query := range []string{`remote="` + strings.Repeat("&", maxEventQuery-100) + `"`, "display_remote=" + strings.Repeat("&x", maxEventQuery/2-100),
		strings.Repeat("remote=<&", maxEventQuery/9-20), "x=" + strings.Repeat("& ", maxEventQuery/2-100)} {
		if n := testing.AllocsPerRun(1, func() {
			if _, err := ParseEvent("hold", query, time.Time{}); err != nil {
				t.Error(err)
			}
		}); n > 300 {
			t.Errorf("%.20q…: %v allocations, expected at most 300", query, n)
		}
	}
}

// Other spellings of variables that were not replaced, cut ones, words for what is not known, and pairs without a name are
// neither numbers nor names.
func TestNothingIsMadeOfOddValues(t *testing.T) {
	t.Parallel()
	for query, expected := range map[string]Party{
		"remote=${remote}":                    {},
		"remote=%24%7Bremote%7D":              {},
		"remote=sip:${user_name1}@pbx":        {},
		"remote=%%REMOTE%%":                   {},
		"remote=[remote]":                     {},
		"remote=$(remote":                     {},
		"remote=$(remote&display_remote=Anna": {Name: "Anna"},
		"display_remote=%%DISPLAY_REMOTE%%":   {},
		"display_remote=[display_remote]":     {},
		"display_remote=$(display_remote":     {},
		"display_remote=Anna&":                {Name: "Anna"},
		"display_remote=Anna&&&":              {Name: "Anna"},
		"display_remote=Anna&=x":              {Name: "Anna"},
		"display_remote=&=x&local=27":         {},
		"display_remote==&local=27":           {},
		"display_remote=Tom&Jerry&local=27":   {Name: "Tom&Jerry"},
		"display_remote=[Anna]":               {Name: "[Anna]"},
		"display_remote=100%%":                {Name: "100%%"},
		"remote=unknown":                      {},
		"remote=None":                         {},
		"remote=unknown&display_remote=Anna":  {Name: "Anna"},
		"remote=sip:unknown@pbx":              {Number: "unknown", URI: "sip:unknown@pbx"},
		"remote=sip:27@[2001:db8::1]":         {Number: "27", URI: "sip:27@[2001:db8::1]"},
	} {
		e, err := ParseEvent("incoming", query, time.Time{})
		if err != nil {
			t.Errorf("%s: %v", query, err)
			continue
		}
		if e.Remote != expected {
			t.Errorf("%s: %+v, expected %+v", query, e.Remote, expected)
		}
	}
}
