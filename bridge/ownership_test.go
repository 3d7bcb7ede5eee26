package bridge

import "testing"

// TestClaimStepByStep walks through what may be read on a phone's owner topic.
func TestClaimStepByStep(t *testing.T) {
	t.Parallel()
	online := func(instance string) func(claim) (claim, bool) {
		return func(c claim) (claim, bool) { return c.online(instance) }
	}
	live := func(instance, owner string) func(claim) (claim, bool) {
		return func(c claim) (claim, bool) { return c.read(instance, owner, false) }
	}
	kept := func(instance, owner string) func(claim) (claim, bool) {
		return func(c claim) (claim, bool) { return c.read(instance, owner, true) }
	}
	type step = func(claim) (claim, bool)
	tests := []struct {
		name  string
		steps []step
		state claimState
		said  int // how often this bridge's claim was published
	}{
		{"nothing known", nil, claimOpen, 0},
		{"claimed", []step{online("a")}, claimMade, 1},
		{"claimed and read back", []step{online("a"), live("a", "a")}, claimHeld, 1},
		{"ours from before", []step{kept("a", "a"), online("a")}, claimMade, 1},
		{"another's", []step{kept("a", "b")}, claimLost, 0},
		{"another's at the next connection too", []step{kept("a", "b"), online("a")}, claimLost, 0},
		{"two at once, second", []step{online("a"), live("a", "b"), live("a", "a")}, claimLost, 1},
		{"two at once, first", []step{online("a"), live("a", "a"), live("a", "b")}, claimHeld, 2},
		{"moved while the bridge was away", []step{online("a"), live("a", "a"), kept("a", "b")}, claimLost, 1},
		{"cleared", []step{kept("a", "b"), live("a", "")}, claimMade, 1},
		{"ours was cleared", []step{online("a"), live("a", "a"), live("a", "")}, claimMade, 2},
		{"what this bridge said last, and no other one holds", []step{kept("a", "b"), kept("a", "a")}, claimHeld, 0},
		{"a quarrel, first by name", []step{online("a"), live("a", "a"), live("a", "b"), live("a", "b"), live("a", "b"), live("a", "b")}, claimHeld, 5},
		{"a quarrel, last by name", []step{online("b"), live("b", "b"), live("b", "a"), live("b", "a"), live("b", "a"), live("b", "a")}, claimLost, 4},
		{"no instance claims nothing", []step{online(""), live("", "")}, claimOpen, 0},
		{"no instance gives way", []step{online(""), live("", "b")}, claimLost, 0},
		{"no instance, cleared", []step{live("", "b"), live("", "")}, claimOpen, 0},
	}
	for _, tt := range tests {
		var c claim
		said := 0
		for _, s := range tt.steps {
			var say bool
			if c, say = s(c); say {
				said++
			}
		}
		if c.state != tt.state || said != tt.said || (c.holder != "") != (c.state == claimLost) {
			t.Errorf("%s: %+v and said %d times, expected state %d and %d", tt.name, c, said, tt.state, tt.said)
		}
	}
}

// TestAQuarrelEnds lets two bridges that both hold a phone read each other's claims in every order:
// in the end one of them serves it.
func TestAQuarrelEnds(t *testing.T) {
	t.Parallel()
	for order := range 1 << 12 {
		names := [2]string{"a", "b"}
		sides := [2]claim{{state: claimHeld}, {state: claimHeld}}
		waiting := [2]int{1, 0} // claims of the other that each has not read yet: b has spoken
		for n := 0; waiting[0]+waiting[1] > 0; n++ {
			if n == 100 {
				t.Fatalf("order %b: the quarrel does not end: %+v", order, sides)
			}
			i := order >> (n % 12) & 1
			if waiting[i] == 0 {
				i = 1 - i
			}
			waiting[i]--
			var say bool
			if sides[i], say = sides[i].read(names[i], names[1-i], false); say {
				waiting[1-i]++
			}
		}
		if (sides[0].state == claimHeld) == (sides[1].state == claimHeld) {
			t.Errorf("order %b: %+v, expected one that holds the phone", order, sides)
		}
	}
}
