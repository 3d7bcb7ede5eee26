package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/snom2mqtt/snom2mqtt/bridge"
	"github.com/snom2mqtt/snom2mqtt/callstate"
	"github.com/snom2mqtt/snom2mqtt/mqtt"
	"github.com/snom2mqtt/snom2mqtt/snom"
	"github.com/snom2mqtt/snom2mqtt/snom/actionurl"
	"github.com/snom2mqtt/snom2mqtt/snom/notify"
)

// update writes the documents instead of comparing them: `make docs`.
func update() bool {
	f := flag.Lookup("update")
	return f != nil && f.Value.String() == "true"
}

const generated = "<!-- Made from the code by `make docs`; a test fails when it differs. -->\n\n"

func TestDocumentsSayWhatTheCodeDoes(t *testing.T) {
	t.Parallel()
	for name, write := range map[string]func(*bytes.Buffer){"topics.md": topicsDoc, "codes.md": codesDoc, "keys.md": keysDoc} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var b bytes.Buffer
			write(&b)
			file := filepath.Join("..", "..", "docs", name)
			if update() {
				if err := os.WriteFile(file, b.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			have, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(have, b.Bytes()) {
				t.Errorf("docs/%s differs from the code: run `make docs`", name)
			}
		})
	}
}

// TestDocumentsListCommands: lists of commands within other documents are made from the code, too.
func TestDocumentsListCommands(t *testing.T) {
	t.Parallel()
	for name, parts := range map[string][]docPart{
		"README.md":   {{"<!-- commands: made from the code by `make docs` -->", "<!-- end of commands -->", readmeCommands}},
		"docs/sip.md": {{"<!-- notify: made from the code by `make docs` -->", "<!-- end of notify -->", notifyTable}},
		"examples/mosquitto/acl": {
			{"# Commands (made from the code by `make docs`)", "# End of commands", aclCommands(false)},
			{"# Commands for maintenance (made from the code by `make docs`)", "# End of commands", aclCommands(true)},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join("..", "..", filepath.FromSlash(name))
			have, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			text := string(have)
			for _, p := range parts {
				if !strings.Contains(text, p.begin+"\n") {
					t.Errorf("%s has no line %q", name, p.begin)
				}
				text = p.replace(text)
			}
			switch {
			case text == string(have):
			case update():
				if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
			default:
				t.Errorf("%s differs from the code: run `make docs`", name)
			}
		})
	}
}

// A docPart is the lines of a document between begin and end, which may come more than once.
type docPart struct {
	begin, end string
	write      func(*bytes.Buffer)
}

// replace writes the lines anew.
func (p docPart) replace(text string) string {
	var b bytes.Buffer
	for {
		before, rest, found := strings.Cut(text, p.begin+"\n")
		b.WriteString(before)
		if !found {
			return b.String()
		}
		b.WriteString(p.begin + "\n")
		p.write(&b)
		i := strings.Index(rest, p.end)
		text = rest[max(0, i):]
	}
}

// readmeCommands is the table of commands of the README.
func readmeCommands(b *bytes.Buffer) {
	table(b, "command", "payload", "as JSON", "what it does")
	for _, v := range snom.Verbs() {
		h := v.Help()
		_, plain, _ := strings.Cut(h.Example, " ")
		what := h.Summary
		if v.Gated() {
			what += "; disabled until `SNOM2MQTT_ALLOW` enables it"
		}
		row(b, code(string(v)), code(plain), code(h.ExampleJSON), what)
	}
}

// notifyTable is the table of what commands become by NOTIFY.
func notifyTable(b *bytes.Buffer) {
	table(b, "command", "NOTIFY", "mark", "source")
	for _, r := range notify.Rows() {
		row(b, code(string(r.Verb)), r.Notify, string(r.Evidence), r.Source)
	}
}

// aclCommands returns what writes the lines of Mosquitto's access list for the commands of one kind.
func aclCommands(maintenance bool) func(*bytes.Buffer) {
	return func(b *bytes.Buffer) {
		for _, v := range snom.Verbs() {
			if v.Help().Maintenance == maintenance {
				b.WriteString("topic write snom/+/" + string(v) + "\n")
			}
		}
		if !maintenance {
			b.WriteString("topic write snom/+/open\n") // of doors
		}
	}
}

// row writes one row of a table. A bar would end its cell.
func row(b *bytes.Buffer, cells ...string) {
	for _, c := range cells {
		fmt.Fprintf(b, "| %s ", strings.ReplaceAll(c, "|", `\|`))
	}
	b.WriteString("|\n")
}

func table(b *bytes.Buffer, heads ...string) {
	row(b, heads...)
	b.WriteString(strings.Repeat("| --- ", len(heads)) + "|\n")
}

func code(s string) string {
	if s == "" {
		return ""
	}
	return "`" + s + "`"
}

func topicsDoc(b *bytes.Buffer) {
	b.WriteString("# Topics and payloads\n\n" + generated)
	b.WriteString("`<base>` is `snom` unless `SNOM2MQTT_BASE_TOPIC` says otherwise. The name of a phone or group is\n" +
		"`[a-z0-9][a-z0-9_-]{0,63}`; `bridge` is reserved, and `all` is the built-in group of every phone. All messages are\n" +
		"published and subscribed with QoS 1.\n\n")
	table(b, "topic", "retained", "what")
	for _, d := range mqtt.Topics() {
		row(b, code(d.Pattern), d.Retained, d.What)
	}
	b.WriteString("\n## Commands\n\n" +
		"The payload is the argument as plain text, or a JSON object with the members shown. A JSON object may also have\n" +
		"members that belong to every command:\n\n")
	table(b, "member", "what")
	row(b, "`id`", "text of up to 64 characters, or a number, repeated in the result as text; a second command to the same phone with the same id is not carried out, and is answered `duplicate`")
	row(b, "`expires_in`", "seconds from receipt, 0.001 to 86400, after which the command is no longer carried out; default `COMMAND_TTL`")
	row(b, "`expires_at`", "the same as a time, RFC 3339: `2026-11-22T10:00:00Z`; not both")
	row(b, "`dry_run`", "`true`: everything is checked as for the command, and nothing is sent; the result has `would`, a list of the requests to the phone, with `***` in place of a secret argument. It takes no `id`, ends no other command, and is no `last_result`")
	row(b, "`command`", "on `<base>/<phone>/command` only: the name of the command")
	b.WriteString("\nAn unknown member is an error. Input is not trimmed: names of keys are in capital letters, and white space, a line end\n" +
		"or an invisible character in a plain payload is an error that names it. A JSON number is accepted for text where no\n" +
		"digit can be lost: `{\"number\":4930123}`, but not in exponential form and not beyond 2^53; a leading `+` or `0` needs\n" +
		"double quotes. `3.0` is `3`. A payload may have 16 KiB.\n\n")
	b.WriteString("An `id` makes a command safe to repeat: the phone takes it once. Each phone remembers its last 1,024 ids for ten\n" +
		"minutes, fewer where thousands of phones share 32 MiB; after a restart of the bridge none. A result may arrive twice,\n" +
		"identical to the byte, when the connection to the broker breaks while it is being published (QoS 1): compare `id` and\n" +
		"`time`. A command that the broker delivers again on the same connection, with the DUP flag, is carried out once, with or\n" +
		"without an `id`.\n\n" +
		"Publish commands without the retain flag. A retained command that a broker delivers at a subscription is refused with\n" +
		"`retained`. While the bridge is subscribed, MQTT 3.1.1 delivers it without the flag, as any other command: it is carried\n" +
		"out then, and refused at the next connection. The bridge cannot tell the two apart; clear such a topic with an empty\n" +
		"retained message.\n\n")
	table(b, "command", "plain payload", "JSON", "request to the phone")
	for _, v := range snom.Verbs() {
		h := v.Help()
		row(b, code(string(v)), h.Plain, h.JSON, h.Request)
	}
	b.WriteString("\nThe same as examples:\n\n")
	table(b, "command", "plain", "JSON", "what it does")
	for _, v := range snom.Verbs() {
		h := v.Help()
		_, plain, _ := strings.Cut(h.Example, " ")
		if plain == "" {
			plain = "(empty)"
		} else {
			plain = code(plain)
		}
		row(b, code(string(v)), plain, code(h.ExampleJSON), h.Summary)
	}
	b.WriteString("\nOn `<base>/<phone>/command`, the first one is `{\"command\":\"key\"," + strings.TrimPrefix(snom.VerbKey.Help().ExampleJSON, "{") + "`.\n")
	var gated []string
	for _, v := range snom.GatedVerbs() {
		gated = append(gated, code(string(v)))
	}
	b.WriteString("\nA `hangup` is sent before all waiting commands of the phone and cancels them. `transfer` with a number holds the call and\n" +
		"calls the number; `complete` or `cancel` then ends the transfer. After `cancel` the first call stays on hold (`key` `F_HOLD`\n" +
		"resumes it). A `ring` with a `count` lets other commands of its phone go first between two rings; `ring` `stop` and\n" +
		"`hangup` end it. `dnd` `on` and `off` set a state and never toggle. `run` is described in [macros.md](macros.md). Disabled unless `ALLOW` enables them: " + strings.Join(gated, ", ") + ".\n")
	b.WriteString("\n`forward`, `keyboard_lock` and `set` read the settings first, write those that differ, and read them back, so `ok` says\n" +
		"that the phone has the values. `refused` says which settings are read-only at the phone, or that it took the request and\n" +
		"kept what it had. A phone in user mode neither shows its settings nor takes others: see [phone-setup.md](phone-setup.md).\n" +
		"Nothing is written where the present values cannot be read. `forward` obeys `DIAL_ALLOW` and `DIAL_DENY`. `set` writes\n" +
		"what `SETTINGS_ALLOW` matches, and never a setting that begins with `http_`, `admin_`, `action_` or `user_`, or has\n" +
		"`pass` in its name. Without `identity` a phone with several has the setting of the first one changed, or of all: no\n" +
		"source says which.\n")
	b.WriteString("\n" + "`ask` has the phone fetch a page that shows nothing, and call back with do not disturb, forwarding and the number of its calls by\n" +
		"state. Its result has them under `asked`, and the status too. **That phones fill in such a page is inferred from Snom's\n" +
		"documents and was not confirmed on a phone**: one that does not call back within 3 s is a `timeout`, and one that calls back and\n" +
		"has filled in nothing is `unsupported`. What is shown on the display stays; whether a call is disturbed is not known. `ASK_EVERY`\n" +
		"asks regularly, never a phone that has a call as far as its events or its last answer say: without [action URLs](phone-setup.md) the\n" +
		"bridge learns of a call only by asking.\n")
	b.WriteString("\n## The result\n\n")
	example(b, bridge.Result{ID: "7f3a", Phone: "kitchen", Command: "dial", Argument: "+4930123", OK: true, Code: bridge.OK,
		HTTPStatus: 302, Requests: 1, DurationMS: 41, Time: moment()})
	b.WriteString("`ok` means that the phone accepted it; what then happens is reported by its events. `code` is one of [codes.md](codes.md).\n" +
		"`requests` counts the HTTP requests that were made, the one that fetches a digest challenge included. `http_status` is\n" +
		"0 where the phone gave no answer. A `duplicate` carries the first command's result under `first`, and that one's `ok`.\n" +
		"For a secret argument (`MASK`) `argument` is `***`. The result of a macro (`run`) has `steps`, that of a dry run `would`.\n\nA group answers once more, when all members have:\n\n")
	example(b, bridge.Summary{ID: "7f3b", Group: "all", Command: "ring", Argument: "3", Code: bridge.Unreachable,
		Message: "1 of 2 ok; hall unreachable", Members: map[string]bridge.Code{"kitchen": bridge.OK, "hall": bridge.Unreachable}, DurationMS: 3012, Time: moment()})
	b.WriteString("When so many answers wait for the broker that those of all members would not fit, the whole group gets one summary with\n" +
		"`busy` and no `members`; nothing is sent to any of them.\n" +
		"\n## Requests to the bridge\n\nThe payload is plain text, or a JSON object with `id` and the argument. `probe` and `install` for a group, or for\n" +
		"`all`, are answered once for each phone, which `phone` names.\n\n")
	table(b, "action", "payload", "what")
	for _, a := range bridge.Actions() {
		row(b, code(a.Name), a.Payload, a.Does)
	}
	b.WriteString("\n")
	example(b, bridge.Response{ID: "1", Action: "ping", OK: true, Code: bridge.OK, Time: moment()})
	b.WriteString("## Several bridges on one base topic\n\n" +
		"With `INSTANCE` each bridge has topics of its own, `<base>/bridge/<instance>/state` and so on, and subscribes to its own\n" +
		"phones and groups. When it is online it claims its phones: `<base>/<phone>/owner` holds its instance, retained. A phone\n" +
		"that another instance has claimed is an error: it is logged, listed in `bridge/<instance>/info` under `foreign`, and\n" +
		"nothing is sent to it or said of it; the other phones are served as ever. It is served as soon as its claim is cleared:\n" +
		"because a reload takes the phone out of the other bridge's settings, or by an empty retained message, which is what to\n" +
		"do after an instance was renamed or is gone for good: `mosquitto_pub -r -n -t <base>/<phone>/owner`. A bridge that\n" +
		"serves the phone claims it again at once, so nothing is lost by clearing too much. A bridge without `INSTANCE` claims\n" +
		"nothing, and does not serve what others have claimed.\n\n" +
		"A group is answered by each bridge that has one of that name, for the members it serves, with `instance` in its\n" +
		"summary; so `all` has as many summaries as there are bridges.\n\n" +
		"Two bridges that use the very same topics (the same base topic, the same `INSTANCE` or none) see each other's\n" +
		"`bridge/info`, where `process` tells them apart. The one that started later publishes a `challenge` there, and goes into\n" +
		"standby when the older one has repeated it under `answers`: it reports not ready and ignores commands, until the older\n" +
		"one has not answered for 15 seconds.\n\n" +
		"All this guards against mistakes. It is no lock: see [scaling.md](scaling.md).\n\n")
	b.WriteString("## The bridge's phones and its health\n\nBoth are retained. `<base>/bridge/phones` is published when it changes; `commands` are those that the phone takes as far as\n" +
		"its model, the way it is driven and the settings say, `keys` those that its model has without expansion modules,\n" +
		"`keys_set_up` those that the phones file sets up, `lights` those that are on. Where the\n" +
		"list does not fit 64 KiB it has no keys, then no commands, and with more than 2,000 phones it is `null`.\n\n")
	example(b, []bridge.Listing{{Name: "kitchen", Model: "D735", Driven: "http", Commands: []snom.Verb{"key", "dial", "hangup"}, Keys: []string{"ENTER", "CANCEL", "P1"},
		SetUp: []bridge.KeyListing{{Key: "P1", Name: "garage", Label: "Garage"}}, Lights: map[string]string{"P1": "red blink"}}})
	b.WriteString("`<base>/bridge/health` is published every minute, and when a phone or the connection comes or goes. `waiting` are commands in\n" +
		"the queues of phones, `late` those that expired, `dropped` messages that were not published, `breakers_open` phones that\n" +
		"are not contacted because they refused the login.\n\n")
	example(b, Health{UptimeS: 86400, ConnectedSince: moment(), Phones: PhonesHealth{Online: 11, Total: 12}, MemoryBytes: 12 << 20, Time: moment()})
	b.WriteString("## Status\n\nRetained, and published when it changes. What is not known is `null`; without `PHONE_LISTEN` that is all that only a\n" +
		"phone can report. A change of `last_result` alone is published at most once a second, and with more than\n" +
		"200 phones less often: at most 200 times a second for all of them.\n\n")
	example(b, bridge.Status{Phone: "kitchen", Reachable: bridge.SwitchOn, Model: "D735", Firmware: "10.1.184.14", MAC: "000413aabbcc",
		Status: callstate.Status{
			Call: callstate.Call{State: callstate.Ringing, Direction: actionurl.DirectionIn, CallID: "3c26-ab",
				Remote: actionurl.Party{Number: "+4930123", Name: "Front door", URI: "sip:+4930123@pbx.example"}, Since: moment()},
			Calls: 1, Hook: callstate.HookOn, DND: bridge.SwitchOff, Registered: bridge.SwitchOn,
			LastCaller: callstate.Caller{Number: "+4930123", Name: "Front door", Time: moment()},
		},
		LastResult: &bridge.LastResult{Code: bridge.OK, Command: "dial", Time: moment()}, Time: moment()})
	b.WriteString("After a restart the bridge takes over from its own retained status what a phone reported before: `call`, `dnd`,\n" +
		"`forwarding`, `registered`, `last_caller` and `missed`. While one of `call`, `hook`, `dnd`, `forwarding` and `registered`\n" +
		"is older than the process, the status also has `as_of`, the time to which it goes back; a phone may have changed since.\n\n")
	b.WriteString("What the commands `dnd`, `forward`, `keyboard_lock` and `set` read of the phone's settings is there as well, once something\n" +
		"was read: `keyboard_lock`, true or false; `forward` with `always`, `busy` and `no_answer`, each with `on` and `to`, and\n" +
		"`after` in seconds; `settings`, the last 32 by name; `settings_as_of`, when they were read last. The phone does not report\n" +
		"a change of them, except that forwarding was switched. Nothing of a command that `MASK` names is there.\n\n")
	b.WriteString("After an `ask` the status has what the phone said of its first identity, under `asked`: `dnd`, `forward` as above, `calls` and `time`.\n" +
		"`calls` counts all calls, and those in each state, in the phone's words: `connected`, `holding`, `on_hold`, `ringing`, `calling`,\n" +
		"`ringback`. What the phone did not say is null. `dnd`, `forwarding`, `forward` and `settings` follow it. If it has no call, `call`\n" +
		"and `calls` follow, too; if it has one that it has not reported, they show it without its party.\n" + "\n")
	b.WriteString("`call.state` is one of ")
	for i, p := range callstate.Phases() {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(code(string(p)))
	}
	b.WriteString(".\n`call` is the one that matters most: connected, dialing, ringing, held, in this order. `calls` is how many there are, and\n" +
		"`since` since when it is in this state. A call that is over is `ended` for two seconds, with `duration_ms`, how long it was\n" +
		"connected, and a `reason`:\n\n")
	table(b, "reason", "the call")
	for _, r := range [][2]string{
		{string(callstate.EndHungUp), "was connected, and one side hung up; or the bridge ended it"},
		{string(callstate.EndUnanswered), "was never connected"},
		{string(callstate.EndMissed), "the same, and the phone reports it as missed"},
		{string(callstate.EndElsewhere), "was taken by another phone"},
		{string(callstate.EndTransferred), "was transferred"},
		{string(callstate.EndRestarted), "was there when the phone restarted"},
		{string(callstate.EndTimeout), "had no event for `RING_TIMEOUT` or `CALL_TIMEOUT`: a phone reports no event when it rejects a call"},
	} {
		row(b, code(r[0]), r[1])
	}
	b.WriteString("\n`missed` counts from the start of the bridge, or from the last `clear` with `missed`. A phone reports\n" +
		"most of this state by events only: after a restart of the bridge it is restored from the retained status of the phone, and `as_of` is\n" +
		"the time of that status until the phone has reported the state again. What the bridge did itself counts as reported: a\n" +
		"`hangup` that the phone accepted ends its calls.\n\n" +
		"`problem` is present only where something is wrong, and `remedy` then says what to do: the phone refuses the login, requires another\n" +
		"one or is locked; it blocks remote control (hidden tags); it has none of the bridge's action URLs; the settings name another model\n" +
		"than the phone does (the phone's word counts); its certificate is not trusted; or nothing has shown that the device is a Snom phone.\n" +
		"For the action URLs the bridge reads the phone's settings once, after a login has succeeded or where none is configured; an event\n" +
		"shows that they are there.\n\n## Events\n\n")
	example(b, actionurl.Event{Type: actionurl.EventIncoming, Phone: "kitchen", Direction: actionurl.DirectionIn, CallID: "3c26-ab", Line: "27@pbx.example",
		Remote: actionurl.Party{Number: "+4930123", Name: "Front door", URI: "sip:+4930123@pbx.example"},
		Local:  actionurl.Party{Number: "27", URI: "sip:27@pbx.example"}, Calls: 1, CallsKnown: true, Time: moment().Time})
	b.WriteString("Events are never retained. `extra` holds what else the phone said, by the name of its variable.\n\n")
	table(b, "event_type", "action URL", "when")
	for _, r := range actionurl.Rows() {
		if !r.Never {
			row(b, code(string(r.Type)), code(r.Setting), r.Caption)
		}
	}
	b.WriteString("\nTwo more belong to no action URL. What people choose or type on a page that `show` has opened is a `choice`, once, while\n" +
		"the page is shown: `choice` is what the page named it, `text` what was typed, `show` the `id` of the command. What is typed into\n" +
		"an input of the kind `pin` is compared with the first line of `pin_file`, a file beside the phones file, and published as `pin_ok` only:\n\n")
	example(b, actionurl.Event{Type: actionurl.EventChoice, Phone: "kitchen", Choice: &actionurl.Choice{Choice: "gate", Show: "7f3a"}, Time: moment().Time})
	b.WriteString("`key_press` is a press of a [key](panel.md#keys) that the phones file sets up: `key` says which, and `name` is what the file\n" +
		"calls it. Such a key has the type Action URL and the URL `<PHONE_BASE_URL>/a/<phone>/<token>/key_press?active_key=P1`.\n\n")
	example(b, actionurl.Event{Type: actionurl.EventKeyPress, Phone: "kitchen", Key: "P1", Name: "garage", Time: moment().Time})
}

// moment is the time in every example.
func moment() bridge.Time {
	return bridge.Time{Time: time.Date(2026, 11, 22, 10, 0, 0, 123e6, time.UTC)}
}

// example writes v as a block of JSON.
func example(b *bytes.Buffer, v any) {
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(v); err != nil {
		panic(err) // values of this file
	}
	fmt.Fprintf(b, "```json\n%s```\n\n", out.String())
}

func codesDoc(b *bytes.Buffer) {
	b.WriteString("# Result codes\n\n" + generated)
	b.WriteString("The list is closed: a program can switch on it. The column in the middle says whether the phone was touched.\n\n")
	table(b, "code", "sent", "meaning", "what to do")
	for _, c := range bridge.Codes() {
		row(b, code(string(c.Code)), c.Sent, c.Meaning, c.Advice)
	}
}

func keysDoc(b *bytes.Buffer) {
	b.WriteString("# Keys and models\n\n" + generated)
	b.WriteString("A payload of `key` is `KEY[,TIME[,PAUSE]][;…]`: a name of this table, its hold time and the pause before the next\n" +
		"key, in milliseconds. Up to 128 keys, 60000 for each time, 300 s in all.\n\n" +
		"The answer to a key that the model does not have is `unsupported`. Where sources disagree or are silent the key is\n" +
		"sent, and `message` has a warning. A phone whose model is not known accepts every key.\n\n" +
		"Evidence: **S** a document of Snom; **S\\*** code of a Snom employee; **3** code or documents of others;\n" +
		"**I** inferred, not confirmed on a phone.\n\n")
	table(b, "key", "what it does", "phones", "evidence", "source", "remark")
	for _, k := range snom.KeyTable() {
		name := code(k.Name)
		if k.Last != "" {
			name += " … " + code(k.Last)
		}
		row(b, name, k.Does, k.Where(), strings.ReplaceAll(string(k.Evidence), "*", `\*`), k.Source, k.Remark)
	}
	b.WriteString("\n## Models\n\n`PHONE_<n>_MODEL` takes any of these, with or without `snom` before it, in any case. Where it is not set, the bridge\n" +
		"asks the phone.\n\n")
	table(b, "model", "remote control", "programmable keys", "identities", "source", "remark")
	for _, m := range snom.Models() {
		least, most := m.KeyCount()
		keys := "not known"
		switch {
		case most > least:
			keys = fmt.Sprintf("%d or %d, sources disagree", least, most)
		case most > 0:
			keys = fmt.Sprint(most)
		}
		identities := "not known"
		if n := m.Identities(); n > 0 {
			identities = fmt.Sprint(n)
		}
		row(b, m.Name(), string(m.RemoteControl()), keys, identities, m.Source(), m.Remark())
	}
	b.WriteString("\n## Lights and expansion modules\n\nThe light of `P1` has this number in the documents that phones fetch, and the lights of the other keys follow, those of\n" +
		"other pages of keys and of expansion modules, too. For models that are not listed no source says it: the phones file\n" +
		"names it with `led_offset`, which then counts for modules as well.\n\n")
	table(b, "model", "light of `P1`", "evidence and source")
	for _, m := range snom.Models() {
		if m.LED() != 0 {
			row(b, m.Name(), fmt.Sprint(m.LED()), marked(m.LEDEvidence(), m.LEDSource()))
		}
	}
	b.WriteString("\nThe keys of expansion modules are programmable keys with these numbers: `P33` is `fkey32` in the phone's settings.\n\n")
	modulesTable(b, snom.Models())
	b.WriteString("\nOn the 3xx the keys of modules are `EK0` and so on, and no source says which lights they have. For models that are\n" +
		"not listed no source names a module; keys beyond those of the phone are sent all the same, with a warning.\n")
}

// modulesTable lists the expansion modules of models.
func modulesTable(b *bytes.Buffer, models []snom.Model) {
	table(b, "model", "module", "keys of the first one", "at most", "evidence and source", "lights", "evidence and source of the lights", "remark")
	for _, m := range models {
		for _, e := range m.Modules() {
			lights, source := "not known", "no source; counted on from `P1`"
			if e.LED != 0 {
				lights, source = fmt.Sprintf("%d to %d", e.LED, e.LED+e.Keys-1), marked(e.LEDEvidence, e.LEDSource)
			}
			row(b, m.Name(), e.Name, fmt.Sprintf("`P%d` to `P%d`", e.First, e.First+e.Keys-1), fmt.Sprint(e.Most), marked(e.Evidence, e.Source), lights, source, e.Remark)
		}
	}
}
