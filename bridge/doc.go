// Package bridge takes commands from MQTT to Snom phones and answers each of them once.
//
// A [Bridge] reads a message, checks it without touching anything, and hands it to the lane of the phone it names. A
// lane runs jobs on one phone: commands, requests to the bridge about that phone, and polls. It makes one request at a
// time, in order, with a pause between two of them, and every command ends with one [Result]. A lane belongs to the
// phone's address, so that a reload that renames a phone changes nothing under way. What is known of a phone is a state of
// its own; events move it one step by [Bridge.Event], and what changes is published.
//
// # The laws
//
//  1. Every command is answered, once. Refused, expired and cancelled ones too.
//  2. A command runs at most once. Nothing that may have reached a phone is sent again.
//  3. A command runs now or not at all. Retained ones are refused, and no request is sent after its expiry. Each
//     further request of a command that has begun may be as late as the first one might have been.
//  4. One phone, one command at a time, in order. A slow phone never delays another. A hangup overtakes what waits and
//     cancels it. Other commands, but no hangup, wait until a key sequence has ended: their keys would mix with it. A ring
//     with a count lets other commands go first between two rings.
//  5. A wrong password costs one login.
//  6. The truth is republished at every connection: availability and status, never results or events.
//  7. Nothing secret leaves.
//  8. online is proven; that is the work of package session.
//  9. Nothing sent can wedge the bridge.
//  10. Nothing a payload says becomes a URL; that is the work of package snom.
//
// The package knows neither the MQTT client nor the HTTP one: it uses an [mqtt.Publisher] and
// a [Phone] for each phone.
package bridge
