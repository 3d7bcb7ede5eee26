package minibrowser

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestAsk(t *testing.T) {
	t.Parallel()
	page, err := Ask("http://192.0.2.5:8088/page/k/t/X/state")
	if err != nil {
		t.Fatal(err)
	}
	document, err := Encode(NamesSnom, page)
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{
		`<SnomIPPhoneSilent><fetch mil="1">http://192.0.2.5:8088/page/k/t/X/state?dnd=$(set:dnd_mode[1])&amp;fa=$(set:fwd_all_enabled[1])&amp;`,
		"&amp;n=$(lines)&amp;c=$(lines:connected)&amp;", "&amp;ftt=$(set:fwd_time_target[1])</fetch>",
	} {
		if !strings.Contains(string(document), part) {
			t.Errorf("%s\nis not in\n%s", part, document)
		}
	}
	if _, err := Ask("http://192.0.2.5/$(set:x)"); err == nil {
		t.Error("an address with a callback: expected an error")
	}
}

func TestReadAnswer(t *testing.T) {
	t.Parallel()
	for query, expected := range map[string]string{
		"dnd=on&fa=off&fat=&n=2&c=1&h=1":                     "[{dnd_mode on} {fwd_all_enabled off} {fwd_all_target }] [{ 2} {connected 1} {holding 1}]",
		"fb=on&fbt=%2B49%2030+1&ft=on&fs=20&ftt=sip:a@b;x=y": "[{fwd_busy_enabled on} {fwd_time_enabled on} {fwd_time_secs 20} {fwd_busy_target +49 30+1} {fwd_time_target sip:a@b;x=y}] []",
		"fa=on&fat=1&dnd=on&n=0&n=7":                         "[{dnd_mode on} {fwd_all_enabled on} {fwd_all_target 1}] [{ 0}]",
		"dnd=&fat=1&n=0":                                     "[] [{ 0}]",
		"dnd=ON&fs=x&n=1":                                    "[] [{ 1}]",
		"c=1&dnd=off":                                        "[{dnd_mode off}] []",
		"dnd=%6Fn":                                           "[{dnd_mode on}] []",
		"fa=on&fat=%zz":                                      "[{fwd_all_enabled on} {fwd_all_target %zz}] []",
		"":                                                   "", "x": "", "dnd=$(set:dnd_mode[1])&n=$(lines)": "", "dnd=%24%28set:dnd_mode%5B1%5D%29": "", "n=-1": "", "n=1000": "", "n=1e3": "",
	} {
		a, err := ReadAnswer(query)
		got := ""
		if err == nil {
			got = fmt.Sprint(a.Settings, " ", a.Calls)
		} else if !errors.Is(err, ErrNoAnswer) {
			t.Errorf("%q: %v", query, err)
		}
		if got != expected {
			t.Errorf("%q: %s, expected %s", query, got, expected)
		}
	}
}

func FuzzReadAnswer(f *testing.F) {
	f.Add("dnd=on&fa=on&fat=%2B49&n=2&c=1")
	f.Add("n=&c=&dnd=%&fa=&&==")
	f.Fuzz(func(t *testing.T, query string) {
		a, err := ReadAnswer(query)
		if (err == nil) == (len(a.Settings)+len(a.Calls) == 0) {
			t.Fatal(a, err)
		}
		names := map[string]bool{}
		for _, s := range a.Settings {
			if names[s.Name] || !slices.ContainsFunc(questions[:], func(q question) bool { return q.setting == s.Name }) {
				t.Fatalf("%+v", s)
			}
			names[s.Name] = true
		}
		for i, c := range a.Calls {
			if (c.State == "") != (i == 0) || c.N < 0 || c.N > maxLines {
				t.Fatalf("%+v", a.Calls)
			}
		}
	})
}
