package snomtest_test

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"image"
	"image/jpeg"
	"image/png"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/snom2mqtt/snom2mqtt/internal/pipenet"
	"github.com/snom2mqtt/snom2mqtt/snom"
	"github.com/snom2mqtt/snom2mqtt/snom/minibrowser"
	"github.com/snom2mqtt/snom2mqtt/snom/snomtest"
)

// objections are what a phone says of a document, whose pictures are those of files by their path.
func objections(t *testing.T, c snomtest.Config, document string, files map[string][]byte) (all []string) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		l := pipenet.ListenBuffered(1 << 20)
		server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/page" {
				w.Header().Set("Content-Type", minibrowser.ContentType)
				_, _ = w.Write([]byte(document))
				return
			}
			_, _ = w.Write(files[r.URL.Path])
		})}
		ended := make(chan struct{})
		go func() { defer close(ended); _ = server.Serve(l) }()
		c.Dial = l.DialContext
		phone := snomtest.New(c)
		phone.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/minibrowser.htm?url="+url.QueryEscape("http://bridge.invalid/page"), nil))
		time.Sleep(10 * time.Millisecond)
		synctest.Wait()
		all = phone.Complaints()
		screen := phone.Screen()
		for _, one := range all {
			if !strings.Contains(screen, "! "+one+"\n") {
				t.Errorf("%q is not on the screen that the control address shows", one)
			}
		}
		phone.Close()
		_ = server.Close()
		<-ended
	})
	return all
}

// encoded is a picture as a file.
func encoded(t *testing.T, format string, width, height int) []byte {
	t.Helper()
	var b bytes.Buffer
	img := image.NewGray(image.Rect(0, 0, width, height))
	var err error
	switch format {
	case "png":
		err = png.Encode(&b, img)
	case "jpeg":
		err = jpeg.Encode(&b, img, nil)
	case "bmp":
		head := make([]byte, 54)
		copy(head, "BM")
		binary.LittleEndian.PutUint32(head[14:], 40)
		binary.LittleEndian.PutUint32(head[18:], uint32(width))
		binary.LittleEndian.PutUint32(head[22:], uint32(-height)) // the first row is on top
		b.Write(head)
	case "old bmp":
		head := make([]byte, 26)
		copy(head, "BM")
		binary.LittleEndian.PutUint32(head[14:], 12)
		binary.LittleEndian.PutUint16(head[18:], uint16(width))
		binary.LittleEndian.PutUint16(head[20:], uint16(height))
		b.Write(head)
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestObjections has one document for each kind of what the minibrowser objects to.
func TestObjections(t *testing.T) {
	t.Parallel()
	const bye = `<fetch mil="60000">snom://mb_exit</fetch>`
	text := func(more string) string {
		return "<SnomIPPhoneText><Text>x</Text>" + more + bye + "</SnomIPPhoneText>"
	}
	menu := func(more string) string { return "<SnomIPPhoneMenu>" + more + bye + "</SnomIPPhoneMenu>" }
	input := func(more string) string {
		return "<SnomIPPhoneInput><Url>http://b/?__V__</Url><InputItem><DisplayName>d</DisplayName><InputToken>__V__</InputToken>" + more + "</InputItem></SnomIPPhoneInput>"
	}
	item := `<MenuItem name="a"><URL>http://b/a</URL></MenuItem>`
	key := func(name string) string {
		return "<SoftKeyItem><Name>" + name + "</Name><Label>l</Label><URL>http://b/a</URL></SoftKeyItem>"
	}
	picture := func(data string) string {
		return `<SnomIPPhoneImage><LocationX>0</LocationX><LocationY>0</LocationY><Data encoding="base64">` + data + `</Data></SnomIPPhoneImage>`
	}
	b64 := base64.StdEncoding.EncodeToString
	for _, c := range []struct{ document, says string }{
		{text(""), ""}, {menu(item), ""}, {input("<InputFlags>pn</InputFlags>"), ""}, {input(""), ""}, {text(key("F1") + key("F4") + key("*") + key("F_UP")), ""},
		{picture(b64(encoded(t, "png", 320, 240))), ""}, {picture(b64(encoded(t, "bmp", 640, 480))), ""}, {picture(b64(encoded(t, "jpeg", 640, 480))), ""},
		{text(`<If condition="a==b"><Led number="5" color="red">on</Led></If><Elif condition="a==c">` + key("F1") + `</Elif><Else></Else>`), ""},
		{menu(`<Menu name="sub">` + item + `</Menu><MenuItem name="b"><URL>http://b/b</URL><Image><Url>http://b/i.png</Url></Image></MenuItem>`), ""},
		{menu("<MenuItem><Name>old form</Name><URL>http://b/a</URL></MenuItem>"), ""},
		{menu(`<InputField><Handler event="keypress"><Key>ENTER</Key></Handler></InputField>` + item), ""},
		{"<SnomIPPhoneBatch>" + menu(item) + strings.Replace(text(""), "Text>", `Text id="t">`, 1) + "</SnomIPPhoneBatch>", ""},
		{"<SnomIPPhoneDirectory><DirectoryEntry><Name>a</Name><Telephone>1</Telephone></DirectoryEntry></SnomIPPhoneDirectory>", ""},

		{"<SnomIPPhoneText><Text>x</SnomIPPhoneText>", "bad XML"},
		{text("<Text>&nbsp;</Text>"), "bad XML"},
		{`<SnomIPPhoneText track="no" track="no"><Text>x</Text></SnomIPPhoneText>`, "the attribute track of snomipphonetext twice"},
		{"hello" + text(""), "text outside of the main element"},
		{text("") + text(""), "2 main elements"},
		{"<html><body/></html>", `main element "html"`},
		{text("<Marquee/>"), "unknown element marquee"},
		{text(item), "menuitem in text, where it has no meaning"},
		{text("<Label>l</Label>"), "label in text, where it has no meaning"},
		{text(`<If condition="a==b">` + item + `</If>`), "menuitem in text, where it has no meaning"},
		{`<SnomIPPhoneText><Text>x<If condition="a==b"><br/></If></Text></SnomIPPhoneText>`, "if in text, where it has no meaning"},
		{menu("<SnomIPPhoneText><Text>x</Text></SnomIPPhoneText>" + item), "snomipphonetext in menu, where it has no meaning"},
		{"<SnomIPPhoneInput><Title>t</Title>" + strings.TrimPrefix(input(""), "<SnomIPPhoneInput>"), "title in input, where it has no meaning"},
		{"<SnomIPPhoneText><Title>t</Title>" + bye + "</SnomIPPhoneText>", "snomipphonetext without text"},
		{menu(""), "snomipphonemenu without menuitem or menu or inputfield"},
		{menu(`<MenuItem name="a"/>`), "menuitem without url or softkey or itemdata"},
		{menu(`<MenuItem><URL>http://b/a</URL></MenuItem>`), "menuitem without the attribute name"},
		{menu(`<Menu>` + item + `</Menu>`), "menu without the attribute name"},
		{"<SnomIPPhoneImageFile><LocationX>0</LocationX></SnomIPPhoneImageFile>", "snomipphoneimagefile without url"},
		{"<SnomIPPhoneInput><Url>http://b/</Url></SnomIPPhoneInput>", "snomipphoneinput without inputitem"},
		{"<SnomIPPhoneInput><Url>http://b/</Url><InputItem><DisplayName>d</DisplayName></InputItem></SnomIPPhoneInput>", "inputitem without inputtoken"},
		{"<SnomIPPhoneDirectory><DirectoryEntry><Name>a</Name></DirectoryEntry></SnomIPPhoneDirectory>", "directoryentry without telephone"},
		{text("<SoftKeyItem><Name>F1</Name></SoftKeyItem>"), "softkeyitem without url or softkey"},
		{text("<fetch>http://b/</fetch>"), "fetch without the attribute mil"},
		{text(`<fetch mil="soon">http://b/</fetch>`), `fetch of "soon" ms`},
		{text("<Led>on</Led>"), "led without the attribute number"},
		{text(`<If>` + key("F1") + `</If>`), "if without the attribute condition"},
		{strings.Replace(text(""), "<Text>", "<Text size='3'>", 1), "unknown attribute size of text"},
		{`<SnomIPPhoneText state="modal"><Text>x</Text></SnomIPPhoneText>`, `the attribute state of snomipphonetext is "modal", expected only_mb, relevant, others_except_mb`},
		{`<SnomIPPhoneText track="false"><Text>x</Text></SnomIPPhoneText>`, `the attribute track of snomipphonetext is "false"`},
		{`<SnomIPPhoneMenu speedselect="yes">` + item + `</SnomIPPhoneMenu>`, `the attribute speedselect of snomipphonemenu is "yes"`},
		{strings.Replace(picture(b64(encoded(t, "png", 1, 1))), "base64", "hex", 1), `the attribute encoding of data is "hex"`},
		{menu("<MenuItem name='a\nb'><URL>http://b/a</URL></MenuItem>"), "a line break in the attribute name of menuitem"},
		{menu("<MenuItem name='a&#10;b'><URL>http://b/a</URL></MenuItem>"), "a line break in the attribute name of menuitem"},
		{"<SnomIPPhoneText><Title>a\nb</Title><Text>x</Text></SnomIPPhoneText>", "a line break in a title"},
		{text("<Title>late</Title>"), "title behind text: in the examples it stands before it"},
		{"<SnomIPPhoneText><Text>x</Text><LocationX>0</LocationX></SnomIPPhoneText>", "locationx behind text"},
		{"<SnomIPPhoneText><Title>a</Title><Title>b</Title><Text>x</Text></SnomIPPhoneText>", "more than 1 title in text"},
		{text("<Else>" + key("F1") + "</Else>"), "else without an if before it"},
		{text(key("F1") + key("F1")), "two soft keys F1"},
		{text(key("F9")), `soft key "F9"`}, {text(key("P1")), `soft key "P1"`},
		{input("<InputFlags>zz</InputFlags>"), `inputflags of "zz", expected a, t, n, e, u, l, p, pn`},
		{strings.Replace(input(""), "__V__</InputToken>", "</InputToken>", 1), "an input without a token"},
		{strings.Replace(input(""), "http://b/?__V__", "http://b/", 1), "whose URL does not hold its token"},
		{text(`<Led number="5" color="blue">on</Led>`), `color "blue"`}, {text(`<Led number="5" color="redgreen">on</Led>`), "redgreen needs a blink"},
		{text(`<Led number="5">flash</Led>`), `light 5: "flash"`}, {text(`<Led number="37">on</Led>`), "light 37, of which the last is 36"},
		{text(strings.Replace(key("F1"), "http://b/a", "javascript:alert(1)", 1)), `target "javascript:alert(1)"`},
		{menu(strings.Repeat(item, 300)), "a menu of 300 items, of which 100 can be reached"},
		{text("<Image><LocationX>320</LocationX><LocationY>0</LocationY><Url>http://b/i.png</Url></Image>"), `locationx of "320", expected a number below 320`},
		{"<SnomIPPhoneText><LocationY>-1</LocationY><Text>x</Text></SnomIPPhoneText>", `locationy of "-1"`},
		{text("<Image><LocationX>20</LocationX><LocationY>140</LocationY><Url>http://b/i.png</Url><width>300</width><height>100</height></Image>"), ""},
		{text("<Image><LocationX>0</LocationX><LocationY>141</LocationY><Url>http://b/i.png</Url><width>300</width><height>100</height></Image>"), "a picture that ends at 300, 241, beyond the display of 320x240"},
		{text("<Image><LocationX>30</LocationX><LocationY>0</LocationY><Url>http://b/i.png</Url><width>300</width><height>9</height></Image>"), "a picture that ends at 330, 9, beyond"},
		{text("<Image><Url>http://b/i.png</Url><width>wide</width></Image>"), `width of "wide", expected a number`},
		{picture("?"), "the data of a picture are no base64"}, {picture(b64([]byte("junk"))), "cannot be read"},
		{picture(b64(encoded(t, "png", 641, 10))), "a png of 641 x 10 is more than twice the display"},
		{picture(b64(encoded(t, "jpeg", 10, 481))), "a jpeg of 10 x 481 is more than twice the display"},
		{picture(b64(encoded(t, "bmp", 700, 400))), "a bmp of 700 x 400 is more than twice the display"},
		{picture(b64(encoded(t, "old bmp", 700, 400))), "a bmp of 700 x 400 is more than twice the display"},
		{"<SnomIPPhoneImageFile><URL>http://b/large.bmp</URL></SnomIPPhoneImageFile>", "a bmp of 700 x 400 is more than twice the display"},
		{"<SnomIPPhoneImageFile><URL>http://b/none</URL></SnomIPPhoneImageFile>", "cannot be read"},
		{"<SnomIPPhoneBatch>" + menu(item) + text("") + "</SnomIPPhoneBatch>", "snomipphonetext in a batch without an id"},
		{text("<!-- " + strings.Repeat("x", 300<<10) + " -->"), "a page of 307"},
		{strings.Replace(text(""), "x<", "\u0085x<", 1), "a control character in text"},
	} {
		got := objections(t, snomtest.Config{}, c.document, map[string][]byte{"/large.bmp": encoded(t, "bmp", 700, 400), "/i.png": encoded(t, "png", 9, 9)})
		switch {
		case c.says == "" && len(got) > 0:
			t.Errorf("%.200s: %q, expected no objection", c.document, got)
		case c.says != "" && !slices.ContainsFunc(got, func(one string) bool { return strings.Contains(one, c.says) }):
			t.Errorf("%.200s: %q, expected %q", c.document, got, c.says)
		}
	}
}

// TestDisplays: the simulated phone of each model has the display that the table of models says, and where it says none the most
// frequent one.
func TestDisplays(t *testing.T) {
	t.Parallel()
	for _, m := range snom.Models() {
		screen := m.Screen()
		if screen.IsZero() {
			screen = snom.Screen{Width: 320, Height: 240}
		}
		format := "png"
		if screen.Mono {
			format = "bmp"
		}
		for _, c := range []struct {
			width, height int
			fits          bool
		}{{2 * screen.Width, 2 * screen.Height, true}, {2*screen.Width + 1, 1, false}, {1, 2*screen.Height + 1, false}} {
			document := fmt.Sprintf(`<SnomIPPhoneImage><Data encoding="base64">%s</Data></SnomIPPhoneImage>`, base64.StdEncoding.EncodeToString(encoded(t, format, c.width, c.height)))
			if got := objections(t, snomtest.Config{Model: m.Name()}, document, nil); m.Series() != "M" && m.RemoteControl() != snom.No && (len(got) == 0) != c.fits {
				t.Errorf("%s, %d x %d: %q", m, c.width, c.height, got)
			}
		}
	}
	if got := objections(t, snomtest.Config{Model: "320"}, `<SnomIPPhoneImage><Data encoding="base64">`+base64.StdEncoding.EncodeToString(encoded(t, "png", 9, 9))+`</Data></SnomIPPhoneImage>`, nil); len(got) != 1 {
		t.Errorf("a PNG on a display in black and white: %q", got)
	}
}
