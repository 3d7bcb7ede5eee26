package speech

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/snom2mqtt/snom2mqtt/internal/cleantext"
	"github.com/snom2mqtt/snom2mqtt/paging"
)

// A homeAssistant speaks by the REST API of Home Assistant (developers.home-assistant.io, "REST API"; the address of the
// sound comes from homeassistant/components/tts: POST /api/tts_get_url).
type homeAssistant struct {
	base, token string
	client      *http.Client
}

// maxAnswer bounds an answer in JSON. The list of all states is the longest.
const maxAnswer = 16 << 20

// speak has Home Assistant speak. voice is an engine such as tts.piper, ENGINE/VOICE, or a voice of the default engine.
func (h homeAssistant) speak(ctx context.Context, text, voice string) (paging.Source, error) {
	engine, name, both := strings.Cut(voice, "/")
	if !both && !strings.HasPrefix(voice, "tts.") {
		engine, name = "", voice
	}
	if engine == "" {
		var err error
		if engine, err = h.engine(ctx); err != nil {
			return nil, err
		}
	}
	ask := map[string]any{"engine_id": engine, "message": text}
	if name != "" {
		ask["options"] = map[string]string{"voice": name}
	}
	var answer struct{ Path, URL, Error string }
	if err := h.ask(ctx, http.MethodPost, "/api/tts_get_url", ask, &answer); err != nil {
		return nil, err
	}
	path := answer.Path
	if u, err := url.Parse(answer.URL); path == "" && err == nil {
		path = u.RequestURI()
	}
	if !strings.HasPrefix(path, "/") {
		return nil, fmt.Errorf("%w: Home Assistant names no sound", ErrRefused)
	}
	reply, err := h.do(ctx, http.MethodGet, path, nil)
	if err != nil {
		return nil, err
	}
	src, err := paging.Decode(reply.Body)
	if err != nil {
		_ = reply.Body.Close() // it is of no use
	}
	return src, err
}

// engine returns the first engine that can be used: an entity, or one that has a service only.
func (h homeAssistant) engine(ctx context.Context) (string, error) {
	var states []struct {
		ID    string `json:"entity_id"`
		State string `json:"state"`
	}
	if err := h.ask(ctx, http.MethodGet, "/api/states", nil, &states); err != nil {
		return "", err
	}
	var engines []string
	for _, s := range states {
		if strings.HasPrefix(s.ID, "tts.") && s.State != "unavailable" {
			engines = append(engines, s.ID)
		}
	}
	if len(engines) > 0 {
		return slices.Min(engines), nil
	}
	var services []struct {
		Domain   string         `json:"domain"`
		Services map[string]any `json:"services"`
	}
	if err := h.ask(ctx, http.MethodGet, "/api/services", nil, &services); err != nil {
		return "", err
	}
	for _, d := range services {
		for name := range d.Services {
			if engine, ok := strings.CutSuffix(name, "_say"); ok && d.Domain == "tts" {
				engines = append(engines, engine)
			}
		}
	}
	if len(engines) == 0 {
		return "", fmt.Errorf("%w: Home Assistant has no text-to-speech engine: add one, such as Piper", ErrRefused)
	}
	return slices.Min(engines), nil
}

// ask makes a request and reads its answer.
func (h homeAssistant) ask(ctx context.Context, method, path string, body, answer any) error {
	var text []byte
	if body != nil {
		var err error
		if text, err = json.Marshal(body); err != nil {
			return err
		}
	}
	reply, err := h.do(ctx, method, path, text)
	if err != nil {
		return err
	}
	defer reply.Body.Close()
	if err := json.NewDecoder(io.LimitReader(reply.Body, maxAnswer)).Decode(answer); err != nil {
		return cmp.Or(context.Cause(ctx), fmt.Errorf("%w: the answer of Home Assistant to %s cannot be read", ErrRefused, path))
	}
	return nil
}

// do makes a request. The caller closes the body of the reply.
func (h homeAssistant) do(ctx context.Context, method, path string, body []byte) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, method, h.base+path, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("%w: Home Assistant names no sound", ErrRefused)
	}
	request.Header.Set("Authorization", "Bearer "+h.token)
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	reply, err := h.client.Do(request)
	if err != nil {
		var of *url.Error
		if errors.As(err, &of) {
			err = of.Err // without the URL, which may have a token of its own
		}
		return nil, fmt.Errorf("speech: Home Assistant: %w", err)
	}
	if reply.StatusCode == http.StatusOK {
		return reply, nil
	}
	defer reply.Body.Close()
	switch {
	case reply.StatusCode == http.StatusUnauthorized || reply.StatusCode == http.StatusForbidden:
		return nil, fmt.Errorf("%w by Home Assistant: HOMEASSISTANT_TOKEN: HTTP %d", ErrUnauthorized, reply.StatusCode)
	case reply.StatusCode >= 500 && method != http.MethodPost:
		return nil, fmt.Errorf("%w: Home Assistant could not make it: HTTP %d", ErrRefused, reply.StatusCode)
	}
	var answer struct{ Error, Message string }
	_ = json.NewDecoder(io.LimitReader(reply.Body, 4<<10)).Decode(&answer) // the status says enough
	why := cleantext.Clean(cmp.Or(answer.Error, answer.Message), 200)
	return nil, fmt.Errorf("%w: Home Assistant: HTTP %d %s", ErrRefused, reply.StatusCode, why)
}
