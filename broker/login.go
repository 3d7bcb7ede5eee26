package broker

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"

	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/snom2mqtt/snom2mqtt/internal/netlimit"
)

// login reads the CONNECT packet of a client and checks it, before the server takes any memory for the client: the
// server would allocate what the packet claims, and a queue of 128 KiB (mochi-mqtt/server#502). Where the client is
// let in, the server reads the packet once more.
func (b *Broker) login(ctx context.Context, c *conn) error {
	raw, pk, err := readConnect(c)
	if err != nil {
		return err
	}
	c.replay = raw
	if err := b.authenticate(ctx, c, &pk); err != nil {
		return err
	}
	id := pk.Connect.ClientIdentifier
	switch {
	case pk.Connect.WillFlag && !validWill(pk.Connect.WillTopic):
		b.limited.Log(slog.LevelWarn, "will", "client with a last will for a topic that it must not write", "from", c.from())
		return c.refuse(pk, packets.ErrNotAuthorized)
	case c.own:
		b.mu.Lock()
		b.own = id
		b.mu.Unlock()
		return nil
	case id == mochi.InlineClientId || id != "" && id == b.ownID():
		// A client that connects with the id of another one ends that client's session (mochi-mqtt/server#398).
		b.limited.Log(slog.LevelWarn, "client id", "client with the client id of the bridge refused", "from", c.from())
		return c.refuse(pk, packets.ErrClientIdentifierNotValid)
	case !b.room(id) || !c.admit():
		b.limited.Log(slog.LevelWarn, "sessions", "client refused: too many are connected", "from", c.from())
		return c.refuse(pk, packets.ErrServerUnavailable)
	}
	return nil
}

func (b *Broker) ownID() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.own
}

// authenticate checks the user name and password of a client, and refuses it where they are wrong.
func (b *Broker) authenticate(ctx context.Context, c *conn, pk *packets.Packet) error {
	if b.open {
		return nil
	}
	if !c.own {
		switch err := b.guesses.Wait(ctx, c.RemoteAddr()); {
		case errors.Is(err, netlimit.ErrGuesses):
			b.limited.Log(slog.LevelWarn, "guesses", "too many wrong passwords from one address; logins are slowed down", "from", c.from())
			return c.refuse(*pk, packets.ErrServerUnavailable)
		case err != nil:
			return err
		}
	}
	user, password := sha256.Sum256(pk.Connect.Username), sha256.Sum256(pk.Connect.Password)
	if subtle.ConstantTimeCompare(user[:], b.user[:])&subtle.ConstantTimeCompare(password[:], b.password[:]) == 1 {
		return nil
	}
	b.guesses.Wrong(c.RemoteAddr())
	b.limited.Log(slog.LevelWarn, "password", "client with wrong user name or password", "from", c.from())
	return c.refuse(*pk, packets.ErrBadUsernameOrPassword)
}

// validWill reports whether a client may have a last will for a topic. The server does not check it.
func validWill(topic string) bool {
	return topic != "" && !strings.HasPrefix(topic, "$") && fits(topic) && mochi.IsValidFilter(topic, true)
}

// sessions returns how many sessions there are, the bridge's own not counted.
func (b *Broker) sessions() int {
	n := b.server.Clients.Len() - 1 // the inline client of Publish and Watch
	if _, ok := b.server.Clients.Get(b.ownID()); ok {
		n--
	}
	return n
}

// room makes room for the session of a client, where it has none yet: sessions of clients that went away end, the
// oldest first. It reports whether there is room.
func (b *Broker) room(id string) bool {
	if _, ok := b.server.Clients.Get(id); ok {
		return true
	}
	for b.sessions() >= maxSessions {
		var oldest *mochi.Client
		for _, cl := range b.server.Clients.GetAll() {
			if t := cl.StopTime(); t > 0 && (oldest == nil || t < oldest.StopTime()) {
				oldest = cl
			}
		}
		if oldest == nil {
			return false
		}
		b.expire(oldest)
	}
	return true
}

// expire ends the session of a client that is away.
func (b *Broker) expire(cl *mochi.Client) {
	b.server.UnsubscribeClient(cl)
	cl.ClearInflights()
	b.server.Clients.Delete(cl.ID)
	b.budgets.forget(cl.ID)
}

var errConnect = errors.New("the first packet is no CONNECT, or too large")

// readConnect reads the first packet of a connection, and returns all that it read. Memory is taken for what arrived,
// not for what the packet claims.
func readConnect(r io.Reader) (raw []byte, pk packets.Packet, err error) {
	buf := make([]byte, 0, 512)
	for {
		if header, length, ok := connectLength(buf); !ok || length > maxConnect {
			return nil, pk, errConnect
		} else if header > 0 && len(buf) >= header+length {
			pk.FixedHeader = packets.FixedHeader{Type: packets.Connect, Remaining: length}
			if err := pk.ConnectDecode(append([]byte(nil), buf[header:header+length]...)); err != nil {
				return nil, pk, fmt.Errorf("CONNECT: %w", err)
			}
			return buf, pk, nil
		}
		if len(buf) == cap(buf) {
			buf = append(buf, 0)[:len(buf)]
		}
		n, err := r.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		if err != nil {
			return nil, pk, err
		}
	}
}

// connectLength reads the fixed header of a CONNECT packet: its own length, 0 while it is not complete, and that of the
// rest. It is not ok where this is no CONNECT packet.
func connectLength(buf []byte) (header, length int, ok bool) {
	if len(buf) > 0 && buf[0] != packets.Connect<<4 {
		return 0, 0, false
	}
	for i := 1; i < len(buf); i++ {
		if i > 4 {
			return 0, 0, false
		}
		length |= int(buf[i]&0x7f) << (7 * (i - 1))
		if buf[i] < 0x80 {
			return i + 1, length, true
		}
	}
	return 0, 0, true
}
