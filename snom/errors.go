package snom

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"

	"github.com/snom2mqtt/snom2mqtt/internal/cleantext"
)

// The outcomes of a request to a phone. An error of a [Client] wraps exactly one of these or [ErrUnsupported], unless
// the caller passed an invalid value; an error that wraps [ErrUntrusted] wraps [ErrUnreachable], too, and one that wraps [ErrNoLogin] wraps [ErrUnauthorized].
// No error of a
// Client contains a password, a page of the phone, or the argument of a command, and none is longer than 1 KiB.
var (
	// ErrUnauthorized reports that the phone requires a login and none is configured, or that it refused
	// the login. Another attempt with the same user name and password locks the phone's web page.
	ErrUnauthorized = errors.New("snom: phone refuses the login")

	// ErrNoLogin reports, together with ErrUnauthorized, that no login was sent: none is configured, the setting for
	// logins does not allow the one that the phone asks for, or its challenge cannot be answered. So none has failed.
	ErrNoLogin = errors.New("snom: no login was sent")

	// ErrLockedOut reports that the phone accepts no login for now, because too many have failed: more than
	// three lock its web page for a minute, and each further three double that (Snom blog 2009-08-14).
	ErrLockedOut = errors.New("snom: phone is locked after failed logins")

	// ErrRefused reports that the phone answers, but its settings block remote control.
	ErrRefused = errors.New("snom: phone blocks remote control")

	// ErrUnreachable reports that the phone certainly did not receive the request: not one byte of it was sent.
	ErrUnreachable = errors.New("snom: phone is unreachable")

	// ErrUntrusted reports that the certificate of a phone is not trusted, so that nothing was sent. The error
	// is a [*CertificateError].
	ErrUntrusted = errors.New("snom: certificate of the phone is not trusted")

	// ErrExpired reports that the deadline of a [Step] passed before its next request was sent. Reply.Requests
	// counts the requests that were sent before.
	ErrExpired = errors.New("snom: expired before the request was sent")

	// ErrRevoked reports that a [Step] was revoked before its next request was sent.
	ErrRevoked = errors.New("snom: revoked before the request was sent")

	// ErrLocal reports that this machine could not open a connection, for example for want of file
	// descriptors, memory or free ports. Nothing was sent, and nothing is known of the phone.
	ErrLocal = errors.New("snom: this machine cannot open a connection")

	// ErrOutcomeUnknown reports that the phone may have carried out the command, or a part of it: the
	// request, or the first bytes of it, were sent, and no complete reply was received.
	ErrOutcomeUnknown = errors.New("snom: phone gave no complete reply and may have carried out the command")

	// ErrPhone reports a reply that is neither success nor any of the other errors.
	ErrPhone = errors.New("snom: phone gave an unexpected reply")
)

// A CertificateError reports that a phone's certificate is not trusted. It wraps [ErrUntrusted] and
// [ErrUnreachable].
type CertificateError struct {
	SHA256 string // fingerprint of the certificate, as [TLSConfig] takes it
	cause  error
}

func (e *CertificateError) Error() string {
	return fmt.Sprintf("%v: %v (SHA-256 of the certificate: %s)", ErrUntrusted, e.cause, e.SHA256)
}

func (e *CertificateError) Unwrap() []error { return []error{ErrUntrusted, ErrUnreachable, e.cause} }

// newCertificateError returns the error of a handshake in which leaf was not trusted because of err.
func newCertificateError(leaf *x509.Certificate, err error) error {
	return &CertificateError{SHA256: fingerprint(leaf), cause: bounded(err)}
}

// A noLoginError is an error of a request without a login. It wraps [ErrNoLogin] and [ErrUnauthorized].
type noLoginError struct{ err error }

func (e *noLoginError) Error() string   { return e.err.Error() }
func (e *noLoginError) Unwrap() []error { return []error{e.err, ErrNoLogin} }

// maxErrorText bounds what an error repeats of a text that comes from outside, in bytes.
const maxErrorText = 256

// A foreignError is an error whose text was written by another program: it is cut, and what cannot be
// printed is replaced.
type foreignError struct {
	err  error
	text string
}

func (e *foreignError) Error() string { return e.text }
func (e *foreignError) Unwrap() error { return e.err }

// bounded returns err with a text that is short and printable.
func bounded(err error) error {
	if err == nil {
		return nil
	}
	text := err.Error()
	if clean := cleantext.Clean(text, maxErrorText); clean != text {
		return &foreignError{err, clean}
	}
	return err
}

// localFaults are the errors of this machine's kernel: they say nothing about the phone. A firewall on this machine
// is EPERM or EACCES, a machine without IPv6 EAFNOSUPPORT; Linux has EAGAIN where no local port is free.
var localFaults = []syscall.Errno{
	syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.EADDRNOTAVAIL, syscall.EADDRINUSE,
	syscall.EAGAIN, syscall.EPERM, syscall.EACCES, syscall.EAFNOSUPPORT, syscall.EPROTONOSUPPORT,
}

// isLocal reports whether err, of a connection that could not be opened, is a fault of this machine.
func isLocal(err error) bool {
	var number syscall.Errno
	if errors.As(err, &number) {
		for _, local := range localFaults {
			if number == local {
				return true
			}
		}
		return false
	}
	// A resolver passes the kernel's error on as text (net.DNSError).
	var dns *net.DNSError
	if !errors.As(err, &dns) {
		return false
	}
	for _, local := range localFaults {
		if strings.Contains(dns.Err, local.Error()) {
			return true
		}
	}
	// The C library's resolver reports a host as unknown where it could not open its own files.
	f, err := os.Open(os.DevNull)
	if err != nil {
		return isLocal(err)
	}
	_ = f.Close() // it was only read
	return false
}
