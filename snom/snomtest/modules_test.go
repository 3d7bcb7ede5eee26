package snomtest_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/snom2mqtt/snom2mqtt/snom/snomtest"
)

// TestModuleKeys: a key of an expansion module is there once the module is connected, behind a gap where the model has one.
func TestModuleKeys(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		model, key string
		modules    []string
		says       string // the control address; empty: it presses the key
	}{
		{"D735", "P40", nil, `no key \"P40\" on a D735 without an expansion module, such as D7`},
		{"D735", "P40", []string{"D7C"}, ""},
		{"D735", "P80", []string{"snomD7C"}, ""},
		{"D735", "P81", []string{"D7C"}, `no key \"P81\" on a D735`},
		{"D735", "P81", []string{"d7c", "D7"}, ""},
		{"D385", "P49", []string{"D3"}, `no key \"P49\" on a D385`},
		{"D385", "P175", []string{"D3"}, ""},
		{"D713", "P5", nil, `no key \"P5\" on a D713`},
	} {
		called := make(chan string, 1)
		bridge := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { called <- r.URL.Path }))
		phone := snomtest.New(snomtest.Config{Name: "kitchen", Model: c.model})
		n := strings.TrimPrefix(c.key, "P")
		phone.Set(map[string]string{"40": "fkey39", "80": "fkey79", "81": "fkey80", "175": "fkey174"}[n], "url "+bridge.URL+"/"+c.key)
		control := httptest.NewServer(snomtest.ControlHandler(phone))
		post := func(what string) string {
			reply, err := http.Post(control.URL+"/phones/kitchen/"+what, "", nil)
			if err != nil {
				t.Fatal(err)
			}
			defer reply.Body.Close()
			text := make([]byte, 4096)
			k, _ := reply.Body.Read(text)
			return reply.Status + string(text[:k])
		}
		for _, module := range c.modules {
			if got := post("plug?module=" + module); !strings.HasPrefix(got, "200") {
				t.Errorf("plug %s: %s", module, got)
			}
		}
		switch got := post("press?keys=" + c.key); {
		case c.says == "" && !strings.HasPrefix(got, "200"), c.says != "" && !strings.Contains(got, c.says):
			t.Errorf("%s %s with %v: %s, expected %q", c.model, c.key, c.modules, got, c.says)
		case c.says == "":
			if path := <-called; path != "/"+c.key {
				t.Errorf("%s %s: %s was called", c.model, c.key, path)
			}
		}
		if got := post("plug?module=D99"); !strings.HasPrefix(got, "400") {
			t.Errorf("plug D99: %s", got)
		}
		control.Close()
		phone.Close()
		bridge.Close()
	}
}
