package browser

import (
	"net/http"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// hide has the page seem hidden, or seen again, as when another tab is chosen.
func (b *tab) hide(hidden bool) {
	b.t.Helper()
	state := "visible"
	if hidden {
		state = "hidden"
	}
	eval[bool](b, `(() => {
		Object.defineProperty(document, "hidden", { value: `+map[bool]string{true: "true", false: "false"}[hidden]+`, configurable: true });
		Object.defineProperty(document, "visibilityState", { value: "`+state+`", configurable: true });
		document.dispatchEvent(new Event("visibilitychange"));
		return true;
	})()`)
}

// press sends a command to a phone as a program does, and waits for its result.
func (r *rig) press(phone, command, payload string) {
	r.t.Helper()
	request, err := http.NewRequestWithContext(r.t.Context(), http.MethodPost, r.url+"api/send/"+phone+"/"+command, strings.NewReader(payload))
	if err != nil {
		r.t.Fatal(err)
	}
	request.Header.Set("Content-Type", "text/plain")
	request.Header.Set("Prefer", "wait=30")
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		r.t.Fatal(err)
	}
	answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		r.t.Fatalf("%s %s: %s", command, payload, answer.Status)
	}
}

// A page that is not seen follows nothing, as a browser has six connections to a host; what happened meanwhile is there when it is
// seen again. What is pressed while a page is not live shows its result all the same.
func TestHiddenPages(t *testing.T) {
	r := newRig(t, 2)
	b := r.open(look{})
	for _, path := range []string{"", "phones/desk1", "doors", "setup", "log"} {
		b.visit(path)
		b.live()
		b.hide(true)
		b.until(`document.getElementById("live").dataset.live === "off" && document.getElementById("takes").hidden`)
		switch path {
		case "":
			r.event("desk2", "incoming", "remote=sip:%2B4950@pbx.example&call-id=q")
		case "phones/desk1":
			b.do(chromedp.Click(`[data-key="P1"]`))
			b.until(`/^ok/.test(document.querySelector("#presses dd:last-of-type").textContent)`)
		}
		b.hide(false)
		b.live()
		b.until(`!document.getElementById("takes").hidden`)
		if path == "" {
			b.until(text(`[data-phone=desk2] td:nth-of-type(2)`) + ` === "+4950"`)
		}
	}
	b.visit("messages")
	b.live()
	b.hide(true)
	r.press("desk1", "key", "P2")
	b.until(`[...document.querySelectorAll("#messages tr[data-kind=result]")].length === 1`)
}

// The page of a phone says how many commands wait, and when the phone answered last, as that changes.
func TestPhonePageStaysTrue(t *testing.T) {
	r := newRig(t, 1)
	b := r.open(look{lang: "de"})
	b.visit("phones/desk1")
	b.live()
	seen := `(document.querySelector("[data-fact=seen] time")?.dateTime ?? "")`
	b.until(text("[data-fact=waiting]") + ` === "0"`)
	before := eval[string](b, seen)
	r.press("desk1", "key", "P1")
	b.until(seen + ` > "` + before + `"`)
	for _, keys := range []string{"5,10,30000;6", "7"} { // the second one waits for the first one
		eval[bool](b, `fetch("../api/send/desk1/key", { method: "POST", body: "`+keys+`", headers: { "Content-Type": "text/plain" } }).then(r => r.ok)`)
	}
	b.until(text("[data-fact=waiting]") + ` === "1"`)
	r.press("desk1", "hangup", "")
	b.until(text("[data-fact=waiting]") + ` === "0"`)
	if got := eval[string](b, `document.querySelector("[data-key=OFFHOOK]").title + " " + document.getElementById("takes").textContent`); got != "hebt den Hörer ab Nimmt Befehle an" {
		t.Errorf("a German page says %q", got)
	}
}

// The list of phones stays right: the number that a filter finds, the rows of an address with a filter, and why a phone is not
// there.
func TestFilteredPhones(t *testing.T) {
	r := newRig(t, 3)
	b := r.open(look{})
	rows := func(n string) string {
		return `[...document.querySelectorAll("#phones tbody tr")].filter(r => !r.hidden).length === ` + n + ` && document.getElementById("count").textContent === "` + n + ` / 3 phones"`
	}
	b.visit("?state=ringing")
	b.live()
	b.until(rows("0"))
	r.event("desk2", "incoming", "remote=sip:%2B4950@pbx.example&call-id=q")
	b.until(rows("1"))
	r.event("desk2", "disconnected", "call-id=q")
	b.until(rows("0"))
	b.do(chromedp.Focus("#q"))
	b.set("#state", "")
	b.do(chromedp.SendKeys("#q", "k1"))
	b.until(rows("1"))
	if got := eval[string](b, `document.activeElement.id + " " + document.activeElement.value`); got != "q k1" {
		t.Errorf("what is typed on is %q", got)
	}
}

// What every control sends is shown with what does the same: on the pages of doors, of the set-up and of the log, too.
func TestEveryPressIsShown(t *testing.T) {
	r := newRig(t, 1)
	b := r.open(look{})
	shows := func(place, topic string) {
		t.Helper()
		b.until(`(() => { const e = document.querySelector("` + place + `"); return e.querySelectorAll("pre").length >= 4 && e.innerText.includes("` + topic + `") &&
			e.innerText.includes("mosquitto_pub -h ") && e.innerText.includes("action: mqtt.publish") && e.querySelector(".good, .bad") && e.querySelectorAll("button").length === 4 })()`)
		b.do(chromedp.ScrollIntoView(place+" button"), chromedp.Click(place+" button"))
		b.until(text(place+" button") + ` === "Copied"`)
	}
	b.visit("doors")
	b.live()
	b.do(chromedp.Click("[data-open=front][data-dry]"))
	shows("[data-door=front] [data-part=answer]", "snom/front/open")
	b.do(chromedp.Click("[data-open=front].main"))
	shows("[data-door=front] [data-part=answer]", "snom/front/open")
	b.visit("log")
	b.live()
	b.set("#loglevel select", "debug")
	b.do(chromedp.Click("#loglevel button"))
	shows("#answer", "snom/bridge/request/log_level")
	b.do(chromedp.Reload())
	b.live()
	b.until(`document.querySelector("#loglevel select").value === "debug"`)
	b.set("#level", "error")
	b.until(`document.querySelectorAll("#log li").length === 0`)
	b.set("#level", "")
	b.until(`document.querySelectorAll("#log li").length > 3`)
	b.do(chromedp.Click("#pause"))
	b.until(`document.getElementById("pause").getAttribute("aria-pressed") === "true"`)
	b.visit("messages")
	b.live()
	r.press("desk1", "key", "P1")
	b.until(`document.querySelectorAll("#messages tbody tr:not([hidden])").length > 1`)
	b.set("#q", "no such text")
	b.until(`document.querySelectorAll("#messages tbody tr:not([hidden])").length === 0`)
	b.set("#q", "P1")
	b.until(`document.querySelectorAll("#messages tbody tr:not([hidden])").length > 0`)
	b.do(chromedp.Click("#messages tr:not([hidden]) summary"))
	b.until(`document.querySelector("#messages details[open] pre").textContent.includes('P1')`)
	r.event("desk1", "incoming", "remote=sip:61@pbx.example&call-id=a")
	b.until(`document.querySelector("#messages tr[data-kind=ring]") && document.querySelector("#messages tr[data-kind=door]")`)
}

// With the keyboard alone a phone is found, opened, and one of its keys pressed.
func TestKeyboardOnly(t *testing.T) {
	r := newRig(t, 2)
	b := r.open(look{lang: "de", width: 390})
	tabTo := func(selector string) {
		t.Helper()
		for range 120 {
			b.do(chromedp.KeyEvent("\t"))
			if eval[bool](b, `document.activeElement?.matches("`+selector+`") ?? false`) {
				if eval[string](b, `getComputedStyle(document.activeElement).outlineStyle`) == "none" {
					t.Errorf("the focus of %s is not to be seen", selector)
				}
				return
			}
		}
		t.Fatalf("the key Tab never leads to %s", selector)
	}
	b.visit("")
	b.live()
	tabTo(".skip")
	b.do(chromedp.KeyEvent("\r"))
	tabTo("[data-phone=desk2] a")
	b.do(chromedp.KeyEvent("\r"))
	b.until(`location.pathname === "/phones/desk2"`)
	b.live()
	tabTo("[data-key='5']")
	b.do(chromedp.KeyEvent(" "))
	b.until(`document.querySelector("#presses pre")?.textContent === "snom/desk2/key" && /^ok/.test(document.querySelector("#presses dd:last-of-type").textContent)`)
	tabTo("form[data-command=dial] input")
	b.do(chromedp.KeyEvent("27\r"))
	b.until(`document.querySelector("#presses pre")?.textContent === "snom/desk2/dial"`)
	tabTo("summary")
	b.do(chromedp.KeyEvent("\r"))
	b.until(`document.activeElement.parentElement.open`)
}

// Ten tabs of a browser, which has six connections to a host, all load; in each of them what is pressed is answered, and the last
// ones are live.
func TestManyTabs(t *testing.T) {
	r := newRig(t, 2)
	b := r.open(look{})
	b.visit("phones/desk1")
	b.live()
	last := b
	for i := range 9 {
		ctx, cancel := chromedp.NewContext(b.ctx)
		t.Cleanup(cancel)
		last = &tab{t: t, ctx: ctx, rig: r}
		last.visit(append(pages(), "", "phones/desk2")[i])
		last.until(`document.querySelector("h1")`)
	}
	last.live()
	b.until(`document.getElementById("live").dataset.live === "off"`)
	eval[bool](b, `(document.querySelector("[data-key=P1]").click(), true)`)
	b.until(`/^ok/.test(document.querySelector("#presses dd:last-of-type").textContent)`)
	b.do(chromedp.Focus("#hold"), chromedp.KeyEvent("1"))
	b.live()
}
