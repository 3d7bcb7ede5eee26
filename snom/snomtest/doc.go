// Package snomtest simulates Snom desk phones: it answers the HTTP requests that a phone
// answers, and calls the action URLs that a phone calls.
//
// A [Phone] is an http.Handler first, so it works behind any server. [NewServer], [NewTLSServer] and
// [NewPipe] also give it an address of its own, which is needed for what a handler alone cannot do:
// refuse connections, serve one connection at a time, close a reused one. NewPipe is for
// testing/synctest bubbles; the phone knows the time only through package time.
//
// The phone reads the raw request itself; of the library that it tests it uses nothing but the table of models.
// Every request that it received is in [Phone.Requests], with its outcome.
//
// It computes and checks Basic and Digest, locks out after bad logins, knows the keys of its
// model, takes time to play a key sequence, reboots, and fails in the ways listed by [FaultNames].
// Calls are played with [Phone.Incoming], [Phone.Answer] and their neighbours, or over HTTP with
// [ControlHandler].
//
// # Where this is a guess
//
// No text from Snom says what follows, so it may differ on a real phone: the bodies of replies; that
// a key the phone does not have is accepted silently; the 403 when hidden tags or restricted URI
// queries block a request; that user mode blocks reboots and loading firmware with the settings, and
// leaves the keys; the digest realm and the life of a nonce; that a good login ends the count
// of bad ones, that a reboot does, and that a locked phone gives every request the same reply and counts nothing;
// that a D8xx and a base show their first page without a login; how action URLs encode what is substituted (see [Encoding]),
// their time-out, their order, and that they are not tried again; the number of ongoing calls sent
// with an event.
//
// # What is not modelled
//
//   - the display: no screen.bmp; pages of the minibrowser are kept as text, and their pictures are fetched and not drawn;
//   - action_transfer, action_received_attended_transfer, action_received_subscr_notify_url and
//     action_firewall_test, which no event here causes; [Phone.Fire] calls them;
//   - menus of the phone itself: navigation keys, soft keys and programmable keys without a URL are counted as pressed and change
//     nothing; REDIAL dials at once, where a real phone opens its list first;
//   - audio other than announcements by multicast: see [Phone.ListenMulticast]; SIP, conferences, call waiting, and the list of held calls that "Call Join on Xfer" opens;
//   - expansion modules beyond their keys and lights: see [Phone.Plug];
//   - that asking again and again for a page that is forbidden gets a page which names the model
//     (Greenbone, gb_snom_http_detect.nasl);
//   - web forms (POST of name:value lines to action.htm, line_sip.htm, index.htm), log.htm, provisioning,
//     the maintenance login, and the meaning of settings other than those named at [Phone.Settings];
//   - the D8xx generation beyond its web page, and the M-series beyond the answers of its base;
//   - https and credentials in action URLs, action URLs that call the phone itself, the list of several
//     URLs in one setting, and action_blacklist_url.
package snomtest
