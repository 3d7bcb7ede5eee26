package snom_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/snom2mqtt/snom2mqtt/snom"
)

// TestBadPayloads has every kind of bad input: where the fault is, and a word of the message that helps.
func TestBadPayloads(t *testing.T) {
	t.Parallel()
	const missing = -1 // no offset
	tests := []struct {
		verb    snom.Verb
		payload string
		field   string
		offset  int
		want    string // in the message
	}{
		{verb: "dnd", payload: "ON", offset: 0, want: "in lower case: on"},
		{verb: "dnd", payload: `{"dnd":"Off"}`, field: "dnd", offset: 0, want: "on, off or toggle"},
		{verb: "ring", payload: "Stop", offset: 0, want: "in lower case: stop"},
		{verb: "hangup", payload: "ALL", offset: 0, want: "in lower case: all"},
		{verb: "clear", payload: "Missed", offset: 0, want: "in lower case: missed"},
		{verb: "keyboard_lock", payload: "On", offset: 0, want: "in lower case: on"},
		{verb: "dial", payload: "30.5", offset: 2, want: "a number with a fraction"},
		{verb: "dial", payload: "30.", offset: 2, want: "leave out the fraction: 30;"},
		{verb: "dial", payload: "030.123456", offset: 3, want: "brackets: 030123456"},
		{verb: "ring", payload: "3.5", offset: 1, want: "a ringer from 1 to 9"},
		{verb: "touch", payload: "1.5 2", offset: 1, want: "X, "},
		{verb: "touch", payload: ". 2", offset: 0, want: "X, "},
		{verb: "forward", payload: "", offset: 0, want: "off, on, or a number"},
		{verb: "forward", payload: "toggle", offset: 0, want: "off, on, or a number"},
		{verb: "forward", payload: "030 123", offset: 3, want: "leave out spaces"},
		{verb: "forward", payload: "12&fwd_busy_target=99", offset: 2, want: "off, on, or a number"},
		{verb: "forward", payload: "{}", field: "to", offset: missing, want: "it is missing"},
		{verb: "forward", payload: `{"when":"busy"}`, field: "to", offset: missing, want: "or off"},
		{verb: "forward", payload: `{"when":"never","to":"1"}`, field: "when", offset: 0, want: "always, busy or no_answer"},
		{verb: "forward", payload: `{"when":"","to":"1"}`, field: "when", offset: 0, want: "always, busy or no_answer"},
		{verb: "forward", payload: `{"to":"1","off":true}`, field: "to", offset: missing, want: "not both"},
		{verb: "forward", payload: `{"off":"yes"}`, field: "off", offset: missing, want: "true or false"},
		{verb: "forward", payload: `{"to":"1","after":5}`, field: "after", offset: missing, want: "no_answer only"},
		{verb: "forward", payload: `{"to":"1","when":"no_answer","after":301}`, field: "after", offset: 2, want: "1 to 300"},
		{verb: "forward", payload: `{"to":"1","identity":13}`, field: "identity", offset: 1, want: "1 to 12"},
		{verb: "keyboard_lock", payload: "", offset: 0, want: "on or off"},
		{verb: "keyboard_lock", payload: "toggle", offset: 0, want: "on or off"},
		{verb: "keyboard_lock", payload: "{}", field: "keyboard_lock", offset: missing, want: "it is missing"},
		{verb: "keyboard_lock", payload: `{"keyboard_lock":"ON"}`, field: "keyboard_lock", offset: 0, want: "on or off"},
		{verb: "screen", payload: "all", offset: 0, want: "main, labels or expansion"},
		{verb: "screen", payload: `{"which":""}`, field: "which", offset: 0, want: "main, labels or expansion"},
		{verb: "screen", payload: `{"which":1}`, field: "which", offset: 0, want: "main, labels or expansion"},
		{verb: "set", payload: "", offset: 0, want: "NAME=VALUE"},
		{verb: "set", payload: "vol_ringer", offset: 10, want: "NAME=VALUE"},
		{verb: "set", payload: "=1", offset: 0, want: "the name of a setting"},
		{verb: "set", payload: "Vol=1", offset: 0, want: "the name of a setting"},
		{verb: "set", payload: "1a=1", offset: 0, want: "the name of a setting"},
		{verb: "set", payload: "a&http_pass=1", offset: 1, want: "the name of a setting"},
		{verb: "set", payload: "a[x]=1", offset: 1, want: "the name of a setting"},
		{verb: "set", payload: "a[1=1", offset: 1, want: "the name of a setting"},
		{verb: "set", payload: strings.Repeat("a", 65) + "=1", offset: 64, want: "at most 64 bytes"},
		{verb: "set", payload: "settings=save", offset: 0, want: "takes for a command"},
		{verb: "set", payload: "swload=load", offset: 0, want: "takes for a command"},
		{verb: "set", payload: "firmware=http://h/f", offset: 0, want: "takes for a command"},
		{verb: "set", payload: "a=b\nc=d", offset: 3, want: "without control characters"},
		{verb: "set", payload: "a=\xff", offset: 2, want: "without control characters"},
		{verb: "set", payload: "a=" + strings.Repeat("b", 1025), offset: 1026, want: "at most 1024 bytes"},
		{verb: "set", payload: "{}", field: "settings", offset: missing, want: "it is missing"},
		{verb: "set", payload: `{"settings":{}}`, field: "settings", offset: missing, want: "1 to 20 settings"},
		{verb: "set", payload: `{"settings":["a"]}`, field: "settings", offset: 0, want: "a JSON object"},
		{verb: "set", payload: `{"settings":{"a1":"x","a[1]":"y"}}`, field: "settings.a1", offset: missing, want: "not in two spellings"},
		{verb: "set", payload: `{"settings":{"a":"x","a":"y"}}`, offset: 21, want: "once"},
		{verb: "set", payload: `{"settings":{"a=b&http_pass":"x"}}`, field: "settings", offset: 1, want: "the name of a setting"},
		{verb: "set", payload: `{"settings":{"a":null}}`, field: "settings.a", offset: 0, want: "text in double quotes"},
		{verb: "set", payload: `{"settings":{"a":["x"]}}`, field: "settings.a", offset: 0, want: "text in double quotes"},
		{verb: "set", payload: `{"settings":{"a":"x\ny"}}`, field: "settings.a", offset: 1, want: "without control characters"},
		{verb: "set", payload: `{"settings":{"a":"` + strings.Repeat("&", 1024) + `","b":"` + strings.Repeat("&", 1024) + `","c":"` + strings.Repeat("&", 1024) + `"}}`, field: "settings", offset: missing, want: "fit one request"},
		{verb: "announce", payload: " ", offset: 0, want: "an http or https URL, or text to speak"},
		{verb: "announce", payload: "...", offset: 0, want: "an http or https URL, or text to speak"},
		{verb: "announce", payload: "a\x00b", offset: 1, want: "an http or https URL, or text to speak"},
		{verb: "announce", payload: "ftp://h/a.wav", offset: 0, want: "an http or https URL without a user"},
		{verb: "announce", payload: "media-source://tts/x", offset: 0, want: "an http or https URL without a user"},
		{verb: "announce", payload: "http://user:pass@h/a.wav", offset: 0, want: "without a user"},
		{verb: "announce", payload: "http:///a.wav", offset: 0, want: "an http or https URL"},
		{verb: "announce", payload: "http://h/a b.wav", offset: 0, want: "an http or https URL"},
		{verb: "announce", payload: "http://h/" + strings.Repeat("a", 2048), offset: 0, want: "of at most 2048 bytes"},
		{verb: "announce", payload: `{"chime":true}`, field: "text", offset: missing, want: "url or text"},
		{verb: "announce", payload: `{"text":"","chime":true}`, field: "text", offset: 0, want: "at least one letter or digit"},
		{verb: "announce", payload: `{"text":"a","url":"http://h/a.wav"}`, field: "text", offset: missing, want: "not both"},
		{verb: "announce", payload: `{"url":"http://h/a.wav","voice":"x"}`, field: "voice", offset: missing, want: "no voice with url"},
		{verb: "announce", payload: `{"text":"a","voice":""}`, field: "voice", offset: 0, want: "the name of a voice"},
		{verb: "announce", payload: `{"text":"a","chime":"true"}`, field: "chime", offset: missing, want: "true or false"},
		{verb: "announce", payload: `{"text":"a","repeat":0}`, field: "repeat", offset: 0, want: "a whole number from 1 to 10"},
		{verb: "announce", payload: `{"text":"a","repeat":11}`, field: "repeat", offset: 1, want: "a whole number from 1 to 10"},
		{verb: "announce", payload: `{"text":"a","gain_db":21}`, field: "gain_db", offset: 0, want: "from -40 to 20"},
		{verb: "announce", payload: `{"text":"a","gain_db":"3"}`, field: "gain_db", offset: 0, want: "from -40 to 20"},
		{verb: "announce", payload: `{"text":"a","gain_db":null}`, field: "gain_db", offset: 0, want: "from -40 to 20"},
		{verb: "announce", payload: `{"text":["a"]}`, field: "text", offset: 0, want: "text in double quotes"},
		{verb: "key", payload: "", offset: 0, want: "a key name such as"},
		{verb: "key", payload: "f1", offset: 0, want: "in capitals: F1"},
		{verb: "key", payload: "P1;cancel", offset: 3, want: "in capitals: CANCEL"},
		{verb: "key", payload: "123", offset: 0, want: "one key at a time: 1;2;3"},
		{verb: "key", payload: "P301", offset: 0, want: "valid names are P1 to P300,"},
		{verb: "key", payload: "HOLD", offset: 0, want: "perhaps F_HOLD"},
		{verb: "key", payload: "VOLUMEUP", offset: 0, want: "perhaps VOLUME_UP"},
		{verb: "key", payload: "volume-up", offset: 0, want: "perhaps VOLUME_UP"},
		{verb: "key", payload: "OFFHOK", offset: 0, want: "perhaps OFFHOOK"},
		{verb: "key", payload: "OFHFOOK;1", offset: 0, want: "perhaps OFFHOOK"},
		{verb: "key", payload: "SPEAKERR", offset: 0, want: "perhaps SPEAKER"},
		{verb: "key", payload: "cancek", offset: 0, want: "perhaps CANCEL"},
		{verb: "key", payload: "OFFHOOK 1 2 ENTER", offset: 0, want: "keys are joined by semicolons: OFFHOOK;1;2;ENTER"},
		{verb: "key", payload: "P1\nP2", offset: 0, want: "keys are joined by semicolons: P1;P2"},
		{verb: "key", payload: "P0", offset: 0, want: "P1 to P300"},
		{verb: "key", payload: "P301", offset: 0, want: "P1 to P300"},
		{verb: "key", payload: "P01", offset: 0, want: "without leading zeros"},
		{verb: "key", payload: "P", offset: 0, want: "P1 to P300"},
		{verb: "key", payload: "EK300", offset: 0, want: "EK0 to EK299"},
		{verb: "key", payload: "F5", offset: 0, want: "F1 to F4"},
		{verb: "key", payload: "KEYBOOT", offset: 0, want: "a key name such as"},
		{verb: "key", payload: strings.Repeat("A", 1000), offset: 0, want: "a key name such as"},
		{verb: "key", payload: "P\u0661", offset: 0, want: "a key name such as"}, // an Arabic digit
		{verb: "key", payload: " P1", offset: 0, want: "a key name"},
		{verb: "key", payload: "P1 ", offset: 0, want: "a key name"},
		{verb: "key", payload: "P1\n", offset: 0, want: "a key name"},
		{verb: "key", payload: "P1;", offset: 3, want: "a key name"},
		{verb: "key", payload: ";P1", offset: 0, want: "a key name"},
		{verb: "key", payload: "P1&settings=save", offset: 0, want: "a key name"},
		{verb: "key", payload: "P1,", offset: 3, want: "a hold time of 0 to 60000 ms"},
		{verb: "key", payload: "P1,,100", offset: 3, want: "a hold time"},
		{verb: "key", payload: "P1,60001", offset: 7, want: "a hold time"},
		{verb: "key", payload: "P1,99999999999999999999", offset: 7, want: "a hold time"},
		{verb: "key", payload: "P1,0100", offset: 4, want: "a hold time"},
		{verb: "key", payload: "P1,-1", offset: 3, want: "a hold time"},
		{verb: "key", payload: "P1, 100", offset: 3, want: "a hold time"},
		{verb: "key", payload: "P1,1.5", offset: 4, want: "a hold time"},
		{verb: "key", payload: "P1,100,x", offset: 7, want: "a pause of 0 to 60000 ms"},
		{verb: "key", payload: "P1,100,100,1", offset: 10, want: "a semicolon and the next key"},
		{verb: "key", payload: strings.Repeat("1;", 128) + "1", offset: 256, want: "at most 128 keys"},
		{verb: "key", payload: "1,60000,60000;2,60000,60000;3,0,60000;4,1", offset: 38, want: "300000 ms together"},
		{verb: "key", payload: `{}`, field: "keys", offset: missing, want: "it is missing"},
		{verb: "key", payload: `{"keys":true}`, field: "keys", offset: 0, want: "text in double quotes, or a list"},
		{verb: "key", payload: `{"keys":123}`, field: "keys", offset: 0, want: "one key at a time: 1;2;3"},
		{verb: "key", payload: `{"keys":null}`, field: "keys", offset: 0, want: "text in double quotes, or a list"},
		{verb: "key", payload: `{"keys":"P1;f1"}`, field: "keys", offset: 3, want: "in capitals: F1"},
		{verb: "key", payload: `{"keys":[]}`, field: "keys", offset: missing, want: "at least one key"},
		{verb: "key", payload: `{"keys":["P1",true]}`, field: "keys[1]", offset: 0, want: "a key as text in double quotes, or an object"},
		{verb: "key", payload: `{"keys":["P1","p2"]}`, field: "keys[1]", offset: 0, want: "in capitals: P2"},
		{verb: "key", payload: `{"keys":["P1;P2"]}`, field: "keys[0]", offset: 0, want: "a key name"},
		{verb: "key", payload: `{"keys":["P1,x"]}`, field: "keys[0]", offset: 3, want: "a hold time"},
		{verb: "key", payload: `{"keys":[""]}`, field: "keys[0]", offset: 0, want: "a key name"},
		{verb: "key", payload: `{"keys":[12]}`, field: "keys[0]", offset: 0, want: "one key at a time: 1;2"},
		{verb: "key", payload: `{"keys":[["P1"]]}`, field: "keys[0]", offset: 0, want: "a key as text"},
		{verb: "key", payload: `{"keys":[{"key":"P1"},{}]}`, field: "keys[1].key", offset: missing, want: "it is missing"},
		{verb: "key", payload: `{"keys":[{"key":"p1"}]}`, field: "keys[0].key", offset: 0, want: "in capitals: P1"},
		{verb: "key", payload: `{"keys":[{"key":"P1;P2"}]}`, field: "keys[0].key", offset: 0, want: "a key name"},
		{verb: "key", payload: `{"keys":[{"key":"P1","hold":1}]}`, field: "keys[0]", offset: missing, want: `key, hold_ms, pause_ms; "hold"`},
		{verb: "key", payload: `{"keys":[{"key":"P1","hold_ms":1.5}]}`, field: "keys[0].hold_ms", offset: 1, want: "a whole number from 0 to 60000"},
		{verb: "key", payload: `{"keys":[{"key":"P1","hold_ms":1e3}]}`, field: "keys[0].hold_ms", offset: 1, want: "a whole number"},
		{verb: "key", payload: `{"keys":[{"key":"P1","hold_ms":"1"}]}`, field: "keys[0].hold_ms", offset: 0, want: "without quotes"},
		{verb: "key", payload: `{"keys":[{"key":"P1","hold_ms":-1}]}`, field: "keys[0].hold_ms", offset: 0, want: "a whole number"},
		{verb: "key", payload: `{"keys":[{"key":"P1","pause_ms":1}]}`, field: "keys[0].hold_ms", offset: missing, want: "a pause follows one"},
		{verb: "key", payload: `{"keys":[` + strings.Repeat(`{"key":"1"},`, 128) + `{"key":"1"}]}`, field: "keys", offset: missing, want: "at most 128 keys"},
		{verb: "key", payload: `{"key":"P1"}`, offset: missing, want: `no members but keys; "key" is not known`},

		{verb: "dial", payload: "", offset: 0, want: "a number of digits"},
		{verb: "dial", payload: "+", offset: 1, want: "a number of digits"},
		{verb: "dial", payload: "12a", offset: 2, want: "a number of digits"},
		{verb: "dial", payload: "030 123", offset: 3, want: "leave out spaces"},
		{verb: "dial", payload: "(030)", offset: 0, want: "leave out spaces"},
		{verb: "dial", payload: "1+2", offset: 1, want: "+ only in front"},
		{verb: "dial", payload: "1&settings=save", offset: 1, want: "a number of digits"},
		{verb: "dial", payload: "1?x", offset: 1, want: "a number of digits"},
		{verb: "dial", payload: "\u0661", offset: 0, want: "a number of digits"},
		{verb: "dial", payload: strings.Repeat("1", 65), offset: 64, want: "at most 64 digits"},
		{verb: "dial", payload: "alice", offset: 0, want: "a SIP URI"},
		{verb: "dial", payload: "sip:27", offset: 6, want: "followed by @ and a host"},
		{verb: "dial", payload: "SIP:27@h", offset: 3, want: "a user of 1 to 64"},
		{verb: "dial", payload: "@h", offset: 0, want: "a user of 1 to 64"},
		{verb: "dial", payload: strings.Repeat("a", 65) + "@h", offset: 64, want: "a user of 1 to 64"},
		{verb: "dial", payload: "a%20b@h", offset: 1, want: "a user of 1 to 64"},
		{verb: "dial", payload: "a:b@h", offset: 1, want: "a user of 1 to 64"},
		{verb: "dial", payload: "a@", offset: 2, want: "a host"},
		{verb: "dial", payload: "a@h@i", offset: 3, want: "a host"},
		{verb: "dial", payload: "a@h..i", offset: 4, want: "a host"},
		{verb: "dial", payload: "a@-h", offset: 2, want: "a host"},
		{verb: "dial", payload: "a@h-", offset: 3, want: "a host"},
		{verb: "dial", payload: "a@h.i-.j", offset: 5, want: "a host"},
		{verb: "dial", payload: "a@" + strings.Repeat("h", 64), offset: 2, want: "a host"},
		{verb: "dial", payload: "a@h_i", offset: 3, want: "a host"},
		{verb: "dial", payload: "a@1.2.3", offset: 2, want: "a host"},
		{verb: "dial", payload: "a@256.1.1.1", offset: 2, want: "a host"},
		{verb: "dial", payload: "a@[::1", offset: 2, want: "IPv6 address in brackets"},
		{verb: "dial", payload: "a@[1.2.3.4]", offset: 2, want: "IPv6 address in brackets"},
		{verb: "dial", payload: "a@[fe80::1%25eth0]", offset: 2, want: "IPv6 address in brackets"},
		{verb: "dial", payload: "a@[::1]5", offset: 7, want: "a colon and a port"},
		{verb: "dial", payload: "a@[::1]:", offset: 8, want: "a port from 1 to 65535"},
		{verb: "dial", payload: "a@h:", offset: 4, want: "a port from 1 to 65535"},
		{verb: "dial", payload: "a@h:0", offset: 4, want: "a port from 1 to 65535"},
		{verb: "dial", payload: "a@h:65536", offset: 8, want: "a port from 1 to 65535"},
		{verb: "dial", payload: "a@h:80/x", offset: 6, want: "a port from 1 to 65535"},
		{verb: "dial", payload: "a@h;", offset: 4, want: "a parameter name"},
		{verb: "dial", payload: "a@h;=x", offset: 4, want: "a parameter name"},
		{verb: "dial", payload: "a@h;x=", offset: 6, want: "a parameter value"},
		{verb: "dial", payload: "a@h;x=y=z", offset: 7, want: "a parameter value"},
		{verb: "dial", payload: "a@h;x?y", offset: 5, want: "a parameter name"},
		{verb: "dial", payload: "a@h;x=y&z=1", offset: 7, want: "a parameter value"},
		{verb: "dial", payload: "a@" + strings.Repeat("h.", 126) + "hh", offset: 255, want: "at most 255 bytes"},
		{verb: "dial", payload: `{}`, field: "number", offset: missing, want: "it is missing"},
		{verb: "dial", payload: `{"outgoing_uri":"a@b"}`, field: "number", offset: missing, want: "it is missing"},
		{verb: "dial", payload: `{"number":""}`, field: "number", offset: 0, want: "a number of digits"},
		{verb: "dial", payload: `{"number":1.5}`, field: "number", offset: 1, want: "a whole number without a fraction"},
		{verb: "dial", payload: `{"number":4.930123e9}`, field: "number", offset: 8, want: "without an exponent"},
		{verb: "dial", payload: `{"number":9007199254740993}`, field: "number", offset: 0, want: "because programs round larger ones"},
		{verb: "dial", payload: `{"number":-1}`, field: "number", offset: 0, want: "a number of digits"},
		{verb: "dial", payload: `{"number":030123}`, offset: 11, want: "so that its zero is kept"},
		{verb: "dial", payload: `{"number":+4930123}`, offset: 10, want: "write the number in double quotes"},
		{verb: "dial", payload: `{"number":*21#}`, offset: 10, want: "write the number in double quotes"},
		{verb: "dial", payload: `{"number":123#}`, offset: 13, want: "a comma or }"},
		{verb: "dial", payload: `{"number":null}`, field: "number", offset: 0, want: "text in double quotes, or a whole number"},
		{verb: "dial", payload: `{"number":true}`, field: "number", offset: 0, want: "text in double quotes"},
		{verb: "dial", payload: `{"number":"12\u00003"}`, field: "number", offset: 2, want: "a number of digits"},
		{verb: "dial", payload: `{"number":"1","outgoing_uri":""}`, field: "outgoing_uri", offset: 0, want: "a user of 1 to 64"},
		{verb: "dial", payload: `{"number":"1","outgoing_uri":"27"}`, field: "outgoing_uri", offset: 2, want: "followed by @ and a host"},
		{verb: "dial", payload: `{"number":"1","outgoing_uri":"a@b&c"}`, field: "outgoing_uri", offset: 3, want: "a host"},
		{verb: "dial", payload: `{"Number":"1"}`, offset: missing, want: `number, outgoing_uri; "Number" is not known`},
		{verb: "dial", payload: `{"nubmer":"1"}`, offset: missing, want: `"nubmer" is not known, perhaps number`},
		{verb: "dial", payload: `{"number":"1","number":"2"}`, offset: 14, want: "every member once"},

		{verb: "dtmf", payload: "", offset: 0, want: "digits 0 to 9, A to D"},
		{verb: "dtmf", payload: "1a", offset: 1, want: "in capitals"},
		{verb: "dtmf", payload: "1E", offset: 1, want: "digits 0 to 9, A to D"},
		{verb: "dtmf", payload: "+1", offset: 0, want: "digits 0 to 9, A to D"},
		{verb: "dtmf", payload: strings.Repeat("1", 65), offset: 64, want: "at most 64 digits"},
		{verb: "dtmf", payload: `{}`, field: "digits", offset: missing, want: "it is missing"},
		{verb: "dtmf", payload: `{"digits":"1","method":"sip"}`, field: "method", offset: 0, want: "dtmf or keys"},
		{verb: "dtmf", payload: `{"digits":"1","method":""}`, field: "method", offset: 0, want: "dtmf or keys"},
		{verb: "dtmf", payload: `{"digits":"1A","method":"keys"}`, field: "digits", offset: 1, want: "no keys for A to D"},
		{verb: "dtmf", payload: `{"digits":"1","hold_ms":1}`, field: "hold_ms", offset: missing, want: `"method":"keys"`},
		{verb: "dtmf", payload: `{"digits":"1","method":"dtmf","pause_ms":1}`, field: "pause_ms", offset: missing, want: `"method":"keys"`},
		{verb: "dtmf", payload: `{"digits":"1","method":"keys","hold_ms":60001}`, field: "hold_ms", offset: 4, want: "a whole number"},
		{verb: "dtmf", payload: `{"digits":"111","method":"keys","hold_ms":60000,"pause_ms":60000}`, field: "digits", offset: missing, want: "300000 ms together"},

		{verb: "answer", payload: "yes", offset: 0, want: "answer has no argument"},
		{verb: "answer", payload: " ", offset: 0, want: "answer has no argument"},
		{verb: "answer", payload: `{"x":1}`, offset: missing, want: `expected no members; "x"`},

		{verb: "hangup", payload: "ALL", offset: 0, want: "all, current, or nothing"},
		{verb: "hangup", payload: `{"calls":"none"}`, field: "calls", offset: 0, want: "all, current, or nothing"},
		{verb: "hangup", payload: `{"calls":1}`, field: "calls", offset: 0, want: "all, current, or nothing"},

		{verb: "transfer", payload: "", offset: 0, want: "a number of digits"},
		{verb: "transfer", payload: "+49", offset: 0, want: "there is no key for +: write 00"},
		{verb: "transfer", payload: "Complete", offset: 0, want: "complete, or cancel"},
		{verb: "transfer", payload: strings.Repeat("1", 65), offset: 64, want: "at most 64 digits"},
		{verb: "transfer", payload: `{}`, field: "number", offset: missing, want: "or step; it is missing"},
		{verb: "transfer", payload: `{"number":"+1"}`, field: "number", offset: 0, want: "write 00"},
		{verb: "transfer", payload: `{"number":"complete"}`, field: "number", offset: 0, want: "a number of digits"},
		{verb: "transfer", payload: `{"number":"1","mode":"warm"}`, field: "mode", offset: 0, want: "attended or blind"},
		{verb: "transfer", payload: `{"number":"1","mode":2}`, field: "mode", offset: 0, want: "attended or blind"},
		{verb: "transfer", payload: `{"step":"start"}`, field: "step", offset: 0, want: "complete or cancel"},
		{verb: "transfer", payload: `{"step":"cancel","number":"1"}`, field: "step", offset: missing, want: "either step, or number and mode"},
		{verb: "transfer", payload: `{"step":"cancel","mode":"blind"}`, field: "step", offset: missing, want: "either step, or number and mode"},

		{verb: "ring", payload: "", offset: 0, want: "a ringer from 1 to 9"},
		{verb: "ring", payload: "0", offset: 0, want: "a ringer from 1 to 9"},
		{verb: "ring", payload: "10", offset: 1, want: "a ringer from 1 to 9"},
		{verb: "ring", payload: "x", offset: 0, want: "a ringer from 1 to 9"},
		{verb: "ring", payload: `{}`, field: "ringer", offset: missing, want: "it is missing"},
		{verb: "ring", payload: `{"ringer":3.5}`, field: "ringer", offset: 1, want: "a whole number without a fraction"},
		{verb: "ring", payload: `{"ringer":[3]}`, field: "ringer", offset: 0, want: "text in double quotes, or a whole number"},
		{verb: "ring", payload: `{"ringer":3,"count":0}`, field: "count", offset: 0, want: "a whole number from 1 to 20"},
		{verb: "ring", payload: `{"ringer":3,"count":21}`, field: "count", offset: 1, want: "a whole number from 1 to 20"},
		{verb: "ring", payload: `{"ringer":3,"count":2,"pause_ms":60001}`, field: "pause_ms", offset: 4, want: "a whole number from 0 to 60000"},
		{verb: "ring", payload: `{"ringer":3,"pause_ms":1}`, field: "pause_ms", offset: missing, want: "a count of 2 or more"},

		{verb: "touch", payload: "", offset: 0, want: "X, a whole number from 0 to 479"},
		{verb: "touch", payload: "480 0", offset: 2, want: "X, a whole number from 0 to 479"},
		{verb: "touch", payload: "1", offset: 1, want: "a space and Y"},
		{verb: "touch", payload: "1 ", offset: 2, want: "Y, a whole number from 0 to 271"},
		{verb: "touch", payload: "1 272", offset: 4, want: "Y, a whole number from 0 to 271"},
		{verb: "touch", payload: "1 2 ", offset: 4, want: "press, p, release, r or pr"},
		{verb: "touch", payload: "1 2 tap", offset: 4, want: "press, p, release, r or pr"},
		{verb: "touch", payload: "1 2 pr ", offset: 7, want: "X, a whole number"},
		{verb: "touch", payload: "1 2 pr p", offset: 7, want: "X, a whole number"},
		{verb: "touch", payload: "1  2", offset: 2, want: "Y, a whole number"},
		{verb: "touch", payload: "01 2", offset: 1, want: "X, a whole number"},
		{verb: "touch", payload: "1\t2", offset: 1, want: "X, a whole number"},
		{verb: "touch", payload: strings.Repeat("1 2 ", 64) + "1 2", offset: 256, want: "at most 64 touches"},
		{verb: "touch", payload: `{}`, field: "touches", offset: missing, want: "it is missing"},
		{verb: "touch", payload: `{"touches":[]}`, field: "touches", offset: missing, want: "1 to 64 touches"},
		{verb: "touch", payload: `{"touches":{}}`, field: "touches", offset: 0, want: "a list in [ and ]"},
		{verb: "touch", payload: `{"touches":[{"x":1}]}`, field: "touches[0].y", offset: missing, want: "it is missing"},
		{verb: "touch", payload: `{"touches":[{"x":1,"y":2},{"y":2}]}`, field: "touches[1].x", offset: missing, want: "it is missing"},
		{verb: "touch", payload: `{"touches":[{"x":480,"y":2}]}`, field: "touches[0].x", offset: 2, want: "from 0 to 479"},
		{verb: "touch", payload: `{"touches":[{"x":1,"y":2,"action":"tap"}]}`, field: "touches[0].action", offset: 0, want: "press, p"},
		{verb: "touch", payload: `{"touches":[{"x":1,"y":2,"action":"pr 1 2"}]}`, field: "touches[0].action", offset: 0, want: "press, p"},
		{verb: "touch", payload: `{"touches":[{"x":1,"y":2,"z":3}]}`, field: "touches[0]", offset: missing, want: `"z" is not known`},
		{verb: "touch", payload: `{"touches":[` + strings.Repeat(`{"x":1,"y":2},`, 64) + `{"x":1,"y":2}]}`, field: "touches", offset: missing, want: "1 to 64 touches"},

		{verb: "ring", payload: "Stop", offset: 0, want: "a ringer from 1 to 9, or stop"},
		{verb: "ring", payload: `{"ringer":"stop","count":2}`, field: "count", offset: missing, want: "no count with stop"},
		{verb: "ring", payload: `{"ringer":"stop","pause_ms":2}`, field: "pause_ms", offset: missing, want: "no pause_ms with stop"},

		{verb: "dnd", payload: "", offset: 0, want: "on, off or toggle"},
		{verb: "dnd", payload: "ON", offset: 0, want: "on, off or toggle"},
		{verb: "dnd", payload: "true", offset: 0, want: "on, off or toggle"},
		{verb: "dnd", payload: "on 1", offset: 0, want: "on, off or toggle"},
		{verb: "dnd", payload: `{}`, field: "dnd", offset: missing, want: "it is missing"},
		{verb: "dnd", payload: `{"dnd":null}`, field: "dnd", offset: 0, want: "in double quotes"},
		{verb: "dnd", payload: `{"dnd":1}`, field: "dnd", offset: 0, want: "on, off or toggle"},
		{verb: "dnd", payload: `{"dnd":"On"}`, field: "dnd", offset: 0, want: "on, off or toggle"},
		{verb: "dnd", payload: `{"dnd":"on","identity":0}`, field: "identity", offset: 0, want: "from 1 to 12"},
		{verb: "dnd", payload: `{"dnd":"on","identity":13}`, field: "identity", offset: 1, want: "from 1 to 12"},
		{verb: "dnd", payload: `{"dnd":"toggle","identity":1}`, field: "identity", offset: missing, want: "no identity with toggle"},
		{verb: "dnd", payload: `{"identity":1}`, field: "dnd", offset: missing, want: "it is missing"},

		{verb: "logoff", payload: "", offset: 0, want: "all, or an identity from 1 to 12"},
		{verb: "logoff", payload: "13", offset: 1, want: "all, or an identity from 1 to 12"},
		{verb: "logoff", payload: "0", offset: 0, want: "all, or an identity from 1 to 12"},
		{verb: "logoff", payload: `{}`, field: "identity", offset: missing, want: "it is missing"},
		{verb: "logoff", payload: `{"identity":1.01}`, field: "identity", offset: 1, want: "a whole number without a fraction"},
		{verb: "logoff", payload: `{"identity":-1}`, field: "identity", offset: 0, want: "an identity from 1 to 12"},
		{verb: "reregister", payload: "all", offset: 0, want: "an identity from 1 to 12"},
		{verb: "reregister", payload: `{"identity":null}`, field: "identity", offset: 0, want: "text in double quotes, or a whole number"},

		{verb: "clear", payload: "", offset: 0, want: "dialed, missed or received"},
		{verb: "clear", payload: "all", offset: 0, want: "dialed, missed or received"},
		{verb: "clear", payload: `{"list":["missed"]}`, field: "list", offset: 0, want: "text in double quotes"},

		{verb: "fix_lil", payload: "true", offset: 0, want: "fix_lil has no argument"},
		{verb: "reboot", payload: "now", offset: 0, want: "reboot has no argument"},

		{verb: "reset", payload: "", offset: 0, want: "the phone's own name"},
		{verb: "reset", payload: "Kitchen", offset: 0, want: "lower-case letters"},
		{verb: "reset", payload: "-a", offset: 0, want: "a letter or digit first"},
		{verb: "reset", payload: "a b", offset: 1, want: "the phone's own name"},
		{verb: "reset", payload: strings.Repeat("a", 65), offset: 65, want: "up to 64"},
		{verb: "reset", payload: `{}`, field: "confirm", offset: missing, want: "it is missing"},
		{verb: "reset", payload: `{"confirm":true}`, field: "confirm", offset: 0, want: "text in double quotes"},

		{verb: "firmware", payload: "", offset: 0, want: "begins with http:// or https://"},
		{verb: "firmware", payload: "ftp://h/p", offset: 0, want: "begins with http:// or https://"},
		{verb: "firmware", payload: "HTTP://h/p", offset: 0, want: "begins with http:// or https://"},
		{verb: "firmware", payload: "http:/h/p", offset: 0, want: "begins with http:// or https://"},
		{verb: "firmware", payload: "http://", offset: 7, want: "a host"},
		{verb: "firmware", payload: "http:///p", offset: 7, want: "a host"},
		{verb: "firmware", payload: "http://u:p@h/p", offset: 9, want: "a port"},
		{verb: "firmware", payload: "http://u@h/p", offset: 8, want: "a host"},
		{verb: "firmware", payload: "http://h", offset: 8, want: "a path such as"},
		{verb: "firmware", payload: "http://h/", offset: 9, want: "a path such as"},
		{verb: "firmware", payload: "http://h/p?q=1", offset: 10, want: "a path of letters"},
		{verb: "firmware", payload: "http://h/p#f", offset: 10, want: "a path of letters"},
		{verb: "firmware", payload: "http://h/a&reboot=Reboot", offset: 10, want: "a path of letters"},
		{verb: "firmware", payload: "http://h/a%2e", offset: 10, want: "a path of letters"},
		{verb: "firmware", payload: "http://h/a/../b", offset: 8, want: "without . and .."},
		{verb: "firmware", payload: "http://h/./b", offset: 8, want: "without . and .."},
		{verb: "firmware", payload: "http://h/" + strings.Repeat("a", 247), offset: 255, want: "at most 255 bytes"},
		{verb: "firmware", payload: `{}`, field: "url", offset: missing, want: "it is missing"},
		{verb: "firmware", payload: `{"url":"http://h"}`, field: "url", offset: 8, want: "a path such as"},

		{verb: "dial", payload: `{"number":"1"`, offset: 13, want: "a comma or }"},
		{verb: "dial", payload: `{"number":"1"}x`, offset: 14, want: "nothing more"},
		{verb: "dial", payload: `{'number':'1'}`, offset: 1, want: "in double quotes"},
		{verb: "dial", payload: strings.Repeat("1", snom.MaxPayload+1), offset: snom.MaxPayload, want: "at most 16384 bytes"},
	}
	for _, tt := range tests {
		name := tt.payload
		if len(name) > 40 {
			name = name[:40]
		}
		t.Run(string(tt.verb)+" "+name, func(t *testing.T) {
			t.Parallel()
			c, err := snom.ParsePayload(tt.verb, []byte(tt.payload))
			if err == nil {
				t.Fatalf("ParsePayload = %q, want an error", c)
			}
			checkError(t, err)
			s := syntaxError(t, err)
			if s.Verb != tt.verb || s.Field != tt.field || s.Offset != tt.offset {
				t.Errorf("got verb %q, field %q, offset %d, want %q, %q, %d\n%v",
					s.Verb, s.Field, s.Offset, tt.verb, tt.field, tt.offset, err)
			}
			if !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %q, want something with %q", err, tt.want)
			}
			if !c.IsZero() {
				t.Errorf("got the command %q beside the error", c)
			}
			if len(tt.payload) > snom.MaxPayload {
				return
			}
			if _, err := snom.ParseCommand(string(tt.verb) + " " + tt.payload); err == nil {
				t.Errorf("ParseCommand of the same has no error")
			}
		})
	}
}

func TestBadCommands(t *testing.T) {
	t.Parallel()
	verbs := strings.Trim(strings.ReplaceAll(fmt.Sprint(snom.Verbs()), " ", ", "), "[]")
	tests := []struct {
		in, want string
	}{
		{"", `snom: "": offset 0: expected a command: ` + verbs},
		{"dail 1", `snom: "dail": offset 0: expected a command: key, dial, `},
		{"dail 1", "; perhaps dial"},
		{"Hangupp", "; perhaps hangup"},
		{"Dial 1", verbs + `; commands are written in lower case: dial`},
		{`dail {"`, `snom: "dail": offset 0: expected a command: key, dial, `},
		{" dial 1", `snom: "": offset 0: expected a command`},
		{"dial\t1", `snom: "dial\t1": offset 0: expected a command`},
		{"answer ", `snom: answer "": offset 0: expected an argument after the space, or no space`},
		{"answer  ", `snom: answer " ": offset 0: expected nothing: answer has no argument`},
		{"dial 12a", `snom: dial "12a": offset 2: expected a number of digits, * and #, with + only in front, or a SIP URI such as 27@pbx.example`},
		{`dial {"number":"12a"}`, `snom: dial: field "number" "12a": offset 2: expected a number of digits`},
		{`dial {}`, `snom: dial: field "number": expected a number of digits`},
		{"dial " + strings.Repeat("1", snom.MaxPayload), `snom: "dial 111`},
		{"dial " + strings.Repeat("ü", 40), "üüüü…\": offset 0: expected"},
		{"dial a" + strings.Repeat("ü", 40), "üüüü…\": offset 0: expected"},
		{"dial \xff\xfe", "snom: dial \"\uFFFD\": offset 0: expected"},
	}
	for _, tt := range tests {
		_, err := snom.ParseCommand(tt.in)
		checkError(t, err)
		if !strings.Contains(err.Error(), tt.want) {
			t.Errorf("ParseCommand(%q): got %q, want something with %q", tt.in, err, tt.want)
		}
	}
	for _, payload := range []string{"", "1", "{", "{}", strings.Repeat("1", snom.MaxPayload+1)} {
		if _, err := snom.ParsePayload("dail", []byte(payload)); syntaxError(t, err).Verb != "" {
			t.Errorf("got %#v, want no verb", err)
		}
	}
}

// TestRedacted: the code of a door must not be in a message, whatever is wrong with it.
func TestRedacted(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"dtmf 4711x", `dtmf {"digits":"4711x"}`, `dtmf {"digits":"4711","4711":1}`, `dtmf {"digits":"4711`,
		`dtmf {"digits":4711.5}`, `dtmf {"4711":1,"4711":1}`, "key 4711", "transfer +4711", "key P4711", "4711 x",
		`key {"keys":[{"key":"4711"}]}`,
	} {
		_, err := snom.ParseCommand(text)
		s := syntaxError(t, err)
		if got := s.Redacted(); strings.Contains(got, "4711") || !strings.Contains(got, s.Expected) {
			t.Errorf("ParseCommand(%q): Redacted() = %q", text, got)
		}
		if !strings.Contains(s.Error(), "4711") {
			t.Errorf("ParseCommand(%q): Error() = %q, want what was received", text, s)
		}
	}
}
