// Package fetch gets files over HTTP within bounds: from hosts that are allowed only, with a limit of bytes and of time,
// and never from the hosts that are denied, whatever is allowed: a request to a phone may be a command.
package fetch

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"syscall"
	"time"
)

// ErrHost says that a host is not allowed.
var ErrHost = errors.New("fetch: host not allowed")

// ErrTooLong says that a file has more bytes than the limit.
var ErrTooLong = errors.New("fetch: file too long")

// Any is the entry that allows every host.
const Any = "*"

// Rules say which hosts files may be fetched from. The zero Rules allow none.
type Rules struct {
	// Allow lists hosts: a name or an address, with or without a port, a network such as 192.0.2.0/24, which allows names
	// with addresses in it, too, or [Any].
	Allow []string
	// Deny, if set, reports hosts that are never asked, by the name in the URL and by the address that is connected to. The
	// port is empty where the URL has none.
	Deny func(host, port string) bool
}

// CheckEntry reports what is wrong with an entry of [Rules.Allow].
func CheckEntry(entry string) error {
	if entry == Any {
		return nil
	}
	if strings.Contains(entry, "/") {
		if _, err := netip.ParsePrefix(entry); err != nil {
			return errors.New("expected a network such as 192.0.2.0/24")
		}
		return nil
	}
	u, err := url.Parse("http://" + entry)
	if _, addr := netip.ParseAddr(entry); addr == nil {
		return nil
	}
	if err != nil || u.Host != entry || u.Hostname() == "" || strings.ContainsAny(entry, " @?#*") {
		return errors.New("expected a host, host:port, a network such as 192.0.2.0/24, or *")
	}
	return nil
}

// A Request says what to fetch.
type Request struct {
	URL                string // http or https
	Username, Password string // sent to the host of URL only
	Trusted            bool   // URL is from the settings: its host needs no permission
	Bytes              int64  // the limit of the file
	Time               time.Duration
}

// A File is what was fetched.
type File struct {
	Type string // the Content-Type, as the server says it
	Body []byte
}

// maxRedirects bounds how often a server may send the request elsewhere.
const maxRedirects = 3

// get fetches a file. Errors repeat neither the path nor the query of the URL, nor a login. They wrap [ErrHost] or
// [ErrTooLong] where that is the reason. A file that is large is read on when admit allows it.
func get(ctx context.Context, rules Rules, r Request, admit func(context.Context) error) (File, error) {
	u, err := url.Parse(r.URL)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.Opaque != "" {
		return File{}, errors.New("fetch: expected an http or https URL")
	}
	ctx, cancel := context.WithTimeout(ctx, r.Time)
	defer cancel()
	if err := rules.check(u, r.Trusted); err != nil {
		return File{}, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, r.URL, nil)
	if err != nil {
		return File{}, errors.New("fetch: expected an http or https URL")
	}
	request.URL.User = nil
	request.Header.Set("User-Agent", "snom2mqtt")
	switch {
	case r.Username != "":
		request.SetBasicAuth(r.Username, r.Password)
	case u.User != nil:
		password, _ := u.User.Password()
		request.SetBasicAuth(u.User.Username(), password)
	}
	return do(rules.client(u, r.Trusted), request, r.Bytes, admit)
}

// Check reports whether the host of a URL may be asked, as far as that is known without a connection. The error wraps
// [ErrHost].
func (r Rules) Check(text string) error {
	u, err := url.Parse(text)
	if err != nil {
		return errors.New("fetch: expected an http or https URL")
	}
	return r.check(u, false)
}

// client returns a client for one request to u, whose redirects are checked, too.
func (r Rules) client(u *url.URL, trusted bool) *http.Client {
	return &http.Client{
		Transport: &http.Transport{
			DialContext: r.dialer(trusted, u.Host), DisableKeepAlives: true, MaxResponseHeaderBytes: 32 << 10,
		},
		CheckRedirect: func(next *http.Request, via []*http.Request) error {
			if len(via) > maxRedirects {
				return errors.New("too many redirects")
			}
			if next.URL.Host != u.Host {
				next.Header.Del("Authorization")
			}
			return r.check(next.URL, trusted && next.URL.Host == u.Host)
		},
	}
}

// do makes the request and reads the answer.
func do(client *http.Client, request *http.Request, most int64, admit func(context.Context) error) (File, error) {
	reply, err := client.Do(request)
	if err != nil {
		return File{}, fmt.Errorf("fetch: %s: %w", request.URL.Host, cause(err))
	}
	defer reply.Body.Close()
	if reply.StatusCode != http.StatusOK {
		return File{}, fmt.Errorf("fetch: %s: HTTP %d", request.URL.Host, reply.StatusCode)
	}
	var body bytes.Buffer
	_, err = body.ReadFrom(io.LimitReader(reply.Body, min(smallFile, most+1)))
	if err == nil && body.Len() == smallFile {
		if err := admit(request.Context()); err != nil {
			return File{}, err
		}
		if reply.ContentLength <= most { // a file that says its length is read without making room again
			body.Grow(max(0, int(reply.ContentLength)-smallFile) + bytes.MinRead)
		}
		_, err = body.ReadFrom(io.LimitReader(reply.Body, most+1-smallFile))
	}
	switch {
	case err != nil:
		return File{}, fmt.Errorf("fetch: %s: %w", request.URL.Host, cause(err))
	case int64(body.Len()) > most:
		return File{}, fmt.Errorf("%w: expected at most %d bytes", ErrTooLong, most)
	}
	return File{Type: reply.Header.Get("Content-Type"), Body: body.Bytes()}, nil
}

// cause is an error without the URL that net/http puts before it.
func cause(err error) error {
	var of *url.Error
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return errors.New("no answer in time")
	case errors.As(err, &of):
		return of.Err
	}
	return err
}

// check reports whether the host of u may be asked. A name that is not listed is decided by its address where networks
// are listed, when it is connected to.
func (r Rules) check(u *url.URL, trusted bool) error {
	host := canonical(u.Hostname())
	if u.Scheme != "http" && u.Scheme != "https" || r.Deny != nil && r.Deny(host, u.Port()) {
		return fmt.Errorf("%w: %s", ErrHost, u.Host)
	}
	if trusted || r.lists(host, u.Port()) {
		return nil
	}
	if _, err := netip.ParseAddr(host); err != nil && r.networks() {
		return nil
	}
	return fmt.Errorf("%w: %s", ErrHost, u.Host)
}

// lists reports whether a host is listed: by name, by address, or by a network with its address.
func (r Rules) lists(host, port string) bool {
	addr, isAddr := netip.ParseAddr(host)
	for _, entry := range r.Allow {
		entry = strings.ToLower(entry)
		if entry == Any || canonical(entry) == host {
			return true
		}
		if of, err := netip.ParsePrefix(entry); err == nil {
			if isAddr == nil && of.Contains(addr) {
				return true
			}
			continue
		}
		if name, at, err := net.SplitHostPort(entry); err == nil && canonical(name) == host && at == port {
			return true
		}
	}
	return false
}

func (r Rules) networks() bool {
	for _, entry := range r.Allow {
		if strings.Contains(entry, "/") {
			return true
		}
	}
	return false
}

// canonical is a host in the one way that hosts are compared in.
func canonical(host string) string {
	host = strings.ToLower(strings.TrimSuffix(strings.Trim(host, "[]"), "."))
	if addr, err := netip.ParseAddr(host); err == nil {
		return addr.Unmap().WithZone("").String()
	}
	return host
}

// dialer connects to hosts that are allowed. What a name stands for is checked when it is connected to.
func (r Rules) dialer(trusted bool, first string) func(ctx context.Context, network, address string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		host, port, err := net.SplitHostPort(address)
		if err != nil {
			return nil, err
		}
		named := trusted && isHost(first, host) || r.lists(canonical(host), port) || r.listsDefault(host, port)
		d := net.Dialer{Control: func(_, at string, _ syscall.RawConn) error {
			to, _, err := net.SplitHostPort(at)
			if err != nil {
				return err
			}
			if to = canonical(to); r.Deny != nil && r.Deny(to, port) || !named && !r.lists(to, port) {
				return fmt.Errorf("%w: %s", ErrHost, host)
			}
			return nil
		}}
		return d.DialContext(ctx, network, address)
	}
}

// isHost reports whether host is that of a URL's host and port.
func isHost(hostPort, host string) bool {
	name := hostPort
	if n, _, err := net.SplitHostPort(hostPort); err == nil {
		name = n
	}
	return canonical(name) == canonical(host)
}

// listsDefault is lists for a URL that named no port, where the connection has one.
func (r Rules) listsDefault(host, port string) bool {
	return (port == "80" || port == "443") && r.lists(canonical(host), "")
}
