package console

import (
	"net/http"
	"slices"

	"github.com/snom2mqtt/snom2mqtt/bridge"
)

// A DoorDocument is what is known of a door.
type DoorDocument struct {
	bridge.DoorStatus
	Camera bool     `json:"camera"` // it has one
	Phones []string `json:"phones"` // whose call opens it
}

// DoorsDocument is the answer of GET /api/doors.
type DoorsDocument struct {
	Doors []DoorDocument `json:"doors"`
}

func (h *handler) doorList() []DoorDocument {
	all := []DoorDocument{}
	for _, d := range h.Bridge.Doors() {
		all = append(all, DoorDocument{d, d.Camera, append([]string{}, d.Phones...)})
	}
	return all
}

// isDoor reports whether a door of the bridge is called so.
func (h *handler) isDoor(name string) bool {
	return slices.ContainsFunc(h.Bridge.Doors(), func(d bridge.DoorStatus) bool { return d.Door == name })
}

func (h *handler) doors(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, DoorsDocument{h.doorList()})
}

// doorImage answers with the picture of the camera when the door rang last.
func (h *handler) doorImage(w http.ResponseWriter, r *http.Request) {
	image := h.Bridge.DoorPicture(r.PathValue("name"))
	if image == nil {
		answer(w, http.StatusNotFound, "not found", "there is no picture of such a door")
		return
	}
	w.Header().Set("Content-Type", "image/jpeg")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = w.Write(image.JPEG) // a client that has gone is no fault of the console
}

// doorsPage shows the doors, with their pictures and a button for each.
func (h *handler) doorsPage(w http.ResponseWriter, r *http.Request) {
	p := h.begin(r, "doors", translate(language(r), "Doors"), "doors")
	doors := h.doorList()
	if len(doors) == 0 {
		p.write(`<p>{}</p>`, p.t("There are no doors in the phones file."))
	}
	p.write(`<div class="doors">`)
	for _, d := range doors {
		p.write(`<article data-door="{}"><h2>{}</h2><p data-part="state" class="state {}">{}</p>`, d.Door, d.Door, string(d.State), p.t(string(d.State)))
		if d.Camera {
			p.write(`<img alt="{}"`, p.t("Picture of the last ring"))
			if h.Bridge.DoorPicture(d.Door) == nil {
				p.write(` hidden>`)
			} else {
				p.write(` src="api/doors/{}/image">`, d.Door)
			}
		}
		p.write(`<dl class="facts"><dt>{}</dt><dd data-part="ring">`, p.t("Last ring"))
		p.moment(d.LastRing.Time)
		p.write(`</dd><dt>{}</dt><dd data-part="opened">`, p.t("Last opened"))
		p.moment(d.LastOpened.Time)
		p.write(`</dd><dt>{}</dt><dd data-part="call">`, p.t("Call"))
		if d.Call != nil {
			p.write(`{} {}`, d.Call.Phone, p.t(string(d.Call.State)))
		}
		p.write(`</dd><dt>{}</dt><dd>`, p.t("Phones"))
		for _, phone := range d.Phones {
			p.write(`<a href="phones/{}">{}</a> `, phone, phone)
		}
		p.write(`</dd></dl><p><button type="button" class="main" data-open="{}"{}>{}</button> <button type="button" data-open="{}" data-dry{}>{}</button></p><div role="status" data-part="answer"></div></article>`, d.Door, h.disabled(), p.t("Open"), d.Door, h.disabled(), p.t("Dry run"))
	}
	p.write(`</div>`)
	p.send(w, http.StatusOK)
}
