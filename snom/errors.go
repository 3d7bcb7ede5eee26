package snom

import "errors"

// What can become of a request to a phone. Errors of a [Client] wrap exactly one of these or
// [ErrUnsupported], unless they say that the caller gave something that is not valid. No error of a
// Client holds a password, a page of the phone, or what a command was about.
var (
	// ErrUnauthorized says that the phone wants a login and there is none to give, or that it refused
	// the one it got. Trying again with the same user name and password locks the phone's web page.
	ErrUnauthorized = errors.New("snom: phone refuses the login")

	// ErrLockedOut says that the phone takes no login for now, because too many have failed: more than
	// three lock its web page for a minute, and each further three double that (Snom blog 2009-08-14).
	ErrLockedOut = errors.New("snom: phone is locked after failed logins")

	// ErrRefused says that the phone answers, but its settings block remote control.
	ErrRefused = errors.New("snom: phone blocks remote control")

	// ErrUnreachable says that the phone certainly did not get the request: not one byte of it was sent.
	ErrUnreachable = errors.New("snom: phone cannot be reached")

	// ErrOutcomeUnknown says that the phone may have carried out the command, or a part of it: the
	// request, or the first bytes of it, left, and no complete answer came back.
	ErrOutcomeUnknown = errors.New("snom: phone gave no complete answer and may have done it")

	// ErrPhone says that the phone answered with something that is neither success nor any of the other
	// errors.
	ErrPhone = errors.New("snom: phone gave an unexpected answer")
)
