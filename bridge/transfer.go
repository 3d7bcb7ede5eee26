package bridge

import (
	"fmt"
	"time"

	"github.com/snom2mqtt/snom2mqtt/snom"
)

// A transfer is the attended transfer under way on a phone, if there is one.
type transfer struct {
	snom.Transfer
	at   time.Time // when it was started
	half bool      // it failed between two of its requests: the call may be on hold, and there may be no other
}

// planTransfer finds out the state of the transfer after c, if c is carried out. The error says why c makes no sense now.
func (c *command) planTransfer(p pacedPhone, now time.Time) error {
	step, ok := c.command.Transfer()
	if !ok {
		if c.effects.EndsCalls || c.effects.EndsCall || c.effects.Transfers {
			c.transfer = new(transfer) // whatever was under way is over
		}
		return nil
	}
	var is transfer
	if p.lane.transfer != nil {
		is = *p.lane.transfer
	}
	timeout := c.to.b.cfg.CallTimeout
	if is.at.Before(c.to.callsEnded()) {
		is = transfer{} // its calls are over
	}
	if is.half && is.UnderWay(now, timeout) && step.Kind == snom.TransferComplete {
		return fmt.Errorf("%w: its start failed half way: cancel it", snom.ErrNoTransfer)
	}
	next, err := is.Next(step, now, timeout)
	c.transfer = &transfer{Transfer: next, at: now}
	return err
}

// failTransfer notes that a request of c failed. A start of which something was sent is half a transfer, which can be
// cancelled.
func (c *command) failTransfer(p pacedPhone) {
	step, ok := c.command.Transfer()
	certain := c.sent == 0 && c.result.Code != Timeout // nothing of it was carried out
	if ok && step.Kind == snom.TransferStart && !certain {
		c.transfer.half = true
		p.lane.transfer = c.transfer
	}
}

// callsEnded is when the phone was last known to have had fewer than the two calls that a transfer joins, after it had
// had them, or to have had none.
func (p *phone) callsEnded() time.Time {
	p.state.mu.Lock()
	defer p.state.mu.Unlock()
	return p.state.callsEnded
}
