package e2e

import (
	"fmt"
	"strings"
	"testing"
)

// TestEmbeddedBrokerServesMQTT5: the embedded broker keeps a session for as long as its client asks, and hands on what a
// message says of its answer and its expiry, as Home Assistant expects of a broker from 2027.1 on.
func TestEmbeddedBrokerServesMQTT5(t *testing.T) {
	t.Parallel()
	addr := fmt.Sprintf("127.0.0.1:%d", freePort(t))
	start(t, "snom2mqtt", append(phoneEnv(0, "kitchen", "http://127.0.0.1:1"), "SNOM2MQTT_BROKER_LISTEN="+addr, "SNOM2MQTT_CONSOLE_LISTEN=off"), program(t))
	eventually(t, "the broker", func() bool { return listens(addr) })
	_, port, _ := strings.Cut(addr, ":")
	session := []string{"-h", "127.0.0.1", "-p", port, "-V", "5", "-i", "home", "-c", "-x", "600", "-q", "1", "-t", "test/answers"}
	runTool(t, tool(t, "mosquitto_sub"), append(session, "-E")...) // it subscribes, and goes
	runTool(t, tool(t, "mosquitto_pub"), "-h", "127.0.0.1", "-p", port, "-V", "5", "-q", "1", "-t", "test/answers", "-m", "hello",
		"-D", "publish", "response-topic", "test/reply", "-D", "publish", "correlation-data", "c7", "-D", "publish", "message-expiry-interval", "500")
	w := start(t, "mosquitto_sub", nil, tool(t, "mosquitto_sub"), append(session, "-C", "1", "-F", "%R %D %E %p")...)
	eventually(t, "the message that waited", func() bool { return len(w.stdout()) > 0 })
	fields := strings.Fields(w.stdout()[0])
	if len(fields) != 4 || fields[0] != "test/reply" || fields[1] != "c7" || fields[3] != "hello" || fields[2] == "0" || len(fields[2]) > 3 {
		t.Errorf("received %q, expected the response topic, the correlation data, what is left of 500 s, and the text", w.stdout()[0])
	}
}
