package report_test

import (
	"archive/zip"
	"bytes"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/snom2mqtt/snom2mqtt/report"
)

// canaries must not be in a report.
var canaries = []string{"hunter2", "4930123", "Front door", "kitchen", "192.0.2.10", "000413aabbcc", "pbx.example", "27@", "fe80::7", "1234#"}

// TestReport: nothing private is left, and the same text has the same stand-in in every file.
func TestReport(t *testing.T) {
	t.Parallel()
	s := report.NewStandins()
	s.Secret("hunter2")
	s.Learn("phone", "kitchen")
	s.Learn("host", "pbx.example")
	status := map[string]any{
		"phone": "kitchen", "model": "D735", "firmware": "10.1.184.14", "mac": "000413aabbcc", "time": "2026-11-22T10:00:00.123Z", "http_status": 302,
		"call":        map[string]any{"state": "ringing", "remote": map[string]any{"number": "+4930123", "name": "Front door", "uri": "sip:+4930123@pbx.example"}},
		"last_result": map[string]any{"code": "ok", "command": "dtmf", "argument": "1234#", "message": "phone +4930123 at 192.0.2.10:80 has hunter2"},
		"members":     map[string]any{"kitchen": "ok"},
	}
	log := "time=2026-11-22T10:00:00.123Z level=INFO msg=\"phone unreachable\" phone=kitchen err=\"dial tcp 192.0.2.10:80: i/o timeout\" from=27@pbx.example\n" +
		"time=2026-11-22T10:00:01.000Z level=INFO msg=result phone=kitchen command=dial argument=\"+4930123\" took=302ms caller=\"Front door\" at=[fe80::7]:5060 x=xhunter2x\n"
	var b bytes.Buffer
	if err := report.Write(&b, s, time.Unix(0, 0), report.File{Name: "phones.json", Content: status}, report.File{Name: "log.txt", Content: log}); err != nil {
		t.Fatal(err)
	}
	files := unzip(t, b.Bytes())
	for name, text := range files {
		for _, c := range canaries {
			if strings.Contains(text, c) {
				t.Errorf("%s has %q:\n%s", name, c, text)
			}
		}
	}
	for _, want := range []string{`"firmware": "10.1.184.14"`, `"number": "number-1"`, `"name": "name-1"`, `"http_status": 302`, `"time": "2026-11-22T10:00:00.123Z"`, `"phone-1": "ok"`,
		`"message": "phone number-1 at address-1:80 has ***"`} {
		if !strings.Contains(files["phones.json"], want) {
			t.Errorf("phones.json lacks %s:\n%s", want, files["phones.json"])
		}
	}
	for _, want := range []string{`msg="phone unreachable" phone=phone-1 err="dial tcp address-1:80: i/o timeout"`, "took=302ms", `caller="name-1"`, "x=x***x"} {
		if !strings.Contains(files["log.txt"], want) {
			t.Errorf("log.txt lacks %s:\n%s", want, files["log.txt"])
		}
	}
}

func unzip(t *testing.T, data []byte) map[string]string {
	t.Helper()
	z, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		files[f.Name] = string(text)
	}
	return files
}

func FuzzText(f *testing.F) {
	f.Add("phone=kitchen err=\"x 192.0.2.10\" a=\"\\")
	f.Add("=")
	f.Fuzz(func(t *testing.T, text string) {
		s := report.NewStandins()
		s.Secret("hunter2")
		if got := s.Text(text + " hunter2"); strings.Contains(got, "hunter2") {
			t.Errorf("%q", got)
		}
	})
}
