package snom

import (
	"sync"
	"testing"
)

// TestTurnIsTakenByOne has more goroutines than one take a turn at the same time, again and again: each gets it, and no two
// have it at once.
func TestTurnIsTakenByOne(t *testing.T) {
	t.Parallel()
	const (
		goroutines = 8
		times      = 1000
	)
	var (
		one  turn
		held int // guarded by one: the race detector would report two that have it
		all  sync.WaitGroup
	)
	for range goroutines {
		all.Go(func() {
			for range times {
				for freed := one.take(); freed != nil; freed = one.take() {
					<-freed
				}
				held++
				one.give()
			}
		})
	}
	all.Wait()
	if held != goroutines*times {
		t.Errorf("the turn was taken %d times, expected %d", held, goroutines*times)
	}
}

// TestTurnTellsAllThatWait gives the turn back to two that wait: one gets it, and the other one waits again.
func TestTurnTellsAllThatWait(t *testing.T) {
	t.Parallel()
	var one turn
	if one.take() != nil {
		t.Fatal("a new turn is taken, expected free")
	}
	first, second := one.take(), one.take()
	select {
	case <-first:
		t.Fatal("the turn was given back, expected taken")
	default:
	}
	one.give()
	<-first
	<-second
	if one.take() != nil {
		t.Error("the turn is taken, expected free")
	}
	if one.take() == nil {
		t.Error("the turn is free, expected taken")
	}
}
