package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/snom2mqtt/snom2mqtt/bridge"
	"github.com/snom2mqtt/snom2mqtt/mqtt"
	"github.com/snom2mqtt/snom2mqtt/snom"
)

func (p *program) sendCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "send <phone> <command> [payload]",
		Short: "Send one command directly to a configured phone, without a broker",
		Long: `Send one command directly to a phone of the settings, without a broker, and print its
result as one line of JSON. Command and payload are those of a message on
snom/<phone>/<command>, as text or as JSON (docs/topics.md), and the same rules
apply. No other command is sent.

` + commandHelp() + `
` + pageCommands() + `
Ctrl-C waits for the phone's answer; a second one does not.

Exit codes: 0 the phone accepted it, 1 it did not, 2 the command is invalid.`,
		Example: `  snom2mqtt send kitchen key 'OFFHOOK;1;2;3;ENTER'
  snom2mqtt send kitchen dial +4930123
  snom2mqtt send kitchen ring '{"ringer":3,"count":2}'`,
		Args:                  rangeArgs(2, 3),
		ValidArgsFunction:     p.completeSend,
		DisableFlagsInUseLine: true,
		RunE:                  p.send,
	}
}

// commandHelp lists the commands, each with an example.
func commandHelp() string {
	const width = 23
	var b strings.Builder
	for _, v := range snom.Verbs() {
		if v.Displays() {
			continue
		}
		h := v.Help()
		example := h.Example
		if len(example) > width {
			example += "\n" + strings.Repeat(" ", 2+width)
		}
		fmt.Fprintf(&b, "  %-*s  %s\n", width, example, h.Summary)
	}
	return b.String()
}

// needsBridge is why a command that shows a page cannot be sent without the bridge.
const needsBridge = "phones fetch what they show from a running bridge, and send runs none"

// pageCommands says which commands are not sent, and where they are.
func pageCommands() string {
	var names []string
	for _, v := range snom.Verbs() {
		if v.Displays() {
			names = append(names, string(v))
		}
	}
	last := len(names) - 1
	return strings.Join(names[:last], ", ") + " and " + names[last] + ` are not sent: ` + strings.Replace(needsBridge, " a running", "\na running", 1) + `. Publish a message
on snom/<phone>/` + names[0] + ` and so on, with PHONE_LISTEN set for the bridge.
`
}

// send runs a bridge for one command and prints the result that it would publish.
func (p *program) send(c *cobra.Command, args []string) error {
	settings, phones, err := p.load(c.Context())
	if err != nil {
		return err
	}
	defer p.drivers.close()
	name, verb, payload := args[0], args[1], ""
	if len(args) == 3 {
		payload = args[2]
	}
	if err := knows(phones, name, verb); err != nil {
		return seeHelp(c, err)
	}
	if snom.Verb(verb).Displays() {
		return seeHelp(c, fmt.Errorf("%s: %s: publish a message on %s/%s/%s, with PHONE_LISTEN set for the bridge", verb, needsBridge, settings.BaseTopic, name, verb))
	}
	all := phones.Phones
	phones.Phones = slices.DeleteFunc(slices.Clone(phones.Phones), func(p bridge.PhoneConfig) bool { return p.Name != name })
	tree, err := mqtt.NewTree(settings.BaseTopic, "")
	if err != nil {
		return usageError{err}
	}
	answer := make(results, 1)
	b := bridge.New(bridge.Config{
		Speaker: newAnnouncer(settings, func() []bridge.PhoneConfig { return all }),
		Tree:    tree, Publish: answer.of(tree.Result(name)), Log: logger(p.stderr, settings.LogFormat, slog.LevelWarn),
		Rules: rules(settings), Gap: settings.CommandGap, QueueLength: settings.QueueLength,
		PollEvery: settings.AvailabilityInterval, RingTimeout: settings.RingTimeout, CallTimeout: settings.CallTimeout, AnyTransfer: true, NoPages: needsBridge,
	}, phones)
	topic := tree.Command(name, verb)
	b.Handle(tree.Read(topic), mqtt.Message{Topic: topic, Payload: []byte(payload)})
	ctx, end := context.WithCancel(c.Context())
	defer end()
	var line []byte
	select {
	case line = <-answer:
		end()
	case <-ctx.Done():
	}
	// At its end the bridge finishes and answers the request under way and sends no other.
	if err := b.Run(ctx); err != nil {
		return err
	}
	if line == nil {
		line = <-answer
	}
	return p.printResult(line)
}

// knowsPhone returns an error if there is no phone of that name.
func knowsPhone(phones bridge.Roster, name string) error {
	var names []string
	for _, p := range phones.Phones {
		if p.Name == name {
			return nil
		}
		names = append(names, p.Name)
	}
	return fmt.Errorf("no phone is called %q: expected %s", name, oneOf(names))
}

// knows reports what is wrong with the name of a phone or of a command.
func knows(phones bridge.Roster, name, verb string) error {
	if err := knowsPhone(phones, name); err != nil {
		return err
	}
	if v := snom.Verb(verb); !v.Valid() && verb != "command" {
		var names []string
		for _, v := range snom.Verbs() {
			names = append(names, string(v))
		}
		return fmt.Errorf("no such command %q: expected %s", verb, oneOf(names))
	}
	return nil
}

// oneOf lists the names that are expected, up to a readable number.
func oneOf(names []string) string {
	const most = 24
	if len(names) == 1 {
		return names[0]
	}
	if more := len(names) - most; more > 0 {
		return fmt.Sprintf("one of %s and %d more", strings.Join(names[:most], ", "), more)
	}
	return "one of " + strings.Join(names, ", ")
}

// printResult prints a result, and returns an error if the command failed.
func (p *program) printResult(line []byte) error {
	if _, err := fmt.Fprintf(p.stdout, "%s\n", line); err != nil {
		return err
	}
	var result bridge.Result
	if err := json.Unmarshal(line, &result); err != nil {
		return err
	}
	switch {
	case result.OK:
		return nil
	case result.Code == bridge.Invalid:
		return usageError{fmt.Errorf("%s: %s", result.Code, result.Message)}
	}
	return fmt.Errorf("%s: %s", result.Code, result.Message)
}

// results receives the answer to the one command.
type results chan []byte

// of returns a publisher that sends to r what is published on topic.
func (r results) of(topic string) mqtt.Publisher { return oneTopic{topic, r} }

type oneTopic struct {
	topic string
	out   results
}

func (o oneTopic) Publish(m mqtt.Message) bool {
	if m.Topic == o.topic {
		o.out <- m.Payload
	}
	return true
}
