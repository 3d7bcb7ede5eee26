package session

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

func TestWebsocketText(t *testing.T) {
	t.Parallel()
	up := websocket.Upgrader{}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := up.Upgrade(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		defer c.Close()
		if err := c.WriteMessage(websocket.TextMessage, []byte("hello")); err != nil {
			t.Error(err)
		}
	}))
	defer s.Close()
	c, _, err := websocket.DefaultDialer.DialContext(t.Context(), strings.Replace(s.URL, "http", "ws", 1), nil)
	if err != nil {
		t.Fatal(err)
	}
	ws := &wsConn{Conn: c}
	if err := ws.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Error(err)
	}
	if _, err := ws.Read(make([]byte, 1)); err == nil || !strings.Contains(err.Error(), "expected binary") {
		t.Errorf("Read() = %v, expected an error about text", err)
	}
	ws.Close()
	if _, err := ws.Write([]byte("x")); err == nil {
		t.Error("Write() on a closed websocket: no error")
	}
}
