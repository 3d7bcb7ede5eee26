package bridge

import (
	"context"
	"fmt"
	"time"

	"github.com/snom2mqtt/snom2mqtt/bitmap"
	"github.com/snom2mqtt/snom2mqtt/mqtt"
	"github.com/snom2mqtt/snom2mqtt/snom"
)

// A Pictured is a [Phone] that gives away what its screens show.
type Pictured interface {
	// Picture makes the request of a step whose reply is a picture, as [Phone.Send] does, and returns the BMP file.
	Picture(ctx context.Context, step snom.Step) (file []byte, reply snom.Reply, err error)
}

// An Image is a picture of the screen of a phone, as published.
type Image struct {
	Phone string
	PNG   []byte // must not be changed
	Time  Time
}

// imageTTL is how long a picture of a screen may wait for the broker.
const imageTTL = 10 * time.Second

// takePicture carries out a command that takes a picture of a screen.
func (c *command) takePicture(ctx context.Context, p pacedPhone) {
	phone, ok := p.Phone.(Pictured)
	if !ok || len(c.steps) != 1 {
		c.fail(Unsupported, "it gives no pictures of its screen")
		return
	}
	b := c.to.b
	b.pictures.Lock() // each may take some megabytes
	defer b.pictures.Unlock()
	step := c.steps[0]
	step.NotAfter, c.asked = c.expires, time.Now()
	file, reply, err := phone.Picture(ctx, step)
	now := time.Now()
	p.lane.pace.sent(now, b.cfg.Gap, 0)
	p.noteLogin(now, err)
	c.result.HTTPStatus, c.result.Requests = reply.Status, reply.Requests
	if err != nil {
		c.failStep(err)
		return
	}
	c.sent++
	png, err := bitmap.PNG(file, mqtt.MaxPublish)
	if err != nil {
		c.fail(PhoneError, fmt.Sprintf("the phone's picture cannot be used: %s", words(err)))
		return
	}
	b.publish(mqtt.Message{Topic: b.cfg.Tree.Image(c.to.name), Payload: png, Expires: now.Add(imageTTL)})
	if b.feed.read() {
		b.feed.send(Update{Image: &Image{Phone: c.to.name, PNG: png, Time: Time{Time: now}}})
	}
}
