package snomtest

import (
	"strconv"
	"strings"

	"github.com/snom2mqtt/snom2mqtt/snom"
)

// canonicalModel is a model's name without "snom"; the name of an unknown model stays as it is.
func canonicalModel(name string) string {
	if m, ok := snom.FindModel(name); ok {
		return m.Name()
	}
	return strings.TrimPrefix(name, "snom")
}

// hasKey says whether a phone of this model and dialect has a key of that name. It follows Snom's two
// pages on remote control, for older and for newer firmware; keys that only other sources name are taken
// to be there, except where the two pages leave them to other models.
func hasKey(model, dialect, key string) bool {
	m, known := snom.FindModel(model)
	series := m.Series()
	small := series == "1xx" || series == "2xx"
	switch key {
	case "CANCEL", "ENTER", "OFFHOOK", "ONHOOK", "RIGHT", "LEFT", "UP", "DOWN", "MENU", "REDIAL", "DND", "SPEAKER",
		"TRANSFER", "DISCONNECT", "0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "*", "#":
		return true
	case "F1", "F2", "F3":
		return m.Name() != "870"
	case "F4":
		return m.Name() != "870" && m.Name() != "190" && m.Name() != "200"
	case "CLEAR", "FUNCTION":
		return small || !known
	case "RECALL":
		return small || !known || dialect != "old" // newer firmware has it as another word for hold
	case "F_R":
		return dialect != "new"
	case "VOLUME_UP", "VOLUME_DOWN", "MUTE", "REC", "HEADSET", "CONFERENCE", "HELP", "SNOM":
		return dialect != "old"
	case "F_HOLD", "F_ADR_BOOK", "F_ACCEPTED_LIST", "F_MISSED_LIST", "F_CALL_LIST", "F_CANCEL", "F_CONFERENCE",
		"F_DIRECTORY_SEARCH", "F_DND", "F_FAVORITES", "F_MUTE", "F_NEXT_ID", "F_PREV_ID", "F_NONE", "F_OK", "F_REDIAL",
		"F_REDIRECT", "F_SETTINGS", "F_STATUS", "F_TRANSFER", "F_VOICEMAIL_INFO", "F_UP", "F_DOWN", "F_LEFT", "F_RIGHT",
		"F_CALL_AGENT_LOGGEDIN", "F_CALL_AGENT_READY":
		return dialect != "old"
	}
	if n, ok := numbered(key, "P"); ok {
		_, most := m.KeyCount()
		return n >= 1 && (most == 0 && m.Series() == "" || n <= most)
	}
	if _, ok := numbered(key, "EK"); ok {
		return series == "3xx" || m.Name() == "220" || !known
	}
	return false
}

// numbered reads the number of a key such as P12, written without leading zeros.
func numbered(key, prefix string) (int, bool) {
	text, ok := strings.CutPrefix(key, prefix)
	n, err := strconv.Atoi(text)
	return n, ok && err == nil && strconv.Itoa(n) == text
}

// A generation is a kind of web server in a phone.
type generation int

const (
	generationDesktop generation = iota // the desk phones that take commands
	generationD8                        // D86x, D89x
	generationM                         // DECT bases
)

func generationOf(model string) generation {
	m, _ := snom.FindModel(model)
	switch m.Series() {
	case "D8xx":
		switch m.Name() {
		case "D810", "D812", "D815": // the software of the D7xx (wazo-provd-plugins #276); no source saw them take commands
			return generationDesktop
		}
		return generationD8
	case "M":
		return generationM
	}
	return generationDesktop
}
