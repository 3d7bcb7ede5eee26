package browser

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// pages are all pages of the console.
func pages() []string {
	return []string{"", "phones/desk1", "doors", "messages", "setup", "log", "about"}
}

// axe returns the rules of axe-core as a script.
func axe(t *testing.T) string {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	script, err := os.ReadFile(filepath.Join(cache, "snom2mqtt-test", "axe-core", "node_modules", "axe-core", "axe.min.js"))
	if err != nil {
		missing(t, "axe-core")
	}
	return string(script)
}

// Every page fits its window, light and dark, in both languages, is accessible by axe-core's rules of levels A and AA, and
// writes nothing to the browser's console.
func TestEveryPage(t *testing.T) {
	r := newRig(t, 2, "SNOM2MQTT_ALLOW=reset,screen")
	rules := axe(t)
	for _, l := range []look{{}, {lang: "de", dark: true, width: 390}, {dark: true}, {lang: "de", width: 390}} {
		t.Run(fmt.Sprintf("%s dark %v %d", l.lang, l.dark, l.width), func(t *testing.T) {
			r := *r
			r.t = t
			b := r.open(l)
			for _, path := range append(pages(), "phones/none") {
				if path == "phones/none" { // a browser writes a 404 to its console
					continue
				}
				b.visit(path)
				if path != "about" {
					b.live()
				}
				if path == "phones/desk1" {
					b.do(chromedp.Click(`[data-key="P1"]`), chromedp.Click("#screen"))
					b.until(`document.querySelectorAll("#presses .good").length === 2 && document.getElementById("picture").naturalWidth > 0`)
				}
				if got := eval[string](b, "document.documentElement.lang"); got != l.lang && l.lang != "" {
					t.Errorf("/%s is in %s", path, got)
				}
				if wide := eval[int](b, "document.scrollingElement.scrollWidth - document.documentElement.clientWidth"); wide > 0 {
					t.Errorf("/%s is %d pixels too wide: %s", path, wide, eval[string](b, `[...document.querySelectorAll("main *")].filter(e =>
						e.getBoundingClientRect().right > document.documentElement.clientWidth && !e.closest(".scroll")).map(e => e.outerHTML.slice(0, 120)).join("\n")`))
				}
				for _, fault := range eval[[]string](b, rules+`; axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"] })
					.then(found => found.violations.flatMap(v => v.nodes.map(n => v.id + ": " + n.html.slice(0, 200) + " " + n.failureSummary)))`) {
					t.Errorf("/%s: %s", path, fault)
				}
			}
		})
	}
}

// Without JavaScript, every page shows the same.
func TestWithoutJavaScript(t *testing.T) {
	r := newRig(t, 2)
	b := r.open(look{plain: true})
	r.event("desk1", "incoming", "remote=sip:%2B4930123@pbx.example&call-id=a")
	for path, expected := range map[string]string{
		"": "+4930123", "?state=ringing": "1 / 2 phones", "phones/desk1": "ringing", "messages": "phone_error", "setup": "takes commands", "log": "phone reachable", "about": "devel",
	} {
		b.visit(path)
		html, err := chromedp.Run(b.ctx, chromedp.OuterHTML("body"))
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(strings.ToLower(html), strings.ToLower(expected)) {
			t.Errorf("/%s does not show %q: %s", path, expected, html)
		}
	}
}

// Every control of a phone's page sends its command, shows what does the same, and the answer.
func TestPhonePage(t *testing.T) {
	r := newRig(t, 2, "SNOM2MQTT_ALLOW=screen")
	b := r.open(look{})
	b.visit("phones/desk1")
	b.live()
	first := func(what string) string {
		return fmt.Sprintf(`(() => { const e = document.querySelector("#presses li"); return e && %s })()`, what)
	}
	sent := func(topic, payload string) {
		t.Helper()
		b.until(first(fmt.Sprintf(`e.innerText.includes(%q) && [...e.querySelectorAll("pre")].some(p => p.textContent === %q) && /ok –|ok$/m.test(e.querySelector("dd:last-of-type").textContent)`, topic, payload)))
	}
	click := func(selector string) {
		t.Helper()
		b.do(chromedp.ScrollIntoView(selector), chromedp.Click(selector))
	}
	b.until(`document.querySelectorAll("[data-key=P1]").length === 1`)
	click(`[data-key="P1"]`)
	sent("snom/desk1/key", "P1")
	b.set("#hold", "500")
	click(`[data-key="5"]`)
	sent("snom/desk1/key", "5,500")
	b.set("#hold", "")
	for _, one := range []struct{ command, value string }{{"dial", "+4930123"}, {"dtmf", "12#"}} {
		b.set(`form[data-command=`+one.command+`] [name=argument]`, one.value)
		click(`form[data-command=` + one.command + `] button`)
		sent("snom/desk1/"+one.command, one.value)
	}
	b.set(`form[data-command=ring] select`, "3")
	click(`form[data-command=ring] button`)
	sent("snom/desk1/ring", "3")
	for _, one := range [][2]string{{"hangup", ""}, {"mute", ""}} {
		click(`[data-send=` + one[0] + `]`)
		sent("snom/desk1/"+one[0], one[1])
	}
	b.set(`#any select`, "key")
	b.set(`#any textarea`, `{"keys":["1","2"]}`)
	click(`#any button`)
	sent("snom/desk1/key", `{"keys":["1","2"]}`)
	// what a key is for, and its light
	b.until(`document.querySelector("[data-key=P1] small").textContent === "Garage" && document.querySelector("[data-light=P1]").hidden`)
	b.set(`#any select`, "led")
	b.set(`#any textarea`, "P1 green blink")
	click(`#any button`)
	sent("snom/desk1/led", "P1 green blink")
	b.until(`(() => { const l = document.querySelector("[data-light=P1]"); return !l.hidden && l.dataset.color === "green" && l.dataset.effect === "blink" &&
		l.parentElement.getAttribute("aria-label") === "P1, Garage, light green blink" })()`)
	b.set(`#any textarea`, "P1 off")
	click(`#any button`)
	b.until(`document.querySelector("[data-light=P1]").hidden && document.querySelector("[data-key=P1]").getAttribute("aria-label") === "P1, Garage"`)
	// its screen
	click(`#screen`)
	b.until(`document.getElementById("picture").naturalWidth > 0 && !document.getElementById("picture").hidden`)
	sent("snom/desk1/screen", "")
	b.set(`#any select`, "key")
	// a mistake
	b.set(`#any textarea`, "offhook")
	click(`#any button`)
	b.until(first(`e.innerText.includes("invalid – ")`))
	// a dry run, of what was sent and of what is not
	click(`[data-key="P1"]`)
	sent("snom/desk1/key", "P1")
	click(`#presses li:first-child > button`)
	b.until(first(`e.innerText.includes("/command.htm?key=P1")`))
	click(`#dry`)
	click(`[data-key="P2"]`)
	b.until(first(`e.innerText.includes("/command.htm?key=P2")`))
	// what was sent can be copied, and what happened is shown
	if got := eval[string](b, first(`e.innerText`)); !strings.Contains(got, "mosquitto_pub -h 127.0.0.1 -p ") || !strings.Contains(got, "action: mqtt.publish") {
		t.Errorf("the press shows %s", got)
	}
	click("#presses li:first-child dd button")
	b.until(first(`e.querySelector("dd button").textContent === "Copied"`))
	b.until(`document.querySelectorAll("#happenings li").length > 5`)
}

// What happens is on the page within 200 ms; a page that is loaded in a call shows the call.
func TestLive(t *testing.T) {
	r := newRig(t, 2)
	b := r.open(look{})
	b.visit("")
	b.live()
	b.until(text(`[data-phone=desk1] .state`) + ` === "idle"`)
	best := time.Hour
	for i := range 10 { // on a busy machine any one of them may be late
		eval[bool](b, `(window.seen = new Promise(done => new MutationObserver((_, o) => {
			if (!document.querySelector("[data-phone=desk1]").textContent.includes("4930`+fmt.Sprint(i)+`")) return;
			o.disconnect(); done(Date.now());
		}).observe(document.getElementById("phones"), { subtree: true, childList: true, characterData: true }))) && true`)
		began := time.Now()
		r.event("desk1", "incoming", fmt.Sprintf("remote=sip:%%2B4930%d@pbx.example&call-id=%d", i, i))
		best = min(best, time.UnixMilli(eval[int64](b, "window.seen")).Sub(began))
		r.event("desk1", "disconnected", fmt.Sprintf("call-id=%d", i))
	}
	if best > 200*time.Millisecond {
		t.Errorf("an event is on the page after %v", best)
	}
	t.Logf("the quickest event was on the page after %v", best)
	r.event("desk1", "incoming", "remote=sip:%2B4940@pbx.example&call-id=z")
	for _, path := range []string{"", "phones/desk1"} {
		b.visit(path)
		b.until(`document.querySelector("main").innerText.includes("ringing") && document.querySelector("main").innerText.includes("+4940")`)
	}
	r.event("desk1", "connected", "call-id=z")
	b.until(text(`[data-fact=state]`) + ` === "connected"`)
	b.do(chromedp.Reload())
	b.until(text(`[data-fact=state]`) + ` === "connected"`)
}

// A thousand phones are shown within a second, found by name, and 60 events a second arrive without a stall.
func TestAThousandPhones(t *testing.T) {
	r := newRig(t, 1000)
	b := r.open(look{})
	b.visit("")
	b.until(`document.querySelectorAll("#phones tbody tr").length === 1000`)
	b.live()
	best := 1e9
	for range 4 {
		b.do(chromedp.Reload())
		b.until(`document.readyState === "complete"`)
		best = min(best, eval[float64](b, `performance.getEntriesByType("paint").find(e => e.name === "first-contentful-paint")?.startTime ?? performance.timing.domContentLoadedEventEnd - performance.timing.navigationStart`))
	}
	if best > 1000 {
		t.Errorf("the first view takes %.0f ms", best)
	}
	t.Logf("the quickest first view took %.0f ms", best)
	b.live()
	eval[bool](b, `(window.gaps = [], window.last = performance.now(), (function frame() {
		const now = performance.now(); gaps.push(now - last); last = now; requestAnimationFrame(frame);
	})(), true)`)
	tick := time.NewTicker(time.Second / 60)
	defer tick.Stop()
	for i := range 240 {
		<-tick.C
		r.event(fmt.Sprintf("desk%d", i*4+1), "incoming", fmt.Sprintf("remote=sip:%%2B49%d@pbx.example&call-id=%d", i, i))
	}
	b.until(`document.querySelectorAll("#phones .state.ringing").length === 240`)
	gaps := eval[[]float64](b, "gaps.sort((a, b) => a - b)")
	if median := gaps[len(gaps)/2]; median > 100 {
		t.Errorf("half of the frames take more than %.0f ms", median)
	}
	t.Logf("frames at 60 events a second: %.0f ms in the middle, %.0f ms at most", gaps[len(gaps)/2], gaps[len(gaps)-1])
	b.do(chromedp.SendKeys("#q", "desk77"))
	b.until(`[...document.querySelectorAll("#phones tbody tr")].filter(r => !r.hidden).length === 11`)
	b.set("#q", "")
	b.set("#state", "ringing")
	b.until(`[...document.querySelectorAll("#phones tbody tr")].filter(r => !r.hidden).length === 240`)
}

// A ring shows at its door as it comes, and a button opens the door by its rules.
func TestDoorsPage(t *testing.T) {
	r := newRig(t, 1)
	b := r.open(look{})
	b.visit("doors")
	b.live()
	b.do(chromedp.Click("[data-open=front]"))
	b.until(text("[data-door=front] [data-part=answer]") + `.includes("forbidden – ")`)
	r.event("desk1", "incoming", "remote=sip:61@pbx.example&call-id=a")
	b.until(`document.querySelector("[data-door=front] [data-part=ring] time") && ` + text("[data-door=front] [data-part=call]") + ` === "desk1 ringing"`)
	r.event("desk1", "connected", "remote=sip:61@pbx.example&call-id=a")
	b.until(text("[data-door=front] [data-part=call]") + ` === "desk1 connected"`)
	b.do(chromedp.Click("[data-open=front]"))
	b.until(`["open", "opening"].includes(` + text("[data-door=front] [data-part=state]") + `)`)
	b.until(text("[data-door=front] [data-part=answer]") + `.includes("ok")`)
	if body := eval[string](b, "document.documentElement.outerHTML"); strings.Contains(body, "4711") {
		t.Error("the page shows the code")
	}
}

// Messages are shown as they come, filtered, and held back; the codes are explained.
func TestMessagesPage(t *testing.T) {
	r := newRig(t, 2)
	b := r.open(look{})
	b.visit("messages")
	b.live()
	send := func(payload string) {
		t.Helper()
		eval[bool](b, `fetch("api/send/desk1/key", { method: "POST", body: "`+payload+`", headers: { "Content-Type": "text/plain", Prefer: "wait=20" } }).then(r => r.ok)`)
	}
	shown := func(n int, kind string) string {
		return fmt.Sprintf(`[...document.querySelectorAll("#messages tbody tr[data-kind=%s]")].filter(r => !r.hidden).length === %d`, kind, n)
	}
	send("P1")
	send("offhook")
	b.until(shown(2, "command"))
	b.until(shown(2, "result"))
	b.until(`document.querySelector("a[href='#code-invalid']") && document.getElementById("code-invalid")`)
	b.set("#kind", "result")
	b.until(shown(0, "command"))
	b.do(chromedp.Click("#pause"))
	send("P2")
	b.until(text("#count") + `.includes("held back")`)
	b.until(shown(2, "result"))
	b.do(chromedp.Click("#pause"))
	b.until(shown(3, "result"))
	b.do(chromedp.Click("#clear"))
	b.until(`document.querySelectorAll("#messages tbody tr").length === 0`)
}

// Set-up asks phones what they are, and installs; the log is searched and followed.
func TestSetupAndLog(t *testing.T) {
	r := newRig(t, 2)
	b := r.open(look{})
	b.visit("setup")
	b.live()
	b.do(chromedp.Click(`[data-phone=desk1] [data-request=probe]`))
	b.until(text(`[data-phone=desk1] .answers`) + `.includes("identified_by")`)
	b.do(chromedp.Click(`[data-phone=desk2] [data-request=install]`))
	b.until(text(`[data-phone=desk2] .answers`) + `.includes("install: ")`)
	b.visit("log")
	b.live()
	b.until(`document.querySelectorAll("#log li").length > 3`)
	b.do(chromedp.SendKeys("#q", "reachable"))
	b.until(`document.querySelectorAll("#log li").length === 2 && document.getElementById("download").href.includes("log.txt?q=reachable")`)
	b.set("#q", "")
	b.set("#loglevel select", "debug")
	b.do(chromedp.Click("#loglevel button"))
	b.until(`!!document.querySelector("#answer .good")`)
	eval[bool](b, `fetch("api/send/desk1/key", { method: "POST", body: "P1" }).then(r => r.ok)`)
	b.until(text("#log") + `.includes("command done")`)
}

// With a password the first page is the login, which leads to the page that was asked for.
func TestLoginPage(t *testing.T) {
	r := newRig(t, 1, "SNOM2MQTT_CONSOLE_PASSWORD=right-password")
	b := r.open(look{})
	b.visit("phones/desk1")
	b.until(`location.pathname === "/login"`)
	b.do(chromedp.SendKeys("#password", "right-password\r"))
	b.until(`location.pathname === "/phones/desk1"`)
	b.live()
	if got := eval[string](b, "document.cookie"); got != "" {
		t.Errorf("scripts see the cookie %s", got)
	}
	b.do(chromedp.Click("header form button"))
	b.until(`location.pathname === "/login"`)
}

// A read-only console offers nothing to press.
func TestReadOnly(t *testing.T) {
	r := newRig(t, 1, "SNOM2MQTT_CONSOLE_READ_ONLY=true")
	b := r.open(look{})
	b.visit("phones/desk1")
	b.live()
	if n := eval[int](b, `document.querySelectorAll("main button:not(:disabled)").length`); n != 0 {
		t.Errorf("%d buttons can be pressed", n)
	}
}
