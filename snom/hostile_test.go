package snom_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/snom2mqtt/snom2mqtt/snom"
)

// hostileTexts are hostile inputs, by family.
func hostileTexts() map[string][]string {
	return map[string][]string{
		"binary":          {"\x00\x01\x02\xfe\xff", "\x89PNG\r\n\x1a\n", "\x1f\x8b\x08"},
		"megabyte":        {strings.Repeat("1", 1<<20), strings.Repeat("{", 1<<20), strings.Repeat(" ", 1<<20) + "{}"},
		"just too long":   {strings.Repeat("1", snom.MaxPayload+1), strings.Repeat("1;", snom.MaxPayload/2), strings.Repeat("1 ", 8000)},
		"deep":            {strings.Repeat("[", 5000), strings.Repeat(`{"a":`, 3000), strings.Repeat(`{"keys":[`, 1000)},
		"duplicate":       {`{"a":1,"a":2}`},
		"NUL":             {"1\x00", "\x00", "P1\x00;P2", "all\x00"},
		"line end":        {"1\n", "1\r\nHost: evil.example\r\n\r\n", "P1\r\nX: y", "all\n", "1\v2", "1\u20282", "1\u00852"},
		"ampersand":       {"1&reset=Reset", "P1&settings=save&http_pass=x", "all&REREGISTER=1", "1&amp;2", "%26x=1"},
		"question mark":   {"1?x=1", "P1?", "http://h/p?reboot=Reboot"},
		"hash":            {"1#/../x", "P1#x", "http://h/p#x", "a@h#x"},
		"path":            {"/../advanced_update.htm", "../..", "1/../../advanced_update.htm?reset=Reset", "http://h/../x", "..%2f..%2f"},
		"host":            {"http://evil.example/", "//evil.example/x", "@evil.example", "1@evil.example/x", "http://a@evil.example/x", "http://h\\@evil.example/x"},
		"percent":         {"%", "%00", "%2", "%zz", "1%0d%0a", "%31"},
		"plus":            {"+", "++", "1+1", "P1+P2", "+1+"},
		"unicode digits":  {"\u0661\u0662", "\uff11\uff12", "1\u0661", "P\uff11", "\u00b2", "\U0001d7d9"},
		"unicode letters": {"\u0421ANCEL", "a\u0308", "\u202e1", "1\u200b", "\ufeff1", "\u0130", "ALL", "CANCE\u013f"},
		"floats":          {"1.0", "1e0", "1E+1", "0x1", "1_000", "-1", "-0", "1.", ".1", "NaN", "Infinity", "1e999"},
		"huge numbers":    {"99999999999999999999", "18446744073709551616", "-9223372036854775809", "00000000000000000001"},
		"format":          {"%s%n%d", "${jndi:ldap://x}", "{{7*7}}", "$(reboot)", "`reboot`", "'; DROP TABLE", "<script>", "$local"},
		"white space":     {" ", "  ", "\t", " 1", "1 ", "\n{}", " { } ", "\u00a01", "1\u2003"},
		"separators":      {";", ",", ";;;;", "1;;2", ",,", "P1,,", "1,1,1,1", "=", "==", "key=P1", "1=2", ":", "a@b;c=d;e"},
		"wrong types":     {`[]`, `null`, `true`, `""`, `[1]`, `"1"`, `{"__proto__":1}`, `{"":1}`, `{"id":"x","command":"reset"}`},
		"broken JSON":     {`{`, `{"`, `{"a`, `{"a":`, `{"a":1`, `{"a":1,`, `{}}`, `{}{}`, `{"a":"\ud800"}`, `{"a":"\x"}`, "{\"a\":\"\xff\"}"},
	}
}

// smuggled puts text into the JSON members of a command, as value and as name.
func smuggled(v snom.Verb, text string) []string {
	if len(text) > 2000 {
		return nil // too long to be put into anything
	}
	quoted, err := json.Marshal(text)
	if err != nil {
		panic(err)
	}
	payloads := []string{`{"id":` + string(quoted) + `}`, `{` + string(quoted) + `:1}`}
	for _, name := range snom.Members(v) {
		payloads = append(payloads,
			`{"`+name+`":`+string(quoted)+`}`, `{"`+name+`":`+text+`}`, `{"`+name+`":[`+text+`]}`,
			`{"`+name+`":1,"`+name+`":`+string(quoted)+`}`,
			fmt.Sprintf(`{"number":"1","digits":"1","ringer":1,"identity":1,"%s":%s}`, name, quoted),
			fmt.Sprintf(`{"number":"1",%s:"%s"}`, quoted, name),
			fmt.Sprintf(`{"keys":[{"key":%s,"hold_ms":%s}]}`, quoted, text),
			fmt.Sprintf(`{"touches":[{"x":%s,"y":%s,"action":%s}]}`, text, text, quoted))
	}
	return payloads
}

// TestHostilePayloads: no input makes the package panic or a phone get a request that
// the command does not have.
func TestHostilePayloads(t *testing.T) {
	t.Parallel()
	families := hostileTexts()
	if len(families) < 20 {
		t.Errorf("%d families, want at least 20", len(families))
	}
	for family, texts := range families {
		t.Run(family, func(t *testing.T) {
			t.Parallel()
			for _, text := range texts {
				for _, v := range snom.Verbs() {
					for _, payload := range append(smuggled(v, text), text) {
						c, err := snom.ParsePayload(v, []byte(payload))
						if err != nil {
							checkError(t, err)
							continue
						}
						t.Logf("harmless: %.100q is %q", payload, c)
						for _, d := range []snom.Dialect{"", snom.DialectOld, snom.DialectNew} {
							checkSteps(t, c, d)
						}
					}
				}
				if c, err := snom.ParseCommand(text); err == nil {
					t.Errorf("ParseCommand(%q) = %q", text, c)
				}
			}
		})
	}
}
