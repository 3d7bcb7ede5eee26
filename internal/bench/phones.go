package main

import (
	"bytes"
	"crypto/md5"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"unsafe"
)

// What every phone wants to hear.
const (
	username = "admin"
	password = "bench"
	realm    = "snom"
	nonce    = "7c1e5b0f9a"
)

// firstPhone is the address of the first phone; the others follow. All of 127.0.0.0/8 is this machine, on Linux.
const firstPhone = 127<<24 | 1<<16 | 1

// A phones is thousands of phones behind one listener, each at an address of its own. They check every login for real
// and know when they were asked for what, and cost as little as can be: one thread waits for all connections.
type phones struct {
	port   int
	poll   int // the epoll instance
	listen int // the socket
	secret string

	time    atomic.Int64 // that a phone takes for a command
	hanging atomic.Int64 // the number of the phone that never answers; -1: none
	run     atomic.Pointer[run]

	requests   atomic.Int64 // all
	challenges atomic.Int64 // of them, those that were answered by 401
	overlaps   atomic.Int64 // commands that came while the phone was busy with another

	stop    [2]int // a pipe that is closed to end it all
	serving sync.WaitGroup

	// What follows belongs to the thread.
	conns  []*phoneConn // by file descriptor
	busy   []bool       // by phone
	queue  []answer     // that are due later, in order
	failed error
}

// A phoneConn is a connection to a phone. It is used again with its file descriptor.
type phoneConn struct {
	fd, phone, n int
	buf          [1 << 10]byte
}

// An answer is due at its time.
type answer struct {
	conn *phoneConn
	due  int64
}

// newPhones opens so many phones.
func newPhones(n int) (*phones, error) {
	p := &phones{secret: hexMD5(username + ":" + realm + ":" + password), busy: make([]bool, n), poll: -1, listen: -1, stop: [2]int{-1, -1}}
	p.hanging.Store(-1)
	if err := p.open(); err != nil {
		p.closeAll()
		return nil, fmt.Errorf("phones: %w", err)
	}
	p.serving.Go(p.serve)
	return p, nil
}

// open listens on all addresses of loopback.
func (p *phones) open() (err error) {
	if p.poll, err = syscall.EpollCreate1(syscall.EPOLL_CLOEXEC); err != nil {
		return err
	}
	if err = syscall.Pipe2(p.stop[:], syscall.O_CLOEXEC); err != nil {
		return err
	}
	const kind = syscall.SOCK_STREAM | syscall.SOCK_NONBLOCK | syscall.SOCK_CLOEXEC
	if p.listen, err = syscall.Socket(syscall.AF_INET, kind, 0); err != nil {
		return err
	}
	if err = syscall.BindToDevice(p.listen, "lo"); err != nil {
		return err
	}
	if err = syscall.Bind(p.listen, &syscall.SockaddrInet4{}); err != nil {
		return err
	}
	// Their connections end with a reset, once the other side has hung up, and leave nothing behind: on a machine that is
	// both sides, those of the last minute would be hundreds of thousands, and slow down all that follow.
	if err = syscall.SetsockoptLinger(p.listen, syscall.SOL_SOCKET, syscall.SO_LINGER, &syscall.Linger{Onoff: 1}); err != nil {
		return err
	}
	if err = syscall.Listen(p.listen, 4096); err != nil {
		return err
	}
	addr, err := syscall.Getsockname(p.listen)
	if err != nil {
		return err
	}
	p.port = addr.(*syscall.SockaddrInet4).Port
	return errors.Join(p.watch(p.listen), p.watch(p.stop[0]))
}

func (p *phones) watch(fd int) error {
	return syscall.EpollCtl(p.poll, syscall.EPOLL_CTL_ADD, fd, &syscall.EpollEvent{Events: syscall.EPOLLIN, Fd: int32(fd)})
}

// phoneAddr is where phone i listens.
func phoneAddr(i, port int) string {
	a := uint32(firstPhone + i)
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{byte(a >> 24), byte(a >> 16), byte(a >> 8), byte(a)}), uint16(port)).String()
}

// phoneName is what phone i is called in topics.
func phoneName(i int) string { return fmt.Sprintf("p%05d", i) }

// close ends all phones, and says what went wrong.
func (p *phones) close() error {
	_ = syscall.Close(p.stop[1]) // it was open
	p.stop[1] = -1
	p.serving.Wait()
	p.closeAll()
	return p.failed
}

func (p *phones) closeAll() {
	for _, fd := range []int{p.poll, p.listen, p.stop[0], p.stop[1]} {
		if fd >= 0 {
			_ = syscall.Close(fd) // it was open
		}
	}
	for _, c := range p.conns {
		if c != nil && c.fd >= 0 {
			p.hangUp(c)
		}
	}
}

// serve is the thread of all phones.
func (p *phones) serve() {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var events [256]syscall.EpollEvent
	for {
		wait := int64(-1)
		if len(p.queue) > 0 {
			wait = max(0, p.queue[0].due-now())
		}
		n, err := epollWait(p.poll, events[:], wait)
		if err != nil && !errors.Is(err, syscall.EINTR) {
			p.failed = fmt.Errorf("phones: %w", err)
			return
		}
		for _, e := range events[:max(n, 0)] {
			switch int(e.Fd) {
			case p.stop[0]:
				return
			case p.listen:
				p.accept()
			default:
				p.read(p.conns[e.Fd])
			}
		}
		for len(p.queue) > 0 && p.queue[0].due <= now() {
			c := p.queue[0].conn
			p.queue = p.queue[1:]
			p.finish(c)
		}
	}
}

// epollWait waits for events, for at most so many nanoseconds, or for ever if that is negative. Other than
// [syscall.EpollWait] it does not wait a whole millisecond for the rest of one.
func epollWait(poll int, events []syscall.EpollEvent, wait int64) (int, error) {
	if wait < 0 {
		return syscall.EpollWait(poll, events, -1)
	}
	const epollPwait2 = 441 // since Linux 5.11, on every processor
	timeout := syscall.NsecToTimespec(wait)
	n, _, errno := syscall.Syscall6(epollPwait2, uintptr(poll), uintptr(unsafe.Pointer(&events[0])), uintptr(len(events)),
		uintptr(unsafe.Pointer(&timeout)), 0, 0)
	if errno == syscall.ENOSYS {
		return syscall.EpollWait(poll, events, int(wait+999_999)/1_000_000)
	}
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}

// accept takes all connections that wait.
func (p *phones) accept() {
	for {
		fd, _, err := syscall.Accept4(p.listen, syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC)
		if err != nil {
			return // none, or one that is gone again
		}
		for len(p.conns) <= fd {
			p.conns = append(p.conns, nil)
		}
		if p.conns[fd] == nil {
			p.conns[fd] = &phoneConn{}
		}
		c := p.conns[fd]
		c.fd, c.n, c.phone = fd, 0, -1
		if local, err := syscall.Getsockname(fd); err == nil {
			a := local.(*syscall.SockaddrInet4).Addr
			c.phone = int(binary.BigEndian.Uint32(a[:])) - firstPhone
		}
		if c.phone < 0 || c.phone >= len(p.busy) || p.watch(fd) != nil {
			p.hangUp(c)
		}
	}
}

func (p *phones) hangUp(c *phoneConn) {
	_ = syscall.Close(c.fd) // it was open
	c.fd = -1
}

// read reads a request and answers it.
func (p *phones) read(c *phoneConn) {
	n, err := syscall.Read(c.fd, c.buf[c.n:])
	at := now()
	if err == syscall.EAGAIN {
		return
	}
	if err != nil || n == 0 {
		p.hangUp(c)
		return
	}
	c.n += n
	if head, _, complete := bytes.Cut(c.buf[:c.n], []byte("\r\n\r\n")); complete {
		p.answer(c, head, at)
	}
}

const (
	challenge = "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Digest realm=\"" + realm + "\", nonce=\"" + nonce +
		"\", qop=\"auth\", algorithm=MD5\r\nContent-Length: 0\r\n\r\n"
	done     = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
	infoPage = "<html><title>snom D735</title><body>Hardware: snomD735 Firmware: 10.1.184.14 Mac: 000413AABBCC</body></html>"
)

// answer does what a request asks for, now or when the phone has taken its time.
func (p *phones) answer(c *phoneConn, head []byte, at int64) {
	p.requests.Add(1)
	if p.hanging.Load() == int64(c.phone) {
		c.n = 0 // until the other side has enough
		return
	}
	line, headers, _ := bytes.Cut(head, []byte("\r\n"))
	_, line, _ = bytes.Cut(line, []byte(" "))
	target, _, _ := bytes.Cut(line, []byte(" "))
	if !p.authorized(target, headers) {
		p.challenges.Add(1)
		p.say(c, challenge)
		return
	}
	_, number, isCommand := bytes.Cut(target, []byte("?number="))
	if !isCommand {
		p.say(c, fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(infoPage), infoPage))
		return
	}
	if p.busy[c.phone] {
		p.overlaps.Add(1)
	}
	p.busy[c.phone] = true
	if r := p.run.Load(); r != nil {
		r.seen(c.phone, number, at)
	}
	if d := p.time.Load(); d > 0 {
		p.queue = append(p.queue, answer{c, at + d})
		return
	}
	p.finish(c)
}

// finish is the end of a command.
func (p *phones) finish(c *phoneConn) {
	p.busy[c.phone] = false
	p.say(c, done)
}

// say answers, and leaves it to the other side to hang up.
func (p *phones) say(c *phoneConn, what string) {
	c.n = 0
	_, _ = syscall.Write(c.fd, []byte(what)) // fails when the peer is gone
}

// authorized checks the digest of a GET for target (RFC 2617, section 3.2.2).
func (p *phones) authorized(target, headers []byte) bool {
	for line := range bytes.SplitSeq(headers, []byte("\r\n")) {
		name, value, _ := bytes.Cut(line, []byte(":"))
		if len(name) != len("Authorization") || !bytes.EqualFold(name, []byte("Authorization")) {
			continue
		}
		d := readDigest(value)
		return d.nonce == nonce && d.uri == string(target) && d.response == digest(p.secret, d.uri, d.nc, d.cnonce)
	}
	return false
}

// digest is the response that a login is proven by.
func digest(secret, uri, nc, cnonce string) string {
	return hexMD5(secret + ":" + nonce + ":" + nc + ":" + cnonce + ":auth:" + hexMD5("GET:"+uri))
}

// credentials are the parts of an Authorization header that count.
type credentials struct{ nonce, uri, response, nc, cnonce string }

func readDigest(value []byte) (c credentials) {
	for part := range bytes.SplitSeq(value, []byte(",")) {
		name, text, _ := bytes.Cut(bytes.TrimSpace(bytes.TrimPrefix(bytes.TrimSpace(part), []byte("Digest "))), []byte("="))
		text = bytes.Trim(text, `"`)
		switch string(name) {
		case "nonce":
			c.nonce = string(text)
		case "uri":
			c.uri = string(text)
		case "response":
			c.response = string(text)
		case "nc":
			c.nc = string(text)
		case "cnonce":
			c.cnonce = string(text)
		}
	}
	return c
}

func hexMD5(s string) string {
	sum := md5.Sum([]byte(s))
	return hex.EncodeToString(sum[:])
}

// number reads a decimal number; 0 is none.
func number(b []byte) uint64 {
	n, _ := strconv.ParseUint(string(b), 10, 64) // 0 is what it means
	return n
}
