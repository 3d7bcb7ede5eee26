package snom_test

import (
	"strings"
	"testing"

	"github.com/snom2mqtt/snom2mqtt/snom"
)

// TestNumbersWithAFractionOfZeros: templates write whole numbers so.
func TestNumbersWithAFractionOfZeros(t *testing.T) {
	t.Parallel()
	for text, same := range map[string]string{
		"ring 3.0": "ring 3", "ring 3.": "ring 3", "touch 1.0 2": "touch 1 2", "touch 1. 2.00 pr 3 4.0": "touch 1 2 pr 3 4", "ring 9.00": "ring 9", "logoff 1.0": "logoff 1", "logoff 12.000": "logoff 12", "reregister 2.0": "reregister 2",
	} {
		got, err := snom.ParseCommand(text)
		if err != nil || got.String() != same {
			t.Errorf("%q is %q, %v, expected %q", text, got, err, same)
		}
	}
	for text, says := range map[string]string{
		"ring 3.5": "ringer", "ring .0": "ringer", "ring 0.0": "ringer", "ring 10.0": "ringer", "ring 3.0.0": "ringer", "logoff 0.0": "identity",
		"dial 4930123.0": "leave out the fraction: 4930123;", "dial 30.5": "fraction", "touch 1.5 2": "X", "dial +39 (0)6 123": "+3906123", "dial 0039(0)6-123": "003906123", "dial +49 (0)30 123": "+4930123",
	} {
		if got, err := snom.ParseCommand(text); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q is %q, %v, expected an error with %q", text, got, err, says)
		}
	}
}
