package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/snom2mqtt/snom2mqtt/discover"
	"github.com/snom2mqtt/snom2mqtt/snom"
)

// A search is what the flags of discover say.
type search struct {
	wait      time.Duration
	all, json bool
}

func (p *program) discoverCommand() *cobra.Command {
	s := search{}
	c := &cobra.Command{
		Use:   "discover [network...]",
		Short: "Find phones in the network, and print a phones file",
		Long: `Find Snom phones and print a phones file that lists them, with what is known of each
as comments. Nothing is changed and no login is tried.

A phone announces itself when it starts, by SIP plug and play (224.0.1.75): restart
phones while this runs. Announcements are never answered, since an answer would
provision the phone anew.

For each network that is named, such as 192.168.1.0/24, every address is asked, 64 at
a time, whether a Snom phone answers on port 80 or 443. Networks that are not private
need --any. A phone without announcement and outside these networks is not asked.

It ends after --wait and when all addresses were asked, or on SIGINT, and prints what was
found until then.

Exit codes: 0 done, also when no phone was found; 1 it could not listen and no network
is named; 2 wrong flags or networks.`,
		Example: `  snom2mqtt discover                    # then restart a phone
  snom2mqtt discover 192.168.1.0/24 > phones.yml
  snom2mqtt discover --json --wait 2m 192.168.1.0/24`,
		Args: rangeArgs(0, 256),
		RunE: func(c *cobra.Command, args []string) error {
			networks, err := discover.Networks(args, s.all)
			if err != nil {
				return seeHelp(c, err)
			}
			if s.wait < 0 || s.wait > time.Hour {
				return seeHelp(c, fmt.Errorf("--wait: expected 0s to 1h"))
			}
			if !c.Flags().Changed("wait") && len(networks) > 0 {
				s.wait = 5 * time.Second
			}
			return p.discover(c.Context(), s, networks)
		},
	}
	c.Flags().DurationVar(&s.wait, "wait", time.Minute, "how long announcements are awaited; 5s where networks are named")
	c.Flags().BoolVar(&s.all, "any", false, "ask networks that are not private, too")
	c.Flags().BoolVar(&s.json, "json", false, "print a list in JSON")
	return c
}

// discover listens and asks, and prints the phones that were found.
func (p *program) discover(ctx context.Context, s search, networks []netip.Prefix) error {
	found := phonesFound{by: map[netip.Addr]discover.Phone{}}
	var searching sync.WaitGroup
	var listenErr error
	searching.Go(func() {
		listening, cancel := context.WithTimeout(ctx, s.wait)
		defer cancel()
		if s.wait > 0 {
			listenErr = discover.Listen(listening, found.add)
		}
	})
	discover.Scan(ctx, networks, found.add)
	searching.Wait()
	switch {
	case listenErr != nil && len(networks) == 0:
		return listenErr
	case listenErr != nil:
		fmt.Fprintln(p.stderr, "warning:", listenErr)
	}
	phones := found.sorted()
	fmt.Fprintln(p.stderr, count(len(phones), "phone")+" found")
	if s.json {
		return json.NewEncoder(p.stdout).Encode(phones)
	}
	_, err := io.WriteString(p.stdout, phonesFileOf(phones))
	return err
}

// phonesFound are the phones that were found, by address.
type phonesFound struct {
	mu sync.Mutex
	by map[netip.Addr]discover.Phone // guarded by mu
}

// add notes a phone. What it has answered says more than its announcement.
func (f *phonesFound) add(p discover.Phone) {
	f.mu.Lock()
	defer f.mu.Unlock()
	old, known := f.by[p.Address]
	switch {
	case !known && len(f.by) >= discover.MaxAddresses: // announcements from anywhere
	case !known:
		f.by[p.Address] = p
	case old.FoundBy == "announcement":
		p.Model, p.Firmware, p.MAC = cmp.Or(p.Model, old.Model), cmp.Or(p.Firmware, old.Firmware), cmp.Or(p.MAC, old.MAC)
		f.by[p.Address] = p
	case p.FoundBy == "announcement":
		old.Model, old.Firmware, old.MAC = cmp.Or(old.Model, p.Model), cmp.Or(old.Firmware, p.Firmware), cmp.Or(old.MAC, p.MAC)
		f.by[p.Address] = old
	}
}

// sorted returns the phones by address, each with a name of its own.
func (f *phonesFound) sorted() []discover.Phone {
	f.mu.Lock()
	defer f.mu.Unlock()
	list := make([]discover.Phone, 0, len(f.by))
	for _, p := range f.by {
		list = append(list, p)
	}
	slices.SortFunc(list, func(a, b discover.Phone) int { return a.Address.Compare(b.Address) })
	taken := map[string]bool{}
	for i := range list {
		name := list[i].Name
		for n := 2; taken[list[i].Name]; n++ {
			list[i].Name = fmt.Sprintf("%s-%d", name, n)
		}
		taken[list[i].Name] = true
	}
	return list
}

// phonesFileOf returns a phones file. What phones have said of themselves is in comments, without line ends.
func phonesFileOf(phones []discover.Phone) string {
	var b strings.Builder
	b.WriteString("# Found by snom2mqtt discover. The names are proposals: each becomes a part of topics.\nphones:\n")
	line := func(format string, args ...any) {
		b.WriteString(strings.Join(strings.Fields(fmt.Sprintf(format, args...)), " ") + "\n")
	}
	for _, p := range phones {
		fmt.Fprintf(&b, "  %s:\n", p.Name)
		if model, known := snom.FindModel(p.Model); known && model.RemoteControl() == snom.No {
			b.WriteString("    # It has no remote control over HTTP. Where SIP drives it (docs/sip.md):\n")
			fmt.Fprintf(&b, "    #url: sip:USER@%s\n", p.Address)
		}
		fmt.Fprintf(&b, "    url: %s\n", p.URL)
		b.WriteString("    # ")
		line("%s; firmware %s; MAC %s; found by its %s", cmp.Or(p.Model, "model not known"), cmp.Or(p.Firmware, "not known"), cmp.Or(p.MAC, "not known"), by(p.FoundBy))
		if p.Auth != "" && p.Auth != snom.SchemeNone {
			fmt.Fprintf(&b, "    # It requires a login (%s):\n    #username: admin\n    #password_file: %s.password\n", p.Auth, p.Name)
		}
		if p.Certificate != "" {
			fmt.Fprintf(&b, "    #cert_sha256: %s\n", p.Certificate)
		}
	}
	if len(phones) == 0 {
		b.WriteString("  # No phone was found.\n")
	}
	return b.String()
}

// by says how a phone was found.
func by(how string) string {
	if how == "announcement" {
		return how
	}
	return "answer over " + how
}
