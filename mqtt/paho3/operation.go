package paho3

import (
	"slices"

	"github.com/snom2mqtt/snom2mqtt/mqtt/session"
)

// An operation is a SUBSCRIBE or UNSUBSCRIBE that the broker has not answered yet.
type operation struct {
	id      uint16
	filters []string // of SUBSCRIBE
	done    chan struct{}

	// Not to be read before done is closed.

	codes []byte // of SUBACK
	err   error
}

var _ session.Subscribing = (*operation)(nil)

// Done is [session.Pending].
func (o *operation) Done() <-chan struct{} { return o.done }

// Error is [session.Pending].
func (o *operation) Error() error { return o.err }

// Granted is [session.Subscribing].
func (o *operation) Granted(filter string) bool {
	i := slices.Index(o.filters, filter)
	return i >= 0 && i < len(o.codes) && o.codes[i] <= 2 // MQTT 3.1.1, section 3.9.3
}

// An awaited answer is that of a packet identifier: to an operation, or to a message.
type awaited struct {
	operation    *operation // nil: it is a message
	acknowledged func()     // of a message
}

// begin gives o a packet identifier that is not in use. On a connection that has ended, o fails at once.
func (c *conn) begin(o *operation) *operation {
	o.done = make(chan struct{})
	if id, ok := c.await(awaited{operation: o}); ok {
		o.id = id
	} else {
		o.err = c.err
		close(o.done)
	}
	return o
}

// await returns a packet identifier that is not in use, under which a is awaited. False: the connection has ended.
func (c *conn) await(a awaited) (id uint16, ok bool) {
	c.operations.Lock()
	defer c.operations.Unlock()
	if c.pending == nil {
		return 0, false
	}
	for used := true; used; { // the session has few of them
		if c.lastID++; c.lastID != 0 {
			_, used = c.pending[c.lastID]
		}
	}
	c.pending[c.lastID] = a
	return c.lastID, true
}

// end ends what awaits the answer with a packet identifier, if anything does.
func (c *conn) end(id uint16, codes []byte) {
	c.operations.Lock()
	a := c.pending[id]
	delete(c.pending, id)
	c.operations.Unlock()
	switch {
	case a.acknowledged != nil:
		a.acknowledged()
	case a.operation != nil:
		a.operation.codes = codes
		close(a.operation.done)
	}
}

// abandon ends all operations, since the connection has ended.
func (c *conn) abandon(err error) {
	c.operations.Lock()
	defer c.operations.Unlock()
	for _, a := range c.pending {
		if a.operation != nil {
			a.operation.err = err
			close(a.operation.done)
		}
	}
	c.pending = nil
}
