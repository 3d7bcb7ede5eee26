package paho3

import "github.com/eclipse/paho.mqtt.golang/packets"

// A nullStore stores nothing. Paho stores each packet until it is acknowledged, to send it again on another connection;
// here a client has one connection only, and the outbox of the session keeps what is to be sent again.
type nullStore struct{}

func (nullStore) Open()                             {}
func (nullStore) Put(string, packets.ControlPacket) {}
func (nullStore) Get(string) packets.ControlPacket  { return nil }
func (nullStore) All() []string                     { return nil }
func (nullStore) Del(string)                        {}
func (nullStore) Close()                            {}
func (nullStore) Reset()                            {}
