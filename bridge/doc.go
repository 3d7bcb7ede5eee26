// Package bridge takes commands from MQTT to Snom phones and answers each of them once.
//
// A [Bridge] reads a message, plans it without touching anything, and hands it to the worker of
// the phone it names. That worker owns the phone: it sends one request at a time, in order, leaves
// the phone the time it needs, and publishes one [Result]. What the phones tell by themselves goes
// the other way: [Bridge.Event] moves the state of a phone one step and publishes what changed.
//
// # The laws
//
//  1. Every command is answered, once. Refused, expired and cancelled ones too.
//  2. A command runs at most once. Nothing that may have reached a phone is sent again.
//  3. A command runs now or not at all. Retained ones are refused, and what waited too long is
//     not sent.
//  4. One phone, one command at a time, in order. A slow phone never delays another. A hangup
//     overtakes what waits and cancels it.
//  5. A wrong password costs one login.
//  6. The truth is republished at every connection: availability and status, never results or events.
//  7. Nothing secret leaves.
//  8. online is proven; that is the work of package session.
//  9. Nothing sent can wedge the bridge.
//  10. Nothing a payload says becomes a URL; that is the work of package snom.
//
// The package knows neither the MQTT client nor the HTTP one: it is given an [mqtt.Publisher] and
// a [Phone] for each phone.
package bridge
