package broker_test

import (
	"fmt"
	"net"
	"net/url"
	"sync"
	"testing"

	paho "github.com/eclipse/paho.mqtt.golang"

	"github.com/snom2mqtt/snom2mqtt/broker"
)

// Messages that are retained, cleared and looked for at the same moment, by clients, by the bridge and by last wills: with
// the race detector, this fails where the server reads what it writes without a lock.
func TestRetainedAndSubscribedAtOnce(t *testing.T) {
	t.Parallel()
	const writers, rounds = 3, 60
	b := newBroker(t, broker.Config{})
	var working sync.WaitGroup
	for i := range writers {
		o := options(b, fmt.Sprintf("writer-%d", i))
		if i == 0 {
			o = ownOptions(b, "own")
		}
		c := mustConnect(t, o)
		working.Go(func() {
			for n := range rounds {
				topic := fmt.Sprintf("a/%d/%d", i, n%7)
				payload := "kept"
				if n%3 == 2 {
					payload = ""
				}
				<-c.Publish(topic, 1, true, payload).Done()
			}
		})
	}
	working.Go(func() {
		for n := range rounds / 4 {
			var conn net.Conn
			o := options(b, fmt.Sprintf("will-%d", n)).SetWill(fmt.Sprintf("a/will/%d", n), "gone", 1, true)
			o.SetCustomOpenConnectionFn(func(*url.URL, paho.ClientOptions) (net.Conn, error) {
				c, err := b.dial()
				conn = c
				return c, err
			})
			if _, err := connect(t, o); err != nil {
				t.Error(err)
				return
			}
			_ = conn.Close() // without DISCONNECT
		}
	})
	for i := range 2 {
		c := mustConnect(t, options(b, fmt.Sprintf("reader-%d", i)))
		working.Go(func() {
			for range rounds {
				<-c.SubscribeMultiple(map[string]byte{"a/#": 1, "+/+/+": 0, "a/1/1": 1}, nil).Done()
				<-c.Unsubscribe("a/#", "+/+/+", "a/1/1").Done()
			}
		})
	}
	working.Wait()
	c := mustConnect(t, options(b, "last")) // all of them still work
	must(t, c.Publish("a/end", 1, true, "kept"))
	must(t, c.Subscribe("a/#", 1, nil))
}
