package console

import (
	"net/http"
	"reflect"
	"strings"

	"github.com/snom2mqtt/snom2mqtt/bridge"
	"github.com/snom2mqtt/snom2mqtt/callstate"
	"github.com/snom2mqtt/snom2mqtt/snom/actionurl"
)

// A schema is a JSON schema.
type schema = map[string]any

// described are the types that write their own JSON, with its schema.
func described() map[reflect.Type]schema {
	orNull := func(kind, format string) schema {
		s := schema{"type": []string{kind, "null"}}
		if format != "" {
			s["format"] = format
		}
		return s
	}
	var phases []any
	for _, p := range callstate.Phases() {
		phases = append(phases, string(p))
	}
	party := object(map[string]any{"number": orNull("string", ""), "name": orNull("string", ""), "uri": orNull("string", "")})
	caller := object(map[string]any{"number": orNull("string", ""), "name": orNull("string", ""), "time": orNull("string", "date-time")})
	caller["type"] = []string{"object", "null"}
	return map[reflect.Type]schema{
		reflect.TypeFor[bridge.Text]():         orNull("string", ""),
		reflect.TypeFor[bridge.Switch]():       orNull("boolean", ""),
		reflect.TypeFor[bridge.Time]():         orNull("string", "date-time"),
		reflect.TypeFor[actionurl.Direction](): {"enum": []any{"in", "out", nil}},
		reflect.TypeFor[actionurl.EventType](): {"enum": eventNames()},
		reflect.TypeFor[actionurl.Party]():     party,
		reflect.TypeFor[callstate.Caller]():    caller,
		reflect.TypeFor[callstate.Phase]():     {"enum": phases},
		reflect.TypeFor[bridge.DoorState]():    {"enum": []any{string(bridge.DoorLocked), string(bridge.DoorOpening), string(bridge.DoorOpen), string(bridge.DoorFailed)}},
	}
}

// object returns the schema of an object that has all of these members.
func object(members map[string]any) schema {
	var required []string
	for name := range members {
		required = append(required, name)
	}
	return schema{"type": "object", "properties": members, "required": sorted(required)}
}

// schemas collects the schemas of types, each once, by name.
type schemas struct {
	known map[reflect.Type]schema
	named map[string]any
}

// of returns the schema of a type.
func (s schemas) of(t reflect.Type) schema {
	if one := s.known[t]; one != nil {
		return one
	}
	switch t.Kind() {
	case reflect.Pointer:
		return schema{"anyOf": []any{s.of(t.Elem()), schema{"type": "null"}}}
	case reflect.Slice:
		return schema{"type": "array", "items": s.of(t.Elem())}
	case reflect.Map:
		return schema{"type": "object", "additionalProperties": s.of(t.Elem())}
	case reflect.String:
		return schema{"type": "string"}
	case reflect.Bool:
		return schema{"type": "boolean"}
	case reflect.Int, reflect.Int64, reflect.Uint64:
		return schema{"type": "integer"}
	case reflect.Struct:
		if _, done := s.named[t.Name()]; !done {
			s.named[t.Name()] = nil // a type may contain itself
			members, required := map[string]any{}, []string{}
			s.members(t, members, &required)
			s.named[t.Name()] = schema{"type": "object", "properties": members, "required": sorted(required)}
		}
		return schema{"$ref": "#/components/schemas/" + t.Name()}
	}
	return schema{} // any value
}

// members adds the members that a struct has in JSON.
func (s schemas) members(t reflect.Type, members map[string]any, required *[]string) {
	for f := range t.Fields() {
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case name == "-" || !f.IsExported():
		case f.Anonymous && name == "" && f.Type.Kind() == reflect.Pointer: // its members are there where it is not nil
			s.members(f.Type.Elem(), members, new([]string))
		case f.Anonymous && name == "":
			s.members(f.Type, members, required)
		case name != "":
			members[name] = s.of(f.Type)
			if !strings.HasPrefix(options, "omit") {
				*required = append(*required, name)
			}
		}
	}
}

// openAPIDocument describes the API, made from its routes.
func openAPIDocument(version string) schema {
	s := schemas{known: described(), named: map[string]any{}}
	s.known[reflect.TypeFor[callstate.Call]()] = s.nullable(reflect.TypeFor[callstate.Call]())
	paths := map[string]any{}
	for _, one := range routes() {
		if one.summary == "" {
			continue
		}
		at, _ := paths[one.path].(map[string]any)
		if at == nil {
			at = map[string]any{}
			paths[one.path] = at
		}
		at[strings.ToLower(one.method)] = s.operation(one)
	}
	return schema{
		"openapi": "3.1.0",
		"info": schema{
			"title": "snom2mqtt console", "version": version,
			"description": "What the pages of the console use. It needs the console's password where one is set: Basic, with any user name, or a session of the login page.",
		},
		"servers":    []any{schema{"url": ".."}},
		"paths":      paths,
		"components": schema{"schemas": s.named, "securitySchemes": schema{"password": schema{"type": "http", "scheme": "basic"}}},
		"security":   []any{schema{"password": []any{}}, schema{}},
	}
}

// nullable returns the schema of a struct that may be null: the call of a phone whose events are not received.
func (s schemas) nullable(t reflect.Type) schema {
	members, required := map[string]any{}, []string{}
	s.members(t, members, &required)
	return schema{"type": []string{"object", "null"}, "properties": members, "required": sorted(required)}
}

// operation describes one route.
func (s schemas) operation(one route) schema {
	var parameters []any
	for _, p := range one.parameters {
		parameters = append(parameters, schema{
			"name": p.name, "in": p.in, "description": p.what, "required": p.in == "path", "schema": schema{"type": "string"},
		})
	}
	content := schema{}
	switch {
	case one.answers != nil:
		content["application/json"] = schema{"schema": s.of(reflect.TypeOf(one.answers))}
	case one.kind == "application/json":
		content[one.kind] = schema{"schema": schema{"type": "object"}}
	default:
		content[one.kind] = schema{"schema": schema{"type": "string"}}
	}
	fault := schema{"description": "The reason", "content": schema{"application/json": schema{"schema": s.of(reflect.TypeFor[Fault]())}}}
	answers := schema{"200": schema{"description": "OK", "content": content}, "401": fault, "default": fault}
	if one.access == presses && one.answers != nil {
		answers["202"] = schema{"description": "Sent; answers that did not come yet are not in it", "content": content}
		answers["403"] = fault
	}
	operation := schema{"summary": one.summary, "responses": answers, "operationId": operationID(one)}
	if parameters != nil {
		operation["parameters"] = parameters
	}
	if one.body != "" {
		operation["requestBody"] = schema{"description": one.body, "content": schema{
			"application/json": schema{"schema": schema{"type": "object"}}, "text/plain": schema{"schema": schema{"type": "string"}},
		}}
	}
	return operation
}

// operationID names a route: get_phones_name.
func operationID(one route) string {
	return strings.ToLower(one.method) + strings.NewReplacer("/api/", "_", "/", "_", "{", "", "}", "", ".", "_").Replace(one.path)
}

func (h *handler) openAPI(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, openAPIDocument(h.About.Version))
}
