package mqtt_test

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/snom2mqtt/snom2mqtt/mqtt"
)

func mustTree(tb testing.TB, base, instance string) mqtt.Tree {
	tb.Helper()
	t, err := mqtt.NewTree(base, instance)
	if err != nil {
		tb.Fatal(err)
	}
	return t
}

func ExampleTree() {
	t, err := mqtt.NewTree("snom", "")
	if err != nil {
		panic(err)
	}
	fmt.Println(t.Result("kitchen"))
	fmt.Printf("%+v\n", t.Read("snom/kitchen/dial"))
	// Output:
	// snom/kitchen/result
	// {Kind:command Name:kitchen Command:dial Action:}
}

func TestNewTree(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("b", mqtt.MaxBase)
	tests := []struct {
		name           string
		base, instance string
		want           string // part of the error; empty: none
	}{
		{name: "one level", base: "snom"},
		{name: "two levels", base: "house/phones"},
		{name: "not ASCII", base: "häuser/größe"},
		{name: "longest", base: long},
		{name: "instance", base: "snom", instance: "attic-1"},
		{name: "empty", want: "empty"},
		{name: "too long", base: long + "b", want: "101 bytes, expected at most 100"},
		{name: "slash in front", base: "/snom", want: "slash"},
		{name: "slash behind", base: "snom/", want: "slash"},
		{name: "only a slash", base: "/", want: "slash"},
		{name: "empty level", base: "a//b", want: "empty level"},
		{name: "wildcard", base: "a/+", want: "offset 2"},
		{name: "hash", base: "#", want: "offset 0"},
		{name: "space", base: "my phones", want: "offset 2"},
		{name: "dollar", base: "$SYS", want: "offset 0"},
		{name: "newline", base: "a\nb", want: "offset 1"},
		{name: "NUL", base: "a\x00", want: "offset 1"},
		{name: "DEL", base: "a\x7f", want: "offset 1"},
		{name: "C1 control", base: "a\u0085", want: "offset 1"},
		{name: "noncharacter", base: "a\ufffe", want: "offset 1"},
		{name: "not UTF-8", base: "a\xff", want: "UTF-8"},
		{name: "bad instance", base: "snom", instance: "Attic", want: `instance: mqtt: name "Attic": offset 0`},
		{name: "instance bridge", base: "snom", instance: "bridge", want: "reserved"},
		{name: "instance like a topic", base: "snom", instance: "request", want: "expected another"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := mqtt.NewTree(tt.base, tt.instance)
			if tt.want == "" {
				if want := (mqtt.Tree{Base: tt.base, Instance: tt.instance}); err != nil || got != want {
					t.Errorf("NewTree(%q, %q) = %v, %v, expected %v", tt.base, tt.instance, got, err, want)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("NewTree(%q, %q) = %v, expected an error with %q", tt.base, tt.instance, err, tt.want)
			}
		})
	}
}

func TestTopicNames(t *testing.T) {
	t.Parallel()
	alone, shared := mustTree(t, "snom", ""), mustTree(t, "a/b", "attic")
	tests := []struct{ got, want string }{
		{alone.State(), "snom/bridge/state"},
		{alone.Info(), "snom/bridge/info"},
		{alone.BridgeResult(), "snom/bridge/result"},
		{alone.Loopback(), "snom/bridge/loopback"},
		{alone.Request("ping"), "snom/bridge/request/ping"},
		{alone.Response("ping"), "snom/bridge/response/ping"},
		{alone.Command("kitchen", "dial"), "snom/kitchen/dial"},
		{alone.Result("kitchen"), "snom/kitchen/result"},
		{alone.Availability("kitchen"), "snom/kitchen/availability"},
		{alone.Status("kitchen"), "snom/kitchen/status"},
		{alone.Event("kitchen"), "snom/kitchen/event"},
		{shared.Owner("kitchen"), "a/b/kitchen/owner"},
		{shared.State(), "a/b/bridge/attic/state"},
		{shared.Response("ping"), "a/b/bridge/attic/response/ping"},
		{shared.Result("kitchen"), "a/b/kitchen/result"},
		{shared.CommandLoopback(), "a/b/all/loopback"},
	}
	for _, tt := range tests {
		if tt.got != tt.want {
			t.Errorf("got %q, expected %q", tt.got, tt.want)
		}
	}
}

func TestSubscriptions(t *testing.T) {
	t.Parallel()
	tests := []struct {
		tree mqtt.Tree
		want []mqtt.Subscription
	}{
		{mustTree(t, "snom", ""), []mqtt.Subscription{
			{Filter: "snom/#", Instead: []string{"snom/+/+", "snom/bridge/request/+"}},
		}},
		{mustTree(t, "a/b", "attic"), []mqtt.Subscription{
			{Filter: "a/b/bridge/attic/#", Instead: []string{"a/b/bridge/attic/+", "a/b/bridge/attic/request/+"}},
			{Filter: "a/b/kitchen/#", Instead: []string{"a/b/kitchen/+"}},
			{Filter: "a/b/all/#", Instead: []string{"a/b/all/+"}},
		}},
	}
	for _, tt := range tests {
		if got := tt.tree.Subscriptions([]string{"kitchen", "all"}); !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%+v: got %+v, expected %+v", tt.tree, got, tt.want)
		}
	}
}

func TestTreeRead(t *testing.T) {
	t.Parallel()
	alone, shared := mustTree(t, "snom", ""), mustTree(t, "snom", "attic")
	command := func(name, command string) mqtt.Address {
		return mqtt.Address{Kind: mqtt.KindCommand, Name: name, Command: command}
	}
	kind := func(k mqtt.Kind) mqtt.Address { return mqtt.Address{Kind: k} }
	tests := []struct {
		tree  mqtt.Tree
		topic string
		want  mqtt.Address
	}{
		{alone, "snom/kitchen/dial", command("kitchen", "dial")},
		{alone, "snom/kitchen/command", command("kitchen", "command")},
		{alone, "snom/all/fix_lil", command("all", "fix_lil")},
		{alone, "snom/kitchen/state", command("kitchen", "state")}, // answered: there is no such command
		{alone, "snom/kitchen/result", kind(mqtt.KindOwn)},
		{alone, "snom/kitchen/status", mqtt.Address{Kind: mqtt.KindStatus, Name: "kitchen"}},
		{shared, "snom/kitchen/status", mqtt.Address{Kind: mqtt.KindStatus, Name: "kitchen"}},
		{alone, "snom/all/loopback", kind(mqtt.KindLoopback)},
		{shared, "snom/all/loopback", kind(mqtt.KindLoopback)},
		{alone, "snom/kitchen/loopback", command("kitchen", "loopback")},
		{alone, "snom/kitchen/status/", command("kitchen", "status/")},
		{alone, "snom/kitchen/dial/", command("kitchen", "dial/")},
		{alone, "snom/kitchen//dial", command("kitchen", "/dial")},
		{alone, "snom/kitchen/event", kind(mqtt.KindOwn)},
		{alone, "snom/kitchen/availability", mqtt.Address{Kind: mqtt.KindAvailability, Name: "kitchen"}},
		{alone, "snom/bridge/status", kind(mqtt.KindUnreadable)},
		{alone, "snom/Kitchen/status", kind(mqtt.KindOwn)},
		{alone, "snom/bridge/state", kind(mqtt.KindOwn)},
		{alone, "snom/bridge/info", kind(mqtt.KindInfo)},
		{alone, "snom/kitchen/owner", mqtt.Address{Kind: mqtt.KindOwner, Name: "kitchen"}},
		{shared, "snom/kitchen/owner", mqtt.Address{Kind: mqtt.KindOwner, Name: "kitchen"}},
		{alone, "snom/Kitchen/owner", kind(mqtt.KindUnreadable)},
		{shared, "snom/bridge/attic/info", kind(mqtt.KindInfo)},
		{alone, "snom/bridge/result", kind(mqtt.KindOwn)},
		{alone, "snom/bridge/response/ping", kind(mqtt.KindOwn)},
		{alone, "snom/bridge/loopback", kind(mqtt.KindLoopback)},
		{alone, "snom/bridge/request/ping", mqtt.Address{Kind: mqtt.KindRequest, Action: "ping"}},
		{alone, "snom/bridge/request/PING", kind(mqtt.KindUnreadable)},
		{alone, "snom/bridge/request/a/b", kind(mqtt.KindUnreadable)},
		{alone, "snom/bridge/request/", kind(mqtt.KindUnreadable)},
		{alone, "snom/bridge/request", kind(mqtt.KindUnreadable)},
		{alone, "snom/bridge/dial", kind(mqtt.KindUnreadable)},
		{alone, "snom/bridge/attic/state", kind(mqtt.KindForeign)},
		{alone, "snom/kitchen", kind(mqtt.KindUnreadable)},
		{alone, "snom/", kind(mqtt.KindUnreadable)},
		{alone, "snom//", kind(mqtt.KindUnreadable)},
		{alone, "snom/kitchen/", mqtt.Address{Kind: mqtt.KindCommand, Name: "kitchen", Command: ""}},
		{alone, "snom//dial", kind(mqtt.KindUnreadable)},
		{alone, "snom/kitchen/dial/now", mqtt.Address{Kind: mqtt.KindCommand, Name: "kitchen", Command: "dial/now"}},
		{alone, "snom/Kitchen/dial", kind(mqtt.KindUnreadable)},
		{alone, "snom/kitchen/Dial", mqtt.Address{Kind: mqtt.KindCommand, Name: "kitchen", Command: "Dial"}},
		{alone, "snom/küche/dial", kind(mqtt.KindUnreadable)},
		{alone, "snom/_x/dial", kind(mqtt.KindUnreadable)},
		{alone, "snom/a\x00b/dial", kind(mqtt.KindUnreadable)},
		{alone, "snom/\xff/dial", kind(mqtt.KindUnreadable)},
		{alone, "snom/" + strings.Repeat("a", 65) + "/dial", kind(mqtt.KindUnreadable)},
		{alone, "snom", kind(mqtt.KindForeign)},
		{alone, "snomx/kitchen/dial", kind(mqtt.KindForeign)},
		{alone, "homeassistant/status", kind(mqtt.KindForeign)},
		{alone, "", kind(mqtt.KindForeign)},
		{shared, "snom/kitchen/dial", command("kitchen", "dial")},
		{shared, "snom/bridge/attic/state", kind(mqtt.KindOwn)},
		{shared, "snom/bridge/attic/loopback", kind(mqtt.KindLoopback)},
		{shared, "snom/bridge/attic/request/ping", mqtt.Address{Kind: mqtt.KindRequest, Action: "ping"}},
		{shared, "snom/bridge/cellar/state", kind(mqtt.KindForeign)},
		{shared, "snom/bridge/state", kind(mqtt.KindForeign)},
	}
	for _, tt := range tests {
		if got := tt.tree.Read(tt.topic); got != tt.want {
			t.Errorf("Read(%q) = %+v, expected %+v", tt.topic, got, tt.want)
		}
	}
}

func TestHint(t *testing.T) {
	t.Parallel()
	tree := mustTree(t, "house/phones", "")
	for topic, want := range map[string]string{
		"Kitchen/dial":     "names are written in lower case",
		"KITCHEN/dial/":    "names are written in lower case, the topic ends in a slash",
		"Kitchen/dial/set": "names are written in lower case, the topic has too many levels",
		"kitchen":          "the command is missing",
		"kitchen/":         "the command is missing",
		"Kitchen":          "names are written in lower case, the command is missing",
		"front door/dial":  "names are made of a-z, 0-9, _ and -",
		"Küche/dial":       "names are made of a-z, 0-9, _ and -",
		"/dial":            "the name is empty",
		"":                 "the name is empty, the command is missing",
		"bridge":           "the command is missing",
		"bridge/dial":      "",

		"bridge/request/Ping":     "actions are written in lower case",
		"bridge/request/ping/":    "the topic ends in a slash",
		"bridge/request/ping/set": "the topic has too many levels",
		"bridge/request/":         "the action is missing",
		"kitchen/dial":            "",
		"kitchen/dial/":           "the topic ends in a slash",
		"kitchen/dial/set":        "the topic has too many levels",
		"kitchen/dial//":          "the topic ends in a slash",
	} {
		if got := tree.Hint("house/phones/" + topic); got != want {
			t.Errorf("Hint(%q) = %q, expected %q", topic, got, want)
		}
	}
	for _, topic := range []string{"", "house", "house/phonesx/kitchen/dial", "snom/Kitchen/dial"} {
		if got := tree.Hint(topic); got != "" {
			t.Errorf("Hint(%q) = %q, expected none", topic, got)
		}
	}
}

func TestValidName(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, want string }{
		{"kitchen", ""},
		{"0", ""},
		{"a_b-c", ""},
		{"all", ""},
		{strings.Repeat("a", 64), ""},
		{"", "empty"},
		{"bridge", "reserved"},
		{strings.Repeat("a", 65), "65 bytes, expected at most 64"},
		{strings.Repeat("ü", 40), "80 bytes, expected at most 64"},
		{"a" + strings.Repeat("ü", 40), "81 bytes, expected at most 64"},
		{"-a", "begins with '-'"},
		{"_a", "begins with '_'"},
		{"aB", "offset 1"},
		{"a b", "offset 1"},
		{"a/b", "offset 1"},
		{"a+", "offset 1"},
		{"٣", "offset 0"},
		{"a\xff", "offset 1"},
	}
	for _, tt := range tests {
		err := mqtt.ValidName(tt.name)
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("ValidName(%q) = %v, expected an error with %q", tt.name, err, tt.want)
		}
	}
}

func TestCheckTopic(t *testing.T) {
	t.Parallel()
	tests := []struct{ topic, want string }{
		{"snom/kitchen/result", ""},
		{"/", ""},
		{"homeassistant/device/größe/config", ""},
		{strings.Repeat("a", mqtt.MaxTopic), ""},
		{"", "empty"},
		{strings.Repeat("ü", mqtt.MaxTopic), "512 bytes, expected at most 256"},
		{"a\xff", "UTF-8"},
		{"$SYS/x", "begins with $"},
		{"snom/+/result", "offset 5"},
		{"snom/#", "offset 5"},
		{"a\x00b", "offset 1"},
		{"a\nb", "offset 1"},
		{"a\u0085", "offset 1"},
		{"a\ufdd0", "offset 1"},
		{"a\uffff", "offset 1"},
		{"a\U0001fffe", "offset 1"},
		{"a\ufffd", ""},
	}
	for _, tt := range tests {
		err := mqtt.CheckTopic(tt.topic)
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("CheckTopic(%q) = %v, expected an error with %q", tt.topic, err, tt.want)
		}
	}
}

func TestMessageCheck(t *testing.T) {
	t.Parallel()
	if err := (mqtt.Message{Topic: "a", Payload: make([]byte, mqtt.MaxPublish)}).Check(); err != nil {
		t.Errorf("longest payload: %v, expected no error", err)
	}
	if err := (mqtt.Message{Topic: "a", Payload: make([]byte, mqtt.MaxPublish+1)}).Check(); err == nil {
		t.Error("payload too long: no error")
	}
	if err := (mqtt.Message{Topic: "#"}).Check(); err == nil {
		t.Error("bad topic: no error")
	}
}

// Every topic of the program, made from the longest names, can be published.
func TestLongestTopics(t *testing.T) {
	t.Parallel()
	name := strings.Repeat("n", 64)
	for _, tree := range []mqtt.Tree{
		mustTree(t, strings.Repeat("b", mqtt.MaxBase), ""),
		mustTree(t, strings.Repeat("b", mqtt.MaxBase), strings.Repeat("i", 64)),
	} {
		for _, topic := range []string{
			tree.State(), tree.Info(), tree.BridgeResult(), tree.Loopback(), tree.Request(name), tree.Response(name),
			tree.Result(name), tree.Availability(name), tree.Status(name), tree.Event(name), tree.Owner(name), tree.Command(name, name), tree.CommandLoopback(),
		} {
			if err := mqtt.CheckTopic(topic); err != nil {
				t.Error(err)
			}
		}
	}
}

// What the bridge publishes is not read as a command when it is received again.
func TestOwnTopicsAreNoCommands(t *testing.T) {
	t.Parallel()
	for _, tree := range []mqtt.Tree{mustTree(t, "snom", ""), mustTree(t, "a/b", "attic")} {
		for _, topic := range []string{
			tree.State(), tree.BridgeResult(), tree.Response("ping"), tree.CommandLoopback(),
			tree.Phones(), tree.Health(), tree.Image("kitchen"), tree.Result("kitchen"), tree.Availability("kitchen"), tree.Status("kitchen"), tree.Event("kitchen"),
		} {
			switch got := tree.Read(topic).Kind; got {
			case mqtt.KindOwn, mqtt.KindDocument, mqtt.KindStatus, mqtt.KindAvailability, mqtt.KindLoopback:
			default:
				t.Errorf("Read(%q) is %s, expected no command", topic, got)
			}
		}
	}
}

func TestTopicsAreDocumentedOnce(t *testing.T) {
	t.Parallel()
	var patterns []string
	for _, d := range mqtt.Topics() {
		if !strings.HasPrefix(d.Pattern, "<base>/") || d.What == "" || !slices.Contains([]string{"yes", "no", "must not be"}, d.Retained) {
			t.Errorf("incomplete: %+v", d)
		}
		if slices.Contains(patterns, d.Pattern) {
			t.Errorf("twice: %q", d.Pattern)
		}
		patterns = append(patterns, d.Pattern)
	}
}

func FuzzTopicRead(f *testing.F) {
	for _, topic := range []string{
		"snom/kitchen/dial", "snom/bridge/request/ping", "snom/bridge/attic/state", "snom/bridge/loopback", "snom/all/result",
		"snom/+/#", "snom//", "snom/a\x00/b", "snom/\xff/key", "$SYS/broker", "", "a/b/c/d/e/f",
		"snom/kitchen/dial/../../hall/reset", "snom/٣/key", "snom/kitchen/dial\n",
	} {
		f.Add("snom", "", topic)
		f.Add("snom", "attic", topic)
	}
	f.Fuzz(func(t *testing.T, base, instance, topic string) {
		tree, err := mqtt.NewTree(base, instance)
		if err != nil {
			return
		}
		for _, topic := range []string{topic, base + "/" + topic, tree.Request(topic), tree.Command(topic, topic)} {
			a := tree.Read(topic)
			var again string
			switch a.Kind {
			case mqtt.KindCommand:
				again = tree.Command(a.Name, a.Command)
			case mqtt.KindRequest:
				again = tree.Request(a.Action)
			case mqtt.KindStatus:
				again = tree.Status(a.Name)
			case mqtt.KindAvailability:
				again = tree.Availability(a.Name)
			case mqtt.KindOwner:
				again = tree.Owner(a.Name)
			case mqtt.KindInfo:
				again = tree.Info()
			case mqtt.KindDocument:
				again = tree.Image(a.Name)
				if a.Name == "" {
					again = topic
				}
			case mqtt.KindLoopback, mqtt.KindOwn, mqtt.KindUnreadable, mqtt.KindForeign:
				if a != (mqtt.Address{Kind: a.Kind}) {
					t.Fatalf("Read(%q) = %+v, expected nothing but its kind", topic, a)
				}
				continue
			default:
				t.Fatalf("Read(%q) = %+v: no such kind", topic, a)
			}
			if again != topic {
				t.Fatalf("Read(%q) = %+v, which is %q", topic, a, again)
			}
			for _, result := range []string{tree.Result(a.Name), tree.Response(a.Action)} {
				if err := mqtt.CheckTopic(result); err != nil {
					t.Fatalf("Read(%q) = %+v: %v", topic, a, err)
				}
			}
		}
	})
}

func BenchmarkTreeRead(b *testing.B) {
	tree := mustTree(b, "snom", "")
	b.ReportAllocs()
	for b.Loop() {
		tree.Read("snom/kitchen/dial")
	}
}
