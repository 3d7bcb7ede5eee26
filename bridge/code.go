package bridge

import (
	"errors"
	"strings"

	"github.com/snom2mqtt/snom2mqtt/snom"
)

// Code is the outcome of one command, in words a program can switch on. The list is closed:
// [Codes] has them all, and docs/codes.md is made from it.
type Code string

// The outcomes of a command.
const (
	OK           Code = "ok"            // the phone accepted it
	Invalid      Code = "invalid"       // the payload or the command's name makes no sense, or the command makes none now
	Unsupported  Code = "unsupported"   // this model has no such key or command
	UnknownPhone Code = "unknown_phone" // the topic names no phone and no group
	Forbidden    Code = "forbidden"     // the settings do not allow it
	Retained     Code = "retained"      // a retained command, which a broker replays
	Expired      Code = "expired"       // it expired before it, or its next request, was sent
	Duplicate    Code = "duplicate"     // its id was taken before
	Busy         Code = "busy"          // the phone's queue is full
	Cancelled    Code = "cancelled"     // a hangup overtook it, or the bridge stopped
	Unauthorized Code = "unauthorized"  // the phone refused the login
	LockedOut    Code = "locked_out"    // no login is made after a refused one, or the phone is locked
	Refused      Code = "refused"       // the phone blocks remote control, or the state is unknown that the command depends on, or a setting is kept
	Unreachable  Code = "unreachable"   // certainly not delivered
	Timeout      Code = "timeout"       // outcome unknown
	Unmet        Code = "unmet"         // what a macro waited for did not come
	PhoneError   Code = "phone_error"   // the phone answered with an error
	Internal     Code = "internal"      // an error of the bridge, or of the machine that it runs on
)

// CodeDoc describes a [Code] and what to do about it.
type CodeDoc struct {
	Code    Code
	Sent    string // whether the phone was touched: "yes", "no", "perhaps"
	Meaning string
	Advice  string
}

// Codes lists every [Code], in the order of docs/codes.md.
func Codes() []CodeDoc {
	return []CodeDoc{
		{OK, "yes", "The phone accepted the command, or it needed none: `requests` is 0 then.", "The phone's events report what happens next. A text in `message` says what is doubtful about the command on this model, or in this state."},
		{Invalid, "no", "The payload, or the name of the command, makes no sense; or the command makes none now: `answer` on a phone that is known to be idle, a transfer that is not under way.", "`message` says what was expected and where."},
		{Unsupported, "perhaps", "This model has no such key, command or page.", "Check the phone's model in the settings. D86x and D89x take no commands over HTTP: see docs/sip.md."},
		{UnknownPhone, "no", "The topic names no phone and no group.", "Check the name; `bridge/info` lists all of them."},
		{Forbidden, "no", "The settings do not allow it; or there is no call with the door that is to be opened, or it ended before the code was sent (`requests` says what was sent before).", "`ALLOW` enables `screen`, `reset` and `firmware`, `FIRMWARE_HOSTS` lists the servers of firmware, `DIAL_ALLOW` and `DIAL_DENY` limit numbers, `SETTINGS_ALLOW` the settings that `set` may write. A door opens in a connected call with it only: docs/doors.md."},
		{Retained, "no", "The command was published with the retain flag; a broker replays those at every connection.", "Publish commands without retain, and clear the topic once: `mosquitto_pub -r -n -t <topic>`. Clearing is an empty message, which is a command, too, for `answer`, `hangup`, `fix_lil`, `reboot` and a door's `open`: clear those while the bridge is stopped."},
		{Expired, "perhaps", "It expired (`expires_in`, `expires_at`, or `COMMAND_TTL`) before it was sent, or one of its further requests came too late; or the machine was suspended while it waited.", "`requests` says whether a part of it had been sent. Send it again if it is still needed."},
		{Duplicate, "no", "This `id` was already taken on this phone. `first` repeats that command's result, and `ok` is the first one's.", "Give every command an `id` of its own."},
		{Busy, "no", "The phone's queue is full, or too many answers wait for the broker.", "Send more slowly, or raise `QUEUE_LENGTH`."},
		{Cancelled, "perhaps", "A `hangup` overtook it, its ringing was stopped, or the bridge stopped, before it was done.", "`requests` says whether a part of it had been sent."},
		{Unauthorized, "yes", "The phone refused the login.", "Correct the user name or password, then reload or restart the bridge. It does not try again by itself for hours, because a few failed logins lock the phone."},
		{LockedOut, "perhaps", "No login is made for a while after the phone refused one, or the phone says itself that it is locked.", "Correct the password, then reload or restart; a lock by the phone ends by itself."},
		{Refused, "perhaps", "The phone answers, but remote control is blocked; or the command depends on a state that is unknown and that the phone does not show; or the phone does not let its settings be written, or took the request and has another value afterwards.", "`message` says what to change. Remote control: set `use_hidden_tags` and `restrict_uri_queries` to off on the phone: see docs/phone-setup.md."},
		{Unreachable, "no", "The command was certainly not delivered: no connection. Or the picture of `show` could not be fetched, and the phone was asked nothing.", "Check that the phone is on, and its address. `message` begins with `image:` where it is the picture's server."},
		{Timeout, "perhaps", "The phone received the request and did not answer properly: the command may have been carried out.", "Do not repeat blindly; nothing is repeated by the bridge."},
		{Unmet, "perhaps", "A step of a macro waited for a call state that did not come in time, or the call was over that a step was for. The steps before it were carried out.", "`steps` says how far it came. Raise `within`, or say under `otherwise` what to do then."},
		{PhoneError, "perhaps", "The phone answered with an error.", "`message` and `http_status` say which."},
		{Internal, "perhaps", "An error of the bridge itself; or the machine that it runs on has no file descriptor, port or memory left for a connection, in which case nothing was sent.", "`message` and the log say which. Report errors of the bridge."},
	}
}

// codeOf is the one place that turns a phone's error into a code.
func codeOf(err error) Code {
	switch {
	case err == nil:
		return OK
	case errors.Is(err, snom.ErrUnauthorized):
		return Unauthorized
	case errors.Is(err, snom.ErrLockedOut):
		return LockedOut
	case errors.Is(err, snom.ErrRefused):
		return Refused
	case errors.Is(err, snom.ErrUnsupported):
		return Unsupported
	case errors.Is(err, snom.ErrExpired):
		return Expired
	case errors.Is(err, snom.ErrRevoked):
		return Unmet
	case errors.Is(err, snom.ErrLocal):
		return Internal
	case errors.Is(err, snom.ErrUnreachable):
		return Unreachable
	case errors.Is(err, snom.ErrOutcomeUnknown):
		return Timeout
	case errors.Is(err, snom.ErrPhone):
		return PhoneError
	}
	return Internal
}

// words is an error as a result's message has it: without the name of the package it is from.
func words(err error) string { return strings.TrimPrefix(err.Error(), "snom: ") }
