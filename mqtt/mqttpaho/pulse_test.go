package mqttpaho

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestPulse(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		lost, failed := make(chan struct{}), 0
		beating, stopped := pulse{began: time.Now()}, pulse{began: time.Now()}
		go beating.run(lost, func() { failed++ })
		time.Sleep(time.Hour)
		if beating.missed() || failed != 0 {
			t.Error("a pulse that beats has missed a beat")
		}
		if !stopped.missed() {
			t.Error("a pulse that nobody runs has missed nothing")
		}
		stopped.last.Store(int64(time.Hour)) // it beats again
		if !stopped.missed() {
			t.Error("a pulse forgets that it has missed beats")
		}
		close(lost)
		synctest.Wait()

		late := pulse{began: time.Now()}
		time.Sleep(time.Minute) // as when the process is stopped before its first beat
		go late.run(make(chan struct{}), func() { failed++ })
		time.Sleep(time.Minute)
		synctest.Wait()
		if failed != 1 {
			t.Errorf("a pulse that missed beats says so %d times, want once", failed)
		}
	})
}
