package sip

import (
	"bufio"
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// TestParse reads responses as phones and proxies write them.
func TestParse(t *testing.T) {
	t.Parallel()
	text := "SIP/2.0 401  Who  are you\r\n" +
		"v : SIP/2.0/UDP 192.0.2.9:5062;rport=5062 ; BRANCH = z9hG4bKx , SIP/2.0/UDP 192.0.2.8;branch=z9hG4bKother\r\n" +
		"Via: SIP/2.0/UDP 192.0.2.7;branch=z9hG4bKlast\r\n" +
		"i: abc@d\r\n" +
		"CSeq: 2\r\n  NOTIFY\r\n" +
		"Server: proxy\r\n" +
		"User-Agent:\r\n\tsnomD862/10.1\r\n" +
		"WWW-Authenticate: Digest realm=\"a, b\",\r\n nonce=\"n\"\r\n" +
		"l:0\r\n\r\nbody: that is none"
	got, err := parse([]byte(text))
	expected := response{
		status: 401, reason: " Who  are you", branch: "z9hG4bKx", callID: "abc@d", cseq: 2, method: "NOTIFY", userAgent: "snomD862/10.1",
		challenges: []string{`Digest realm="a, b", nonce="n"`},
	}
	if err != nil || !reflect.DeepEqual(got, expected) {
		t.Errorf("parse = %+v, %v, expected %+v", got, err, expected)
	}
	for _, bad := range []string{
		strings.Replace(text, "i: abc@d\r\n", "i: abc@d\r\ni: abc@e\r\n", 1), strings.Replace(text, "l:0", "l:-1", 1), strings.Replace(text, "l:0", "l:0\r\nl:0", 1),
		strings.Replace(text, "401", "9999", 1), strings.Replace(text, "401", "099", 1), strings.Replace(text, "BRANCH", "b", 1), strings.Replace(text, "CSeq", "C", 1),
		strings.Replace(text, "2\r\n  NOTIFY", "99999999999 NOTIFY", 1), strings.Replace(text, "Server:", "Server", 1), strings.Replace(text, "SIP/2.0 ", "SIP/3.0 ", 1),
	} {
		if r, err := parse([]byte(bad)); err == nil {
			t.Errorf("parse(%q) = %+v, expected an error", bad, r)
		}
	}
}

// FuzzParse: nothing that comes in from the network crashes the reader, neither as a datagram nor on a connection; and what is read
// as a response of a branch contains it.
func FuzzParse(f *testing.F) {
	names, err := filepath.Glob("testdata/rfc4475/*.dat")
	if err != nil {
		f.Fatal(err)
	}
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Add([]byte("SIP/2.0 200 Ok\r\nv:SIP/2.0/UDP a;branch=z9hG4bKx\r\ni:1\r\nCSeq:1 NOTIFY\r\nl:3\r\n\r\nabcSIP/2.0 200"))
	f.Fuzz(func(t *testing.T, text []byte) {
		r, err := parse(text)
		if err == nil && (!bytes.Contains(text, []byte(r.branch)) || r.status < 100 || r.status > 699 || r.length > maxBody) {
			t.Errorf("parse(%q) = %+v", text, r)
		}
		in := bufio.NewReaderSize(bytes.NewReader(text), maxLine)
		for range 10 {
			if _, err := readAnswer(in); err != nil {
				return
			}
		}
	})
}
