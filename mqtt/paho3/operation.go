package paho3

import (
	"slices"

	"github.com/snom2mqtt/snom2mqtt/mqtt/session"
)

// An operation is a packet that the broker has not answered yet.
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

// begin gives o a packet identifier that is not in use. On a connection that has ended, o fails at once.
func (c *conn) begin(o *operation) *operation {
	o.done = make(chan struct{})
	c.operations.Lock()
	defer c.operations.Unlock()
	if c.pending == nil {
		o.err = c.err
		close(o.done)
		return o
	}
	for o.id == 0 || c.pending[o.id] != nil { // the session has few of them
		c.lastID++
		o.id = c.lastID
	}
	c.pending[o.id] = o
	return o
}

// end ends the operation of a packet identifier, if there is one.
func (c *conn) end(id uint16, codes []byte) {
	c.operations.Lock()
	defer c.operations.Unlock()
	if o := c.pending[id]; o != nil {
		delete(c.pending, id)
		o.codes = codes
		close(o.done)
	}
}

// abandon ends all operations, since the connection has ended.
func (c *conn) abandon(err error) {
	c.operations.Lock()
	defer c.operations.Unlock()
	for _, o := range c.pending {
		o.err = err
		close(o.done)
	}
	c.pending = nil
}
