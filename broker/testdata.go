package broker

import "github.com/mochi-mqtt/server/v2/packets"

// ReleaseTestData drops the packets that the library has for its own tests, and that every program which links it
// allocates at its start: 360 KiB, a tenth of the heap of a bridge with one phone. It must be called once.
func ReleaseTestData() { clear(packets.TPacketData) }
