// Package homeassistant describes the bridge and its phones to Home Assistant, by MQTT discovery.
//
// Home Assistant reads retained documents below a prefix and creates devices and entities from them. The package makes
// one [Document] for the bridge and one for each phone from plain values; [Bridge.Check] reports what Home Assistant would
// refuse or drop silently. Both are pure functions. A [Publisher] compares the documents that the broker retains with
// what they should be, and publishes the difference: after a change, after Home Assistant's birth message, and when
// another client altered or cleared one. It also clears documents of phones that are no longer in the settings, those of
// an earlier run included.
//
// The entities of a phone are the table in entities.go: one more entity is one more row.
//
// The keys that Home Assistant takes are the table keys.csv, from its source, for releases from 2024.12 on, the first
// that read one document per device.
package homeassistant
