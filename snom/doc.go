// Package snom speaks the small HTTP language of Snom desk phones: it presses their keys, dials, sends
// tones, answers, transfers, and restarts them.
//
// A [Command] is one thing a phone can be told to do. It is a plain value: parse it with [ParseCommand]
// or [ParsePayload], compare it with ==, print it with [Command.String]. [Command.Steps] gives the HTTP
// requests that carry it out, and [Client] sends them to one phone. A [Model] knows what a phone of its
// kind can do, and [KeyTable] and [Models] list what is known at all, each row with its source.
//
// What a phone reports arrives by its action URLs: see package actionurl.
//
// # Grammar
//
// Nothing a caller writes becomes part of a URL unchecked. Every [Verb] has a narrow grammar: ASCII only,
// no surrounding white space, no leading zeros, names in the case Snom writes them. What does not fit is
// a [*SyntaxError] that says where and what was wanted. What fits is encoded and makes exactly the query
// parameters of its command, and no others.
//
// # What this package cannot know
//
// A phone answers that it has accepted a request, not that it has carried it out, and it says nothing
// about a key that it does not have. It has no documented way to be asked for its state: what it is doing
// arrives by the action URLs it calls. The D8xx generation and the DECT phones of the M series cannot be
// controlled this way at all.
//
// # Sources
//
// Rows and magic values name who documents them: "Snom wiki" followed by the page's name
// (service.snom.com/display/wiki and wiki.snom.com; FAQ/Can_I_control_my_snom_phone_remotely is the page
// for newer firmware), "Snom KB entry 40" (the same page for older firmware, kb.snom.com), or a public
// repository by owner and name. Each has a [Mark] that says how much that is worth.
package snom
