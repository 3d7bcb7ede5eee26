package main

import "github.com/snom2mqtt/snom2mqtt/mqtt"

// A router hands what the session receives to the parts of the service: discovery and the bridge.
type router struct{ s *service }

// Subscriptions returns those of the bridge, and those of discovery, which it can do without.
func (r router) Subscriptions() []mqtt.Subscription {
	all := r.s.session.Tree().Subscriptions(r.s.bridge.Names())
	for _, f := range r.s.discovery.Filters() {
		all = append(all, mqtt.Subscription{Filter: f, Optional: true})
	}
	return all
}

// Message hands m to discovery, or to the bridge. Discovery comes first, since its prefix may be below the base topic.
func (r router) Message(a mqtt.Address, m mqtt.Message) {
	if !r.s.discovery.Handle(m) {
		r.s.bridge.Handle(a, m)
	}
}

// Online publishes all that is retained.
func (r router) Online() {
	r.s.bridge.Republish()
	r.s.discovery.Online()
	r.s.reporter.replaced() // the broker may have lost it
}

// Offline pauses discovery.
func (r router) Offline() { r.s.discovery.Offline() }
