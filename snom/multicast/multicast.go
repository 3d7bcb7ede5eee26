// Package multicast has the settings by which Snom phones listen to multicast addresses, and writes them into phones.
package multicast

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/snom2mqtt/snom2mqtt/snom"
	"github.com/snom2mqtt/snom2mqtt/snom/actionurl"
)

// Slots is how many addresses a phone listens to (Snom KB, multicast announcements).
const Slots = 10

// The settings (service.snom.com, mc_address; multicast_listen: nethesis/tancredi, FusionPBX). That the index is a suffix in
// a request is inferred from other settings, and not confirmed on a phone.
const (
	listen = "multicast_listen"
	slot   = "mc_address"
)

// An Address is what a phone listens to, and how it plays what comes there. The options exist since firmware 8.7.3.26.
type Address struct {
	Address   string // an IPv4 multicast address and a port
	Interrupt int    // in a call: 0 not played, 1 interrupts it, 2 is mixed into it, [MaxInterrupt] holds it
	Priority  int    // 0 to [MaxPriority]
	Speaker   bool   // always by the loudspeaker
	VolMax    bool   // always at full volume
}

// The bounds of the options of an [Address], and the priority of one without.
const (
	MaxInterrupt    = 3
	MaxPriority     = 10
	DefaultPriority = 5
)

// Value returns the value of the setting for a: options that are as the phone has them by itself are left out.
func (a Address) Value() string {
	value := a.Address
	if a.Speaker {
		value += ",speaker=1"
	}
	if a.Interrupt != 0 {
		value += ",interrupt=" + strconv.Itoa(a.Interrupt)
	}
	if a.VolMax {
		value += ",volmax=1"
	}
	if a.Priority != DefaultPriority {
		value += ",priority=" + strconv.Itoa(a.Priority)
	}
	return value
}

// Parse reads the value of a setting. An option that is not known, or makes no sense, is ignored.
func Parse(value string) (Address, bool) {
	address, options, _ := strings.Cut(strings.Join(strings.Fields(value), ""), ",")
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return Address{}, false
	}
	a := Address{Address: at.String(), Priority: DefaultPriority}
	for option := range strings.SplitSeq(options, ",") {
		name, text, _ := strings.Cut(option, "=")
		n, err := strconv.Atoi(text)
		if err != nil {
			continue
		}
		switch strings.ToLower(name) {
		case "speaker":
			a.Speaker = n == 1
		case "interrupt":
			a.Interrupt = n
		case "volmax":
			a.VolMax = n == 1
		case "priority":
			a.Priority = n
		}
	}
	return a, true
}

// Settings returns the names of all settings.
func Settings() []string {
	names := []string{listen}
	for i := range Slots {
		names = append(names, slot+strconv.Itoa(i+1))
	}
	return names
}

// ListensTo returns the addresses that a phone with these settings listens to.
func ListensTo(have map[string]snom.Setting) []string {
	all := []string{}
	if have[listen].Value != "on" {
		return all
	}
	for _, name := range Settings()[1:] {
		if a, ok := Parse(have[name].Value); ok {
			all = append(all, a.Address)
		}
	}
	return all
}

// ErrFull means that all places for addresses hold those of other programs, which were kept.
var ErrFull = errors.New("snom: multicast addresses of other programs were kept")

// Install has the phone listen to addresses: it reads its settings, writes those that differ, one a request, and reads them
// again, because a phone silently keeps a read-only setting. A place with another address is kept, unless force is set and
// there is no free one. Older firmware, whose options do not exist, takes the place with the higher number for the more
// important one, and so the places are filled by priority.
//
// Nothing is written to a phone whose settings cannot be read. An Installation without an error may still have left something
// to do: see its Err, and ErrFull.
func Install(ctx context.Context, phone actionurl.Configurable, addresses []Address, force bool) (actionurl.Installation, error) {
	done := actionurl.Installation{Written: []string{}, Unchanged: []string{}, Foreign: []actionurl.Foreign{}, Kept: []string{}}
	have, err := phone.ReadSettings(ctx, Settings()...)
	if err != nil {
		return done, fmt.Errorf("%w; to which multicast addresses it listens is unknown, so none was written; let provisioning write them", err)
	}
	expected, missing := plan(have, addresses, force)
	for _, name := range Settings() {
		value, ours := expected[name]
		switch {
		case !ours:
			if a, ok := Parse(have[name].Value); ok && missing > 0 {
				done.Foreign = append(done.Foreign, actionurl.Foreign{Setting: name, Host: a.Address})
			}
			continue
		case same(have[name].Value, value):
			done.Unchanged = append(done.Unchanged, name)
			continue
		}
		if err := phone.SaveSettings(ctx, map[string]string{name: value}); err != nil {
			return done, err
		}
		done.Written = append(done.Written, name)
	}
	if done, err = check(ctx, phone, done, expected); err == nil && missing > 0 {
		err = fmt.Errorf("%w: %d of %d addresses found no place; force replaces the others", ErrFull, missing, len(addresses))
	}
	return done, err
}

// plan returns the settings that are to have a value, and how many addresses find no place.
func plan(have map[string]snom.Setting, addresses []Address, force bool) (expected map[string]string, missing int) {
	expected = map[string]string{listen: "on"}
	sorted := slices.Clone(addresses)
	slices.SortStableFunc(sorted, func(a, b Address) int { return cmp.Compare(a.Priority, b.Priority) })
	var free, foreign []string
	places := map[string]string{} // of addresses that are there
	for _, name := range Settings()[1:] {
		a, ok := Parse(have[name].Value)
		switch {
		case have[name].Value == "":
			free = append(free, name)
		case ok && places[a.Address] == "" && slices.ContainsFunc(sorted, func(b Address) bool { return a.Address == b.Address }):
			places[a.Address] = name
		default:
			foreign = append(foreign, name)
		}
	}
	if force {
		free = append(free, foreign...)
	}
	for _, a := range sorted {
		name := places[a.Address]
		if name == "" && len(free) > 0 {
			name, free = free[0], free[1:]
		}
		if name == "" {
			missing++
			continue
		}
		expected[name] = a.Value()
	}
	return expected, missing
}

// same reports whether two values mean the same.
func same(a, b string) bool {
	x, ok := Parse(a)
	y, is := Parse(b)
	return a == b || ok && is && x == y
}

// check reads the settings again, and separates those that were written from those that the phone kept.
func check(ctx context.Context, phone actionurl.Configurable, done actionurl.Installation, expected map[string]string) (actionurl.Installation, error) {
	done.Checked = true
	if len(done.Written) == 0 {
		return done, nil
	}
	have, err := phone.ReadSettings(ctx, Settings()...)
	if err != nil {
		done.Checked = false
		return done, fmt.Errorf("%w; multicast addresses were written and could not be read back", err)
	}
	written := done.Written
	done.Written = []string{}
	for _, name := range written {
		if same(have[name].Value, expected[name]) {
			done.Written = append(done.Written, name)
		} else {
			done.Kept = append(done.Kept, name)
		}
	}
	return done, nil
}
