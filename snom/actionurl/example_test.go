package actionurl_test

import (
	"fmt"
	"strings"
	"time"

	"github.com/snom2mqtt/snom2mqtt/snom/actionurl"
)

func ExampleURLs() {
	for _, u := range actionurl.URLs("http://192.0.2.5:8090", "kitchen", "s3cret")[:1] {
		where, _, _ := strings.Cut(u.URL, "?") // what follows are the variables
		fmt.Println(u.Setting, where)
	}
	// Output:
	// action_incoming_url http://192.0.2.5:8090/a/kitchen/s3cret/incoming
}

func ExampleParseEvent() {
	event, err := actionurl.ParseEvent("incoming",
		"call-id=3c26-ab&nr_ongoing_calls=1&remote=sip:+4930123@pbx.example&display_remote=Front door", time.Now())
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(event.Type, event.Direction, event.CallID, event.Calls)
	fmt.Println(event.Remote.Number, event.Remote.Name)
	// Output:
	// incoming in 3c26-ab 1
	// +4930123 Front door
}
