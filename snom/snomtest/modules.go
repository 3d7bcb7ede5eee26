package snomtest

import (
	"fmt"
	"strings"

	"github.com/snom2mqtt/snom2mqtt/snom"
)

// Plug connects an expansion module, such as D7C, behind those that are there. The error says which modules the phone takes.
func (p *Phone) Plug(module string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	var names []string
	model, _ := snom.FindModel(p.config.Model)
	for _, e := range model.Modules() {
		names = append(names, e.Name)
		if !strings.EqualFold(strings.TrimPrefix(strings.ToUpper(module), "SNOM"), e.Name) {
			continue
		}
		if len(p.modules) >= e.Most {
			return fmt.Errorf("module %s: a %s takes %d", e.Name, model, e.Most)
		}
		p.modules = append(p.modules, e)
		return nil
	}
	if names == nil {
		return fmt.Errorf("module %q: no expansion module of a %s is known", module, model)
	}
	return fmt.Errorf("module %q: a %s takes %s", module, model, strings.Join(names, ", "))
}

// moduleKeys are the numbers of the keys on the expansion modules that are connected, one behind the other: zero where
// there are none. The caller holds the lock.
func (p *Phone) moduleKeys() (first, last int) {
	for i, e := range p.modules {
		if i == 0 {
			first, last = e.First, e.First-1
		}
		last += e.Keys
	}
	return first, last
}

// hasKey reports whether the phone has a key, on an expansion module, too. The caller holds the lock.
func (p *Phone) hasKey(key string) bool {
	if hasKey(p.config.Model, p.config.Dialect, key) {
		return true
	}
	first, last := p.moduleKeys()
	n, ok := numbered(key, "P")
	return ok && first > 0 && first <= n && n <= last
}

// noKey says why a key cannot be pressed. The caller holds the lock.
func (p *Phone) noKey(key string) string {
	why := fmt.Sprintf("no key %q on a %s", key, p.config.Model)
	model, _ := snom.FindModel(p.config.Model)
	if n, ok := numbered(key, "P"); ok {
		for _, e := range model.Modules() {
			if first, _ := p.moduleKeys(); first == 0 && e.First <= n && n <= e.Last() {
				return why + fmt.Sprintf(" without an expansion module, such as %s", e.Name)
			}
		}
	}
	return why
}
