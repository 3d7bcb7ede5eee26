package console

import (
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/snom2mqtt/snom2mqtt/bridge"
	"github.com/snom2mqtt/snom2mqtt/callstate"
	"github.com/snom2mqtt/snom2mqtt/snom"
)

// usedTexts are the texts of pages and scripts that are translated.
func usedTexts(t *testing.T) map[string]bool {
	t.Helper()
	used := map[string]bool{}
	for _, list := range [][]string{states(), {
		"command", "result", "event", "status", "response", "ring", "door", // kinds of messages
		"Dial", "Send tones", "Transfer", "Number", "Hang up", "Mute", "Before", "After", "on the hook", "off the hook", // of tables
		"is a key of the phone, but no source says that it can be pressed remotely", "Takes commands",
		"The model is not known: send a command, or set MODEL for this phone.",
		"The phone has reported nothing since the bridge started: install the action URLs if they are not installed, then lift and replace the handset.",
	}} {
		for _, text := range list {
			used[text] = true
		}
	}
	for _, s := range []bridge.DoorState{bridge.DoorLocked, bridge.DoorOpening, bridge.DoorOpen, bridge.DoorFailed} {
		used[string(s)] = true
	}
	for _, p := range callstate.Phases() {
		used[string(p)] = true
	}
	for _, e := range eventNames() {
		used[strings.ReplaceAll(e, "_", " ")] = true
	}
	for _, c := range bridge.Codes() {
		used["code "+string(c.Code)], used["advice "+string(c.Code)] = true, true
	}
	for _, k := range snom.KeyTable() {
		used["key "+k.Does] = true
	}
	serve, err := os.ReadFile("../cmd/snom2mqtt/serve.go") // why no commands are taken
	if err != nil {
		t.Fatal(err)
	}
	reasons := regexp.MustCompile(`return false, "([^"]+)", `).FindAllSubmatch(serve, -1)
	if len(reasons) < 3 {
		t.Errorf("%d reasons were found", len(reasons))
	}
	for _, m := range reasons {
		used[string(m[1])] = true
	}
	faults := 0 // of phones, and what remedies them
	for _, file := range []string{"../bridge/problem.go", "../bridge/phonestate.go"} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`(?m)phoneFault\{\w+, "([^"]+)", (?:"([^"]+)")?|adviceLogin = "([^"]+)"|unidentified = "([^"]+)"|return (?:is, )?"([^"]+)"(?:$|, fmt)`).FindAllStringSubmatch(string(text), -1) {
			for _, one := range m[1:] {
				if one != "" {
					used[one] = true
					faults++
				}
			}
		}
	}
	if faults < 8 {
		t.Errorf("%d faults of phones were found", faults)
	}
	calls := regexp.MustCompile(`\bt\("([^"]+)"\)|translate\((?:lang|language\(r\)), "([^"]+)"\)|h\.askPassword\(w, r, [^,]+, "([^"]+)"\)`)
	listed := regexp.MustCompile(`(?:\brow\(|\badd\([^"]*,\s*|^\s*\{"\w*", (?:"\w*", )?|"[a-z]+", )"([A-Z][^"]+)"`)
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	err = fs.WalkDir(static, "static", func(name string, d fs.DirEntry, err error) error {
		if strings.HasSuffix(name, ".js") {
			files = append(files, name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range calls.FindAllStringSubmatch(string(text), -1) {
			used[m[1]+m[2]+m[3]] = true
		}
		if file == "pages.go" || file == "phonepage.go" || file == "page.go" || file == "phonespage.go" {
			for _, m := range regexp.MustCompile(`\[\]string\{("[A-Z][^}]*)\}`).FindAllStringSubmatch(string(text), -1) {
				for _, title := range strings.Split(m[1], ", ") {
					used[strings.Trim(title, `"`)] = true
				}
			}
			for _, line := range strings.Split(string(text), "\n") {
				for _, m := range listed.FindAllStringSubmatch(line, -1) {
					used[m[1]] = true
				}
			}
		}
	}
	return used
}

// Every text of the pages has a German translation, and the list has no other texts.
func TestEveryTextIsTranslated(t *testing.T) {
	t.Parallel()
	used := usedTexts(t)
	for text := range used {
		if german()[text] == "" {
			t.Errorf("not translated: %s", text)
		}
	}
	for text := range german() {
		if !used[text] {
			t.Errorf("not used: %s", text)
		}
	}
}

func TestLanguage(t *testing.T) {
	t.Parallel()
	for header, expected := range map[string]string{
		"": "en", "de": "de", "de-AT,de;q=0.9,en;q=0.8": "de", "en-GB,de;q=0.5": "en", "fr,de;q=0.3": "de", "fr": "en", "en;q=0.2, de ; q=0.3": "de", "de;q=x": "en",
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set("Accept-Language", header)
		if got := language(r); got != expected {
			t.Errorf("Accept-Language %q: %s, expected %s", header, got, expected)
		}
	}
}

// The program carries no more than 150 kB of pages.
func TestSizeOfFiles(t *testing.T) {
	t.Parallel()
	var all int64
	err := fs.WalkDir(static, ".", func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		all += info.Size()
		return err
	})
	if err != nil || all > 150_000 || all < 10_000 {
		t.Errorf("%d bytes, %v", all, err)
	}
}

// Sessions end when they are not used, and too many push out the one that was not used for the longest time.
func TestSessions(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var s sessions
		request := func(c *http.Cookie) *http.Request {
			r := httptest.NewRequest("GET", "/", nil)
			r.AddCookie(c)
			return r
		}
		first := s.start(httptest.NewRequest("GET", "/", nil))
		time.Sleep(sessionIdle)
		if !s.valid(request(first)) {
			t.Error("a session in use ended")
		}
		for range sessionsKept {
			time.Sleep(time.Second)
			s.start(httptest.NewRequest("GET", "/", nil))
		}
		if s.valid(request(first)) || len(s.all) != sessionsKept {
			t.Errorf("%d sessions, the oldest is among them: %v", len(s.all), s.valid(request(first)))
		}
		second := s.start(httptest.NewRequest("GET", "/", nil))
		time.Sleep(sessionIdle + 1)
		if s.valid(request(second)) {
			t.Error("a session that was not used goes on")
		}
		third := s.start(httptest.NewRequest("GET", "/", nil))
		for range int(sessionMost/sessionIdle) + 1 {
			s.valid(request(third))
			time.Sleep(sessionIdle)
		}
		if s.valid(request(third)) {
			t.Error("a session goes on for ever")
		}
		if len(s.all) != 1 {
			t.Errorf("%d sessions", len(s.all))
		}
	})
}

// What is doubtful about all keys of a phone, because of how it is driven, is no doubt about one of them.
func TestWarningsOfKeys(t *testing.T) {
	t.Parallel()
	all := withoutCommon([]KeyDocument{{Key: "1", Warning: "taken"}, {Key: "RECALL", Warning: "no source; taken"}})
	if all[0].Warning != "" || all[1].Warning != "no source" {
		t.Errorf("%+v", all)
	}
	all = withoutCommon([]KeyDocument{{Key: "1"}, {Key: "RECALL", Warning: "no source"}})
	if all[0].Warning != "" || all[1].Warning != "no source" {
		t.Errorf("%+v", all)
	}
}
