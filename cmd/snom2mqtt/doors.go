package main

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/snom2mqtt/snom2mqtt/bridge"
	"github.com/snom2mqtt/snom2mqtt/camera"
	"github.com/snom2mqtt/snom2mqtt/config"
	"github.com/snom2mqtt/snom2mqtt/mqtt"
	"github.com/snom2mqtt/snom2mqtt/snom"
)

// doorOf makes one door of the bridge.
func doorOf(d config.Door) (bridge.DoorConfig, error) {
	out := bridge.DoorConfig{Name: d.Name, Phones: d.Phones, Number: d.Number, Country: d.Country, Hold: d.Hold, Call: d.Call, ChimeAt: d.Chime.Phones}
	code := map[string]json.RawMessage{"digits": text(d.Code.Reveal())}
	if d.ByKeys {
		code["method"] = text("keys")
	}
	var err error
	if out.Code, err = snom.VerbDTMF.Command(code); err != nil {
		return out, errors.New("code: expected tones that the phone can send") // the error may repeat it
	}
	if d.Camera.URL != "" {
		cam, err := camera.New(camera.Config{URL: d.Camera.URL, Username: d.Camera.Username, Password: d.Camera.Password.Reveal()})
		if err != nil {
			return out, err
		}
		out.Camera = doorCamera{cam}
	}
	if len(d.Chime.Phones) > 0 {
		out.Chime, err = snom.VerbRing.Command(map[string]json.RawMessage{"ringer": number(d.Chime.Ringer), "count": number(d.Chime.Count)})
	}
	return out, err
}

// A doorCamera is the camera of a door as the bridge has it.
type doorCamera struct{ *camera.Camera }

// Picture returns a picture that a broker accepts.
func (c doorCamera) Picture(ctx context.Context) ([]byte, error) {
	return c.Camera.Picture(ctx, mqtt.MaxPublish-1<<10)
}

// StreamType is the content type of its stream.
func (c doorCamera) StreamType() string { return camera.StreamType }

// text and number return values as JSON.
func text(s string) json.RawMessage { return marshal(s) }

func number(n int) json.RawMessage { return marshal(n) }

func marshal(v any) json.RawMessage {
	raw, err := json.Marshal(v)
	if err != nil {
		panic(err) // a text or a number: there is nothing to fail
	}
	return raw
}
