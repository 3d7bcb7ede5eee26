package snom_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http/httptest"
	"time"

	"github.com/snom2mqtt/snom2mqtt/snom"
	"github.com/snom2mqtt/snom2mqtt/snom/snomtest"
)

func ExampleParseCommand() {
	c, err := snom.ParseCommand("dial +4930123")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(c.Verb(), c.Argument())
	for _, step := range c.Steps("") {
		fmt.Println(step.Request)
	}
	// Output:
	// dial +4930123
	// /command.htm?number=%2B4930123
}

func ExampleParseCommand_error() {
	_, err := snom.ParseCommand("key OFFHOOK;cancel")
	fmt.Println(err)

	var syntax *snom.SyntaxError
	if errors.As(err, &syntax) {
		fmt.Println("byte", syntax.Offset)
	}
	// Output:
	// snom: key "OFFHOOK;cancel": offset 8: expected a key name such as CANCEL, F1 or P1; key names are written in capitals: CANCEL
	// byte 8
}

func ExampleParsePayload() {
	plain, _ := snom.ParsePayload(snom.VerbKey, []byte("P1,2000;ENTER"))
	object, _ := snom.ParsePayload(snom.VerbKey, []byte(`{"keys": [{"key": "P1", "hold_ms": 2000}, {"key": "ENTER"}]}`))
	fmt.Println(plain == object, object)
	// Output:
	// true key P1,2000;ENTER
}

func ExampleVerb_Command() {
	var members map[string]json.RawMessage
	if err := json.Unmarshal([]byte(`{"command": "ring", "ringer": 3, "count": 2}`), &members); err != nil {
		fmt.Println(err)
		return
	}
	delete(members, "command") // a member that the command does not know is an error
	c, err := snom.VerbRing.Command(members)
	fmt.Println(c, err)
	// Output:
	// ring {"ringer":3,"count":2} <nil>
}

func ExampleCommand_Steps() {
	c, _ := snom.ParseCommand("transfer 28")
	for _, step := range c.Steps(snom.DialectOld) {
		fmt.Println(step.Request, step.Pause)
	}
	// Output:
	// /command.htm?key=F_R 500ms
	// /command.htm?key=2 0s
	// /command.htm?key=8 0s
	// /command.htm?key=ENTER 0s
}

func ExampleCommand_KeyEvents() {
	c, _ := snom.ParseCommand("key P1,2000,500;ENTER")
	for event := range c.KeyEvents() {
		fmt.Println(event.Key, event.Hold, event.Pause)
	}
	// Output:
	// P1 2s 500ms
	// ENTER 0s 0s
}

func ExampleModel_Check() {
	model, _ := snom.FindModel("snom 300")
	for _, text := range []string{"key P4", "key P6", "touch 10 10"} {
		c, _ := snom.ParseCommand(text)
		warning, err := model.Check(c)
		fmt.Printf("%s: %q, %v\n", c, warning, err)
	}
	// Output:
	// key P4: "", <nil>
	// key P6: "sources disagree whether snom 300 has 4 or 6 keys, so P6 may not exist", <nil>
	// touch 10 10: "", snom: not supported: only the snom 870 can be touched, not snom 300
}

func ExampleTransfer() {
	var transfer snom.Transfer
	now := time.Now()
	for _, text := range []string{"transfer complete", "transfer 28", "transfer 29", "transfer complete"} {
		c, _ := snom.ParseCommand(text)
		step, _ := c.Transfer()
		next, err := transfer.Next(step, now, time.Minute)
		fmt.Println(text, err)
		transfer = next
	}
	// Output:
	// transfer complete snom: no transfer is under way: transfer to a number first, then complete
	// transfer 28 <nil>
	// transfer 29 snom: a transfer is under way: complete or cancel it first
	// transfer complete <nil>
}

func ExampleClient_Send() {
	phone := snomtest.New(snomtest.Config{Auth: snomtest.AuthBasic, Username: "admin", Password: "secret"})
	defer phone.Close()
	server := httptest.NewServer(phone)
	defer server.Close()

	client, err := snom.NewClient(snom.ClientConfig{URL: server.URL, Username: "admin", Password: "wrong"})
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = client.Send(context.Background(), snom.Step{Request: "/command.htm?key=P1"})
	fmt.Println(err)
	fmt.Println("not retried:", errors.Is(err, snom.ErrUnauthorized))
	fmt.Println("failed logins:", phone.FailedLogins())
	// Output:
	// snom: phone refuses the login: HTTP 401: user name or password is not right (basic)
	// not retried: true
	// failed logins: 1
}

func ExampleVerb_Help() {
	help := snom.VerbLogoff.Help()
	fmt.Println(help.Summary)
	fmt.Println(help.Plain)
	fmt.Println(help.Request)
	// Output:
	// logs off one SIP identity, or all
	// all, or an identity from 1 to 12
	// /command.htm?LOGOFFALL; one /command.htm?LOGOFFLINE=…
}
