package homeassistant

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestDocumentNamesEveryEntity looks for the entities in what people read of them.
func TestDocumentNamesEveryEntity(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../docs/home-assistant.md")
	if err != nil {
		t.Fatal(err)
	}
	counted := regexp.MustCompile(`^[FP]\d+$`) // F1 to F4
	all := house().Document().Components
	for _, model := range []string{"D735", "870", "821"} {
		p := kitchen()
		p.Model, p.Allow = model, "firmware reset"
		for key, c := range house().Phone(p).Components {
			all[key] = c
		}
	}
	for key, c := range all {
		if !counted.MatchString(c.Name) && !strings.Contains(string(text), c.Name) {
			t.Errorf("docs/home-assistant.md does not speak of %q (%s)", c.Name, key)
		}
	}
}
