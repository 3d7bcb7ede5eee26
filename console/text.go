package console

import (
	"net/http"
	"strconv"
	"strings"
	"sync"
)

// german has the texts of the pages in German: each English text of the embedded list, which has a pair of lines for each.
var german = sync.OnceValue(func() map[string]string {
	list, err := static.ReadFile("static/german.txt")
	if err != nil {
		panic(err) // it is embedded
	}
	texts := map[string]string{}
	english := ""
	for line := range strings.Lines(string(list)) {
		switch line = strings.TrimSuffix(line, "\n"); {
		case line == "":
			english = ""
		case english == "":
			english = line
		default:
			texts[english] = line
		}
	}
	return texts
})

// translate returns a text in a language. A text without a translation is English; the tests find those.
func translate(lang, english string) string {
	if lang == "de" {
		if text := german()[english]; text != "" {
			return text
		}
	}
	return english
}

// about returns a text about a thing in a language. It is found by what it is about and the name of the thing, so that it stays when
// the English one is worded differently, and is no other text of the same words.
func about(lang, what, name, english string) string {
	if text := translate(lang, what+name); text != what+name {
		return text
	}
	return english
}

// language returns the language in which the pages answer a request: the one of English and German that the browser
// prefers, English unless it says.
func language(r *http.Request) string {
	best, most := "en", 0.0
	for one := range strings.SplitSeq(r.Header.Get("Accept-Language"), ",") {
		tag, parameters, _ := strings.Cut(strings.TrimSpace(one), ";")
		quality := 1.0
		if q, ok := strings.CutPrefix(strings.TrimSpace(parameters), "q="); ok {
			quality, _ = strconv.ParseFloat(q, 64) // what is no number is not preferred
		}
		primary, _, _ := strings.Cut(strings.ToLower(strings.TrimSpace(tag)), "-")
		if (primary == "en" || primary == "de") && quality > most {
			best, most = primary, quality
		}
	}
	return best
}
