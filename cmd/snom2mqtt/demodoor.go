package main

import (
	"bytes"
	"image"
	"image/color"
	"image/draw"
	"image/jpeg"
	"net"
	"net/http"
	"time"

	"github.com/snom2mqtt/snom2mqtt/bridge"
	"github.com/snom2mqtt/snom2mqtt/config"
)

// The door of the demo. Its code is not a secret: the phones that it is sent to are simulated.
const (
	demoDoorNumber = "**61"
	demoDoorCode   = "12#"
)

// serveDemoDoor serves the camera of a door on loopback, and returns the door.
func serveDemoDoor(set *phoneSet, phone string) (bridge.DoorConfig, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return bridge.DoorConfig{}, err
	}
	set.start(&http.Server{ReadHeaderTimeout: 5 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "image/jpeg")
		_ = jpeg.Encode(w, demoPicture(time.Now()), nil) // a reader that left needs no picture
	})}, l)
	return doorOf(config.Door{
		Name: "front", Phones: []string{phone}, Number: demoDoorNumber, Code: config.NewSecret(demoDoorCode), Hold: 5 * time.Second,
		Camera: config.Camera{URL: "http://" + l.Addr().String() + "/door.jpg"},
	})
}

// demoPicture draws what the camera of the demo's door sees: a visitor who walks from left to right in ten seconds, at night by
// lamplight and by day in turns.
func demoPicture(now time.Time) image.Image {
	const width, height = 640, 368
	const round = 10 * time.Second
	img := image.NewRGBA(image.Rect(0, 0, width, height))
	fill := func(x, y, w, h int, c color.Color) {
		draw.Draw(img, image.Rect(x, y, x+w, y+h), image.NewUniform(c), image.Point{}, draw.Src)
	}
	sky := color.RGBA{0x9c, 0xc4, 0xe4, 0xff}
	if now.Unix()/int64(round/time.Second)%2 == 1 {
		sky = color.RGBA{0x1c, 0x24, 0x40, 0xff}
	}
	fill(0, 0, width, height, sky)
	fill(0, 288, width, 80, color.RGBA{0x70, 0x78, 0x70, 0xff}) // path
	fill(420, 64, 160, 232, color.RGBA{0xa0, 0x50, 0x38, 0xff}) // wall
	fill(460, 120, 80, 176, color.RGBA{0x50, 0x30, 0x20, 0xff}) // door
	fill(526, 204, 8, 12, color.RGBA{0xe8, 0xc8, 0x48, 0xff})   // handle
	fill(400, 96, 16, 24, color.RGBA{0xf8, 0xe8, 0x90, 0xff})   // lamp
	x := int(now.UnixMilli() % round.Milliseconds() * (360) / round.Milliseconds())
	fill(x+16, 168, 32, 36, color.RGBA{0xe8, 0xb8, 0x90, 0xff}) // head
	fill(x, 204, 64, 84, color.RGBA{0x30, 0x60, 0x90, 0xff})    // coat
	fill(x+8, 288, 16, 40, color.RGBA{0x28, 0x28, 0x30, 0xff})  // legs
	fill(x+40, 288, 16, 40, color.RGBA{0x28, 0x28, 0x30, 0xff})
	return img
}

// isText reports whether a payload can be printed.
func isText(payload []byte) bool {
	return !bytes.HasPrefix(payload, []byte("\xff\xd8")) && !bytes.HasPrefix(payload, []byte("\x89PNG"))
}
