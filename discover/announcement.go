package discover

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"

	"github.com/snom2mqtt/snom2mqtt/snom"
	"github.com/snom2mqtt/snom2mqtt/snom/notify"
)

// Group is where phones ask for their settings when they start: SIP plug and play (Snom, "Plug and Play"; pageId 234339774).
const Group = "224.0.1.75:5060"

// maxAnnouncement bounds a datagram: those of phones have about 700 bytes.
const maxAnnouncement = 4096

// Listen reports the phones that announce themselves while ctx lasts, on every interface that has multicast. It never sends
// anything: an answer would provision the phone anew. The error is nil when at least one interface could be used.
func Listen(ctx context.Context, found func(Phone)) error {
	interfaces, err := net.Interfaces()
	if err != nil {
		return err
	}
	group, err := net.ResolveUDPAddr("udp4", Group)
	if err != nil {
		return err
	}
	interfaces = slices.DeleteFunc(interfaces, func(i net.Interface) bool {
		return i.Flags&(net.FlagUp|net.FlagMulticast) != net.FlagUp|net.FlagMulticast
	})
	if len(interfaces) == 0 {
		return errors.New("announcements of phones: no interface has multicast")
	}
	sockets, err := listen(group, interfaces)
	if err != nil {
		return fmt.Errorf("announcements of phones (%s): %w", Group, err)
	}
	stop := context.AfterFunc(ctx, func() {
		for _, s := range sockets {
			s.Close()
		}
	})
	defer stop()
	var reading sync.WaitGroup
	for _, s := range sockets {
		reading.Go(func() { receive(s, found) })
	}
	reading.Wait()
	return nil
}

// receive reads announcements until the socket is closed.
func receive(socket *net.UDPConn, found func(Phone)) {
	for b := make([]byte, maxAnnouncement); ; {
		n, from, err := socket.ReadFromUDPAddrPort(b)
		if err != nil {
			return
		}
		if p, ok := ReadAnnouncement(b[:n], from.Addr().Unmap()); ok {
			found(p)
		}
	}
}

// ReadAnnouncement reads the SUBSCRIBE of a Snom phone that starts; false: it is none, or that of another make's phone.
func ReadAnnouncement(packet []byte, from netip.Addr) (Phone, bool) {
	head, _, _ := bytes.Cut(packet, []byte("\r\n\r\n"))
	lines := strings.Split(string(head), "\r\n")
	method, target, _ := strings.Cut(lines[0], " ")
	if method != "SUBSCRIBE" {
		return Phone{}, false
	}
	p := Phone{URL: "http://" + from.String(), Address: from, FoundBy: "announcement", MAC: macOf(target)}
	vendor := ""
	for _, line := range lines[1:] {
		name, value, _ := strings.Cut(line, ":")
		value = strings.TrimSpace(value)
		switch strings.ToLower(strings.TrimSpace(name)) {
		case "event", "o":
			vendor = parameter(value, "vendor")
			if model, known := snom.FindModel(parameter(value, "model")); known {
				p.Model = model.Name()
			}
			p.Firmware = word(parameter(value, "version"))
		case "user-agent":
			model, firmware, mac := notify.UserAgent(value)
			if model != "" && p.Model == "" {
				p.Model = model
			}
			p.Firmware = first(p.Firmware, word(firmware))
			p.MAC = first(p.MAC, mac)
		case "from", "f", "to", "t":
			p.MAC = first(p.MAC, macOf(value))
		}
	}
	p.settle()
	ours := strings.EqualFold(vendor, "snom") || p.Model != "" || strings.HasPrefix(p.MAC, "000413") || strings.HasPrefix(p.MAC, "1c7126")
	return p, ours
}

// macOf returns the address in MAC%3a000413aabbcc or MAC:000413aabbcc, in small letters.
func macOf(text string) string {
	text = strings.ToLower(text)
	for _, mark := range []string{"mac%3a", "mac:"} {
		_, rest, ok := strings.Cut(text, mark)
		if ok && len(rest) >= 12 && strings.Trim(rest[:12], "0123456789abcdef") == "" {
			return rest[:12]
		}
	}
	return ""
}

// parameter returns ;name="value" of a header.
func parameter(header, name string) string {
	_, rest, ok := strings.Cut(strings.ToLower(header), ";"+name+"=")
	if !ok {
		return ""
	}
	rest, _, _ = strings.Cut(rest, ";")
	return strings.Trim(rest, `" `)
}

// word returns a text that is one word of what a version may have; empty: it is none.
func word(text string) string {
	if len(text) > 64 || strings.Trim(strings.ToLower(text), "abcdefghijklmnopqrstuvwxyz0123456789.-_") != "" {
		return ""
	}
	return text
}

func first(a, b string) string {
	if a != "" {
		return a
	}
	return b
}
