package pbx

import (
	"bufio"
	"strings"
	"testing"
)

// FuzzReadHeaders: nothing that a PBX sends crashes the reader, or makes it keep more than its bounds.
func FuzzReadHeaders(f *testing.F) {
	f.Add("Asterisk Call Manager/11.0.0\r\nResponse: Success\r\nMessage: ok\r\n\r\n")
	f.Add("Content-Type: auth/request\n\n")
	f.Fuzz(func(t *testing.T, text string) {
		headers, err := ReadHeaders(bufio.NewReaderSize(strings.NewReader(text), 256))
		if err == nil && len(headers) > 257 {
			t.Errorf("%d headers", len(headers))
		}
		for name := range headers {
			if name != strings.ToLower(name) || strings.ContainsAny(name, "\n:") {
				t.Errorf("name %q", name)
			}
		}
	})
}
