package snom2mqtt_test

import (
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/snom2mqtt/snom2mqtt/bridge"
	"github.com/snom2mqtt/snom2mqtt/config"
)

// TestTroubleshooting: the commands, codes and settings that docs/troubleshooting.md names exist.
func TestTroubleshooting(t *testing.T) {
	t.Parallel()
	text := read(t, "docs/troubleshooting.md")
	help, err := exec.CommandContext(t.Context(), "go", "run", "./cmd/snom2mqtt", "--help").Output()
	if err != nil {
		t.Fatal(err)
	}
	commands := regexp.MustCompile("`snom2mqtt ([a-z-]+)").FindAllStringSubmatch(text, -1)
	if len(commands) < 10 {
		t.Errorf("%d commands, expected at least 10", len(commands))
	}
	for _, c := range commands {
		if !regexp.MustCompile(`(?m)^  ` + c[1] + ` `).Match(help) {
			t.Errorf("snom2mqtt has no command %s", c[1])
		}
	}
	settings := []string{}
	for _, s := range config.Settings() {
		settings = append(settings, strings.TrimPrefix(s.Name, "SNOM2MQTT_"))
	}
	for _, s := range regexp.MustCompile("`([A-Z]+(?:_[A-Z]+)*)(?:=[a-z]+)?`").FindAllStringSubmatch(text, -1) {
		if !slices.Contains(settings, s[1]) {
			t.Errorf("%s is no setting", s[1])
		}
	}
	_, section, _ := strings.Cut(text, "## A command does nothing")
	section, _, _ = strings.Cut(section, "\n## ")
	codes := 0
	for _, row := range regexp.MustCompile(`(?m)^\| ([^|]+) \|`).FindAllStringSubmatch(section, -1) {
		for _, c := range regexp.MustCompile("`([a-z_]+)`").FindAllStringSubmatch(row[1], -1) {
			codes++
			if !slices.ContainsFunc(bridge.Codes(), func(d bridge.CodeDoc) bool { return string(d.Code) == c[1] }) {
				t.Errorf("%s is no code", c[1])
			}
		}
	}
	if codes < 8 {
		t.Errorf("%d codes, expected at least 8", codes)
	}
}
