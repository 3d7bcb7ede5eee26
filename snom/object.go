package snom

import (
	"encoding/json"
	"errors"
	"strconv"

	"github.com/snom2mqtt/snom2mqtt/internal/strictjson"
)

// parseObject reads data as one JSON object.
func parseObject(data []byte) (strictjson.Object, *SyntaxError) {
	o, err := strictjson.Parse(data)
	if err != nil {
		fault := jsonFault(err)
		fault.Text = quotable(string(data[:min(len(data), maxQuoted+1)]))
		return nil, fault
	}
	return o, nil
}

// jsonFault converts an error of the JSON reader.
func jsonFault(failed error) *SyntaxError {
	var err *strictjson.Error
	if !errors.As(failed, &err) {
		return fault(0, failed.Error())
	}
	return &SyntaxError{Offset: err.Offset, Expected: err.Expected, Found: err.Found, Hint: err.Hint}
}

// quoted returns text as a JSON value.
func quoted(text string) json.RawMessage {
	raw, err := json.Marshal(text)
	if err != nil {
		panic("snom: " + err.Error()) // a string always marshals
	}
	return raw
}

// whole returns n as a JSON value.
func whole(n int) json.RawMessage { return strconv.AppendInt(nil, int64(n), 10) }
