package e2e

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestApp runs the bridge as Home Assistant's Supervisor runs it: by a file of options, with the broker that
// the Supervisor knows. The Supervisor is a stand-in of its one endpoint.
func TestApp(t *testing.T) {
	t.Parallel()
	m := startMosquitto(t)
	phones := startPhones(t, 1, "--name", "kitchen")
	supervisor := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/services/mqtt" || r.Header.Get("Authorization") != "Bearer supervisor-secret" {
			http.Error(w, `{"result":"error"}`, http.StatusForbidden)
			return
		}
		fmt.Fprintf(w, `{"result":"ok","data":{"addon":"core_mosquitto","host":"127.0.0.1","port":"%d","ssl":false,"username":"","password":"","protocol":"3.1.1"}}`, m.port)
	}))
	t.Cleanup(supervisor.Close)
	data, port := t.TempDir(), freePort(t)
	options := fmt.Sprintf(`{"phones":[{"name":"kitchen","url":%q}],"phones_call":"http://127.0.0.1:%d","settings":["CONSOLE_LISTEN=off"]}`, phones.urls[0], port)
	if err := os.WriteFile(filepath.Join(data, "options.json"), []byte(options), 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{"app", "--data", data, "--supervisor", supervisor.URL, "--listen", fmt.Sprintf("127.0.0.1:%d", port)}
	states := m.watch("snom/bridge/state")
	b := start(t, "app", []string{"SUPERVISOR_TOKEN=supervisor-secret"}, program(t), args...)
	states.on("snom/bridge/state", 1)

	installed := m.watch("snom/bridge/response/install")
	m.publish("snom/bridge/request/install", "kitchen")
	if r := decode[result](t, installed.on("snom/bridge/response/install", 1)[0].Payload); !r.OK {
		t.Errorf("install: %+v, want ok", r)
	}
	w := m.watch("snom/kitchen/#")
	m.publish("snom/kitchen/dial", "+4930123")
	if r := w.results("snom/kitchen/result", 1)[0]; !r.OK {
		t.Errorf("%+v, want ok", r)
	}
	w.until("the phone tells that it dials", func(out, _ []string) bool {
		return slices.ContainsFunc(read(t, out), func(m message) bool { return strings.Contains(m.Payload, `"event_type":"outgoing"`) })
	})
	if code := b.stop(); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
	stranger := start(t, "app", nil, program(t), args...)
	if code := stranger.wait(); code != 2 {
		t.Errorf("without the Supervisor's token: exit code %d, want 2: %q", code, stranger.stderr())
	}
}
