package syslog

import (
	"bytes"
	"math"
	"strconv"
)

// A Reading is what a phone's sensors measure, as far as one line has it.
type Reading struct {
	Light       float64 // in lux, where HasLight
	Temperature float64 // in degrees Celsius, where HasTemperature

	HasLight, HasTemperature bool
}

// What the lines of a D735 say (Golpe82/snom-baos777, snomsyslogknx/syslog_udp_handler.py; the author works for Snom): an item
// ALS_VALUE:1234, which times 6.5 / 100 is the light in lux; and in a line with the word temperature:, the temperature as
// the last item.
const (
	lightItem       = "ALS_VALUE:"
	temperatureWord = "temperature:"
	luxPerUnit      = 6.5 / 100
)

// Bounds of what is accepted, chosen by this project. A line may be about something else.
const (
	maxLight                       = 200_000 // the sun
	minTemperature, maxTemperature = -40, 125
)

// Parse reads a line of syslog, and reports whether it has a measurement.
func Parse(line []byte) (r Reading, ok bool) {
	fields := bytes.Fields(content(line))
	for i, item := range fields {
		if value, is := bytes.CutPrefix(item, []byte(lightItem)); is {
			n, err := strconv.ParseUint(string(value), 10, 32)
			if lux := float64(n) * luxPerUnit; err == nil && lux <= maxLight {
				r.Light, r.HasLight = round(lux), true
			}
		}
		if bytes.EqualFold(item, []byte(temperatureWord)) && i+1 < len(fields) {
			t, err := strconv.ParseFloat(string(fields[len(fields)-1]), 64)
			if err == nil && t >= minTemperature && t <= maxTemperature {
				r.Temperature, r.HasTemperature = round(t), true
			}
		}
	}
	return r, r.HasLight || r.HasTemperature
}

// round rounds to a tenth.
func round(v float64) float64 { return math.Round(v*10) / 10 }

// content returns the part of a line behind its priority (RFC 3164, 4.1.1). The time and the host behind that, which a sender may leave
// out (4.3), are items like others: neither can be taken for a measurement.
func content(line []byte) []byte {
	const most = 191
	line = bytes.TrimRight(line, "\x00\r\n")
	end := bytes.IndexByte(line, '>')
	if len(line) < 3 || line[0] != '<' || end < 2 || end > 4 {
		return line
	}
	if n, err := strconv.ParseUint(string(line[1:end]), 10, 8); err != nil || n > most {
		return line
	}
	return line[end+1:]
}
