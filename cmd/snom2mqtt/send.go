package main

import (
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
		Short: "Send one command straight to a configured phone, without a broker",
		Long: `Send one command straight to a configured phone, without a broker, and print its
result as one line of JSON. The command and the payload are what one would
publish; the same checks, rules and gates hold.

` + commandHelp() + `
Exit codes: 0 the phone accepted it, 1 it did not, 2 the command makes no sense.`,
		Example: `  snom2mqtt send kitchen key 'OFFHOOK;1;2;3;ENTER'
  snom2mqtt send kitchen dial +4930123
  snom2mqtt send kitchen ring '{"ringer":3,"count":2}'`,
		Args: rangeArgs(2, 3),
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			return p.completeSend(args), cobra.ShellCompDirectiveNoFileComp
		},
		RunE: p.send,
	}
}

// commandHelp lists the commands with an example each.
func commandHelp() string {
	var b strings.Builder
	for _, v := range snom.Verbs() {
		fmt.Fprintf(&b, "  %-11s %s\n", v, v.Help().Plain)
	}
	return b.String()
}

// completeSend offers the configured phones, then the commands.
func (p *program) completeSend(args []string) []string {
	switch len(args) {
	case 0:
		_, r, err := p.load()
		if err != nil {
			return nil
		}
		var names []string
		for _, phone := range r.Phones {
			names = append(names, phone.Name)
		}
		return names
	case 1:
		var names []string
		for _, v := range snom.Verbs() {
			names = append(names, string(v))
		}
		return names
	}
	return nil
}

// send is a bridge for one command: what it would publish as the result is printed.
func (p *program) send(c *cobra.Command, args []string) error {
	settings, phones, err := p.load()
	if err != nil {
		return err
	}
	name, verb, payload := args[0], args[1], ""
	if len(args) == 3 {
		payload = args[2]
	}
	phones.Phones = slices.DeleteFunc(phones.Phones, func(p bridge.PhoneConfig) bool { return p.Name != name })
	if len(phones.Phones) == 0 {
		return usageError{fmt.Errorf("no phone is called %q", name)}
	}
	if !snom.Verb(verb).Valid() && verb != "command" {
		return usageError{fmt.Errorf("no such command %q; see %s --help", verb, c.CommandPath())}
	}
	tree, err := mqtt.NewTree(settings.BaseTopic, "")
	if err != nil {
		return usageError{err}
	}
	answer := make(results, 1)
	b := bridge.New(bridge.Config{
		Tree: tree, Publish: answer.of(tree.Result(name)), Log: logger(p.stderr, settings.LogFormat, slog.LevelWarn),
		Rules: rules(settings), Gap: settings.CommandGap, CallTimeout: settings.CallTimeout, AnyTransfer: true,
	}, phones)
	b.Handle(mqtt.Message{Topic: tree.Command(name, verb), Payload: []byte(payload)})
	var line []byte
	select {
	case line = <-answer:
	case <-c.Context().Done():
		return c.Context().Err()
	}
	fmt.Fprintf(p.stdout, "%s\n", line)
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

// results takes the answer to the one command there is.
type results chan []byte

// of returns a publisher that keeps what is published on topic.
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
