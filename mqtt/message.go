// Package mqtt holds what the program knows of MQTT without a connection: messages, topic names, and the queue of
// messages that wait to be published. Package session keeps the connection to a broker.
//
// A [Tree] makes and reads every topic name. An [Outbox] keeps outgoing messages in order and bounded, whatever the
// broker does.
package mqtt

import (
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// A Message is one MQTT message. All messages are sent and subscribed with quality of service 1.
type Message struct {
	Topic   string
	Payload []byte

	// Retained reports that the broker had stored an incoming message, and asks the broker to store an outgoing one.
	Retained bool

	// Expires is the time after which an outgoing message is dropped instead of being sent, for messages that are of
	// no use later, such as events. Zero: it waits for as long as it takes.
	Expires time.Time
}

// expired reports whether m is too old to be sent. The monotonic clock stands still while a machine sleeps and the wall
// clock may be set back, so the one that is ahead counts.
func (m *Message) expired(now time.Time) bool {
	return !m.Expires.IsZero() && (now.After(m.Expires) || now.Round(0).After(m.Expires.Round(0)))
}

// A Publisher takes messages for the broker.
type Publisher interface {
	// Publish never blocks. False means that the message will not be sent: its topic or size is refused, its queue is
	// full, or the session has ended. The payload must not be changed afterwards.
	Publish(Message) bool
}

// MaxPublish is the longest payload, in bytes, that is handed to a broker. Brokers close the connection on what is
// too large for them, and a client that sends it again on the next connection never recovers; 64 KiB is far below
// the default limits of brokers and far above what this program publishes.
const MaxPublish = 64 << 10

// MaxTopic is the longest topic name, in bytes. MQTT allows 65535; some brokers take no more than 256 (AWS IoT
// Core: "message broker and protocol limits").
const MaxTopic = 256

// Check returns why a message cannot be published, or nil.
func (m Message) Check() error {
	if err := CheckTopic(m.Topic); err != nil {
		return err
	}
	if len(m.Payload) > MaxPublish {
		return fmt.Errorf("mqtt: payload for %q has %d bytes, expected at most %d", m.Topic, len(m.Payload), MaxPublish)
	}
	return nil
}

// CheckTopic returns why a message cannot be published on topic, or nil. Brokers close the connection of a client that
// publishes on an invalid topic, so this is checked before anything is sent.
//
// A valid topic has 1 to [MaxTopic] bytes of UTF-8, none of the wildcards + and #, no control characters, none of the
// 66 code points that Unicode calls noncharacters, and does not begin with $, which belongs to the broker (MQTT 3.1.1,
// sections 1.5.3, 4.7.1 and 4.7.2).
func CheckTopic(topic string) error {
	switch {
	case topic == "":
		return errors.New("mqtt: topic is empty")
	case len(topic) > MaxTopic:
		return fmt.Errorf("mqtt: topic %q… has %d bytes, expected at most %d", topic[:32], len(topic), MaxTopic)
	case !utf8.ValidString(topic):
		return fmt.Errorf("mqtt: topic %q is not UTF-8", topic)
	case topic[0] == '$':
		return fmt.Errorf("mqtt: topic %q begins with $, which belongs to the broker", topic)
	}
	if i := strings.IndexFunc(topic, forbidden); i >= 0 {
		return fmt.Errorf("mqtt: topic %q: offset %d: expected no +, no #, no control character", topic, i)
	}
	return nil
}

// forbidden reports whether no topic name may contain r.
func forbidden(r rune) bool {
	return r == '+' || r == '#' || unicode.IsControl(r) || noncharacter(r)
}

// noncharacter reports whether r is one of Unicode's noncharacters; brokers that check UTF-8 strictly refuse them.
func noncharacter(r rune) bool {
	return r >= 0xFDD0 && r <= 0xFDEF || r&0xFFFE == 0xFFFE
}
