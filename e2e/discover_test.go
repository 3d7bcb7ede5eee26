package e2e

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// A found is a phone that discover prints.
type found struct {
	Name, URL, Model, Firmware, MAC, Auth string
	FoundBy                               string `json:"found_by"`
}

// announcement is what a D120 sends when it starts (MikoPBX).
const announcement = "SUBSCRIBE sip:MAC%%3a%[1]s@224.0.1.75 SIP/2.0\r\nVia: SIP/2.0/UDP 10.99.1.7:5060;rport\r\n" +
	"From: <sip:MAC%%3a%[1]s@224.0.1.75>;tag=1\r\nTo: <sip:MAC%%3a%[1]s@224.0.1.75>\r\nCall-ID: 1\r\nCSeq: 1 SUBSCRIBE\r\n" +
	"Event: ua-profile;profile-type=\"device\";vendor=\"%[2]s\";model=\"%[3]s\";version=\"10.1.39.11\"\r\nExpires: 0\r\n" +
	"Accept: application/url\r\nUser-Agent: %[3]s/10.1.39.11\r\nContent-Length: 0\r\n\r\n"

// TestDiscover finds simulated phones in a network namespace of its own: two that answer, over http and https, one that announces
// itself and is not contacted. A web server of another make is asked and not listed; the phone outside the network that is
// named is not asked; announcements are not answered.
func TestDiscover(t *testing.T) {
	t.Parallel()
	ip := tool(t, "ip")
	// The thread keeps the namespace; it ends with the test, as it is never unlocked.
	runtime.LockOSThread()
	if err := syscall.Unshare(syscall.CLONE_NEWNET); err != nil {
		missing(t, "the right to make a network namespace")
	}
	for _, args := range []string{
		"link set lo up multicast on", "addr add 10.99.0.2/24 dev lo", "addr add 10.99.0.3/24 dev lo",
		"addr add 10.99.0.9/24 dev lo", "addr add 10.99.1.5/24 dev lo", "addr add 10.99.1.7/24 dev lo", "route add 224.0.0.0/4 dev lo",
	} {
		if out, err := exec.CommandContext(t.Context(), ip, strings.Fields(args)...).CombinedOutput(); err != nil {
			missing(t, fmt.Sprintf("an interface with multicast (ip %s: %v %s)", args, err, out))
		}
	}
	phone := func(flags ...string) *process {
		p := start(t, "simulate", nil, program(t), append([]string{"simulate"}, flags...)...)
		p.until("its address", func(_, log []string) bool { return len(log) > 0 })
		return p
	}
	kitchen := phone("--name", "kitchen", "--listen", "10.99.0.2:80", "--model", "D735", "--auth", "digest", "--username", "admin", "--password", "secret")
	hall := phone("--name", "hall", "--listen", "10.99.0.3:443", "--model", "320", "--https")
	outside := phone("--name", "outside", "--listen", "10.99.1.5:80")
	var strangers atomic.Int32
	listener, err := net.Listen("tcp", "10.99.0.9:80")
	if err != nil {
		t.Fatal(err)
	}
	other := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		strangers.Add(1)
		fmt.Fprint(w, "<title>A printer</title>")
	})}
	go func() { _ = other.Serve(listener) }()
	t.Cleanup(func() { other.Close() })
	starting, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(10, 99, 1, 7), Port: 5060})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { starting.Close() })

	d := start(t, "discover", nil, program(t), "discover", "--json", "--wait", "6s", "10.99.0.0/28")
	group := &net.UDPAddr{IP: net.IPv4(224, 0, 1, 75), Port: 5060}
	for tick := time.NewTicker(100 * time.Millisecond); ; {
		for _, packet := range []string{fmt.Sprintf(announcement, "000413112233", "snom", "snomD120"), fmt.Sprintf(announcement, "aabbcc112233", "Other", "T48")} {
			if _, err := starting.WriteTo([]byte(packet), group); err != nil {
				t.Fatal(err)
			}
		}
		select {
		case <-tick.C:
			continue
		case <-d.done:
			tick.Stop()
		}
		break
	}
	var list []found
	if err := json.Unmarshal([]byte(strings.Join(d.stdout(), "")), &list); err != nil || d.wait() != 0 {
		t.Fatalf("%v, exit code %d: %q", err, d.wait(), d.stdout())
	}
	short := make([]string, 0, len(list))
	for _, f := range list {
		short = append(short, f.URL+" "+f.Model+" "+f.Auth+" "+f.FoundBy)
	}
	if want := []string{"http://10.99.0.2  digest http", "https://10.99.0.3 320 none https", "http://10.99.1.7 D120  announcement"}; !slices.Equal(short, want) {
		t.Errorf("found %q, want %q", short, want)
	}
	if len(list) == 3 && (list[2].Name != "d120-112233" || list[2].Firmware != "10.1.39.11") {
		t.Errorf("announced: %+v", list[2])
	}
	if got := outside.stdout(); len(got) > 0 {
		t.Errorf("the phone outside the network was asked: %q", got)
	}
	for _, p := range []*process{kitchen, hall} {
		for _, line := range p.stdout() {
			if r := decode[request](t, line); r.Executed || r.Auth != "" && r.Auth != "none" {
				t.Errorf("%s: it did something, or got a login: %s", p.name, line)
			}
		}
	}
	if strangers.Load() == 0 {
		t.Error("the other web server was not asked, so the test proves nothing of it")
	}
	if err := starting.SetReadDeadline(time.Now()); err != nil {
		t.Fatal(err)
	}
	if n, from, err := starting.ReadFrom(make([]byte, 2048)); err == nil {
		t.Errorf("%d bytes from %v answer the announcement", n, from)
	}
}
