package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/snom2mqtt/snom2mqtt/bridge"
	"github.com/snom2mqtt/snom2mqtt/snom/snomtest"
)

// A sipPhone is simulated D862s in processes of their own, which take part in SIP.
type sipPhone struct {
	*process
	at string // address of the first
}

// startSIPPhone runs a simulated D862 with these flags beside its address.
func startSIPPhone(t *testing.T, flags ...string) *sipPhone {
	t.Helper()
	at := fmt.Sprintf("127.0.0.1:%d", freePort(t))
	args := append([]string{"simulate", "--listen", "127.0.0.1:0", "--sip", at}, flags...)
	p := &sipPhone{start(t, "phone", nil, program(t), args...), at}
	p.until("it takes part in SIP", func(_, log []string) bool {
		return slices.ContainsFunc(log, func(l string) bool { return strings.HasPrefix(l, "phone sip:") })
	})
	return p
}

// executed waits for n requests that the phone carried out, and returns the last.
func (p *sipPhone) executed(n int) (last snomtest.Request) {
	p.t.Helper()
	p.until(fmt.Sprintf("%d requests are carried out", n), func(out, _ []string) bool {
		found := 0
		for _, line := range out {
			var r snomtest.Request
			if json.Unmarshal([]byte(line), &r) == nil && r.Executed {
				found++
				last = r
			}
		}
		return found >= n
	})
	return last
}

// sendCommand runs `snom2mqtt send kitchen` for a phone of these settings, and returns the result.
func sendCommand(t *testing.T, env []string, command ...string) (r bridge.Result) {
	t.Helper()
	cmd := exec.Command(program(t), append([]string{"send", "kitchen"}, command...)...)
	for _, e := range os.Environ() {
		if !strings.HasPrefix(e, "SNOM2MQTT_") {
			cmd.Env = append(cmd.Env, e)
		}
	}
	cmd.Env = append(append(cmd.Env, "SNOM2MQTT_PHONE_0_NAME=kitchen"), env...)
	out, err := cmd.Output() // the exit code says no more than the result
	if jerr := json.Unmarshal(out, &r); jerr != nil {
		t.Fatalf("%s, %v, %v", out, err, jerr)
	}
	return r
}

// TestKamailio: a command goes through a real registrar and proxy, which asks for a login, to the contact that the phone registered.
func TestKamailio(t *testing.T) {
	t.Parallel()
	kamailio, dir, port := tool(t, "kamailio"), t.TempDir(), freePort(t)
	modules, err := filepath.Glob("/usr/lib/*/kamailio/modules")
	if err != nil || len(modules) == 0 {
		missing(t, "kamailio's modules")
	}
	conf := fmt.Sprintf(`#!KAMAILIO
debug=2
log_stderror=yes
children=2
disable_tcp=yes
listen=udp:127.0.0.1:%d
mpath="%s/"
loadmodule "tm.so"
loadmodule "sl.so"
loadmodule "pv.so"
loadmodule "textops.so"
loadmodule "usrloc.so"
loadmodule "registrar.so"
loadmodule "auth.so"
request_route {
	if (is_method("REGISTER")) {
		save("location");
		exit;
	}
	if (is_method("NOTIFY")) {
		if (!pv_auth_check("pbx.example", "right", "0", "0")) {
			auth_challenge("pbx.example", "0");
			exit;
		}
		consume_credentials();
	}
	if (!lookup("location")) {
		sl_send_reply("404", "Not here");
		exit;
	}
	t_relay();
}
`, port, modules[0])
	file := filepath.Join(dir, "kamailio.cfg")
	if err := os.WriteFile(file, []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	proxy := start(t, "kamailio", nil, kamailio, "-f", file, "-DD", "-E", "-Y", dir, "-P", filepath.Join(dir, "pid"), "-m", "32", "-M", "8")
	t.Cleanup(func() { proxy.stop() }) // it ends its children, which have its output, too
	at := fmt.Sprintf("127.0.0.1:%d", port)
	// The phone sends REGISTER until it is answered.
	phone := startSIPPhone(t, "--registrar", at)
	if !proxy.running() {
		t.Fatal("kamailio ended")
	}
	url := "SNOM2MQTT_PHONE_0_URL=sip:27@" + at
	login := []string{url, "SNOM2MQTT_PHONE_0_USERNAME=bridge", "SNOM2MQTT_PHONE_0_PASSWORD=right"}
	var r bridge.Result
	eventually(t, "the phone has registered", func() bool {
		r = sendCommand(t, login, "dial", "+4930123")
		return r.Code != bridge.Unreachable && r.Code != bridge.Refused // until Kamailio listens, and answers 404 no more
	})
	if r.Code != bridge.OK || r.HTTPStatus != 200 || r.Requests != 2 {
		t.Errorf("%+v, expected ok after a login", r)
	}
	if did := phone.executed(1); !strings.Contains(did.Target, "numberdial=+4930123") {
		t.Errorf("carried out %s", did.Target)
	}
	if r := sendCommand(t, []string{url, "SNOM2MQTT_PHONE_0_USERNAME=bridge", "SNOM2MQTT_PHONE_0_PASSWORD=wrong"}, "hangup"); r.Code != bridge.Unauthorized || r.Requests != 2 {
		t.Errorf("%+v, expected unauthorized after one login", r)
	}
	if r := sendCommand(t, []string{url}, "hangup"); r.Code != bridge.Unauthorized || r.Requests != 1 {
		t.Errorf("%+v, expected unauthorized without a login", r)
	}
	other := slices.Clone(login)
	other[0] = "SNOM2MQTT_PHONE_0_URL=sip:99@" + at
	if r := sendCommand(t, other, "hangup"); r.Code != bridge.Refused || r.HTTPStatus != 404 {
		t.Errorf("%+v, expected refused for a user that is not registered", r)
	}
}

// TestBaresip: a user agent that knows no minibrowser answers what it does not know, and the result says so.
func TestBaresip(t *testing.T) {
	t.Parallel()
	baresip, dir, port := tool(t, "baresip"), t.TempDir(), freePort(t)
	conf := fmt.Sprintf("sip_listen 127.0.0.1:%d\nmodule_path /usr/lib/baresip/modules\nmodule g711.so\nmodule_app account.so\n", port)
	for name, text := range map[string]string{"config": conf, "accounts": "<sip:27@127.0.0.1>;regint=0\n", "contacts": ""} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	agent := start(t, "baresip", nil, baresip, "-f", dir)
	env := []string{fmt.Sprintf("SNOM2MQTT_PHONE_0_URL=sip:27@127.0.0.1:%d", port)}
	var r bridge.Result
	eventually(t, "baresip answers", func() bool {
		if !agent.running() {
			t.Fatal("baresip ended")
		}
		r = sendCommand(t, env, "answer")
		return r.Code != bridge.Unreachable
	})
	if r.Code != bridge.Refused || r.HTTPStatus < 400 || r.Requests != 1 {
		t.Errorf("%+v, expected refused", r)
	}
}

// startAsterisk runs Asterisk 22 with one endpoint, 27, and returns the ports of SIP and of the manager interface. It runs in a mount
// namespace of its own, so that its configuration is that of the test.
func startAsterisk(t *testing.T) (sip, ami int) {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	root := filepath.Join(cache, "snom2mqtt-test", "asterisk-22")
	if _, err := os.Stat(filepath.Join(root, "complete")); err != nil {
		missing(t, "Asterisk 22")
	}
	dir := t.TempDir()
	sip, ami = freePort(t), freePort(t)
	files := map[string]string{
		"asterisk.conf": "[directories]\nastetcdir => /etc/asterisk\nastrundir => /etc/asterisk/run\nastspooldir => /etc/asterisk/run\nastlogdir => /etc/asterisk/run\nastdbdir => /etc/asterisk/run\n",
		"modules.conf":  "[modules]\nautoload=yes\nnoload => res_hep.so\nnoload => cdr_custom.so\nnoload => cel_custom.so\n",
		"pjsip.conf": fmt.Sprintf("[udp]\ntype=transport\nprotocol=udp\nbind=127.0.0.1:%d\n\n[27]\ntype=endpoint\ncontext=default\ndisallow=all\nallow=ulaw\nauth=27\naors=27\n\n"+
			"[27]\ntype=auth\nauth_type=userpass\nusername=27\npassword=geheim\n\n[27]\ntype=aor\nmax_contacts=1\n", sip),
		"manager.conf":    fmt.Sprintf("[general]\nenabled=yes\nbindaddr=127.0.0.1\nport=%d\n\n[bridge]\nsecret=right\nread=all\nwrite=all\n", ami),
		"logger.conf":     "[general]\n[logfiles]\nconsole => notice,warning,error\n",
		"extensions.conf": "[default]\n", "pjsip_notify.conf": "", // without that file there is no action PJSIPNotify
	}
	if err := os.Mkdir(filepath.Join(dir, "run"), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const enter = `mount -t proc proc "$0/proc" 2>/dev/null || mount --rbind /proc "$0/proc"; mount --bind "$1" "$0/etc/asterisk"; exec chroot "$0" asterisk -f -C /etc/asterisk/asterisk.conf`
	p := start(t, "asterisk", nil, "unshare", "--mount", "--propagation", "private", "sh", "-euc", enter, root, dir)
	eventually(t, "Asterisk's manager interface listens", func() bool {
		if !p.running() {
			t.Fatal("asterisk ended")
		}
		return listens(fmt.Sprintf("127.0.0.1:%d", ami))
	})
	return sip, ami
}

// TestAsterisk: Asterisk 22 sends the NOTIFYs of a phone that is registered there, documents arrive as they were, and what it knows of
// the phone reports whether it is reachable and what it is.
func TestAsterisk(t *testing.T) {
	t.Parallel()
	sip, ami := startAsterisk(t)
	env := []string{
		"SNOM2MQTT_PHONE_0_URL=asterisk:27", fmt.Sprintf("SNOM2MQTT_ASTERISK_URL=tcp://127.0.0.1:%d", ami), "SNOM2MQTT_ASTERISK_USERNAME=bridge",
		"SNOM2MQTT_ASTERISK_PASSWORD=right",
	}
	phone := startSIPPhone(t, "--registrar", fmt.Sprintf("127.0.0.1:%d", sip), "--sip-password", "geheim")
	var info struct{ Model, Firmware string }
	eventually(t, "Asterisk knows the phone", func() bool {
		cmd := exec.Command(program(t), "probe", "asterisk:27", "--json")
		cmd.Env = append(append(os.Environ(), "SNOM2MQTT_PHONE_0_NAME=kitchen"), env...)
		out, err := cmd.Output()
		return err == nil && json.Unmarshal(out, &info) == nil
	})
	if info.Model != "D862" || info.Firmware != "10.1.226.13" {
		t.Errorf("probe: %+v", info)
	}
	r := sendCommand(t, env, "dial", "+4930123")
	if r.Code != bridge.OK || r.Requests != 1 || !strings.Contains(r.Message, "Asterisk has sent it") {
		t.Errorf("%+v, expected ok", r)
	}
	did := phone.executed(1)
	if !strings.Contains(did.Target, `<?xml version="1.0"`) || !strings.Contains(did.Target, "numberdial=+4930123") {
		t.Errorf("arrived: %s", did.Target)
	}
	if r := sendCommand(t, env, "key", "F_HOLD"); r.Code != bridge.OK {
		t.Errorf("%+v, expected ok", r)
	}
	if did := phone.executed(2); !slices.Equal(did.Keys, []string{"F_HOLD"}) {
		t.Errorf("arrived: %+v", did)
	}
	if r := sendCommand(t, append(slices.Clone(env), "SNOM2MQTT_PHONE_0_URL=asterisk:28"), "answer"); r.Code != bridge.Refused || !strings.Contains(r.Message, "28") {
		t.Errorf("%+v, expected refused for an endpoint that is not there", r)
	}
	if r := sendCommand(t, append(slices.Clone(env), "SNOM2MQTT_ASTERISK_PASSWORD=wrong"), "answer"); r.Code != bridge.Unauthorized {
		t.Errorf("%+v, expected unauthorized", r)
	}
}
