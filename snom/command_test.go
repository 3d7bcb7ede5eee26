package snom_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/snom2mqtt/snom2mqtt/internal/strictjson"
	"github.com/snom2mqtt/snom2mqtt/snom"
)

// commandOf reads a command that is good.
func commandOf(tb testing.TB, text string) snom.Command {
	tb.Helper()
	c, err := snom.ParseCommand(text)
	if err != nil {
		tb.Fatalf("ParseCommand(%q): %v", text, err)
	}
	return c
}

// syntaxError is the error of something that is not good.
func syntaxError(tb testing.TB, err error) *snom.SyntaxError {
	tb.Helper()
	var s *snom.SyntaxError
	if !errors.As(err, &s) {
		tb.Fatalf("got error %v, want a *SyntaxError", err)
	}
	return s
}

// step is a Step without a pause.
func step(target string) []snom.Step { return []snom.Step{{Request: target}} }

// TestCommands has every form of every command: as plain text, as JSON, what it is in canonical form, and
// the requests it makes, byte for byte.
func TestCommands(t *testing.T) {
	t.Parallel()
	const ms = time.Millisecond
	tests := []struct {
		name  string
		verb  snom.Verb
		plain []string // payloads
		json  []string // payloads
		want  string   // the canonical argument
		steps []snom.Step
		old   []snom.Step // in DialectOld, where it differs
		fresh []snom.Step // in DialectNew, where it differs
	}{
		{
			name: "key", verb: snom.VerbKey,
			plain: []string{"P1"},
			json:  []string{`{"keys":"P1"}`, `{"keys":[{"key":"P1"}]}`, " \t\r\n{ \"keys\" : [ { \"key\" : \"\\u00501\" } ] } \n"},
			want:  "P1",
			steps: step("/command.htm?key=P1"),
		},
		{
			name: "keys in order", verb: snom.VerbKey,
			plain: []string{"OFFHOOK;1;2;3;ENTER"},
			json: []string{
				`{"keys":[{"key":"OFFHOOK"},{"key":"1"},{"key":"2"},{"key":"3"},{"key":"ENTER"}]}`,
				`{"keys":["OFFHOOK","1","2","3","ENTER"]}`, `{"keys":["OFFHOOK",1,{"key":2},3.0,{"key":"ENTER"}]}`,
			},
			want:  "OFFHOOK;1;2;3;ENTER",
			steps: step("/command.htm?key=OFFHOOK;1;2;3;ENTER"),
		},
		{
			name: "keys with times", verb: snom.VerbKey,
			plain: []string{"P1,2000;*,0,60000;#;EK0,100,0"},
			json: []string{`{"keys":[{"key":"P1","hold_ms":2000},{"key":"*","hold_ms":0,"pause_ms":60000},{"key":"#"},` +
				`{"key":"EK0","hold_ms":100,"pause_ms":0}]}`, `{"keys":["P1,2000","*,0,60000","#","EK0,100,0"]}`,
				`{"keys":[{"key":"P1","hold_ms":2000.0},{"key":"*","hold_ms":0.0,"pause_ms":60000.00},"#","EK0,100,0"]}`},
			want:  "P1,2000;*,0,60000;#;EK0,100,0",
			steps: []snom.Step{{Request: "/command.htm?key=P1,2000;%2A,0,60000;%23;EK0,100,0", Pause: 62100 * ms}},
		},
		{
			name: "the hold key of newer firmware", verb: snom.VerbKey,
			plain: []string{"F_HOLD,100;F_REDIAL"},
			json:  []string{`{"keys":"F_HOLD,100;F_REDIAL"}`},
			want:  "F_HOLD,100;F_REDIAL",
			steps: []snom.Step{{Request: "/command.htm?key=F_HOLD,100;F_REDIAL", Pause: 100 * ms}},
			old:   []snom.Step{{Request: "/command.htm?key=F_R,100;F_REDIAL", Pause: 100 * ms}},
		},
		{
			name: "the hold key of older firmware", verb: snom.VerbKey,
			plain: []string{"F_R;F_RIGHT"},
			json:  []string{`{"keys":"F_R;F_RIGHT"}`},
			want:  "F_R;F_RIGHT",
			steps: step("/command.htm?key=F_R;F_RIGHT"),
			fresh: step("/command.htm?key=F_HOLD;F_RIGHT"),
		},
		{
			name: "as many keys as there may be", verb: snom.VerbKey,
			plain: []string{strings.Repeat("P300;", 127) + "P300"},
			json:  []string{`{"keys":[` + strings.Repeat(`{"key":"P300"},`, 127) + `{"key":"P300"}]}`},
			want:  strings.Repeat("P300;", 127) + "P300",
			steps: step("/command.htm?key=" + strings.Repeat("P300;", 127) + "P300"),
		},
		{
			name: "as long as keys may take", verb: snom.VerbKey,
			plain: []string{"1,60000,60000;2,60000,60000;3,0,60000"},
			json:  []string{`{"keys":"1,60000,60000;2,60000,60000;3,0,60000"}`},
			want:  "1,60000,60000;2,60000,60000;3,0,60000",
			steps: []snom.Step{{Request: "/command.htm?key=1,60000,60000;2,60000,60000;3,0,60000", Pause: 5 * time.Minute}},
		},
		{
			name: "dial", verb: snom.VerbDial,
			plain: []string{"+4930123", "tel:+4930123", "tel:+49-30-123", "TEL:+49(30)1.2.3", "tel:+4930123-"},
			json:  []string{`{"number":"+4930123"}`, `{"number":"tel:+49-(30)-123"}`},
			want:  "+4930123",
			steps: step("/command.htm?number=%2B4930123"),
		},
		{
			name: "dial a JSON number", verb: snom.VerbDial,
			plain: []string{"4930123", "tel:4930123"},
			json:  []string{`{"number":4930123}`, `{"number":4930123.0}`, `{"number":"4930123"}`},
			want:  "4930123",
			steps: step("/command.htm?number=4930123"),
		},
		{
			name: "dial the largest JSON number", verb: snom.VerbDial,
			plain: []string{"9007199254740992"},
			json:  []string{`{"number":9007199254740992}`},
			want:  "9007199254740992",
			steps: step("/command.htm?number=9007199254740992"),
		},
		{
			name: "dial a code", verb: snom.VerbDial,
			plain: []string{"*21#", "tel:*21#"},
			json:  []string{`{"number":"*21#"}`},
			want:  "*21#",
			steps: step("/command.htm?number=%2A21%23"),
		},
		{
			name: "dial the longest number", verb: snom.VerbDial,
			plain: []string{"+" + strings.Repeat("0", 64)},
			json:  []string{`{"number":"+` + strings.Repeat("0", 64) + `"}`},
			want:  "+" + strings.Repeat("0", 64),
			steps: step("/command.htm?number=%2B" + strings.Repeat("0", 64)),
		},
		{
			name: "dial from an identity", verb: snom.VerbDial,
			plain: []string{`{"number":"0123","outgoing_uri":"27@pbx.example"}`},
			json:  []string{`{"outgoing_uri":"27@pbx.example","number":"0123"}`},
			want:  `{"number":"0123","outgoing_uri":"27@pbx.example"}`,
			steps: step("/command.htm?number=0123&outgoing_uri=27@pbx.example"),
		},
		{
			name: "dial a URI", verb: snom.VerbDial,
			plain: []string{"sip:front.door@192.0.2.7:5061;transport=tcp;lr"},
			json:  []string{`{"number":"sip:front.door@192.0.2.7:5061;transport=tcp;lr"}`},
			want:  "sip:front.door@192.0.2.7:5061;transport=tcp;lr",
			steps: step("/command.htm?number=sip:front.door@192.0.2.7:5061%3Btransport%3Dtcp%3Blr"),
		},
		{
			name: "dial a URI with all that a user may have", verb: snom.VerbDial,
			plain: []string{"sips:a.B9_~!*'()+-@[2001:db8::1]:5061"},
			json:  []string{`{"number":"sips:a.B9_~!*'()+-@[2001:db8::1]:5061"}`},
			want:  "sips:a.B9_~!*'()+-@[2001:db8::1]:5061",
			steps: step("/command.htm?number=sips:a.B9_~%21%2A%27%28%29%2B-@%5B2001:db8::1%5D:5061"),
		},
		{
			name: "dial a URI without a scheme", verb: snom.VerbDial,
			plain: []string{"27@pbx-1.example"},
			json:  []string{`{"number":"27@pbx-1.example"}`},
			want:  "27@pbx-1.example",
			steps: step("/command.htm?number=27@pbx-1.example"),
		},
		{
			name: "tones", verb: snom.VerbDTMF,
			plain: []string{"0123456789ABCD*#"},
			json:  []string{`{"digits":"0123456789ABCD*#"}`, `{"digits":"0123456789ABCD*#","method":"dtmf"}`},
			want:  "0123456789ABCD*#",
			steps: step("/command.htm?key_dtmf=0123456789ABCD%2A%23"),
		},
		{
			name: "tones of a JSON number", verb: snom.VerbDTMF,
			plain: []string{"12"}, json: []string{`{"digits":12}`, `{"digits":12.0}`}, want: "12",
			steps: step("/command.htm?key_dtmf=12"),
		},
		{
			name: "tones by keys", verb: snom.VerbDTMF,
			plain: []string{`{"digits":"1#","method":"keys"}`},
			json:  []string{`{"method":"keys","digits":"1#","hold_ms":100,"pause_ms":100}`},
			want:  `{"digits":"1#","method":"keys"}`,
			steps: []snom.Step{{Request: "/command.htm?key=1,100,100;%23,100,100", Pause: 400 * ms}},
		},
		{
			name: "tones by keys with times", verb: snom.VerbDTMF,
			plain: []string{`{"digits":"*","method":"keys","hold_ms":250,"pause_ms":0}`},
			json:  []string{`{"pause_ms":0,"hold_ms":250,"digits":"*","method":"keys"}`},
			want:  `{"digits":"*","method":"keys","hold_ms":250,"pause_ms":0}`,
			steps: []snom.Step{{Request: "/command.htm?key=%2A,250,0", Pause: 250 * ms}},
		},
		{
			name: "answer", verb: snom.VerbAnswer,
			plain: []string{""}, json: []string{`{}`, " { } "}, want: "",
			steps: step("/command.htm?key=ENTER"),
		},
		{
			name: "hang up all", verb: snom.VerbHangup,
			plain: []string{"", "all"}, json: []string{`{}`, `{"calls":"all"}`}, want: "all",
			steps: step("/command.htm?RELEASE_ALL_CALLS"),
		},
		{
			name: "hang up one", verb: snom.VerbHangup,
			plain: []string{"current"}, json: []string{`{"calls":"current"}`}, want: "current",
			steps: step("/command.htm?key=CANCEL"),
		},
		{
			name: "attended transfer", verb: snom.VerbTransfer,
			plain: []string{"2*#"},
			json:  []string{`{"number":"2*#"}`, `{"number":"2*#","mode":"attended"}`},
			want:  "2*#",
			steps: []snom.Step{
				{Request: "/command.htm?key=F_HOLD", Pause: 500 * ms}, {Request: "/command.htm?key=2"}, {Request: "/command.htm?key=%2A"},
				{Request: "/command.htm?key=%23"}, {Request: "/command.htm?key=ENTER"},
			},
			old: []snom.Step{
				{Request: "/command.htm?key=F_R", Pause: 500 * ms}, {Request: "/command.htm?key=2"}, {Request: "/command.htm?key=%2A"},
				{Request: "/command.htm?key=%23"}, {Request: "/command.htm?key=ENTER"},
			},
		},
		{
			name: "blind transfer", verb: snom.VerbTransfer,
			plain: []string{`{"number":"28","mode":"blind"}`},
			json:  []string{`{"mode":"blind","number":"28"}`, `{"mode":"blind","number":28}`, `{"mode":"blind","number":"tel:2-8"}`},
			want:  `{"number":"28","mode":"blind"}`,
			steps: []snom.Step{
				{Request: "/command.htm?key=TRANSFER", Pause: 500 * ms}, {Request: "/command.htm?key=2"}, {Request: "/command.htm?key=8"},
				{Request: "/command.htm?key=ENTER"},
			},
		},
		{
			name: "complete a transfer", verb: snom.VerbTransfer,
			plain: []string{"complete"}, json: []string{`{"step":"complete"}`}, want: "complete",
			steps: step("/command.htm?key=TRANSFER"),
		},
		{
			name: "cancel a transfer", verb: snom.VerbTransfer,
			plain: []string{"cancel"}, json: []string{`{"step":"cancel"}`}, want: "cancel",
			steps: step("/command.htm?key=CANCEL"),
		},
		{
			name: "ring", verb: snom.VerbRing,
			plain: []string{"3"},
			json:  []string{`{"ringer":3}`, `{"ringer":"3"}`, `{"ringer":3,"count":1}`, `{"ringer":3.0,"count":1.0}`},
			want:  "3",
			steps: step("/line_login.htm?PLAY_RINGER:3=+Ringer"),
			old:   step("/line_login.htm?PLAY_RINGER:3=Play+Ringer"),
		},
		{
			name: "ring again", verb: snom.VerbRing,
			plain: []string{`{"ringer":9,"count":3}`},
			json:  []string{`{"count":3,"ringer":"9","pause_ms":2000}`},
			want:  `{"ringer":9,"count":3}`,
			steps: []snom.Step{
				{Request: "/line_login.htm?PLAY_RINGER:9=+Ringer", Pause: 2 * time.Second},
				{Request: "/line_login.htm?PLAY_RINGER:9=+Ringer", Pause: 2 * time.Second},
				{Request: "/line_login.htm?PLAY_RINGER:9=+Ringer"},
			},
			old: []snom.Step{
				{Request: "/line_login.htm?PLAY_RINGER:9=Play+Ringer", Pause: 2 * time.Second},
				{Request: "/line_login.htm?PLAY_RINGER:9=Play+Ringer", Pause: 2 * time.Second},
				{Request: "/line_login.htm?PLAY_RINGER:9=Play+Ringer"},
			},
		},
		{
			name: "ring again at once", verb: snom.VerbRing,
			plain: []string{`{"ringer":1,"count":2,"pause_ms":0}`},
			json:  []string{`{"pause_ms":0,"count":2,"ringer":1}`},
			want:  `{"ringer":1,"count":2,"pause_ms":0}`,
			steps: []snom.Step{{Request: "/line_login.htm?PLAY_RINGER:1=+Ringer"}, {Request: "/line_login.htm?PLAY_RINGER:1=+Ringer"}},
			old: []snom.Step{
				{Request: "/line_login.htm?PLAY_RINGER:1=Play+Ringer"}, {Request: "/line_login.htm?PLAY_RINGER:1=Play+Ringer"},
			},
		},
		{
			name: "touch", verb: snom.VerbTouch,
			plain: []string{"0 271"},
			json:  []string{`{"touches":[{"x":0,"y":271}]}`},
			want:  "0 271",
			steps: step("/command.htm?touch=0%20271"),
		},
		{
			name: "touches", verb: snom.VerbTouch,
			plain: []string{"479 0 press 479 0 release 1 2 p 1 2 r 3 4 pr 5 6 7 8"},
			json: []string{`{"touches":[{"x":479,"y":0,"action":"press"},{"x":479,"y":0,"action":"release"},` +
				`{"x":1,"y":2,"action":"p"},{"x":1,"y":2,"action":"r"},{"x":3,"y":4,"action":"pr"},{"x":5,"y":6},{"x":7,"y":8}]}`},
			want: "479 0 press 479 0 release 1 2 p 1 2 r 3 4 pr 5 6 7 8",
			steps: step("/command.htm?touch=479%200%20press%20479%200%20release%201%202%20p%201%202%20r" +
				"%203%204%20pr%205%206%207%208"),
		},
		{
			name: "as many touches as there may be", verb: snom.VerbTouch,
			plain: []string{strings.Repeat("1 2 ", 63) + "1 2"},
			json:  []string{`{"touches":[` + strings.Repeat(`{"x":1,"y":2},`, 63) + `{"x":1,"y":2}]}`},
			want:  strings.Repeat("1 2 ", 63) + "1 2",
			steps: step("/command.htm?touch=" + strings.Repeat("1%202%20", 63) + "1%202"),
		},
		{
			name: "stop ringing", verb: snom.VerbRing,
			plain: []string{"stop"},
			json:  []string{`{"ringer":"stop"}`},
			want:  "stop",
		},
		{
			name: "do not disturb", verb: snom.VerbDND,
			plain: []string{"on"},
			json:  []string{`{"dnd":"on"}`, `{"dnd":true}`},
			want:  "on",
			steps: step("/dummy.htm?settings=save&store_settings=save&dnd_mode=on"),
		},
		{
			name: "do disturb, at one identity", verb: snom.VerbDND,
			plain: []string{`{"dnd":"off","identity":12}`},
			json:  []string{`{"identity":12,"dnd":false}`},
			want:  `{"dnd":"off","identity":12}`,
			steps: step("/dummy.htm?settings=save&store_settings=save&dnd_mode12=off"),
		},
		{
			name: "toggle do not disturb", verb: snom.VerbDND,
			plain: []string{"toggle"},
			json:  []string{`{"dnd":"toggle"}`},
			want:  "toggle",
			steps: step("/command.htm?key=DND"),
		},
		{
			name: "forward", verb: snom.VerbForward,
			plain: []string{"+4930123", "tel:+49-30-123"},
			json:  []string{`{"to":"+4930123"}`, `{"when":"always","to":"tel:+4930123"}`},
			want:  "+4930123",
			steps: step("/dummy.htm?settings=save&store_settings=save&fwd_all_enabled=on&fwd_all_target=%2B4930123"),
		},
		{
			name: "forward nothing", verb: snom.VerbForward,
			plain: []string{"off"},
			json:  []string{`{"off":true}`},
			want:  "off",
			steps: step("/dummy.htm?settings=save&store_settings=save&fwd_all_enabled=off&fwd_busy_enabled=off&fwd_time_enabled=off"),
		},
		{
			name: "forward as before", verb: snom.VerbForward,
			plain: []string{"on"},
			json:  []string{`{"off":false}`, `{"when":"always","off":false}`},
			want:  "on",
			steps: step("/dummy.htm?settings=save&store_settings=save&fwd_all_enabled=on"),
		},
		{
			name: "forward when there is no answer", verb: snom.VerbForward,
			plain: []string{`{"when":"no_answer","to":"27@pbx.example","after":20,"identity":12}`},
			json:  []string{`{"identity":12,"after":20.0,"to":"27@pbx.example","when":"no_answer"}`},
			want:  `{"when":"no_answer","to":"27@pbx.example","after":20,"identity":12}`,
			steps: step("/dummy.htm?settings=save&store_settings=save&fwd_time_enabled12=on&fwd_time_target12=27%40pbx.example&fwd_time_secs12=20"),
		},
		{
			name: "forward no more when busy", verb: snom.VerbForward,
			plain: []string{`{"when":"busy","off":true}`},
			json:  []string{`{"off":true,"when":"busy"}`},
			want:  `{"when":"busy","off":true}`,
			steps: step("/dummy.htm?settings=save&store_settings=save&fwd_busy_enabled=off"),
		},
		{
			name: "forward always no more", verb: snom.VerbForward,
			plain: []string{`{"when":"always","off":true}`},
			json:  []string{`{"off":true,"when":"always"}`},
			want:  `{"when":"always","off":true}`,
			steps: step("/dummy.htm?settings=save&store_settings=save&fwd_all_enabled=off"),
		},
		{
			name: "lock the keyboard", verb: snom.VerbKeyLock,
			plain: []string{"on"},
			json:  []string{`{"keyboard_lock":"on"}`, `{"keyboard_lock":true}`},
			want:  "on",
			steps: step("/dummy.htm?settings=save&store_settings=save&keyboard_lock=on"),
		},
		{
			name: "unlock the keyboard", verb: snom.VerbKeyLock,
			plain: []string{"off"},
			json:  []string{`{"keyboard_lock":"off"}`, `{"keyboard_lock":false}`},
			want:  "off",
			steps: step("/dummy.htm?settings=save&store_settings=save&keyboard_lock=off"),
		},
		{
			name: "set", verb: snom.VerbSet,
			plain: []string{"vol_ringer=8"},
			json:  []string{`{"settings":{"vol_ringer":"8"}}`, `{"settings":{"vol_ringer":8.0}}`},
			want:  "vol_ringer=8",
			steps: step("/dummy.htm?settings=save&store_settings=save&vol_ringer=8"),
		},
		{
			name: "set a value that looks like more", verb: snom.VerbSet,
			plain: []string{"ring_sound[2]=a=b&http_pass=x;c#%00 ü"},
			json:  []string{`{"settings":{"ring_sound2":"a=b&http_pass=x;c#%00 \u00fc"}}`},
			want:  "ring_sound2=a=b&http_pass=x;c#%00 ü",
			steps: step("/dummy.htm?settings=save&store_settings=save&ring_sound2=a%3Db%26http_pass%3Dx%3Bc%23%2500%20%C3%BC"),
		},
		{
			name: "set several", verb: snom.VerbSet,
			plain: []string{`{"settings":{"backlight":"7","dim_timer":"","privacy_out":"on"}}`},
			json:  []string{`{"settings":{"privacy_out":true,"backlight":7,"dim_timer":""}}`},
			want:  `{"settings":{"backlight":"7","dim_timer":"","privacy_out":"on"}}`,
			steps: step("/dummy.htm?settings=save&store_settings=save&backlight=7&dim_timer=&privacy_out=on"),
		},
		{
			name: "the screen", verb: snom.VerbScreen,
			plain: []string{"", "main"},
			json:  []string{`{}`, `{"which":"main"}`},
			want:  "",
			steps: step("/screen.bmp"),
		},
		{
			name: "the screen of an expansion module", verb: snom.VerbScreen,
			plain: []string{"expansion"},
			json:  []string{`{"which":"expansion"}`},
			want:  "expansion",
			steps: step("/exp_screen.bmp"),
		},
		{
			name: "log off all", verb: snom.VerbLogoff,
			plain: []string{"all"}, json: []string{`{"identity":"all"}`}, want: "all",
			steps: step("/command.htm?LOGOFFALL"),
		},
		{
			name: "log off one", verb: snom.VerbLogoff,
			plain: []string{"12"}, json: []string{`{"identity":12}`, `{"identity":"12"}`, `{"identity":12.0}`}, want: "12",
			steps: step("/command.htm?LOGOFFLINE=12"),
		},
		{
			name: "register anew", verb: snom.VerbReregister,
			plain: []string{"1"}, json: []string{`{"identity":1}`, `{"identity":"1"}`}, want: "1",
			steps: step("/command.htm?REREGISTER=1"),
		},
		{
			name: "clear dialed", verb: snom.VerbClear,
			plain: []string{"dialed"}, json: []string{`{"list":"dialed"}`}, want: "dialed",
			steps: step("/index.htm?dialeddel=clear"), old: step("/index.htm?dialeddel=0"),
		},
		{
			name: "clear missed", verb: snom.VerbClear,
			plain: []string{"missed"}, json: []string{`{"list":"missed"}`}, want: "missed",
			steps: step("/index.htm?misseddel=clear"), old: step("/index.htm?misseddel=0"),
		},
		{
			name: "clear received", verb: snom.VerbClear,
			plain: []string{"received"}, json: []string{`{"list":"received"}`}, want: "received",
			steps: step("/index.htm?receiveddel=clear"), old: step("/index.htm?receiveddel=0"),
		},
		{
			name: "show a text", verb: snom.VerbShow,
			plain: []string{"Two\nlines"}, json: []string{`{"text":"Two\nlines"}`, `{"text":"Two\nlines","duration":10,"hold":false}`}, want: "Two\nlines",
		},
		{
			name: "close the display", verb: snom.VerbShow,
			plain: []string{""}, json: []string{`{}`, `{"text":""}`, `{"hold":true}`, `{"menu":[]}`}, want: "",
		},
		{
			name: "show a text that looks like JSON", verb: snom.VerbShow,
			json: []string{`{"text":" {}"}`}, want: `{"text":" {}"}`,
		},
		{
			name: "show a page that stays", verb: snom.VerbShow,
			json: []string{`{"hold":true,"title":"A & B","text":"<x>","image":"http://camera/a.png","buttons":{"F2":{"label":"No"},"F1":{"choice":"y","label":"Yes"}}}`},
			want: `{"title":"A & B","text":"<x>","image":"http://camera/a.png","hold":true,"buttons":{"F1":{"label":"Yes","choice":"y"},"F2":{"label":"No","choice":"No"}}}`,
		},
		{
			name: "show a menu", verb: snom.VerbShow,
			json: []string{`{"title":"House","menu":[{"label":"Gate","choice":"gate"},{"label":"Light"}],"duration":60}`},
			want: `{"title":"House","duration":60,"menu":[{"label":"Gate","choice":"gate"},{"label":"Light","choice":"Light"}]}`,
		},
		{
			name: "show an input", verb: snom.VerbShow,
			json: []string{`{"input":{"prompt":"PIN","kind":"pin","choice":"alarm","pin_file":"alarm.pin"}}`},
			want: `{"input":{"prompt":"PIN","kind":"pin","choice":"alarm","pin_file":"alarm.pin"}}`,
		},
		{
			name: "show a picture", verb: snom.VerbShow,
			json: []string{`{"image":"iVBORw0KGgo="}`, `{"image":"data:image/png;base64,iVBORw0KGgo"}`, `{"image":"iVBO\nRw0KGgo="}`},
			want: `{"image":"iVBORw0KGgo="}`,
		},
		{
			name: "set a light", verb: snom.VerbLED,
			plain: []string{"P5 red blink", "p5 red blink"}, json: []string{`{"key":"P5","color":"red","effect":"blink"}`}, want: "P5 red blink",
		},
		{
			name: "switch a light on", verb: snom.VerbLED,
			plain: []string{"P5 on", "P5 red"}, json: []string{`{"key":"p5","color":true}`, `{"key":"P5","color":"on","effect":""}`}, want: "P5 red",
		},
		{
			name: "switch the message light off", verb: snom.VerbLED,
			plain: []string{"message off"}, json: []string{`{"key":"message","color":"off"}`, `{"key":"message","color":false}`}, want: "message off",
		},
		{
			name: "fix the layer", verb: snom.VerbFixLIL,
			plain: []string{""}, json: []string{`{}`}, want: "",
			steps: step("/command.htm?FIX_LIL=true"),
		},
		{
			name: "reboot", verb: snom.VerbReboot,
			plain: []string{""}, json: []string{`{}`}, want: "",
			steps: step("/advanced_update.htm?reboot=Reboot"),
		},
		{
			name: "reset", verb: snom.VerbReset,
			plain: []string{"0hall_2-a"}, json: []string{`{"confirm":"0hall_2-a"}`}, want: "0hall_2-a",
			steps: step("/advanced_update.htm?reset=Reset"),
		},
		{
			name: "firmware", verb: snom.VerbFirmware,
			plain: []string{"http://host:8080/path/snom~D735-10.1.bin"},
			json:  []string{`{"url":"http:\/\/host:8080/path/snom~D735-10.1.bin"}`},
			want:  "http://host:8080/path/snom~D735-10.1.bin",
			steps: step("/dummy.htm?swload=load&firmware=http://host:8080/path/snom~D735-10.1.bin"),
		},
		{
			name: "macro by name", verb: snom.VerbRun,
			plain: []string{"0good_night-2"}, json: []string{`{"macro":"0good_night-2"}`}, want: "0good_night-2",
		},
		{
			name: "steps", verb: snom.VerbRun,
			json: []string{
				`{"steps":[{"dial":"**61"},{"wait":"connected"},{"dtmf":"12#"},{"wait":2},{"hangup":"all"},"answer",{"ring":{"ringer":3,"count":2}}],"otherwise":[{"hangup":null}]}`,
				`{"steps":[{"dial":{"number":"**61"}},{"wait":"connected","within":30},{"dtmf":{"digits":"12#"}},{"wait":"2s"},"hangup",{"answer":{}},{"ring":{"ringer":3,"count":2}}],"otherwise":["hangup all"]}`,
			},
			want: `{"steps":[{"dial":"**61"},{"wait":"connected","within":"30s"},{"dtmf":"12#"},{"wait":"2s"},{"hangup":"all"},{"answer":""},` +
				`{"ring":{"ringer":3,"count":2}}],"otherwise":[{"hangup":"all"}]}`,
		},
		{
			name: "text to speak", verb: snom.VerbAnnounce,
			plain: []string{"Dinner is ready", " Dinner \t is\nready ", "Dinner\u00a0is ready"},
			json:  []string{`{"text":"Dinner is ready"}`, `{"text":"Dinner is ready","repeat":1,"chime":false,"gain_db":-0.01}`},
			want:  "Dinner is ready",
		},
		{
			name: "text of digits", verb: snom.VerbAnnounce,
			plain: []string{"21"}, json: []string{`{"text":"21"}`, `{"text":21}`}, want: "21",
		},
		{
			name: "text like a file", verb: snom.VerbAnnounce,
			plain: []string{"C:/x is full, see 1://2"}, json: []string{`{"text":"C:/x is full, see 1://2"}`}, want: "C:/x is full, see 1://2",
		},
		{
			name: "sound file", verb: snom.VerbAnnounce,
			plain: []string{"http://h:8123/a%20b.mp3?x=1&y=2"}, json: []string{`{"url":"http://h:8123/a%20b.mp3?x=1&y=2"}`},
			want: "http://h:8123/a%20b.mp3?x=1&y=2",
		},
		{
			name: "announcement with everything", verb: snom.VerbAnnounce,
			json: []string{
				`{"text":"Fire & <smoke>","voice":"tts.piper","chime":true,"repeat":3,"gain_db":-6}`,
				`{"gain_db":-6.02,"repeat":3.0,"chime":true,"voice":"tts.piper","text":"Fire  & <smoke>"}`,
			},
			want: `{"text":"Fire & <smoke>","voice":"tts.piper","chime":true,"repeat":3,"gain_db":-6}`,
		},
		{
			name: "text like JSON", verb: snom.VerbAnnounce,
			json: []string{`{"text":"{\"a\":1}"}`}, want: `{"text":"{\"a\":1}"}`,
		},
		{
			name: "text like a URL", verb: snom.VerbAnnounce,
			json: []string{`{"text":"media-source://tts/x"}`}, want: `{"text":"media-source://tts/x"}`,
		},
		{
			name: "end of what is announced", verb: snom.VerbAnnounce, plain: []string{""}, json: []string{"{}"}, want: "",
		},
	}
	seen := map[snom.Verb]bool{}
	for _, tt := range tests {
		seen[tt.verb] = true
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			for _, payload := range slices.Concat(tt.plain, tt.json) {
				c, err := snom.ParsePayload(tt.verb, []byte(payload))
				if err != nil {
					t.Fatalf("ParsePayload(%q): %v", payload, err)
				}
				if c.Verb() != tt.verb || c.Argument() != tt.want {
					t.Errorf("ParsePayload(%q) = %s %q, want %s %q", payload, c.Verb(), c.Argument(), tt.verb, tt.want)
				}
				for dialect, want := range map[snom.Dialect][]snom.Step{"": nil, "old": tt.old, "new": tt.fresh} {
					if want == nil {
						want = tt.steps
					}
					if got := c.Steps(dialect); !slices.Equal(got, want) {
						t.Errorf("%s: Steps(%q) = %v, want %v", c, dialect, got, want)
					}
					checkSteps(t, c, dialect)
				}
				if again := commandOf(t, c.String()); again != c {
					t.Errorf("ParseCommand(%q) = %q, want the same", c, again)
				}
				if text := string(tt.verb) + " " + payload; payload != "" && commandOf(t, text) != c {
					t.Errorf("ParseCommand(%q) differs from ParsePayload", text)
				}
			}
		})
	}
	for _, v := range snom.Verbs() {
		if !seen[v] && snom.HasArgument(v) { // for those without, see TestCommandsWithoutArgument
			t.Errorf("%s: no test", v)
		}
	}
}

// expectedTargets returns the targets of the requests that c makes, said a second time and in another way than the package does:
// path, and names and values of the query. A name without a value has nil.
func expectedTargets(c snom.Command, d snom.Dialect) (path string, queries [][][2]string) {
	arg := c.Argument()
	var object map[string]any
	if strings.HasPrefix(arg, "{") {
		if err := json.Unmarshal([]byte(arg), &object); err != nil {
			panic(err)
		}
	}
	text := func(name string) string { s, _ := object[name].(string); return s }
	one := func(pairs ...[2]string) [][][2]string { return [][][2]string{pairs} }
	var keys []string
	for e := range c.KeyEvents() {
		if e.Key == "F_HOLD" && d == snom.DialectOld {
			e.Key = "F_R"
		} else if e.Key == "F_R" && d == snom.DialectNew {
			e.Key = "F_HOLD"
		}
		keys = append(keys, e.String())
	}
	path = "/command.htm"
	switch c.Verb() {
	case snom.VerbTransfer:
		for _, key := range keys {
			queries = append(queries, [][2]string{{"key", key}})
		}
	case snom.VerbDial:
		if object == nil {
			queries = one([2]string{"number", arg})
		} else {
			queries = one([2]string{"number", text("number")}, [2]string{"outgoing_uri", text("outgoing_uri")})
		}
	case snom.VerbTouch:
		queries = one([2]string{"touch", arg})
	case snom.VerbDND:
		value, name := arg, "dnd_mode"
		if object != nil {
			value, name = text("dnd"), fmt.Sprint("dnd_mode", object["identity"])
		}
		if queries = one([2]string{"key", "DND"}); value != "toggle" {
			path = "/dummy.htm"
			queries = one([2]string{"settings", "save"}, [2]string{"store_settings", "save"}, [2]string{name, value})
		}
	case snom.VerbForward, snom.VerbKeyLock, snom.VerbSet:
		path = "/dummy.htm"
		queries = one(append([][2]string{{"settings", "save"}, {"store_settings", "save"}}, settingsOf(c.Verb(), arg, object)...)...)
	case snom.VerbScreen:
		return map[string]string{"": "/screen.bmp", "labels": "/label_screen.bmp", "expansion": "/exp_screen.bmp"}[arg], one([2]string{})
	case snom.VerbRing:
		path = "/line_login.htm"
		if arg == "stop" {
			break
		}
		ringer, value, count := arg, "+Ringer", 1
		if object != nil {
			ringer, count = string('0'+rune(object["ringer"].(float64))), int(object["count"].(float64))
		}
		if d == snom.DialectOld {
			value = "Play+Ringer"
		}
		for range count {
			queries = append(queries, [][2]string{{"PLAY_RINGER:" + ringer, value}})
		}
	case snom.VerbLogoff:
		queries = one([2]string{"LOGOFFLINE", arg})
		if arg == "all" {
			queries = one([2]string{"LOGOFFALL", ""})
		}
	case snom.VerbReregister:
		queries = one([2]string{"REREGISTER", arg})
	case snom.VerbClear:
		path = "/index.htm"
		queries = one([2]string{arg + "del", map[bool]string{true: "0", false: "clear"}[d == snom.DialectOld]})
	case snom.VerbFixLIL:
		queries = one([2]string{"FIX_LIL", "true"})
	case snom.VerbReboot:
		path = "/advanced_update.htm"
		queries = one([2]string{"reboot", "Reboot"})
	case snom.VerbReset:
		path = "/advanced_update.htm"
		queries = one([2]string{"reset", "Reset"})
	case snom.VerbFirmware:
		path = "/dummy.htm"
		queries = one([2]string{"swload", "load"}, [2]string{"firmware", arg})
	default: // key, dtmf, answer, hangup
		switch {
		case len(keys) > 0:
			queries = one([2]string{"key", strings.Join(keys, ";")})
		case c.Verb() == snom.VerbHangup:
			queries = one([2]string{"RELEASE_ALL_CALLS", ""})
		default:
			queries = one([2]string{"key_dtmf", arg})
		}
	}
	return path, queries
}

// settingsOf is what a command writes into settings, told from its canonical argument.
func settingsOf(v snom.Verb, arg string, object map[string]any) (pairs [][2]string) {
	switch v {
	case snom.VerbKeyLock:
		return [][2]string{{"keyboard_lock", arg}}
	case snom.VerbSet:
		if object == nil {
			name, value, _ := strings.Cut(arg, "=")
			return [][2]string{{name, value}}
		}
		values := object["settings"].(map[string]any)
		for _, name := range slices.Sorted(maps.Keys(values)) {
			pairs = append(pairs, [2]string{name, values[name].(string)})
		}
		return pairs
	}
	prefixes := map[string]string{"always": "fwd_all", "busy": "fwd_busy", "no_answer": "fwd_time"}
	identity, when, to := "", "always", arg
	if object != nil {
		to, _ = object["to"].(string)
		if w, ok := object["when"].(string); ok {
			when = w
		}
		if off, ok := object["off"].(bool); ok && off {
			to = "off"
			if object["when"] == nil {
				when = ""
			}
		}
		if n, ok := object["identity"].(float64); ok {
			identity = fmt.Sprint(n)
		}
	} else if arg == "off" {
		when = ""
	}
	for _, w := range []string{"always", "busy", "no_answer"} {
		switch {
		case when != "" && when != w:
		case to == "off":
			pairs = append(pairs, [2]string{prefixes[w] + "_enabled" + identity, "off"})
		default:
			pairs = append(pairs, [2]string{prefixes[w] + "_enabled" + identity, "on"})
			if to != "on" && to != "" {
				pairs = append(pairs, [2]string{prefixes[w] + "_target" + identity, to})
			}
		}
	}
	if after, ok := object["after"].(float64); ok {
		pairs = append(pairs, [2]string{"fwd_time_secs" + identity, fmt.Sprint(after)})
	}
	return pairs
}

// checkSteps checks that the requests of c have its path and its query parameters and nothing else.
func checkSteps(tb testing.TB, c snom.Command, d snom.Dialect) {
	tb.Helper()
	steps := c.Steps(d)
	if c.Verb().Nests() || c.Displays() { // the requests are those of the commands in it, or name a page
		if len(steps) != 0 {
			tb.Errorf("%q makes %d requests itself", c, len(steps))
		}
		return
	}
	if c.Verb().Paged() {
		if steps != nil {
			tb.Errorf("%q makes the requests %v, expected none", c, steps)
		}
		return
	}
	path, queries := expectedTargets(c, d)
	if len(steps) != len(queries) {
		tb.Fatalf("%q makes %d requests, want %d", c, len(steps), len(queries))
	}
	for i, s := range steps {
		gotPath, query, _ := strings.Cut(s.Request, "?")
		if gotPath != path {
			tb.Errorf("%q asks for %q, want the path %s", c, s.Request, path)
		}
		var got [][2]string
		for pair := range strings.SplitSeq(query, "&") {
			name, value, _ := strings.Cut(pair, "=")
			decodedName, err1 := url.PathUnescape(name)
			decodedValue, err2 := url.PathUnescape(value)
			if err := errors.Join(err1, err2); err != nil {
				tb.Errorf("%q asks for %q: %v", c, s.Request, err)
			}
			got = append(got, [2]string{decodedName, decodedValue})
		}
		if !slices.Equal(got, queries[i]) {
			tb.Errorf("%q asks for %q, which is %q, want %q", c, s.Request, got, queries[i])
		}
		for _, b := range []byte(s.Request) {
			if b <= ' ' || b >= 0x7f || strings.IndexByte(`"<>\^{|}#`+"`", b) >= 0 {
				tb.Errorf("%q asks for %q, which has a raw %q", c, s.Request, b)
			}
		}
		if _, err := url.ParseRequestURI(s.Request); err != nil {
			tb.Errorf("%q: %v", c, err)
		}
		if s.Pause < 0 || s.Pause > 5*time.Minute {
			tb.Errorf("%q: pause %v, want at most 5m", c, s.Pause)
		}
	}
}

// checkError checks what every error has, whatever was received.
func checkError(tb testing.TB, err error) {
	tb.Helper()
	s := syntaxError(tb, err)
	if len(s.Text) > 64+len("…") || !utf8.ValidString(s.Text) {
		tb.Errorf("SyntaxError.Text is %q, want at most 64 bytes of UTF-8", s.Text)
	}
	if s.Offset < -1 || s.Offset > snom.MaxShowPayload || s.Expected == "" {
		tb.Errorf("got %#v", s)
	}
	for _, message := range []string{s.Error(), s.Redacted()} {
		if !strings.HasPrefix(message, "snom: ") || len(message) > 1000 || !utf8.ValidString(message) ||
			strings.ContainsFunc(message, func(r rune) bool { return r < ' ' }) {
			tb.Errorf("got the message %q", message)
		}
	}
}

func TestCommandAccessors(t *testing.T) {
	t.Parallel()
	tests := []struct {
		in           string
		number       string
		firmware     string
		confirmation string
		transfer     snom.TransferStep
		keys         string
	}{
		{in: "key P1,100;2", keys: "P1,100;2"},
		{in: "dial +49", number: "+49"},
		{in: `dial {"number":"1","outgoing_uri":"a@b"}`, number: "1"},
		{in: "dtmf 12"},
		{in: `dtmf {"digits":"12","method":"keys"}`, keys: "1,100,100;2,100,100"},
		{in: "answer", keys: "ENTER"},
		{in: "hangup"},
		{in: "hangup current", keys: "CANCEL"},
		{in: "transfer 28", number: "28", keys: "F_HOLD;2;8;ENTER",
			transfer: snom.TransferStep{Kind: snom.TransferStart, Number: "28"}},
		{in: `transfer {"number":"28","mode":"blind"}`, number: "28", keys: "TRANSFER;2;8;ENTER",
			transfer: snom.TransferStep{Kind: snom.TransferBlind, Number: "28"}},
		{in: "transfer complete", keys: "TRANSFER", transfer: snom.TransferStep{Kind: snom.TransferComplete}},
		{in: "transfer cancel", keys: "CANCEL", transfer: snom.TransferStep{Kind: snom.TransferCancel}},
		{in: "dnd on"},
		{in: "dnd toggle", keys: "DND"},
		{in: "forward +49", number: "+49"},
		{in: "forward off"},
		{in: "forward on"},
		{in: "ring stop"},
		{in: "reset hall", confirmation: "hall"},
		{in: "firmware https://h/p", firmware: "https://h/p"},
		{in: "reboot"},
	}
	for _, tt := range tests {
		t.Run(tt.in, func(t *testing.T) {
			t.Parallel()
			c := commandOf(t, tt.in)
			if got, ok := c.Number(); got != tt.number || ok != (tt.number != "") {
				t.Errorf("Number() = %q, %v, want %q", got, ok, tt.number)
			}
			if got, ok := c.Confirmation(); got != tt.confirmation || ok != (tt.confirmation != "") {
				t.Errorf("Confirmation() = %q, %v, want %q", got, ok, tt.confirmation)
			}
			if got, ok := c.Transfer(); got != tt.transfer || ok != (tt.transfer.Kind != "") {
				t.Errorf("Transfer() = %v, %v, want %v", got, ok, tt.transfer)
			}
			if got, ok := c.FirmwareURL(); ok != (tt.firmware != "") || ok && got.String() != tt.firmware {
				t.Errorf("FirmwareURL() = %v, %v, want %q", got, ok, tt.firmware)
			}
			var keys []string
			for e := range c.KeyEvents() {
				keys = append(keys, e.String())
			}
			if got := strings.Join(keys, ";"); got != tt.keys {
				t.Errorf("KeyEvents() = %q, want %q", got, tt.keys)
			}
			for range c.KeyEvents() {
				break // stopping early is allowed
			}
			if c.IsZero() {
				t.Error("IsZero() = true")
			}
		})
	}
}

func TestZeroCommand(t *testing.T) {
	t.Parallel()
	var c snom.Command
	number, isCall := c.Number()
	_, isFirmware := c.FirmwareURL()
	_, isReset := c.Confirmation()
	_, isTransfer := c.Transfer()
	if !c.IsZero() || c.Verb() != "" || c.String() != "" || c.Steps("") != nil || number != "" ||
		isCall || isFirmware || isReset || isTransfer {
		t.Errorf("the zero Command is more than nothing: %v", c)
	}
	for e := range c.KeyEvents() {
		t.Errorf("the zero Command presses %v", e)
	}
}

func TestVerbs(t *testing.T) {
	t.Parallel()
	for _, v := range snom.Verbs() {
		h := v.Help()
		if !v.Valid() || h.Summary == "" || h.Plain == "" || h.Request == "" || h.Source == "" {
			t.Errorf("%s: valid %v, help %+v", v, v.Valid(), h)
		}
		c := commandOf(t, h.Example)
		fromJSON, err := snom.ParsePayload(v, []byte(h.ExampleJSON))
		if c.Verb() != v || c.String() != h.Example || err != nil || fromJSON != c {
			t.Errorf("%s: the examples are %q and %q, %v", v, c, fromJSON, err)
		}
	}
	for _, v := range []snom.Verb{"", "dail", "KEY"} {
		if v.Valid() || v.Help() != (snom.VerbHelp{}) {
			t.Errorf("%q is valid", v)
		}
	}
}

// TestCommandLeavesItsObject: the caller may look at the members again, for its log or its answer.
func TestCommandLeavesItsObject(t *testing.T) {
	t.Parallel()
	object, err := strictjson.Parse([]byte(`{"number":"123","id":"7"}`))
	if err != nil {
		t.Fatal(err)
	}
	if id, ok := object.Take("id"); string(id) != `"7"` || !ok {
		t.Errorf(`Take("id") = %s, %v`, id, ok)
	}
	c, err := snom.VerbDial.Command(object)
	if err != nil || c != commandOf(t, "dial 123") || len(object) != 1 {
		t.Errorf("Command = %v, %v, and %d members are left, want 1", c, err, len(object))
	}
	if _, err := snom.Verb("dail").Command(object); syntaxError(t, err).Text != "dail" {
		t.Errorf("got %v", err)
	}
}

// TestCommandOfUncheckedObject: the values need not be JSON.
func TestCommandOfUncheckedObject(t *testing.T) {
	t.Parallel()
	for _, raw := range []string{"", "x", `"`, `"1"2`, `"1" `, `[`, `[]]`, `[{}`, `{`, "-", "1 ", "\xff", `"\`, `"\u`, `"\ud800\u12"`} {
		for _, v := range snom.Verbs() {
			for _, name := range append(snom.Members(v), "no such member") {
				c, err := v.Command(map[string]json.RawMessage{name: json.RawMessage(raw)})
				if err == nil {
					checkSteps(t, c, "")
				} else {
					checkError(t, err)
				}
			}
		}
	}
	if c, err := snom.VerbHangup.Command(nil); err != nil || c.String() != "hangup all" {
		t.Errorf("Command(nil) = %q, %v", c, err)
	}
}
