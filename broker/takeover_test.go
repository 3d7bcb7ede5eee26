package broker_test

import (
	"bufio"
	"io"
	"sync"
	"testing"
	"time"

	"github.com/snom2mqtt/snom2mqtt/broker"
)

// Of connections that come with one client id at the same moment, one lives, and so do its subscriptions.
func TestConnectionsAtOnceWithOneClientID(t *testing.T) {
	t.Parallel()
	b := newBroker(t, broker.Config{})
	publisher := mustConnect(t, options(b, "publisher"))
	for round := range 30 {
		const all = 8
		type report struct {
			conn int
			word string
		}
		reports := make(chan report, 3*all)
		var start, ended sync.WaitGroup
		start.Add(all)
		end := make(chan struct{})
		for i := range all {
			c := b.mustDial(t)
			ended.Go(func() {
				start.Done()
				start.Wait()
				_, _ = c.Write(append(connect3("same", true), packet(0x82, "\x00\x01"+field("news")+"\x00")...)) // an error shows in reading
				r := bufio.NewReader(c)
				if _, err := io.ReadFull(r, make([]byte, 4+5)); err == nil { // CONNACK and SUBACK
					reports <- report{i, "subscribed"}
				}
				if first, err := r.ReadByte(); err == nil && first == 0x30 {
					reports <- report{i, "heard"}
				}
				_, _ = io.Copy(io.Discard, r) // until the connection ends
				reports <- report{i, "dead"}
			})
			ended.Go(func() { <-end; _ = c.Close() })
		}
		dead, subscribed := map[int]bool{}, map[int]bool{}
		timeout := time.After(time.Minute)
		for heard := false; !heard; {
			select {
			case one := <-reports:
				switch one.word {
				case "dead":
					dead[one.conn] = true
				case "subscribed":
					subscribed[one.conn] = true
				case "heard":
					heard = true
				}
				last := -1
				for i := range all {
					if !dead[i] {
						last = i
					}
				}
				if len(dead) == all-1 && subscribed[last] && !heard {
					<-publisher.Publish("news", 0, false, "x").Done()
				}
				heard = heard || len(dead) == all
			case <-timeout:
				t.Fatalf("round %d: %d of %d connections ended, expected all but one, which hears what is published", round, len(dead), all)
			}
		}
		if len(dead) == all {
			t.Fatalf("round %d: all connections ended, expected one to live", round)
		}
		close(end)
		ended.Wait()
	}
}
