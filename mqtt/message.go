// Package mqtt is the part of MQTT that the program speaks: messages, the names of its topics, and the queue of
// what waits to be published. It opens no connection; package mqttpaho does.
//
// A [Tree] makes and reads every topic name, so no other package puts one together. An [Outbox] keeps outgoing
// messages in order and bounded, whatever the broker does.
package mqtt

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// A Message is one MQTT message. Everything is sent and subscribed with quality of service 1.
type Message struct {
	Topic   string
	Payload []byte

	// Retained says of an incoming message that the broker had kept it, and asks the broker to keep an outgoing one.
	Retained bool
}

// A Publisher takes messages for the broker.
type Publisher interface {
	// Publish never blocks. False means that the message will not be sent: its topic or size is refused, its queue is
	// full, or the session is over. The payload must not be changed afterwards.
	Publish(Message) bool
}

// MaxPublish is the longest payload, in bytes, that is handed to a broker. Brokers close the connection on what is
// too large for them, and a client that sends it again on the next connection never recovers; 64 KiB is far below
// the limits brokers have out of the box and far above what this program has to say.
const MaxPublish = 64 << 10

// MaxTopic is the longest topic name, in bytes. MQTT allows 65535; some brokers take no more than 256 (AWS IoT
// Core: "message broker and protocol limits").
const MaxTopic = 256

// Check says why a message is not fit to be published, or returns nil.
func (m Message) Check() error {
	if err := CheckTopic(m.Topic); err != nil {
		return err
	}
	if len(m.Payload) > MaxPublish {
		return fmt.Errorf("mqtt: payload for %q has %d bytes, want at most %d", m.Topic, len(m.Payload), MaxPublish)
	}
	return nil
}

// CheckTopic says why a message cannot be published on topic, or returns nil. Brokers close the connection of a
// client that publishes on a bad topic, so this is asked before anything is sent.
//
// A good topic has 1 to [MaxTopic] bytes of UTF-8, none of the wildcards + and #, no control characters, none of the
// 66 code points that Unicode calls noncharacters, and does not begin with $, which belongs to the broker (MQTT 3.1.1,
// sections 1.5.3, 4.7.1 and 4.7.2).
func CheckTopic(topic string) error {
	switch {
	case topic == "":
		return errors.New("mqtt: topic is empty")
	case len(topic) > MaxTopic:
		return fmt.Errorf("mqtt: topic %q… has %d bytes, want at most %d", topic[:32], len(topic), MaxTopic)
	case !utf8.ValidString(topic):
		return fmt.Errorf("mqtt: topic %q is not UTF-8", topic)
	case topic[0] == '$':
		return fmt.Errorf("mqtt: topic %q begins with $, which belongs to the broker", topic)
	}
	if i := strings.IndexFunc(topic, forbidden); i >= 0 {
		return fmt.Errorf("mqtt: topic %q: offset %d: want no +, no #, no control character", topic, i)
	}
	return nil
}

// forbidden says of a character that no topic name may contain it.
func forbidden(r rune) bool {
	return r == '+' || r == '#' || unicode.IsControl(r) || noncharacter(r)
}

// noncharacter says whether Unicode set r aside for ever; brokers that check UTF-8 strictly refuse these.
func noncharacter(r rune) bool {
	return r >= 0xFDD0 && r <= 0xFDEF || r&0xFFFE == 0xFFFE
}
