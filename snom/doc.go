// Package snom controls Snom desk phones over HTTP: it presses their keys, dials, sends tones, answers,
// transfers, and restarts them.
//
// A [Command] is one command for a phone. It is a plain value: make it with a constructor such as [Dial], or
// parse it with [ParseCommand] or [ParsePayload]; compare it with ==, print it with [Command.String].
// [Command.Steps] returns the HTTP requests that carry it out, and [Client] sends them to one phone. A [Model]
// knows what a phone of its kind can do, and [KeyTable] and [Models] list the known keys and models, each row
// with its source.
//
// What a phone reports arrives by its action URLs: see package actionurl.
//
// # Grammar
//
// No input becomes part of a URL unchecked. Every [Verb] has a narrow grammar: ASCII only, no surrounding white
// space, no leading zeros, names in the case in which Snom writes them. Other input is a [*SyntaxError] that says
// where the fault is and what was expected. Valid input is encoded and makes exactly the query parameters of its
// command, and no others.
//
// # What this package cannot know
//
// A phone answers that it has accepted a request, not that it has carried it out, and it silently accepts a key
// that it does not have. There is no documented way to read its state: state changes arrive by the action URLs
// that it calls. Phones of the D8xx generation and the DECT phones of the M series have no remote control over
// HTTP.
//
// # Sources
//
// Rows and magic values name the document that they are known from: "Snom wiki" followed by the page's name
// (service.snom.com/display/wiki and wiki.snom.com; FAQ/Can_I_control_my_snom_phone_remotely is the page
// for newer firmware), "Snom KB entry 40" (the same page for older firmware, kb.snom.com), or a public
// repository by owner and name. Each has an [Evidence] that says how sure it is.
package snom
