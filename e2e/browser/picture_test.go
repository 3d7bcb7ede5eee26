package browser

import (
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/chromedp/chromedp"
)

var pictures = flag.Bool("pictures", false, "take the pictures of the documents again")

// The pictures of the documents show the console as it is.
func TestPictures(t *testing.T) {
	r := newRig(t, 6)
	r.event("desk1", "incoming", "remote=%22Front%20door%22%20%3Csip:%2B4930123@pbx.example%3E&call-id=a")
	r.event("desk3", "outgoing", "remote=sip:27@pbx.example&call-id=b")
	r.event("desk3", "connected", "call-id=b")
	r.event("desk4", "dnd_on", "")
	for _, one := range []struct {
		path, file, ready string
		look
	}{
		{"", "console-phones.png", `document.querySelectorAll("#phones .state.ringing").length === 1`, look{width: 1000}},
		{"phones/desk1", "console-phone.png", `document.querySelectorAll("#presses pre").length === 4`, look{width: 1280, dark: true}},
	} {
		b := r.open(one.look)
		b.visit(one.path)
		b.live()
		if one.path != "" {
			b.do(chromedp.Click(`[data-key="P1"]`))
			b.until(`/ok/.test(document.querySelector("#presses dd:last-of-type").textContent)`)
		}
		b.until(one.ready)
		height := eval[int64](b, `Math.ceil(Math.min(document.querySelector("main").getBoundingClientRect().bottom, 1150))`)
		b.do(chromedp.EmulateViewport(one.width, height))
		png, err := chromedp.Run(b.ctx, chromedp.CaptureScreenshot())
		if err != nil {
			t.Fatal(err)
		}
		if len(png) < 10_000 {
			t.Errorf("%s has %d bytes", one.file, len(png))
		}
		if *pictures {
			if err := os.WriteFile(filepath.Join("..", "..", "docs", "pictures", one.file), png, 0o644); err != nil { //nolint:gosec // a document
				t.Fatal(err)
			}
		}
	}
}
