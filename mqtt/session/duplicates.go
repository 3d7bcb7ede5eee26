package session

import "hash/maphash"

// duplicates recognizes messages that the broker sends again on one connection. The session is clean, so a message with
// the DUP flag is one that this connection has received before: its acknowledgement was late, or crossed the second
// copy on its way (NATS sends again after 30 seconds). It must not be carried out a second time.
//
// The flag alone does not prove it: some brokers pass on the flag of the publisher, which MQTT 3.1.1 forbids (section
// 3.3.1.1). So the topic and payload of the message that last had the same packet id are compared, by a hash.
//
// Only the goroutine that receives messages uses it. A page is made when a packet id in it is first used.
type duplicates struct {
	seed  maphash.Seed
	pages [256]*[256]uint32 // hash of the last message with each packet id; 0: none
}

func newDuplicates() *duplicates { return &duplicates{seed: maphash.MakeSeed()} }

// seen reports whether m was received before, and remembers it.
func (d *duplicates) seen(m Delivery) bool {
	id := m.MessageID()
	if id == 0 {
		return false // QoS 0: never sent again
	}
	page := d.pages[id>>8]
	if page == nil {
		page = new([256]uint32)
		d.pages[id>>8] = page
	}
	var h maphash.Hash
	h.SetSeed(d.seed)
	_, _ = h.Write(m.Topic())
	_ = h.WriteByte(0)
	_, _ = h.Write(m.Payload()) // never fails
	sum := uint32(h.Sum64()) | 1
	last := page[id&0xff]
	page[id&0xff] = sum
	return m.Duplicate() && last == sum
}
