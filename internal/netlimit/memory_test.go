package netlimit

import (
	"net"
	"testing"
	"testing/synctest"
	"time"
)

// Guesses from any number of addresses are remembered for the last ones of them.
func TestGuessersAreBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var g Guesses
		addr := func(i int) net.Addr { return &net.TCPAddr{IP: net.IPv4(10, 0, byte(i>>8), byte(i)), Port: 1} }
		for i := range 3 * maxGuessers {
			g.Wrong(addr(i))
			time.Sleep(time.Millisecond)
		}
		if n := len(g.guessers); n != maxGuessers {
			t.Errorf("%d addresses are remembered, expected %d", n, maxGuessers)
		}
		if g.guessers[Source(addr(3*maxGuessers-1))] == nil {
			t.Error("the last address is not remembered")
		}
	})
}
