// Package homeassistant describes phones to Home Assistant, by its MQTT discovery.
//
// Home Assistant reads retained documents below a prefix and makes devices and entities of them. This
// package makes one [Document] for the bridge and one for each phone from plain values, and [Bridge.Check]
// says what Home Assistant would refuse or drop in silence. Both are pure functions. A [Keeper] keeps the
// documents at the broker what they should be: it publishes what changed, renews them after Home
// Assistant's birth message, and clears what is no longer there, also what an earlier run left.
//
// What Home Assistant takes is the table keys.csv, from its own source; releases from 2024.12 on are meant,
// the first that read one document per device.
package homeassistant
