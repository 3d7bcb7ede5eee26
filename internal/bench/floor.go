package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
)

// The floors are what a command costs at least on this machine, with any bridge: the way through the broker and
// back, and a request to a phone on a connection of its own with a digest challenge that is known.

// echo is a process that publishes what it gets: the way through the broker and back.
func echo(broker string) error {
	c, err := newClient(broker, "bench-echo", "echo/+/dial")
	if err != nil {
		return err
	}
	var topic, result []byte
	return say(c, "echo", func(t, payload []byte) {
		topic = append(append(topic[:0], bytes.TrimSuffix(t, []byte("dial"))...), "result"...)
		result = append(append(result[:0], bytes.TrimSuffix(payload, []byte("}"))...), `,"code":"ok"}`...)
		c.publish(topic, result)
	})
}

// say publishes that base is online, and serves c.
func say(c *client, base string, handle func(topic, payload []byte)) error {
	c.publish([]byte(base+"/bridge/state"), []byte("online"))
	return c.serve(handle)
}

// least is a process that is the least bridge there can be: a queue and a goroutine for each phone, no check of
// anything, no answer but the id. What it costs more than the floors is what a bridge written in Go cannot save.
//
// Where it hears phones, it says on MQTT that they called: the least way of an event.
func least(broker string, port int, hears string) error {
	c, err := newClient(broker, "bench-least", "least/+/dial")
	if err != nil {
		return err
	}
	if hears != "" {
		l, err := net.Listen("tcp", hears)
		if err != nil {
			return err
		}
		go leastReceiver(c, l) // ends with the process
	}
	queues := map[string]chan uint64{}
	return say(c, "least", func(topic, payload []byte) {
		_, rest, _ := bytes.Cut(payload, []byte(`"id":"`))
		id := number(leadingDigits(rest))
		name := strings.Split(string(topic), "/")[1]
		q := queues[name]
		if q == nil {
			q = make(chan uint64, 64)
			queues[name] = q
			go leastWorker(c, name, port, q) // ends with the process
		}
		q <- id
	})
}

func leastWorker(c *client, name string, port int, queue <-chan uint64) {
	i, _ := strconv.Atoi(strings.TrimLeft(name[1:], "0")) // a name of this program; nothing is left of 0
	p := newCaller(phoneAddr(i, port))
	for id := range queue {
		code := "ok"
		if err := p.dial(id); err != nil {
			code = "failed"
		}
		c.publish([]byte("least/"+name+"/result"), fmt.Appendf(nil, `{"id":"%d","code":"%s"}`, id, code))
		_ = c.flush() // an error ends the process elsewhere
	}
}

// leastReceiver takes what phones report.
func leastReceiver(c *client, l net.Listener) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		go func() { // ends with the request
			defer conn.Close()
			buf := make([]byte, 1024)
			n, err := conn.Read(buf)
			if err != nil {
				return
			}
			if _, err := conn.Write([]byte(done)); err != nil {
				return
			}
			_, rest, _ := bytes.Cut(buf[:n], []byte("/a/"))
			name, rest, _ := bytes.Cut(rest, []byte("/"))
			_, rest, _ = bytes.Cut(rest, []byte("call-id="))
			c.publish(fmt.Appendf(nil, "least/%s/event", name), fmt.Appendf(nil, `{"event_type":"offhook","call_id":"%s"}`, leadingDigits(rest)))
			_ = c.flush() // an error ends the process elsewhere
		}()
	}
}

// A caller makes requests to one phone, with a digest challenge that is known, on a fresh connection each.
type caller struct {
	addr   string
	secret string
	nc     int
	buf    []byte
}

func newCaller(addr string) *caller {
	return &caller{addr: addr, secret: hexMD5(username + ":" + realm + ":" + password), buf: make([]byte, 512)}
}

// dial has the phone dial a number.
func (p *caller) dial(n uint64) error {
	p.nc++
	nc := fmt.Sprintf("%08x", p.nc)
	uri := "/command.htm?number=" + strconv.FormatUint(n, 10)
	request := fmt.Appendf(nil, "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: keep-alive\r\nAuthorization: Digest username=%q, realm=%q, "+
		"nonce=%q, uri=%q, response=%q, algorithm=MD5, qop=auth, nc=%s, cnonce=\"bench\"\r\n\r\n",
		uri, p.addr, username, realm, nonce, uri, digest(p.secret, uri, nc, "bench"), nc)
	conn, err := (&net.Dialer{KeepAlive: -1}).Dial("tcp4", p.addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, err := conn.Write(request); err != nil {
		return err
	}
	read, err := conn.Read(p.buf)
	if err != nil {
		return err
	}
	if !bytes.HasPrefix(p.buf[:read], []byte("HTTP/1.1 200")) {
		return errors.New("not carried out")
	}
	return nil
}

// oneWay measures the way through the broker to another connection of this process.
func (g *generator) oneWay(ctx context.Context, broker string, l load) (*run, error) {
	c, err := newClient(broker, "bench-oneway", "oneway/+/dial")
	if err != nil {
		return nil, err
	}
	var reading sync.WaitGroup
	reading.Go(func() {
		_ = c.serve(func(_, payload []byte) { // ends when it is closed
			g.result(numberAfter(payload, `"id"`), now(), true)
			_ = g.client.flush() // an error shows when nothing comes
		})
	})
	defer reading.Wait()
	defer c.close()
	l.base = "oneway"
	return g.carry(ctx, l)
}

// to is the address of the phone for the next requests.
func (p *caller) to(addr string) { p.addr = addr }

// A dialler makes requests to phones. A caller is one, and so is a libraryCaller.
type dialler interface {
	to(addr string)
	dial(number uint64) error
}

// http measures requests to phones, without any broker.
func (g *generator) http(ctx context.Context, l load, dialler func() dialler) (*run, error) {
	r := g.begin(l)
	g.mu.Lock()
	g.run = nil // no results to expect
	g.mu.Unlock()
	end := now() + int64(l.limit)
	var callers sync.WaitGroup
	for w := range l.outstanding {
		callers.Go(func() {
			p := dialler()
			for phone := w; ctx.Err() == nil; phone += l.outstanding {
				i := r.sent.Add(1) - 1
				if i >= int64(len(r.records)) || l.limit > 0 && now() > end {
					r.sent.Add(-1)
					return
				}
				rec := &r.records[i]
				rec.phone = int32(phone % l.phones)
				p.to(phoneAddr(int(rec.phone), g.phones.port))
				rec.sent = now()
				rec.ok = p.dial(r.first+uint64(i)) == nil
				rec.done, rec.said = now(), 1
			}
		})
	}
	callers.Wait()
	return r, nil
}
