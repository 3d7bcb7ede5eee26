package mqttpaho

import "github.com/eclipse/paho.mqtt.golang/packets"

// A forgetful store keeps nothing. Paho keeps every packet until it is acknowledged, to send it again on another
// connection; here a client has one connection only, and what is to be sent again is in the outbox.
type forgetful struct{}

func (forgetful) Open()                             {}
func (forgetful) Put(string, packets.ControlPacket) {}
func (forgetful) Get(string) packets.ControlPacket  { return nil }
func (forgetful) All() []string                     { return nil }
func (forgetful) Del(string)                        {}
func (forgetful) Close()                            {}
func (forgetful) Reset()                            {}
