package snomtest_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/snom2mqtt/snom2mqtt/internal/pipenet"
	"github.com/snom2mqtt/snom2mqtt/snom/actionurl"
	"github.com/snom2mqtt/snom2mqtt/snom/snomtest"
)

// The phone's own list of action URLs, and the library's table, were written apart and say the same.
func TestActionSettings(t *testing.T) {
	t.Parallel()
	var want []string
	for _, r := range actionurl.Rows() {
		if !r.Never {
			want = append(want, r.Setting)
		}
	}
	got := snomtest.ActionSettings()
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("ActionSettings = %q, expected %q", got, want)
	}
}

// newLine accepts connections, notes what comes as a request line and headers, and replies.
func newLine(t *testing.T, reply string) (dial func(context.Context, string, string) (net.Conn, error), heads func() []string) {
	t.Helper()
	l := pipenet.Listen()
	seen := make(chan string, 100)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			r := bufio.NewReader(conn)
			var head strings.Builder
			for {
				line, err := r.ReadString('\n')
				head.WriteString(line)
				if line == "\r\n" || err != nil {
					break
				}
			}
			seen <- head.String()
			_, _ = io.WriteString(conn, reply) // a phone that hung up is seen by its Action
			conn.Close()
		}
	}()
	t.Cleanup(func() {
		l.Close()
		<-done
	})
	return l.DialContext, func() []string {
		var all []string
		for len(seen) > 0 {
			all = append(all, <-seen)
		}
		return all
	}
}

const okReply = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"

func TestEncodings(t *testing.T) {
	const name = `Tür "A&B" #1 <x> 100% +ñ€`
	tests := map[snomtest.Encoding]string{
		snomtest.EncodingPercent:       `T%C3%BCr%20%22A%26B%22%20%231%20%3Cx%3E%20100%25%20%2B%C3%B1%E2%82%AC`,
		snomtest.EncodingPercentLatin1: `T%FCr%20%22A%26B%22%20%231%20%3Cx%3E%20100%25%20%2B%F1%E2%82%AC`,
		snomtest.EncodingUTF8:          "Tür%20%22A%26B%22%20%231%20%3Cx%3E%20100%25%20%2Bñ€",
		snomtest.EncodingLatin1:        "T\xfcr%20%22A%26B%22%20%231%20%3Cx%3E%20100%25%20%2B\xf1?",
		snomtest.EncodingSpaces:        `T%C3%BCr %22A%26B%22 %231 %3Cx%3E 100%25 %2B%C3%B1%E2%82%AC`,
		snomtest.EncodingPlus:          `T%C3%BCr%20%22A%26B%22%20%231%20%3Cx%3E%20100%25%20+%C3%B1%E2%82%AC`,
		snomtest.EncodingForm:          `T%C3%BCr+%22A%26B%22+%231+%3Cx%3E+100%25+%2B%C3%B1%E2%82%AC`,
		snomtest.EncodingReserved:      `T%C3%BCr%20"A&B"%20#1%20%3Cx%3E%20100%25%20%2B%C3%B1%E2%82%AC`,
		snomtest.EncodingAngle:         `T%C3%BCr%20%22A%26B%22%20%231%20<x>%20100%25%20%2B%C3%B1%E2%82%AC`,
		snomtest.EncodingRaw:           name,
		snomtest.EncodingRawLatin1:     "T\xfcr \"A&B\" #1 <x> 100% +\xf1?",
	}
	for _, e := range snomtest.Encodings() {
		want, ok := tests[e]
		if !ok {
			t.Errorf("no test for encoding %q", e)
		}
		if got := e.Escape(name); got != want {
			t.Errorf("%s: Escape = %q, expected %q", e, got, want)
		}
		if got, err := snomtest.ParseEncoding(string(e)); got != e || err != nil {
			t.Errorf("ParseEncoding(%q) = %q, %v", e, got, err)
		}
		t.Run(string(e), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				dial, heads := newLine(t, okReply)
				p := snomtest.New(snomtest.Config{MAC: "000413AABBCC", Encoding: e, Dial: dial, Settings: map[string]string{
					"action_incoming_url": "http://bridge.example/a/kitchen/token/incoming?name=$display_remote&end",
				}})
				defer p.Close()
				p.Incoming(snomtest.Call{Name: name})
				if err := p.Settle(t.Context()); err != nil {
					t.Fatal(err)
				}
				const want = "GET /a/kitchen/token/incoming?name=\x00&end HTTP/1.1\r\nHost: bridge.example\r\n" +
					"User-Agent: Mozilla/4.0 (compatible; snomD735-SIP 10.1.184.14 000413AABBCC SXM:0 UXM:0)\r\nConnection: close\r\n\r\n"
				if got := heads(); len(got) != 1 || got[0] != strings.Replace(want, "\x00", tests[e], 1) {
					t.Errorf("sent %q\nwant %q", got, strings.Replace(want, "\x00", tests[e], 1))
				}
				if got := p.Actions(); len(got) != 1 || got[0].Status != 200 || got[0].Err != "" || got[0].Setting != "action_incoming_url" {
					t.Errorf("actions = %+v, expected one with status 200", got)
				}
			})
		})
	}
	if got, err := snomtest.ParseEncoding(""); got != snomtest.EncodingPercent || err != nil {
		t.Errorf("ParseEncoding() = %q, %v, expected %q", got, err, snomtest.EncodingPercent)
	}
	if _, err := snomtest.ParseEncoding("morse"); err == nil {
		t.Error("ParseEncoding(morse): no error")
	}
}

// Whatever a display name is, the request stays one line, and so the next header is not the caller's.
func FuzzEscape(f *testing.F) {
	for _, s := range []string{"Front door", "a\r\nX: y", "\x00\x7f", "\xff", `"&#<>%+`, "Tür €"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for _, e := range snomtest.Encodings() {
			got := e.Escape(s)
			if strings.ContainsFunc(got, func(r rune) bool { return r < ' ' || r == 0x7f }) {
				t.Errorf("%s: Escape(%q) = %q has a control character", e, s, got)
			}
			if e == snomtest.EncodingPercent && (!utf8.ValidString(got) || strings.ContainsAny(got, " &#<>\"+")) {
				t.Errorf("%s: Escape(%q) = %q", e, s, got)
			}
		}
	})
}

func TestVariables(t *testing.T) {
	tests := []struct {
		name, template, want string // the target
	}{
		{"call", "http://h/?a=$remote&b=$local&c=$call-id&d=$display_remote&e=$display_local",
			"/?a=sip%3A%2B4930123%40pbx.example&b=sip%3A27%40pbx.example&c=id-1&d=Front%20door&e=Desk"},
		{"line", "http://h/?a=$active_url&b=$active_user&c=$active_host&d=$nr_ongoing_calls", "/?a=sip%3A27%40pbx.example&b=27&c=pbx.example&d=1"},
		{"phone", "http://h/?a=$mac&b=$phone_ip&c=$phone_type&d=$expansion_module", "/?a=000413AABBCC&b=127.0.0.1&c=snomD735&d=0"},
		{"settings", "http://h/?a=$user_name1&b=$user_pass1", "/?a=27&b="},
		{"headers", "http://h/?a=$sip_header(X-Door)&b=$sip_header(X-None)", "/?a=main%20gate&b="},
		{"reason", "http://h/?a=$cancel_reason&b=$csta_id&c=$active_key&d=$longpress_key&e=$context_url", "/?a=Call%20completed%20elsewhere&b=1&c=&d=&e="},
		{"unknown", "http://h/?a=$model&b=$&c=$ &d=$$mac", "/?a=$model&b=$&c=$ &d=$000413AABBCC"},
		{"in the path", "http://h/$mac&/x?y", "/000413AABBCC/x?y"},
		{"no path", "http://h", "/"},
		{"query at once", "http://h?a=1", "/?a=1"},
		{"fragment", "http://h/a?b=$mac#$remote", "/a?b=000413AABBCC"},
		{"names that begin alike", "http://h/?a=$remotely&b=$local_ip", "/?a=sip%3A%2B4930123%40pbx.examplely&b=127.0.0.1"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				dial, heads := newLine(t, okReply)
				p := snomtest.New(snomtest.Config{MAC: "000413AABBCC", Dial: dial, Settings: map[string]string{
					"action_incoming_url": tt.template, "user_name1": "27", "user_pass1": "secret", "user_realname1": "Desk",
				}})
				defer p.Close()
				p.Incoming(snomtest.Call{ID: "id-1", Number: "+4930123", Name: "Front door", Reason: "Call completed elsewhere",
					Headers: map[string]string{"X-Door": "main gate"}})
				if err := p.Settle(t.Context()); err != nil {
					t.Fatal(err)
				}
				got := heads()
				if len(got) != 1 || !strings.HasPrefix(got[0], "GET "+tt.want+" HTTP/1.1\r\n") {
					t.Errorf("sent %q, expected GET %s; actions %+v", got, tt.want, p.Actions())
				}
			})
		})
	}
}

func TestAngleBrackets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dial, heads := newLine(t, okReply)
		p := snomtest.New(snomtest.Config{Dial: dial, Settings: map[string]string{"action_incoming_url": "http://h/?a=$remote&b=$active_user"}})
		defer p.Close()
		p.SetEncoding(snomtest.EncodingAngle)
		p.Incoming(snomtest.Call{Number: "1"})
		if err := p.Settle(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got, want := heads()[0], "GET /?a=<sip%3A1%40pbx.example>&b=27 "; !strings.HasPrefix(got, want) {
			t.Errorf("sent %q, expected %q", got, want)
		}
	})
}

func TestActionsThatFail(t *testing.T) {
	tests := []struct {
		name, template string
		reply          string
		dial           error
		status         int
		err            string
	}{
		{name: "refused", template: "http://h/", dial: syscall.ECONNREFUSED, err: "refused"},
		{name: "no reply", template: "http://h/", err: "EOF"},
		{name: "an error", template: "http://h/", reply: "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", status: 404},
		{name: "https", template: "https://h/", err: "only http"},
		{name: "no host", template: "http:///a", err: "no host"},
		{name: "credentials", template: "http://u:p@h/a", err: "no host"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				dial, _ := newLine(t, tt.reply)
				var told []snomtest.Action
				p := snomtest.New(snomtest.Config{
					Settings: map[string]string{"action_dnd_on_url": tt.template},
					OnAction: func(a snomtest.Action) { told = append(told, a) },
					Dial: func(ctx context.Context, network, addr string) (net.Conn, error) {
						if addr != "h:80" {
							t.Errorf("dials %q, expected h:80", addr)
						}
						if tt.dial != nil {
							return nil, tt.dial
						}
						return dial(ctx, network, addr)
					},
				})
				defer p.Close()
				p.SetDND(true)
				if err := p.Settle(t.Context()); err != nil {
					t.Fatal(err)
				}
				got := p.Actions()
				if len(got) != 1 || got[0].Status != tt.status || !strings.Contains(got[0].Err, tt.err) || tt.err == "" && got[0].Err != "" {
					t.Errorf("actions = %+v, expected one with status %d and error %q", got, tt.status, tt.err)
				}
				if len(told) != 1 {
					t.Errorf("OnAction was told %+v", told)
				}
			})
		})
	}
}

func TestActionsComeInOrderAndTakeTheirTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := snomtest.New(snomtest.Config{
			Settings: map[string]string{"action_dnd_on_url": "http://h/on", "action_dnd_off_url": "http://h/off"},
			Dial: func(ctx context.Context, _, _ string) (net.Conn, error) { // the host is down
				<-ctx.Done()
				return nil, ctx.Err()
			},
		})
		for range 3 {
			p.ToggleDND()
		}
		ctx, cancel := context.WithTimeout(t.Context(), 7*time.Second)
		defer cancel()
		if err := p.Settle(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Settle = %v, expected %v", err, context.DeadlineExceeded)
		}
		if got := len(p.Actions()); got != 1 {
			t.Errorf("%d actions after 7 s, expected 1", got)
		}
		time.Sleep(4 * time.Second)
		if got := p.Actions(); len(got) != 2 || got[0].Target != "/on" || got[1].Target != "/off" {
			t.Errorf("actions after 11 s = %+v, expected /on and /off", got)
		}
		for range 2000 {
			p.ToggleDND()
		}
		if got := p.Actions(); !strings.Contains(got[len(got)-1].Err, "too many") {
			t.Errorf("the last of 2000 actions = %+v, expected it given up", got[len(got)-1])
		}
		p.Close()
		if err := p.Settle(t.Context()); err != nil {
			t.Errorf("Settle after Close = %v", err)
		}
	})
}
