package bridge

import (
	"fmt"
	"strings"
	"sync"
	"time"
)

// A groupResult collects the answers of a group's members to one command.
type groupResult struct {
	group    string
	members  []string // in the group's order
	message  message
	argument string
	received time.Time

	mu    sync.Mutex
	codes map[string]Code // of the members that have answered; guarded by mu
	ok    int             // how many of them are OK; guarded by mu
}

// newGroupResult returns a result to which all members are still to add theirs. secret says that the argument is not to be
// shown.
func newGroupResult(group string, members []string, m message, secret bool, now time.Time) *groupResult {
	g := &groupResult{group: group, members: members, message: m, received: now, codes: make(map[string]Code, len(members))}
	if secret {
		g.message.hideName()
	}
	if g.argument = m.shownArgument(); secret && g.argument != "" {
		g.argument = mask
	}
	return g
}

// refuseGroup answers a command for a group as a whole: no member gets it, and none has a result.
func (b *Bridge) refuseGroup(g *groupResult, code Code, message string) {
	now := time.Now()
	b.publishSummary(Summary{
		ID: g.message.id, Group: g.group, Command: g.message.name, Argument: g.argument, Code: code, Message: message,
		Members: map[string]Code{}, DurationMS: now.Sub(g.received).Milliseconds(), Time: Time{Time: now},
	})
	b.cfg.Observe.Result(Result{Code: code})
}

// add notes a member's answer, and returns the summary when it was the last one.
func (g *groupResult) add(r *Result) (Summary, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.codes[r.Phone] = r.Code
	if r.OK {
		g.ok++
	}
	if len(g.codes) < len(g.members) {
		return Summary{}, false
	}
	return g.summary(r.Time), true
}

// summary is the group's answer. Its code is that of the first member, in the group's order,
// that was not ok.
func (g *groupResult) summary(now Time) Summary {
	s := Summary{
		ID: g.message.id, Group: g.group, Command: g.message.name, Argument: g.argument,
		OK: g.ok == len(g.members), Code: OK, Members: g.codes,
		DurationMS: now.Sub(g.received).Milliseconds(), Time: now,
	}
	var not []string
	for _, m := range g.members {
		if c := g.codes[m]; c != OK {
			if s.Code == OK {
				s.Code = c
			}
			not = append(not, fmt.Sprintf("%s %s", m, c))
		}
	}
	if len(not) > 0 {
		const most = 10
		if more := len(not) - most; more > 0 {
			not = append(not[:most], fmt.Sprintf("and %d more", more))
		}
		s.Message = fmt.Sprintf("%d of %d ok; %s", g.ok, len(g.members), strings.Join(not, ", "))
	}
	return s
}
