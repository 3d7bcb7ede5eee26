package paho3

import (
	"context"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"

	"github.com/snom2mqtt/snom2mqtt/mqtt"
	"github.com/snom2mqtt/snom2mqtt/mqtt/session"
)

const (
	keepAlive    = time.Minute
	pingTimeout  = time.Second
	writeTimeout = time.Second
)

// connect returns a connection to a broker that accepts it, and the broker's end of the network connection.
func connect(t *testing.T) (session.Conn, net.Conn) {
	t.Helper()
	return connectTo(t, func(session.Delivery) {})
}

// connectTo is connect for a receiver of messages.
func connectTo(t *testing.T, receive func(session.Delivery)) (session.Conn, net.Conn) {
	t.Helper()
	near, far := net.Pipe()
	go func() {
		if _, err := packets.ReadPacket(far); err != nil {
			t.Error(err)
		}
		if err := packets.NewControlPacket(packets.Connack).Write(far); err != nil {
			t.Error(err)
		}
	}()
	c, err := Driver{}.Connect(t.Context(), near, session.ConnectOptions{
		ClientID: "test", KeepAlive: keepAlive, PingTimeout: pingTimeout, WriteTimeout: writeTimeout,
		Will: mqtt.Message{Topic: "will"}, Receive: receive,
	})
	if err != nil {
		t.Fatal(err)
	}
	return c, far
}

// A broker that sends a message while the client disconnects must receive DISCONNECT all the same, and so
// the connection stays open until the broker has closed it: else it publishes the will.
func TestDisconnectIsNotLost(t *testing.T) {
	t.Parallel()
	for _, closes := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			c, far := connect(t)
			left := make(chan struct{})
			began := time.Now()
			go func() { c.Disconnect(3 * time.Second); close(left) }()
			p, err := packets.ReadPacket(far)
			if _, ok := p.(*packets.DisconnectPacket); !ok || err != nil {
				t.Fatalf("read %v, %v, expected DISCONNECT", p, err)
			}
			time.Sleep(closeTimeout / 2)
			late := packets.NewControlPacket(packets.Publish).(*packets.PublishPacket)
			late.TopicName, late.Payload = "snom/kitchen/dial", []byte("110")
			if err := late.Write(far); err != nil {
				t.Errorf("a message after DISCONNECT: %v, expected the connection to be open", err)
			}
			if closes {
				far.Close()
			}
			<-left
			if took := time.Since(began); took > closeTimeout {
				t.Errorf("disconnecting took %v, expected at most %v", took, closeTimeout)
			}
			if _, err := far.Read(make([]byte, 1)); err == nil {
				t.Error("the connection is still open")
			}
			<-c.Lost()
			synctest.Wait()
		})
	}
}

// A server that does not speak MQTT is named for what it speaks.
func TestConnectToOtherServers(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, answer, want string }{
		{"TLS alert", "\x15\x03\x01\x00\x02\x02\x46", "the server speaks TLS on this port: use ssl:// (or wss://) in the broker URL"},
		{"TLS handshake", "\x16\x03\x03\x00\x7a", "the server speaks TLS on this port: use ssl:// (or wss://) in the broker URL"},
		{"HTTP", "HTTP/1.1 400 Bad Request\r\n\r\n", "the server speaks HTTP on this port: use the port for MQTT, or ws:// for MQTT over websockets"},
		{"credentials", "\x20\x02\x00\x04", session.ErrCredentials.Error()},
		{"not authorized", "\x20\x02\x00\x05", session.ErrNotAuthorized.Error()},
		{"nothing", "", io.EOF.Error()},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				near, far := net.Pipe()
				go func() {
					_, _ = packets.ReadPacket(far) // CONNECT
					_, _ = io.WriteString(far, tt.answer)
					far.Close()
				}()
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				_, err := Driver{}.Connect(ctx, near, session.ConnectOptions{ClientID: "test", WriteTimeout: time.Second})
				if err == nil || err.Error() != tt.want {
					t.Errorf("Connect() = %v, expected %q", err, tt.want)
				}
				synctest.Wait()
			})
		})
	}
}
