// Package paging sends announcements to loudspeakers that listen to a multicast address, such as Snom desk phones: it reads
// WAV, MP3 and FLAC, makes G.711 u-law of it, and sends that as RTP, a packet every 20 ms.
//
// Audio is read while it is played and is never in memory as a whole, with the exception of what is to be repeated, which is
// kept as u-law: 8 kB for a second. What cannot be decoded is refused before the first packet is sent.
package paging
