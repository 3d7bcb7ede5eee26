package snomtest_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/snom2mqtt/snom2mqtt/snom/snomtest"
)

func Example() {
	phone := snomtest.New(snomtest.Config{Name: "kitchen", Model: "D735"})
	defer phone.Close()
	server := httptest.NewServer(phone)
	defer server.Close()

	phone.Incoming(snomtest.Call{Number: "+4930123", Name: "Front door"})
	for _, keys := range []string{"ENTER", "EXPLODE"} {
		resp, err := http.Get(server.URL + "/command.htm?key=" + keys)
		if err != nil {
			fmt.Println(err)
			return
		}
		resp.Body.Close()
	}
	for _, r := range phone.Requests() {
		fmt.Printf("%s executed: %t %q\n", r.Target, r.Executed, r.Note)
	}
	fmt.Println(phone.State().Calls[0].State)
	// Output:
	// /command.htm?key=ENTER executed: true ""
	// /command.htm?key=EXPLODE executed: false "no key \"EXPLODE\" on a D735"
	// connected
}
